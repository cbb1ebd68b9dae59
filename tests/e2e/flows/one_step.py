"""A flow of a single step."""

from metaflow import FlowSpec, Parameter, step


class OneStepFlow(FlowSpec):
    base = Parameter("base", default=20)

    @step(start=True, end=True)
    def only(self):
        self.result = self.base + 1


if __name__ == "__main__":
    OneStepFlow()
