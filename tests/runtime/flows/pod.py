import os
import sys
import time

from metaflow import FlowSpec, Parameter, step


class OtherFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


class PodFlow(FlowSpec):
    """A single step that shows what a pod gave it; the file launches another flow."""

    mood = Parameter("mood", default="quiet")

    @step(start=True, end=True)
    def only(self):
        print("out: ü", flush=True)
        print("err: " + self.mood, file=sys.stderr, flush=True)
        self.files = {name: open(name, "rb").read() for name in ("pod.py", "blob.bin", "deep/er.txt") if os.path.exists(name)}
        self.variable = os.environ.get("SPECIAL")
        self.home = os.environ["HOME"]
        open("written.txt", "w").close()
        if self.mood == "tired":
            time.sleep(600)
        if self.mood == "angry":
            sys.exit(7)


if __name__ == "__main__":
    OtherFlow()
