"""Branches, a foreach, a gang and an exit hook; each task tells what it may do in its pod."""

import errno
import os
import tempfile
from pathlib import Path

from metaflow import FlowSpec, current, exit_hook, parallel, retry, step


def rights():
    """What the kernel says of this process, not what a manifest asked for."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    found = {"root": os.getuid() == 0 or os.getgid() == 0, "seccomp": status.get("Seccomp"), "escalates": status.get("NoNewPrivs") != "1"}
    found["capabilities"] = status.get("CapEff", "").strip("0") or "none"
    try:
        Path("/flowc-was-here").write_text("")
        found["writes /"] = True
    except OSError as error:
        found["writes /"] = errno.errorcode[error.errno]
    for name, folder in (("home", Path.home()), ("temporary", Path(tempfile.gettempdir())), ("work", Path.cwd())):
        (folder / "flowc-was-here").write_text("")
        found[f"writes {name}"] = True
    return found


def told(run):
    print("the hook may", sorted(rights().items()))


@exit_hook(on_success=[told])
class RestrictedFlow(FlowSpec):
    @step
    def start(self):
        self.rights = rights()
        self.next(self.left, self.right)

    @step
    def left(self):
        self.rights = rights()
        self.words = ["a", "b"]
        self.next(self.work, foreach="words")

    @step
    def work(self):
        self.rights = rights()
        self.loud = self.input.upper()
        self.next(self.collect)

    @step
    def collect(self, inputs):
        self.rights = rights()
        self.all = [i.loud for i in inputs]
        self.next(self.both)

    @step
    def right(self):
        self.rights = rights()
        self.next(self.train, num_parallel=2)

    # Metaflow's control task asks for its own name once, and a busy cluster may not know it yet
    @retry(times=3, minutes_between_retries=0)
    @parallel
    @step
    def train(self):
        self.rights = rights()
        self.node = current.parallel.node_index
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.rights = rights()
        self.all = sorted(i.node for i in inputs)
        self.next(self.both)

    @step
    def both(self, inputs):
        self.rights = rights()
        self.all = [*inputs.collect.all, *inputs.gather.all]
        self.next(self.end)

    @step
    def end(self):
        self.rights = rights()


if __name__ == "__main__":
    RestrictedFlow()
