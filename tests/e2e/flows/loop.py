"""A step that repeats itself by a switch, at the top level."""

from metaflow import FlowSpec, Parameter, step


class LoopFlow(FlowSpec):
    rounds = Parameter("rounds", default=3)

    @step
    def start(self):
        self.done = 0
        self.next(self.again)

    @step
    def again(self):
        self.done = self.done + 1
        self.more = "yes" if self.done < self.rounds else "no"
        self.next({"yes": self.again, "no": self.after}, condition="more")

    @step
    def after(self):
        self.final = self.done
        self.next(self.end)

    @step
    def end(self):
        assert self.final == self.rounds


if __name__ == "__main__":
    LoopFlow()
