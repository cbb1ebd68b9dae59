"""A base class and helpers that other flows import."""

from metaflow import FlowSpec, Parameter, step

FACTOR = 7


def scale(number):
    return number * FACTOR


class Tools:
    def describe(self):
        return f"{type(self).__name__} scaled {self.scaled}"


class BaseFlow(FlowSpec):
    size = Parameter("size", default=6)

    @step
    def start(self):
        self.scaled = scale(self.size)
        self.next(self.middle)

    @step
    def end(self):
        assert self.said == "InheritFlow scaled 42", self.said
