"""Steps that fail once: one is tried again, one inside a foreach, and one is caught after its last try."""

from metaflow import FlowSpec, catch, current, retry, step


class RetriesFlow(FlowSpec):
    @retry(times=2, minutes_between_retries=0)
    @step
    def start(self):
        if current.retry_count < 1:
            raise ValueError("the first try fails")
        self.tries = current.retry_count
        self.items = ["good", "bad"]
        self.next(self.work, foreach="items")

    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        if self.input == "bad" and current.retry_count == 0:
            raise ValueError("the bad one fails once")
        self.tries = current.retry_count
        self.item = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.seen = [(i.item, i.tries) for i in inputs]
        self.next(self.doomed)

    @catch(var="failure", print_exception=False)
    @retry(times=1, minutes_between_retries=0)
    @step
    def doomed(self):
        self.never = 1 // 0
        self.next(self.end)

    @step
    def end(self):
        assert self.seen == [("good", 0), ("bad", 1)], self.seen
        self.said = self.failure.type


if __name__ == "__main__":
    RetriesFlow()
