from metaflow import FlowSpec, step


class LoopFlow(FlowSpec):
    """A loop at the top, a loop whose rounds differ by index, and a switch in a foreach whose cases both lead to the join."""

    @step
    def start(self):
        self.count = 0
        self.next(self.spin)

    @step
    def spin(self):
        self.count += 1
        self.again = "yes" if self.count < 2 else "no"
        self.next({"yes": self.spin, "no": self.fan}, condition="again")

    @step
    def fan(self):
        self.numbers = [1, 0]
        self.next(self.descend, foreach="numbers")

    @step
    def descend(self):
        self.height = getattr(self, "height", self.input) - 1
        self.done = self.height < 0
        self.next({False: self.descend, True: self.sort}, condition="done")

    @step
    def sort(self):
        self.kind = "odd" if self.input % 2 else "even"
        self.next({"odd": self.odd, "even": self.even}, condition="kind")

    @step
    def odd(self):
        self.kind = "very " + self.kind
        self.next(self.gather)

    @step
    def even(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        # a laptop orders the inputs by the steps that they come from, as the hashes of the names fall
        self.kinds = sorted(i.kind for i in inputs)
        self.merge_artifacts(inputs, include=["count"])
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    LoopFlow()
