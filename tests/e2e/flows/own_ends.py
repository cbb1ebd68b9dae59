"""A flow whose first and last steps have names of their own."""

from metaflow import FlowSpec, step


class OwnEndsFlow(FlowSpec):
    @step(start=True)
    def fetch(self):
        self.rows = [1, 2, 3]
        self.next(self.count)

    @step
    def count(self):
        self.total = sum(self.rows)
        self.next(self.publish)

    @step(end=True)
    def publish(self):
        assert self.total == 6


if __name__ == "__main__":
    OwnEndsFlow()
