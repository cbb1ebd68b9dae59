"""A step that repeats itself inside each task of a foreach, each a different number of times."""

from metaflow import FlowSpec, step


class LoopInFanFlow(FlowSpec):
    @step
    def start(self):
        self.limits = [1, 2]
        self.next(self.prepare, foreach="limits")

    @step
    def prepare(self):
        self.limit = self.input
        self.done = 0
        self.next(self.again)

    @step
    def again(self):
        self.done = self.done + 1
        self.more = self.done < self.limit
        self.next({True: self.again, False: self.after}, condition="more")

    @step
    def after(self):
        self.result = f"{self.limit}:{self.done}"
        self.next(self.join)

    @step
    def join(self, inputs):
        self.results = [i.result for i in inputs]
        self.next(self.end)

    @step
    def end(self):
        assert self.results == ["1:1", "2:2"], self.results


if __name__ == "__main__":
    LoopInFanFlow()
