"""In: a plan (flowc/plan.py) and facts about tasks. Out: which tasks to start next, which are left out, whether the run ended; and `lead`.

A Coordinator decides and does nothing else: no clock, no files, no calls. What it knows follows from the facts alone, whatever their
order, so one that was killed and is started again with the same facts goes on, and two of one run decide the same. A fact costs time
for the steps that follow it, not for the run; what has ended is forgotten. Travels into the coordinator's pod: standard library only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowc.run.executor import Executor, Fact, Failed, Finished, Group, Observer, Quiet, Retried, Running, Task

AWAITED, READY, RUNNING, DONE, SKIPPED, FAILED = range(6)


class StuckError(Exception):
    """No task runs, none can start, and the end was not reached: a bug, or a fact that the executor lost."""


@dataclass(slots=True, eq=False)
class Fan:
    """An instance of a foreach: the fan-out of one task of its step to `width` tasks, of which `left` places have not ended.

    `gates` by (step, round) are for executors that take groups.
    """

    step: str
    home: Place
    width: int
    left: int
    ended: bytearray
    gates: dict[tuple[str, int], Gate] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Gate:
    """A round of a step over all indices of a foreach: how many are decided, how many run it, and which of these were not started yet."""

    decided: int = 0
    reached: int = 0
    closed: bool = False
    waiting: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Place:
    """An instance of a scope: the top level, or one index of a foreach. `states` by the step's number in the scope."""

    scope: str
    path: str
    fan: Fan | None
    index: int
    states: bytearray
    left: int
    cases: dict[str, str | None] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)
    fans: dict[str, Fan] = field(default_factory=dict)


@dataclass(slots=True)
class Count:
    """Tasks of a step: `total` are those that the run is known to have so far, without the `skipped` ones."""

    total: int = 0
    running: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0


