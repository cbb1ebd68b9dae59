"""Counts the orders of all regions every night."""

from metaflow import FlowSpec, Parameter, project, resources, retry, schedule, step
from shop import NIGHTLY, REGIONS, ZONE, orders


@project(name="shop")
@schedule(cron=NIGHTLY, timezone=ZONE)
class Features(FlowSpec):
    day = Parameter("day", default=1, help="day of the month to count")

    @step
    def start(self):
        self.regions = list(REGIONS)
        self.next(self.count, foreach="regions")

    @retry(times=2)
    @resources(cpu=1, memory=8192)
    @step
    def count(self):
        self.region = self.input
        self.total = sum(orders(self.region, self.day))
        self.next(self.join)

    @step
    def join(self, inputs):
        self.totals = {one.region: one.total for one in inputs}
        self.next(self.end)

    @step
    def end(self):
        print(f"orders of day {self.day}: {self.totals}")


if __name__ == "__main__":
    Features()
