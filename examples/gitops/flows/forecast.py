"""Fits a forecast as soon as the features are there."""

from metaflow import FlowSpec, Parameter, project, resources, step, timeout, trigger_on_finish


@project(name="shop")
@trigger_on_finish(flow="Features")
class Forecast(FlowSpec):
    horizon = Parameter("horizon", default=7, help="days ahead")

    @step
    def start(self):
        self.next(self.fit)

    @timeout(minutes=30)
    @resources(cpu=2, memory=16384)
    @step
    def fit(self):
        self.level = 100 + self.horizon
        self.next(self.end)

    @step
    def end(self):
        print(f"the next {self.horizon} days: {self.level} orders a day")


if __name__ == "__main__":
    Forecast()
