"""A foreach whose width is a parameter, then a foreach over one item."""

from metaflow import FlowSpec, Parameter, step


class FanFlow(FlowSpec):
    width = Parameter("width", default=3)

    @step
    def start(self):
        self.items = [{"number": i, "name": f"item {i}"} for i in range(self.width)]
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.square = self.input["number"] ** 2
        self.at = self.index
        self.next(self.collect)

    @step
    def collect(self, inputs):
        self.squares = [i.square for i in inputs]
        self.order = [i.at for i in inputs]
        self.next(self.narrow)

    @step
    def narrow(self):
        self.single = ["only"]
        self.next(self.one, foreach="single")

    @step
    def one(self):
        self.got = self.input
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        assert self.squares == [i * i for i in range(self.width)], self.squares
        assert self.order == list(range(self.width))


if __name__ == "__main__":
    FanFlow()
