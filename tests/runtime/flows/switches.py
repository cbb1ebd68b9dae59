from metaflow import FlowSpec, Parameter, step


class SwitchFlow(FlowSpec):
    """A static split whose branches hold switches (one of them in another), a merge, and a switch that may skip to the end."""

    left = Parameter("left", default="near")
    right = Parameter("right", default="deep")
    rest = Parameter("rest", default=True, type=bool)

    @step
    def start(self):
        self.trace = ["start"]
        self.next(self.west, self.east, self.plain)

    @step
    def west(self):
        self.trace += ["west"]
        self.next({"near": self.near_west, "far": self.far_west}, condition="left")

    @step
    def near_west(self):
        self.trace += ["near_west"]
        self.next(self.meet)

    @step
    def far_west(self):
        self.trace += ["far_west"]
        self.next(self.meet)

    @step
    def east(self):
        self.trace += ["east"]
        self.next({"deep": self.deep_east, "shallow": self.shallow_east}, condition="right")

    @step
    def deep_east(self):
        self.trace += ["deep_east"]
        self.level = len(self.left)
        self.next({4: self.four, 3: self.three}, condition="level")

    @step
    def four(self):
        self.trace += ["four"]
        self.next(self.merge_east)

    @step
    def three(self):
        self.trace += ["three"]
        self.next(self.shallow_east)

    @step
    def shallow_east(self):
        self.trace += ["shallow_east"]
        self.next(self.merge_east)

    @step
    def merge_east(self):
        self.trace += ["merge_east"]
        self.next(self.meet)

    @step
    def plain(self):
        self.trace += ["plain"]
        self.next(self.meet)

    @step
    def meet(self, inputs):
        self.trace = sorted(i.trace for i in inputs)
        self.next(self.choose)

    @step
    def choose(self):
        self.next({True: self.more, False: self.end}, condition="rest")

    @step
    def more(self):
        self.trace += ["more"]
        self.next(self.end)

    @step
    def end(self):
        self.trace += ["end"]


if __name__ == "__main__":
    SwitchFlow()
