"""A flow that starts itself every minute."""

from metaflow import FlowSpec, schedule, step


@schedule(cron="* * * * *", timezone="Europe/Berlin")
class ClockFlow(FlowSpec):
    @step
    def start(self):
        self.tick = "tock"
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ClockFlow()
