"""A flow that starts when others have finished."""

from metaflow import FlowSpec, step, trigger_on_finish


@trigger_on_finish(flows=["BranchesFlow", "FanFlow"])
class AfterFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    AfterFlow()
