from metaflow import FlowSpec, Parameter, step

UNIT = "km"


class Base(FlowSpec):
    inherited = Parameter("inherited", default="from the base")
    unit = UNIT

    @step
    def end(self):
        self.seen = (self.inherited, self.unit, self.shared())

    def shared(self):
        return "shared " + self.mood
