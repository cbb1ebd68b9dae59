"""In: a plan and a world that says what tasks do. Out: a FakeExecutor for any coordinator, and the reference walk of the same run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from flowc import frontend, graph
from flowc.plan import plan
from flowc.run.executor import Fact, Failed, Finished, Group, Running, Task
from flowc.settings import Settings
from flowc.source import SourceFile

Plan = Mapping[str, Any]


def planned(text: str, folder: Path | None = None, **settings: Any) -> dict[str, Any]:
    """The plan of the one flow of a text."""

    def reader(name: str) -> bytes | None:
        file = folder / name if folder else None
        return file.read_bytes() if file and file.is_file() else None

    chosen = Settings(**settings)
    (flow,) = frontend.read(SourceFile("flow.py", text), reader, chosen).flows
    return plan(flow, graph.build(flow), chosen)


@dataclass
class World:
    """What happens to be true: outcomes of tasks, drawn from a seed, and all that executors have started and seen end.

    `alive`: started, not ended. Coordinators come and go, the world stays. `fails` are ids of tasks that fail for good.
    """

    plan: Plan
    seed: int = 0
    widest: int = 3
    fails: frozenset[str] = frozenset()
    started: Counter[Task] = field(default_factory=Counter)
    alive: dict[Task, None] = field(default_factory=dict)
    ended: set[Task] = field(default_factory=set)
    told: list[Fact] = field(default_factory=list)
    groups: dict[tuple[str, str, int | None], tuple[str, ...]] = field(default_factory=dict)

    def drawn(self, limit: int, *what: object) -> int:
        return int.from_bytes(hashlib.sha256(repr((self.seed, what)).encode()).digest()[:4], "big") % limit

    def outcome(self, task: Task) -> Finished:
        """Its result: a foreach has 1 to `widest` items, a switch picks a case, and a loop ends after at most three rounds."""
        step = self.plan["steps"][task.step]
        if step["told"] == "splits":
            return Finished(task, splits=1 + self.drawn(self.widest, task.id))
        if step["told"] == "case":
            cases = [c for c in step["next"] if c != task.step] if (task.round or 0) >= 2 else step["next"]
            return Finished(task, case=cases[self.drawn(len(cases), task.id)])
        return Finished(task)

    def end(self, number: int) -> Fact:
        """One of the tasks that are alive ends."""
        task = next(islice(self.alive, number % len(self.alive), None))
        del self.alive[task]
        fact: Fact = Failed(task, "exit code 1") if task.id in self.fails else self.outcome(task)
        self.ended.add(task)
        self.told.append(fact)
        return fact


@dataclass
class FakeExecutor:
    """Runs nothing; tasks end in the order of `pick`. Several of them may share one world, as coordinators share a cluster.

    `before` is called before each of its operations, and may raise: there the coordinator dies.
    """

    world: World
    pick: Callable[[int], int]
    grouped: bool = False
    before: Callable[[str], None] = lambda _: None
    seen: int = 0
    cancelled: bool = False

    def recover(self) -> Iterator[Fact]:
        self.before("recover")
        yield from [Running(task) for task in self.world.alive]
        yield from self.fresh()

    def start(self, group: Group) -> None:
        self.before("start")
        if self.grouped and group.key in self.world.groups:
            return
        self.world.groups[group.key] = group.paths
        for task in group.tasks():
            if task not in self.world.started:  # names are those of tasks: a second start finds the first
                self.world.started[task] += 1
                self.world.alive[task] = None
        self.before("started")

    def events(self) -> Iterable[Fact]:
        self.before("events")
        if not (new := self.fresh()):
            self.world.end(self.pick(len(self.world.alive)))
            new = self.fresh()
        return [*new, *new]  # twice: they may be

    def fresh(self) -> list[Fact]:
        new = self.world.told[self.seen :]
        self.seen += len(new)
        return new

    def cancel(self) -> Iterable[Fact]:
        self.cancelled = True
        return []


def reference(world: World) -> dict[Task, set[Task]]:
    """The tasks of the run, each with those that must have ended before: a walk over the plan as an engine of nested DAGs does it."""
    found: dict[Task, set[Task]] = {}
    _walk(world, (), "", set(), found)
    return found


def _walk(world: World, scope: tuple[str, ...], path: str, entered: set[Task], found: dict[Task, set[Task]]) -> set[Task]:
    """One instance of a scope; the tasks that ended it."""
    steps, ran, inside = world.plan["steps"], {}, {}
    for name, step in steps.items():
        if tuple(step["scope"]) != scope:
            continue
        over, groups = step["over"], step["arrivals"]
        if over:
            if over not in ran:
                continue
            before = inside[over]
        elif not groups or (scope and scope[-1] in groups[0]):
            before = set(entered)
        else:
            ways = [{ran[n] for n in group if n in ran and world.outcome(ran[n]).case in (None, name)} for group in groups]
            if not all(ways):
                continue
            before = set().union(*ways)
        task = ran[name] = _rounds(world, name, path, before, found)
        if step["told"] == "splits":
            inside[name] = _inside(world, name, (*scope, name), path, task, found)
    return set(ran.values())


def _rounds(world: World, name: str, path: str, before: set[Task], found: dict[Task, set[Task]]) -> Task:
    turn = 0 if world.plan["steps"][name]["loops"] else None
    while True:
        task = Task(name, path, turn)
        found[task] = before
        if turn is None or world.outcome(task).case != name:
            return task
        before, turn = {task}, turn + 1


def _inside(world: World, name: str, scope: tuple[str, ...], path: str, task: Task, found: dict[Task, set[Task]]) -> set[Task]:
    first = world.plan["steps"][name]["next"][0]
    if world.plan["steps"][first]["gang"]:
        gang = Task(first, path)
        found[gang] = {task}
        return {gang}
    width = world.outcome(task).splits or 0
    places = [f"{path}-{i}" if path else str(i) for i in range(width)]
    return set().union(*(_walk(world, scope, place, {task}, found) for place in places))
