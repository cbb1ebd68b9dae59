"""Tells what its pods have that no decorator asked for."""

import os
from pathlib import Path

from metaflow import FlowSpec, environment, parallel, step


class OverlaidFlow(FlowSpec):
    @environment(vars={"COLOUR": "red"})
    @step
    def start(self):
        Path("/scratch/there").write_text("yes")
        self.scratch = os.path.ismount("/scratch")
        self.colour = os.environ["COLOUR"]
        self.next(self.train, num_parallel=2)

    @parallel
    @step
    def train(self):
        self.colour = os.environ.get("COLOUR")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.scratch = os.path.ismount("/scratch")
        self.colours = [each.colour for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    OverlaidFlow()