class Coordinator:
    """The state of one run. `grouped`: whether tasks of a foreach are offered together.

    `failed`: the tasks that failed for good. `running`: how many were offered, or are known to run. `counts`: by step.
    """

    def __init__(self, plan: Mapping[str, Any], *, grouped: bool = False) -> None:
        self.plan, self.grouped = plan, grouped
        self.failed: dict[Task, Failed] = {}
        self.running = 0
        self.counts = {name: Count() for name in plan["steps"]}
        self._steps: Mapping[str, Any] = plan["steps"]
        self._scope = {name: step["scope"][-1] if step["scope"] else "" for name, step in self._steps.items()}
        self._members: dict[str, list[str]] = {"": []}
        self._after: dict[str, list[str]] = {name: [] for name in self._steps}
        for name, step in self._steps.items():
            self._members.setdefault(self._scope[name], []).append(name)
            for other in [step["over"]] if step["over"] else {n: 0 for group in step["arrivals"] for n in group}:
                if self._scope[other] == self._scope[name]:
                    self._after[other].append(name)
        self._number = {name: i for names in self._members.values() for i, name in enumerate(names)}
        self._known: dict[Task, Fact] = {}
        self._queue: deque[Group] = deque()
        self._due: deque[tuple[Place, Fact]] = deque()
        self._decided: deque[tuple[Place, str]] = deque()
        self._places: dict[tuple[str, str], Place] = {}
        self._root = self._enter("", "", None, 0)

    @property
    def finished(self) -> bool:
        """Whether the end step has run."""
        return self._root.states[self._number[self.plan["end"]]] == DONE

    @property
    def ended(self) -> bool:
        """Nothing is left to do: the run has finished, or has failed and no task runs any more."""
        return self.finished or (bool(self.failed) and not self.running)

    def tell(self, fact: Fact) -> None:
        """Take a fact. One that came before is no news; one about a task that is not due yet is kept until it is."""
        if isinstance(fact, Retried):
            return
        if isinstance(fact, Failed):
            self.failed.setdefault(fact.task, fact)
        place = self._places.get((self._scope[fact.task.step], fact.task.path))
        if place is not None:
            self._take(place, fact)
            self._settle()
        elif not self._gone(self._scope[fact.task.step], fact.task.path):
            self._keep(fact)

    def ready(self, room: int | None = None) -> list[Group]:
        """Groups to start now, at most `room` of them (None: all); their tasks count as running. None after a failure."""
        groups: list[Group] = []
        while self._queue and not self.failed and (room is None or len(groups) < room):
            group = self._queue.popleft()
            paths = tuple(task.path for task in group.tasks() if self._start(task))
            if paths:
                groups.append(group if len(paths) == len(group.paths) else replace(group, paths=paths))
        return groups

    # --- where a task belongs ------------------------------------------------------------------------------------------

    def _gang(self, split: str) -> bool:
        return bool(self._steps[self._steps[split]["next"][0]]["gang"])

    def _gone(self, scope: str, path: str) -> bool:
        """Whether that instance of a scope has ended and was forgotten; False where it has not begun."""
        if not scope:
            return False
        above, _, index = (path, "", "0") if self._gang(scope) else path.rpartition("-")
        home = self._places.get((self._scope[scope], above))
        if home is None:
            return self._gone(self._scope[scope], above)
        fan = home.fans.get(scope)
        return fan is not None and bool(fan.ended[int(index)])

    def _keep(self, fact: Fact) -> None:
        """What is said of a task before it is due. That it has ended outweighs that it runs."""
        if not (isinstance(fact, Running) and fact.task in self._known):
            self._known[fact.task] = fact

    # --- facts ---------------------------------------------------------------------------------------------------------

    def _take(self, place: Place, fact: Fact) -> None:
        task, number = fact.task, self._number[fact.task.step]
        state, turn, now = place.states[number], task.round or 0, place.rounds.get(task.step, 0)
        if turn > now or (turn == now and state == AWAITED):
            self._keep(fact)
        elif turn == now and state in (READY, RUNNING):
            if isinstance(fact, Running):
                self._start(task)
                return
            if state == RUNNING:
                self._count(task.step, -1)
            if isinstance(fact, Finished):
                self._succeeded(place, fact)
            else:
                self._fail(place, fact)

    def _start(self, task: Task) -> bool:
        """A task that is ready runs from now on; False where it runs or has ended."""
        place, number = self._places.get((self._scope[task.step], task.path)), self._number[task.step]
        if place is None or place.states[number] != READY or place.rounds.get(task.step, 0) != (task.round or 0):
            return False
        place.states[number] = RUNNING
        self._count(task.step, 1)
        return True

    def _count(self, step: str, running: int) -> None:
        self.running += running
        self.counts[step].running += running

    def _fail(self, place: Place, fact: Fact, reason: str = "") -> None:
        place.states[self._number[fact.task.step]] = FAILED
        self.counts[fact.task.step].failed += 1
        if reason:
            self.failed.setdefault(fact.task, Failed(fact.task, reason))

    def _succeeded(self, place: Place, fact: Finished) -> None:
        name, step = fact.task.step, self._steps[fact.task.step]
        if step["told"] == "case" and fact.case not in step["next"]:
            self._fail(place, fact, f"it went on to {fact.case!r}, which is none of {', '.join(step['next'])}")
            return
        if step["told"] == "splits" and not fact.splits:
            self._fail(place, fact, f"its foreach has {fact.splits!r} items")
            return
        self.counts[name].done += 1
        if step["loops"]:
            place.rounds[name] = turn = place.rounds.get(name, 0) + 1
            if fact.case == name:
                self.counts[name].total += 1
                self._reach(place, name)
                return
            self._decide(place, Task(name, place.path, turn), runs=False)
        if step["told"] == "case":
            place.cases[name] = fact.case
        place.states[self._number[name]] = DONE
        if step["told"] == "splits":
            self._fan_out(place, name, fact.splits or 0)
        self._decided.append((place, name))

    # --- places --------------------------------------------------------------------------------------------------------

    def _enter(self, scope: str, path: str, fan: Fan | None, index: int) -> Place:
        names = self._members[scope]
        place = self._places[scope, path] = Place(scope, path, fan, index, bytearray(len(names)), len(names))
        for name in names:
            arrivals = self._steps[name]["arrivals"]
            self.counts[name].total += 1
            if not arrivals or (scope and scope in arrivals[0]):
                self._reach(place, name)
        return place

    def _fan_out(self, home: Place, step: str, splits: int) -> None:
        """The indices of a foreach. A gang is one unit, at the path of its num_parallel step."""
        places = 1 if self._gang(step) else splits
        fan = home.fans[step] = Fan(step, home, splits, places, bytearray(places))
        for index in range(places):
            self._enter(step, home.path if self._gang(step) else f"{home.path}-{index}" if home.path else str(index), fan, index)

    def _leave(self, place: Place) -> None:
        """All steps of an instance of a scope have run or are skipped."""
        fan = place.fan
        if fan is None:
            return
        fan.ended[place.index] = 1
        del self._places[place.scope, place.path]
        fan.left -= 1
        if not fan.left:
            for name in self._after[fan.step]:
                self._judge(fan.home, name)

    # --- decisions -----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Draw all conclusions, one after the other: a chain of them may be as long as the run."""
        while self._decided or self._due:
            if self._due:
                self._take(*self._due.popleft())
                continue
            place, name = self._decided.popleft()
            place.left -= 1
            for after in self._after[name]:
                self._judge(place, after)
            if not place.left:
                self._leave(place)

    def _judge(self, place: Place, name: str) -> None:
        """Whether a step now runs, is skipped, or waits on."""
        number = self._number[name]
        if place.states[number] != AWAITED:
            return
        comes = self._closes(place, self._steps[name]["over"]) if self._steps[name]["over"] else self._arrives(place, name)
        if comes:
            self._reach(place, name)
        elif comes is False:
            place.states[number] = SKIPPED
            self.counts[name].skipped += 1
            self.counts[name].total -= 1
            self._decided.append((place, name))
            self._decide(place, Task(name, place.path, 0 if self._steps[name]["loops"] else None), runs=False)

    def _closes(self, place: Place, split: str) -> bool | None:
        """Whether the join of a foreach runs; None: not known yet."""
        state = place.states[self._number[split]]
        if state == DONE:
            return None if place.fans[split].left else True
        return False if state == SKIPPED else None

    def _arrives(self, place: Place, name: str) -> bool | None:
        """Whether of every group one step ran and went on to this one; None: not known yet."""
        for group in self._steps[name]["arrivals"]:
            states = [(n, place.states[self._number[n]]) for n in group]
            if not any(state == DONE and place.cases.get(n, name) == name for n, state in states):
                return False if all(state in (DONE, SKIPPED) for _, state in states) else None
        return True

    def _reach(self, place: Place, name: str) -> None:
        """It is the task's turn: what is known of it counts, else it is offered."""
        task = Task(name, place.path, place.rounds.setdefault(name, 0) if self._steps[name]["loops"] else None)
        place.states[self._number[name]] = READY
        known = self._known.pop(task, None)
        if known is not None:
            self._due.append((place, known))
        self._decide(place, task, runs=True, offer=known is None)

    def _decide(self, place: Place, task: Task, *, runs: bool, offer: bool = False) -> None:
        """Whether a task runs is decided. It is offered: alone, or with its siblings once all of them are decided."""
        fan, gang = place.fan, self._steps[task.step]["gang"]
        if gang or fan is None or not self.grouped:
            if offer:
                parent = task.path if gang else task.path.rpartition("-")[0]
                width = fan.width if fan else 1
                self._queue.append(Group(task.step, parent, task.round, (task.path,), width, width if gang else 0))
            return
        gate = fan.gates.setdefault((task.step, task.round or 0), Gate())
        gate.decided += 1
        gate.reached += runs
        if offer:
            gate.waiting.append(task.path)
        self._close(fan, task.step, task.round)

    def _close(self, fan: Fan, step: str, turn: int | None) -> None:
        """Offer a group once all indices are decided; in a later round of a loop, all that were in the one before."""
        gate, before = fan.gates.get((step, turn or 0)), fan.gates.get((step, (turn or 0) - 1))
        expected = fan.width if not turn else before.reached if before and before.closed else None
        if gate is None or gate.closed or gate.decided != expected:
            return
        gate.closed = True
        if gate.waiting:
            paths = sorted(gate.waiting, key=lambda path: int(path.rpartition("-")[2]))
            gate.waiting = []
            parent = paths[0].rpartition("-")[0]
            self._queue.append(Group(step, parent, turn, tuple(paths), fan.width))
        if turn is not None:
            self._close(fan, step, turn + 1)


