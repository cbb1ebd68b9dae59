"""In: nothing. Out: what a coordinator and its executor tell one another: groups to start, facts about tasks, and the Executor protocol.

Travels into the coordinator's pod: it takes the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Task:
    """A task, or a gang, which counts as one. The same task in every process that leads the run.

    `path`: its indices, outermost first (`3-0`), "" at the top level; of a gang the path of the whole gang.
    `round`: which round of a step that loops, from 0; None for any other step.
    """

    step: str
    path: str = ""
    round: int | None = None

    @property
    def id(self) -> str:
        """The id that Metaflow knows it by: `train`, `work-3`, `deep-3-0`, `loop-r2`; of a gang without the index of the node."""
        parts = [self.step, *([self.path] if self.path else []), *([] if self.round is None else [f"r{self.round}"])]
        return "-".join(parts)


@dataclass(frozen=True, slots=True)
class Group:
    """Tasks of one step to be started now, in the order of their indices; all are of one round.

    For an executor that is not `grouped`, one task. For one that is, all tasks of the step that run in one instance of its innermost
    foreach, but those that have run or run already (after a restart). `parent` is the path of that instance: the tasks' paths without
    the last index; "" at the top level. `width`: how many tasks that foreach has, those that a switch leaves out too; 1 without a foreach.
    `(step, parent, round)` is the same in every process that leads the run, so that a name can be made of it (`key`).
    `gang`: 0, or the number of nodes of the one gang that the group then is; its only task has the path of the gang.
    """

    step: str
    parent: str
    round: int | None
    paths: tuple[str, ...]
    width: int = 1
    gang: int = 0

    @property
    def key(self) -> tuple[str, str, int | None]:
        return self.step, self.parent, self.round

    @property
    def whole(self) -> bool:
        """Whether the tasks are those of all indices, in order: `parent-0`, `parent-1`, ..., so that nobody needs a list of them."""
        return not self.gang and len(self.paths) == self.width

    def tasks(self) -> Iterable[Task]:
        return (Task(self.step, path, self.round) for path in self.paths)


@dataclass(frozen=True, slots=True)
class Finished:
    """A task succeeded. `splits` and `case` as the bootstrap tells them; None where the plan's `told` does not ask for them."""

    task: Task
    splits: int | None = None
    case: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A task failed for good: its attempts are used up. `reason` in words (`exit code 1`), `log` the end of its output, if known."""

    task: Task
    reason: str
    log: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """A task was started, by whomever, and has not ended: the coordinator will not offer it. `attempt` counts from 0."""

    task: Task
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Retried:
    """An attempt (counted from 0) failed and another follows. Nothing changes for the coordinator; people want to know."""

    task: Task
    attempt: int
    reason: str
    log: str = ""


Fact = Finished | Failed | Running | Retried


class ExecutorError(Exception):
    """The platform cannot go on: no access, a queue that is not there, an API that stays away. The message stands alone.

    Subclass it for such errors. The run stays as it is, and goes on when a coordinator is started again; any other exception is a bug.
    """


class Executor(Protocol):
    """What runs tasks. It also tries them again, pauses between attempts, and keeps what is known of them where a restart finds it.

    `grouped`: whether it takes all tasks of a foreach as one group (an array) instead of one by one.
    What it cannot get over is an ExecutorError; the run then goes on when a coordinator is started again.
    """

    grouped: bool

    def recover(self) -> Iterable[Fact]:
        """What is known when a coordinator starts, in any order: of every task that was ever started Finished, Failed or Running.

        Of a group that was started, every task must be told (Running, while it waits for its turn too): what is not told is offered again.
        """

    def start(self, group: Group) -> None:
        """Start the tasks, and return at once. Idempotent: a group that was started already, also by another coordinator, is left alone."""

    def events(self) -> Iterable[Fact]:
        """What happened since the last call, also to tasks that others started; waits until there is something (or a minute or so).

        Facts may come twice and in any order.
        """

    def cancel(self) -> Iterable[Fact]:
        """A task has failed for good, or a person interrupts: let nothing new begin, end what runs, and tell what ended meanwhile.

        Tasks that succeed while they are being ended must be told or be found by a later `recover`; those that are ended are no failures:
        a later run that resumes this one starts them again.
        """


class Observer(Protocol):
    """Who watches a run, to show it."""

    def saw(self, fact: Fact) -> None:
        """After the coordinator has taken the fact."""

    def started(self, group: Group) -> None:
        """After the executor was asked to start the group."""


class Quiet:
    """Watches and says nothing."""

    def saw(self, fact: Fact) -> None:
        """See Observer."""

    def started(self, group: Group) -> None:
        """See Observer."""


def result(task: Task, told: Any) -> Finished:
    """The fact that a task's result (`{"splits", "case"}`, or None) states."""
    told = told if isinstance(told, dict) else {}
    return Finished(task, told.get("splits"), told.get("case"))
