"""Scores candidate models in parallel every morning and keeps the best."""

from metaflow import FlowSpec, Parameter, resources, retry, schedule, step, timeout


@schedule(cron="0 6 * * *", timezone="Europe/Berlin")
class Train(FlowSpec):
    """Scores candidate models in parallel and keeps the best."""

    candidates = Parameter("candidates", default=3, help="how many models to score")

    @step
    def start(self):
        self.depths = list(range(1, self.candidates + 1))
        self.next(self.score, foreach="depths")

    @retry(times=2)
    @timeout(minutes=30)
    @resources(cpu=2, memory=8192)
    @step
    def score(self):
        self.depth = self.input
        self.loss = 1 / self.depth + 0.05 * self.depth
        self.next(self.choose)

    @step
    def choose(self, inputs):
        self.best = min(inputs, key=lambda one: one.loss).depth
        self.next(self.judge)

    @step
    def judge(self):
        self.verdict = "ship" if self.best > 1 else "keep"
        self.next({"ship": self.ship, "keep": self.end}, condition="verdict")

    @step
    def ship(self):
        print(f"a model of depth {self.best} is ready")
        self.next(self.end)

    @step
    def end(self):
        print(f"best depth: {self.best}")


if __name__ == "__main__":
    Train()
