"""A switch in one branch of a static split and another in each task of a foreach; boolean and config keys."""

from metaflow import Config, FlowSpec, step


class SwitchInBranchesFlow(FlowSpec):
    choice = Config("choice", default_value='{"kind": "warm"}')

    @step
    def start(self):
        self.next(self.fan, self.pick)

    @step
    def fan(self):
        self.numbers = [1, 2]
        self.next(self.test, foreach="numbers")

    @step
    def test(self):
        self.number = self.input
        self.is_odd = bool(self.input % 2)
        self.next({True: self.odd, False: self.even}, condition="is_odd")

    @step
    def odd(self):
        self.word = f"odd {self.number}"
        self.next(self.after)

    @step
    def even(self):
        self.word = f"even {self.number}"
        self.next(self.after)

    @step
    def after(self):
        self.word = self.word.upper()
        self.next(self.fan_join)

    @step
    def fan_join(self, inputs):
        self.words = [i.word for i in inputs]
        self.next(self.meet)

    @step
    def pick(self):
        self.kind = "warm"
        self.next({self.choice.kind: self.warm, "cold": self.cold}, condition="kind")

    @step
    def warm(self):
        self.felt = "warm"
        self.next(self.meet)

    @step
    def cold(self):
        self.felt = "cold"
        self.next(self.meet)

    @step
    def meet(self, inputs):
        self.merge_artifacts(inputs, include=["words", "felt"])
        self.next(self.end)

    @step
    def end(self):
        assert self.words == ["ODD 1", "EVEN 2"], self.words
        assert self.felt == "warm"


if __name__ == "__main__":
    SwitchInBranchesFlow()
