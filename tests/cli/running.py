"""In: the arguments of a command. Out: what the process `flowc` did with them; and the flows that tests give it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import flowc as package

HELLO = """\
from metaflow import FlowSpec, step


class HelloFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
BROKEN = HELLO.replace("self.next(self.end)", "self.next(self.missing)")


def environment(**more: str) -> dict[str, str]:
    """The environment in which a process finds the flowc that the tests themselves import."""
    return {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1]), **more}


def flowc(*arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    """Run flowc and expect an exit code; a traceback is for bugs only."""
    command = [sys.executable, "-m", "flowc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(**more), check=False, timeout=300)
    assert done.returncode == code, done
    assert ("Traceback" in done.stderr) == (code == 3), done.stderr
    return done


def script(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python text with arguments."""
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=300)
