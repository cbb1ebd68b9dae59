"""A run that ends as it is told to, and functions that run in pods of their own after it."""

from metaflow import FlowSpec, Parameter, exit_hook, step


def celebrate(run):
    print("hook celebrate ran")


def mourn():
    print("hook mourn ran")


@exit_hook(on_success=[celebrate], on_error=[mourn])
class HooksFlow(FlowSpec):
    fail = Parameter("fail", type=bool, default=False)

    @step
    def start(self):
        if self.fail:
            raise ValueError("told to fail")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    HooksFlow()
