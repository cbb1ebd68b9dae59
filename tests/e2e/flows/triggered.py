"""A flow that an event starts, with a parameter out of the event."""

from metaflow import FlowSpec, Parameter, step, trigger


@trigger(event={"name": "new.data", "parameters": {"table": "table_name"}})
class TriggeredFlow(FlowSpec):
    table = Parameter("table", default="none")

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        print(self.table)


if __name__ == "__main__":
    TriggeredFlow()
