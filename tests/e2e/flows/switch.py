"""A switch of four cases, one of them nested, one that skips to the end."""

from metaflow import FlowSpec, Parameter, step


class SwitchFlow(FlowSpec):
    way = Parameter("way", default="short")

    @step
    def start(self):
        self.trail = ["start"]
        self.chosen = self.way
        self.next({"short": self.short, "long": self.long_first, "deep": self.deep, "skip": self.end}, condition="chosen")

    @step
    def short(self):
        self.trail = self.trail + ["short"]
        self.next(self.meet)

    @step
    def long_first(self):
        self.trail = self.trail + ["long_first"]
        self.next(self.long_second)

    @step
    def long_second(self):
        self.trail = self.trail + ["long_second"]
        self.next(self.meet)

    @step
    def deep(self):
        self.number = 2
        self.trail = self.trail + ["deep"]
        self.next({1: self.deep_one, 2: self.deep_two}, condition="number")

    @step
    def deep_one(self):
        self.trail = self.trail + ["deep_one"]
        self.next(self.meet)

    @step
    def deep_two(self):
        self.trail = self.trail + ["deep_two"]
        self.next(self.meet)

    @step
    def meet(self):
        self.trail = self.trail + ["meet"]
        self.next(self.end)

    @step
    def end(self):
        expected = {
            "short": ["start", "short", "meet"],
            "long": ["start", "long_first", "long_second", "meet"],
            "deep": ["start", "deep", "deep_two", "meet"],
            "skip": ["start"],
        }
        assert self.trail == expected[self.way], self.trail


if __name__ == "__main__":
    SwitchFlow()
