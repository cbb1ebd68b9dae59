"""A step that is ended by its timeout, and the run with it."""

import time

from metaflow import FlowSpec, step, timeout


class TimeoutKillsFlow(FlowSpec):
    @step
    def start(self):
        self.before = True
        self.next(self.sleeper)

    @timeout(minutes=1)
    @step
    def sleeper(self):
        time.sleep(600)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TimeoutKillsFlow()
