import os

from metaflow import FlowSpec, card, catch, current, environment, kubernetes, retry, step


class HardshipFlow(FlowSpec):
    """@retry, @catch, @environment, @card, a start and an end of other names, and no launch at the bottom of the file."""

    @retry(times=2, minutes_between_retries=0)
    @environment(vars={"GREETING": "it's {{odd}} \"here\"\n$HOME"})
    @step(start=True)
    def begin(self):
        self.greeting = os.environ["GREETING"]
        self.attempt = current.retry_count
        if self.attempt < 1:
            raise ValueError("not yet")
        self.next(self.risky)

    @retry(times=1, minutes_between_retries=0)
    @catch(var="oops", print_exception=False)
    @step
    def risky(self):
        self.attempt = current.retry_count
        raise ValueError("never")
        self.next(self.finish)

    @card(type="blank")
    @kubernetes(cpu=1)
    @step(end=True)
    def finish(self):
        self.caught = self.oops.exception