def lead(
    plan: Mapping[str, Any],
    executor: Executor,
    *,
    max_workers: int | None = None,
    observer: Observer | None = None,
    run: Coordinator | None = None,
) -> Coordinator:
    """Lead a run to its end and return its coordinator, which says how it ended and what failed.

    `run` is a new coordinator of the plan, for who wants to watch its counts from the beginning. `max_workers` limits the tasks that run
    at once (a gang counts as one); a grouped executor sees to that itself. After a failure nothing starts any more and the executor ends
    what runs, as at an interrupt, which is raised again.
    """
    observer, run = observer or Quiet(), run or Coordinator(plan, grouped=executor.grouped)

    def take(facts: Iterable[Fact]) -> None:
        for fact in facts:
            run.tell(fact)
            observer.saw(fact)

    try:
        take(executor.recover())
        while not run.ended and not run.failed:
            for group in run.ready(None if max_workers is None or executor.grouped else max(0, max_workers - run.running)):
                executor.start(group)
                observer.started(group)
            if not run.running:
                raise StuckError(f"the run of {plan['flow']} has no task left to start, and has not reached {plan['end']}")
            take(executor.events())
    except KeyboardInterrupt:
        take(executor.cancel())
        raise
    if run.failed:
        take(executor.cancel())
    return run
