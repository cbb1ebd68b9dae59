"""In: facts about a run's tasks. Out: what people see of them: a tree of steps that is redrawn on a terminal, else plain lines.

No library is needed for that: a frame is one write that goes up as many lines as the last frame had. Standard library only.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from flowc.run.executor import Fact, Failed, Finished, Group, Retried, Running, Task

if TYPE_CHECKING:
    from typing_extensions import Self

    from flowc.run.coordinator import Count

LOG_LINES = 40
FRAME_SECONDS = 0.2
QUIET_SECONDS = 30.0
MARKS = {"done": ("32", "✓"), "running": ("36", "●"), "failed": ("31", "✗"), "skipped": ("2", "-"), "waiting": ("2", "·")}


@dataclass(slots=True)
class Times:
    """When the first task of a step began and the last one ended (seconds, monotonic), and how many attempts were repeated."""

    began: float = 0.0
    ended: float = 0.0
    retries: int = 0


class Lines:
    """An Observer that writes a line where something changes for a step: begun, done, retried, failed; and how far a wide one is."""

    def __init__(self, plan: Mapping[str, Any], counts: Mapping[str, Count], stream: TextIO | None = None) -> None:
        self.plan, self.counts, self.stream = plan, counts, stream or sys.stderr
        self.times = {name: Times() for name in plan["steps"]}
        self.reused = 0
        self._began = self._last = time.monotonic()
        self._led = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def started(self, group: Group) -> None:
        """See Observer."""
        self._led = True
        self._begins(group.step)

    def saw(self, fact: Fact) -> None:
        """See Observer."""
        step, times = fact.task.step, self.times[fact.task.step]
        if isinstance(fact, Finished):
            self.reused += not self._led
            times.ended = time.monotonic()
            self.finished(step)
        elif isinstance(fact, Retried):
            times.retries += 1
            self.say(f"{place(fact.task)}: attempt {fact.attempt + 1} failed ({fact.reason}); trying again")
        elif isinstance(fact, Failed):
            times.ended = time.monotonic()
            self.say(failure(fact))
        elif isinstance(fact, Running):
            self._begins(step)

    def begins(self, step: str) -> None:
        """The first task of a step has been started."""
        self.say(f"{step} begins")

    def finished(self, step: str) -> None:
        """A task of the step has finished."""
        count, now = self.counts[step], time.monotonic()
        if not self.times[step].began:
            return
        if count.done >= count.total and not count.running:
            self.say(f"{step} done{self._tasks(step)}, {duration(self.elapsed(step))}")
            self._last = now
        elif now - self._last > QUIET_SECONDS:
            self._last = now
            self.say(f"{step}: {count.done} of {count.total} tasks done, {count.running} running")

    def say(self, text: str) -> None:
        """Write something that stays."""
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def elapsed(self, step: str) -> float:
        """Seconds from the first task's start to the last one's end."""
        times, count = self.times[step], self.counts[step]
        return (time.monotonic() if count.running else times.ended) - times.began if times.began else 0.0

    def summary(self, run: str, outcome: str) -> str:
        """One line about the whole run."""
        done, failed = sum(c.done for c in self.counts.values()), sum(c.failed for c in self.counts.values())
        retries = sum(t.retries for t in self.times.values())
        parts = [f"{done} task{'s' * (done != 1)} done"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{retries} attempt{'s' * (retries != 1)} repeated"] if retries else []
        parts += [f"{self.reused} of them before"] if self.reused else []
        return f"run {run} {outcome}: {', '.join(parts)}, {duration(time.monotonic() - self._began)}"

    def _begins(self, step: str) -> None:
        if not self.times[step].began:
            self.times[step].began = time.monotonic()
            self.begins(step)

    def _tasks(self, step: str) -> str:
        count = self.counts[step]
        return f" ({count.done} tasks)" if count.done > 1 else ""


class Tree(Lines):
    """An Observer that draws all steps, indented by the foreach that they stand in, and draws them again while something runs.

    Steps that do not fit the terminal's height are left out: first those that are done, then those that wait.
    """

    def __init__(self, plan: Mapping[str, Any], counts: Mapping[str, Count], stream: TextIO | None = None, *, color: bool = True) -> None:
        super().__init__(plan, counts, stream)
        self.color, self._height = color, 0
        self._lock, self._over = threading.RLock(), threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()
        with self._lock:
            self.draw()

    def begins(self, step: str) -> None:
        """The tree shows it."""

    def finished(self, step: str) -> None:
        """The tree shows it."""

    def say(self, text: str) -> None:
        """Above the tree."""
        with self._lock:
            self.stream.write(f"{self._up()}{text}\n")
            self._height = 0
            self.draw()

    def draw(self) -> None:
        """One frame over the last one."""
        width, height = shutil.get_terminal_size()
        names = [*self.plan["steps"]]
        for states in (("done", "skipped"), ("waiting",)):
            spare = len(names) - (height - 2)
            if spare > 0:
                gone = set([n for n in names if self.state(n) in states][:spare])
                names = [name for name in names if name not in gone]
        rows = [self.row(name, width - 1) for name in names[: height - 2]]
        up = f"\x1b[{self._height}A\r" if self._height else ""
        # each line is overwritten and its rest cleared: nothing blinks
        self.stream.write(up + "".join(f"{row}\x1b[K\n" for row in rows) + "\x1b[J")
        self.stream.flush()
        self._height = len(rows)

    def row(self, step: str, width: int) -> str:
        """The line of a step."""
        count, times, state = self.counts[step], self.times[step], self.state(step)
        color, mark = MARKS[state]
        name = f"{'  ' * len(self.plan['steps'][step]['scope'])}{step}"
        many = count.total > 1 or (count.total and self.plan["steps"][step]["scope"])
        told = [f"{count.done}/{count.total}"] if many else []
        told += [f"{number} {what}" for what, number in (("running", count.running), ("failed", count.failed)) if number and many]
        told += [f"{count.skipped} skipped" if many or count.skipped > 1 else "skipped"] if count.skipped else []
        told += [f"{times.retries} retried"] if times.retries else []
        text = f"{name:<28} {', '.join(told):<28} {duration(self.elapsed(step)) if times.began else ''}".rstrip()[: width - 2]
        return f"\x1b[{color}m{mark}\x1b[0m {text}" if self.color else f"{mark} {text}"

    def state(self, step: str) -> str:
        """What a step is at: failed, running, done, skipped or waiting."""
        count = self.counts[step]
        if count.failed:
            return "failed"
        if count.running:
            return "running"
        if count.done and count.done >= count.total:
            return "done"
        return "skipped" if count.skipped and not count.total else "waiting"

    def _up(self) -> str:
        return f"\x1b[{self._height}A\r\x1b[J" if self._height else ""

    def _tick(self) -> None:
        while not self._over.wait(FRAME_SECONDS):
            with self._lock:
                self.draw()


def place(task: Task) -> str:
    """A task for people: `work[3, 0]`, in a loop `turn (round 2)`."""
    index = f"[{task.path.replace('-', ', ')}]" if task.path else ""
    return f"{task.step}{index}{'' if task.round is None else f' (round {task.round})'}"


def failure(fact: Failed) -> str:
    """The end of a failed task's log, with where it comes from."""
    attempts = f" after {fact.attempt + 1} attempts" if fact.attempt else ""
    lines = fact.log.rstrip().splitlines()
    cut = [f"  | ({len(lines) - LOG_LINES} lines before)"] if len(lines) > LOG_LINES else []
    return "\n".join([f"{place(fact.task)} failed{attempts}: {fact.reason}", *cut, *(f"  | {line}" for line in lines[-LOG_LINES:])])


def duration(seconds: float) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h03m`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
