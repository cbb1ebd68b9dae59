"""A static split inside a static split, artifacts merged at the joins."""

from metaflow import FlowSpec, step


class BranchesFlow(FlowSpec):
    @step
    def start(self):
        self.base = 10
        self.next(self.left, self.right)

    @step
    def left(self):
        self.value_left = self.base + 1
        self.next(self.left_a, self.left_b)

    @step
    def left_a(self):
        self.a = "a"
        self.next(self.left_join)

    @step
    def left_b(self):
        self.b = "b"
        self.next(self.left_join)

    @step
    def left_join(self, inputs):
        self.merge_artifacts(inputs)
        self.both = inputs.left_a.a + inputs.left_b.b
        self.next(self.meet)

    @step
    def right(self):
        self.value_right = self.base * 2
        self.next(self.meet)

    @step
    def meet(self, inputs):
        self.total = inputs.left_join.value_left + inputs.right.value_right
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        assert (self.total, self.both) == (31, "ab")


if __name__ == "__main__":
    BranchesFlow()
