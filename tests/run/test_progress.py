"""In: facts of a run. Out: proof of what people see: lines, or a tree that is drawn over itself."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from run.world import planned

from flowc.run import progress
from flowc.run.coordinator import Coordinator
from flowc.run.executor import Fact, Failed, Finished, Retried, Running, Task

TEXT = """from metaflow import FlowSpec, step


class Made(FlowSpec):
    @step
    def start(self):
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.next({"a": self.a, "b": self.b}, condition="case")

    @step
    def a(self):
        self.next(self.join)

    @step
    def b(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


class Screen:
    """A terminal's lines: what remains after all that was written, cursor movements carried out."""

    def __init__(self, text: str) -> None:
        self.lines, self.row = [""], 0
        for part in re.findall(r"\x1b\[\d*[A-Za-z]|\n|\r|[^\x1b\n\r]+", re.sub(r"\x1b\[\d+m", "", text)):
            self.write(part)

    def write(self, part: str) -> None:
        if part == "\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif part.endswith("A") and part[0] == "\x1b":
            self.row -= int(part[2:-1])
        elif part == "\x1b[J":
            self.lines = [*self.lines[: self.row], ""]
        elif part not in ("\r", "\x1b[K"):
            self.lines[self.row] = part


def watch(kind: Any, *facts: Fact, **more: Any) -> tuple[str, Any]:
    """What the observer writes while a coordinator starts all that it may and takes these facts."""
    plan, stream = planned(TEXT), io.StringIO()
    run = Coordinator(plan)
    view = kind(plan, run.counts, stream, **more)
    with view:
        for fact in facts:
            for group in run.ready():
                view.started(group)
            run.tell(fact)
            view.saw(fact)
        for group in run.ready():
            view.started(group)
    return stream.getvalue(), view


START = Finished(Task("start"), splits=2)
FACTS = (
    START,
    Retried(Task("work", "0"), 0, "exit code 1"),
    Finished(Task("work", "0"), case="a"),
    Finished(Task("work", "1"), case="a"),
    Finished(Task("a", "0")),
)


def test_lines() -> None:
    """A line where a step begins and ends, and for each attempt that is repeated; skipped steps say nothing."""
    text, _ = watch(progress.Lines, *FACTS)

    assert re.sub(r", [\d.]+s$", "", text, flags=re.MULTILINE).splitlines() == [
        "start begins",
        "start done",
        "work begins",
        "work[0]: attempt 1 failed (exit code 1); trying again",
        "a begins",
        "work done (2 tasks)",
    ]


def test_what_was_done_before_is_counted_not_told() -> None:
    """After a restart the tasks that had finished are in the summary as such; a step that goes on begins."""
    plan, stream = planned(TEXT), io.StringIO()
    run = Coordinator(plan)
    view = progress.Lines(plan, run.counts, stream)
    for fact in (START, Finished(Task("work", "0"), case="a"), Running(Task("work", "1"))):
        run.tell(fact)
        view.saw(fact)

    assert stream.getvalue() == "work begins\n"
    assert "2 tasks done, 2 of them before" in view.summary("Made/x", "finished")


def test_a_failure_shows_its_log() -> None:
    """Step, index, attempts, reason, and the end of the log."""
    log = "\n".join(f"line {i}" for i in range(progress.LOG_LINES + 5))
    text, view = watch(progress.Lines, START, Failed(Task("work", "1"), "exit code 1", log, attempt=2))

    assert "work[1] failed after 3 attempts: exit code 1\n  | (5 lines before)\n  | line 5\n" in text
    assert text.endswith(f"  | line {progress.LOG_LINES + 4}\n")
    assert "1 task done, 1 failed" in view.summary("Made/x", "failed")


def test_the_tree_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many frames there were, the screen ends as one tree, with what is said above it."""
    monkeypatch.setenv("LINES", "30")
    monkeypatch.setenv("COLUMNS", "100")
    text, view = watch(progress.Tree, *FACTS, color=False)
    view.draw()
    view.draw()
    screen = [re.sub(r"\s+[\d.]+s$", "", line).rstrip() for line in Screen(view.stream.getvalue()).lines]

    assert text.count("\x1b[") > 5
    assert screen == [
        "work[0]: attempt 1 failed (exit code 1); trying again",
        "✓ start",
        "✓   work                       2/2, 1 retried",
        "●   a                          1/2, 1 running",
        "-   b                          2 skipped",
        "· join",
        "· end",
        "",
    ]


def test_a_tree_that_is_higher_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that are done go first, then those that wait; what runs stays."""
    monkeypatch.setenv("LINES", "5")
    monkeypatch.setenv("COLUMNS", "100")
    _, view = watch(progress.Tree, *FACTS, color=False)
    screen = [line.split()[1] for line in Screen(view.stream.getvalue()).lines if line and "attempt" not in line]

    assert "a" in screen
    assert len(screen) == 3


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4s"), (12.9, "12s"), (185, "3m05s"), (7380, "2h03m")])
def test_durations(seconds: float, text: str) -> None:
    """Seconds, minutes or hours, as much as one reads."""
    assert progress.duration(seconds) == text


@pytest.mark.parametrize(
    ("task", "text"), [(Task("end"), "end"), (Task("deep", "3-0"), "deep[3, 0]"), (Task("turn", "1", 2), "turn[1] (round 2)")]
)
def test_places(task: Task, text: str) -> None:
    """A task as people name it."""
    assert progress.place(task) == text
