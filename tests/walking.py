"""In: a page of the documentation. Out: its shell blocks, run line by line in a folder as the page tells them, each with the exit code it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.running import environment
from test_docs import fences

CODE = re.compile(r"#.*\bexit code (\d)\b")
"""A comment behind a line, where its exit code is not 0."""


@dataclass(frozen=True)
class Line:
    """A command of a page, and the exit code it ends with."""

    text: str
    code: int

    def runs(self, program: str) -> bool:
        return re.search(rf"(^|\| *){program} ", self.text) is not None


def lines(page: Path) -> Iterator[Line]:
    """The commands of a page's shell blocks, in order."""
    for fence in fences("sh"):
        if fence.page == page:
            for line in filter(None, fence.text.splitlines()):
                told = CODE.search(line)
                yield Line(line.split(" #")[0].strip(), int(told[1]) if told else 0)


def commands(folder: Path, **scripts: str) -> dict[str, str]:
    """The environment in which `flowc` is the one under test; `scripts` are programs that stand in for others, by name."""
    folder.mkdir(exist_ok=True)
    for name, text in {"flowc": f'exec {sys.executable} -m flowc "$@"', **scripts}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return environment(PATH=f"{folder}:{os.environ['PATH']}", GIT_CONFIG_GLOBAL=os.devnull)


def walk(page: Path, folder: Path, env: dict[str, str], program: str = "flowc") -> list[Line]:
    """Run the lines of a page that call a program; an exit code that is not as the page says is told with all that was printed."""
    found = [line for line in lines(page) if line.runs(program)]
    for line in found:
        script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line.text]
        done = subprocess.run(script, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == line.code, f"{line.text}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return found
