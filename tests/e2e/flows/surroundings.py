"""What @environment and @secrets put around a step, hard text included."""

import os

from metaflow import FlowSpec, environment, secrets, step

HARD = "{{workflow.name}} $(id) `id` \"q\" 'q' \\ \n line two"


class SurroundingsFlow(FlowSpec):
    @environment(vars={"E2E_PLAIN": "value", "E2E_HARD": HARD, "E2E_NUMBER": "007"})
    @step
    def start(self):
        self.plain = os.environ["E2E_PLAIN"]
        self.hard = os.environ["E2E_HARD"]
        self.number = os.environ["E2E_NUMBER"]
        self.next(self.hidden)

    @secrets(sources=[{"type": "inline", "id": "e2e", "options": {"env_vars": {"E2E_SECRET": "hush"}}}])
    @step
    def hidden(self):
        self.length = len(os.environ["E2E_SECRET"])
        self.next(self.end)

    @step
    def end(self):
        self.gone = "E2E_SECRET" not in os.environ and "E2E_PLAIN" not in os.environ
        assert self.hard == HARD


if __name__ == "__main__":
    SurroundingsFlow()
