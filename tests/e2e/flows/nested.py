"""A foreach in a foreach in a foreach, with a step between two joins."""

from metaflow import FlowSpec, step


class NestedFlow(FlowSpec):
    @step
    def start(self):
        self.outer = ["a", "b"]
        self.next(self.level_one, foreach="outer")

    @step
    def level_one(self):
        self.path = self.input
        self.middle = [1, 2] if self.input == "a" else [3]
        self.next(self.level_two, foreach="middle")

    @step
    def level_two(self):
        self.path = f"{self.path}{self.input}"
        self.inner = ["x", "y"] if self.input == 1 else ["z"]
        self.next(self.level_three, foreach="inner")

    @step
    def level_three(self):
        self.path = f"{self.path}{self.input}"
        self.stack = [value for _, _, value in self.foreach_stack()]
        self.next(self.join_three)

    @step
    def join_three(self, inputs):
        self.paths = [i.path for i in inputs]
        self.next(self.between)

    @step
    def between(self):
        self.paths = [p.upper() for p in self.paths]
        self.next(self.join_two)

    @step
    def join_two(self, inputs):
        self.paths = [p for i in inputs for p in i.paths]
        self.next(self.join_one)

    @step
    def join_one(self, inputs):
        self.paths = [p for i in inputs for p in i.paths]
        self.next(self.end)

    @step
    def end(self):
        assert self.paths == ["A1X", "A1Y", "A2Z", "B3Z"], self.paths


if __name__ == "__main__":
    NestedFlow()
