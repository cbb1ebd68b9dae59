"""A short flow with a foreach whose tasks take a while: time to kill, evict and replace."""

import time

from metaflow import FlowSpec, step


class RelayFlow(FlowSpec):
    @step
    def start(self):
        self.items = [3, 4]
        self.next(self.work, foreach="items")

    @step
    def work(self):
        time.sleep(3)
        self.square = self.input**2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(i.square for i in inputs)
        self.next(self.end)

    @step
    def end(self):
        self.told = f"total {self.total}"


if __name__ == "__main__":
    RelayFlow()
