"""Mails the week's numbers on Mondays."""

from metaflow import FlowSpec, project, schedule, step
from shop import REGIONS, ZONE, orders


@project(name="shop")
@schedule(cron="0 7 * * 1", timezone=ZONE)
class WeeklyReport(FlowSpec):
    @step
    def start(self):
        self.week = {region: sum(sum(orders(region, day)) for day in range(1, 8)) for region in REGIONS}
        self.next(self.end)

    @step
    def end(self):
        self.best = max(self.week, key=self.week.get)
        print(f"best region of the week: {self.best}")


if __name__ == "__main__":
    WeeklyReport()
