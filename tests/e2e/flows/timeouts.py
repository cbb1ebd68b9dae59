"""A step that would sleep for ten minutes and is ended after one; what is left of it is caught."""

import time

from metaflow import FlowSpec, catch, step, timeout


class TimeoutsFlow(FlowSpec):
    @catch(var="failure", print_exception=False)
    @timeout(seconds=60)
    @step
    def start(self):
        time.sleep(600)
        self.next(self.end)

    @step
    def end(self):
        self.caught = self.failure is not None
        assert self.caught


if __name__ == "__main__":
    TimeoutsFlow()
