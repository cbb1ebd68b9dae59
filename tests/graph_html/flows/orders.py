"""Reads the orders of a day, cleans them by region, and trains a model a region on a gang of machines."""

from metaflow import FlowSpec, Parameter, card, catch, environment, parallel, resources, retry, schedule, step, timeout


@schedule(cron="30 5 * * MON-FRI", timezone="Europe/Berlin")
class Orders(FlowSpec):
    """Cleans the orders of a day by region and trains a model of each.

    The best model is shipped, unless yesterday's still beats it.
    """

    day = Parameter("day", default="yesterday", help="Which day's orders to read.")
    sample = Parameter("sample", default=0.1, help="The share of the orders that models are trained on.")

    @resources(cpu=2, memory=8192)
    @step
    def start(self):
        self.next(self.fetch, self.watch, self.warm_up)

    @retry(times=4, minutes_between_retries=1)
    @step
    def fetch(self):
        """Lists the regions that had any orders."""
        self.regions = ["north", "south", "west"]
        self.next(self.region, foreach="regions")

    @step
    def region(self):
        self.files = [f"{self.input}/{part}.parquet" for part in range(8)]
        self.next(self.clean, foreach="files")

    @step
    def clean(self):
        self.kind = self.input.rpartition(".")[2]
        self.next({"csv": self.from_csv, "parquet": self.from_parquet, "unknown": self.guess}, condition="kind")

    @step
    def from_csv(self):
        self.next(self.cleaned)

    @resources(memory=64000)
    @step
    def from_parquet(self):
        self.next(self.cleaned)

    @step
    def guess(self):
        self.next(self.cleaned)

    @step
    def cleaned(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.prepare)

    @step
    def prepare(self):
        self.next(self.train, num_parallel=4)

    @parallel
    @timeout(hours=6)
    @resources(cpu=8, memory=32768, gpu=1)
    @environment(vars={"NCCL_DEBUG": "WARN", "STAGE": "production"})
    @step
    def train(self):
        """Fits the model of a region.

        Every machine of the gang takes a part of the orders.
        """
        self.loss = 0.1
        self.next(self.trained)

    @step
    def trained(self, inputs):
        self.loss = min(one.loss for one in inputs)
        self.next(self.regions_done)

    @card
    @step
    def regions_done(self, inputs):
        self.best = min(inputs, key=lambda one: one.loss).loss
        self.next(self.merge)

    @step
    def watch(self):
        self.state = "again"
        self.next({"again": self.watch, "calm": self.watched}, condition="state")

    @step
    def watched(self):
        self.next(self.merge)

    @step
    def warm_up(self):
        self.next(self.merge)

    @step
    def merge(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.decide)

    @step
    def decide(self):
        """Ships what beats the model of yesterday."""
        self.verdict = "ship"
        self.next({"ship": self.ship, "hold": self.hold, "drop": self.end}, condition="verdict")

    @catch(var="why")
    @retry(times=1)
    @step
    def ship(self):
        self.next(self.end)

    @step
    def hold(self):
        self.next(self.end)

    @step
    def end(self):
        print("done")


if __name__ == "__main__":
    Orders()
