"""In: flows of every shape, and worlds in which tasks end in any order. Out: proof that a coordinator starts the right tasks, each once."""

from __future__ import annotations

import random
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run.world import FakeExecutor, World, planned, reference
from strategies import flows

from flowc import frontend, graph
from flowc.deployment import scopes
from flowc.run.coordinator import Coordinator, StuckError, lead
from flowc.run.executor import Finished, Group, Retried, Running, Task
from flowc.settings import Settings
from flowc.source import SourceFile

HEAD = "from metaflow import FlowSpec, step\n\n\nclass Made(FlowSpec):\n"


def flow(**steps: str) -> str:
    """A flow whose steps go on as told: `start="foreach work"`, `a="b c"`, `pick="switch a b"`; a name that begins with join takes inputs."""
    text = HEAD
    for name, words in steps.items():
        kind, *targets = words.split()
        tail = {
            "stop": "pass",
            "foreach": f"self.next(self.{targets[0]}, foreach='items')" if targets else "",
            "switch": "self.next({" + ", ".join(f"'{t}': self.{t}" for t in targets) + "}, condition='c')",
        }.get(kind, f"self.next({', '.join(f'self.{t}' for t in words.split())})")
        text += f"    @step\n    def {name}(self{', inputs' if name.startswith('join') else ''}):\n        self.items = self.c = 1\n        {tail}\n\n"
    return text


FAN = flow(start="foreach work", work="join", join="end", end="stop")
SWITCHED = flow(start="foreach pick", pick="switch a b", a="meet", b="meet", meet="join", join="end", end="stop")
NESTED = flow(start="foreach outer", outer="foreach deep", deep="join_deep", join_deep="join", join="end", end="stop")
LOOP = flow(start="foreach turn", turn="switch turn out", out="join", join="end", end="stop")


def carried(text: str) -> bool:
    """Whether every task of the flow has one place (FC442, FC443 say where not)."""
    (read,) = frontend.read(SourceFile("flow.py", text), lambda _: None, Settings()).flows
    return not scopes.check(read, graph.build(read))


class Killed(BaseException):
    """The coordinator's process is gone."""


def told(splits: int | None = None, case: str | None = None, **task: Any) -> Finished:
    return Finished(Task(**task), splits, case)


def run(world: World, seed: int = 0, *, grouped: bool = False, **more: Any) -> Coordinator:
    return lead(world.plan, FakeExecutor(world, random.Random(seed).randrange, grouped), **more)


@hypothesis.settings(deadline=None)
@given(flows(), st.integers(0, 2**32), st.booleans(), st.sampled_from([None, 1, 2, 5]))
def test_every_task_once_and_after_its_inputs(made: Any, seed: int, grouped: bool, workers: int | None) -> None:
    """Of flows of every shape the tasks of a nested walk run, each once, none before what it reads; whatever the order in which they end."""
    if not carried(made.text):
        return
    world, begun = World(planned(made.text), seed), []

    class Watch(FakeExecutor):
        def start(self, group: Group) -> None:
            begun.extend((task, set(self.world.ended)) for task in group.tasks())
            super().start(group)
            assert grouped or workers is None or len(self.world.alive) <= workers

    done = lead(world.plan, Watch(world, random.Random(seed).randrange, grouped), max_workers=workers)

    expected = reference(world)
    assert done.finished
    assert [task for task, _ in begun] == list(dict.fromkeys(task for task, _ in begun))
    assert {task for task, _ in begun} == set(expected)
    assert [task for task, ended in begun if not expected[task] <= ended] == []
    assert {name: count.done for name, count in done.counts.items()} == {
        name: sum(task.step == name for task in expected) for name in done.counts
    }


@hypothesis.settings(deadline=None)
@given(flows(), st.integers(0, 2**32), st.booleans())
def test_a_coordinator_that_dies_is_replaced(made: Any, seed: int, grouped: bool) -> None:
    """Killed before and after each of its operations, again and again, and started anew from recover(): the same tasks, each once."""
    if not carried(made.text):
        return
    world, dice = World(planned(made.text), seed), random.Random(seed)

    def fate(_: str) -> None:
        if dice.random() < 0.4:
            raise Killed

    for _ in range(5000):
        try:
            done = lead(world.plan, FakeExecutor(world, dice.randrange, grouped, fate))
            break
        except Killed:
            continue

    assert done.finished
    assert set(world.started) == set(reference(world))
    assert set(world.started.values()) == {1}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("text", [FAN, SWITCHED, NESTED, LOOP], ids=["fan", "switched", "nested", "loop"])
def test_dies_at_every_transition(text: str, grouped: bool) -> None:
    """Killed at the n-th of its operations, for every n, and started again once: the same tasks, each once."""
    operations = []
    run_through = World(planned(text), 3)
    lead(run_through.plan, FakeExecutor(run_through, random.Random(1).randrange, grouped, operations.append))
    for moment in range(len(operations)):
        world, dice, left = World(run_through.plan, 3), random.Random(1), iter(range(moment, -1, -1))

        def fate(_: str, left: Any = left) -> None:
            if next(left, None) == 0:
                raise Killed

        with pytest.raises(Killed):
            lead(world.plan, FakeExecutor(world, dice.randrange, grouped, fate))
        assert lead(world.plan, FakeExecutor(world, dice.randrange, grouped)).finished
        assert world.started == run_through.started


@hypothesis.settings(deadline=None)
@given(flows(), st.integers(0, 2**32), st.booleans())
def test_two_coordinators(made: Any, seed: int, grouped: bool) -> None:
    """Two that lead one run, in turns of any length and without a word to one another, start each task once and both see the end."""
    if not carried(made.text):
        return
    world, dice = World(planned(made.text), seed), random.Random(seed)
    both = [(Coordinator(world.plan, grouped=grouped), FakeExecutor(world, dice.randrange, grouped)) for _ in range(2)]
    for coordinator, executor in both:
        for fact in executor.recover():
            coordinator.tell(fact)
    while not all(coordinator.finished for coordinator, _ in both):
        coordinator, executor = dice.choice([pair for pair in both if not pair[0].finished])
        for group in coordinator.ready():
            executor.start(group)
        for fact in executor.events() if world.alive or executor.seen < len(world.told) else ():
            coordinator.tell(fact)

    assert set(world.started) == set(reference(world))
    assert set(world.started.values()) == {1}


def test_groups_are_whole_instances_of_a_foreach() -> None:
    """A grouped executor gets the tasks of one foreach instance together, with its width and the path that they share."""
    run_ = Coordinator(planned(NESTED), grouped=True)

    assert run_.ready() == [Group("start", "", None, ("",))]
    run_.tell(told(2, step="start"))
    assert run_.ready() == [Group("outer", "", None, ("0", "1"), 2)]
    run_.tell(told(3, step="outer", path="1"))
    (group,) = run_.ready()
    assert group == Group("deep", "1", None, ("1-0", "1-1", "1-2"), 3)
    assert group.whole
    for i in range(3):
        run_.tell(told(step="deep", path=f"1-{i}"))
    assert run_.ready() == []
    run_.tell(told(1, step="outer", path="0"))
    run_.tell(told(step="deep", path="0-0"))
    groups = run_.ready()
    assert groups == [Group("deep", "0", None, ("0-0",), 1)] or groups[-1].step == "join_deep"


def test_groups_leave_out_what_a_switch_skips() -> None:
    """Behind a switch a group has the indices that chose it, once all siblings have chosen; the step that all meet in is whole again."""
    run_ = Coordinator(planned(SWITCHED), grouped=True)
    run_.ready()
    run_.tell(told(3, step="start"))
    run_.ready()
    run_.tell(told(None, "a", step="pick", path="2"))
    run_.tell(told(None, "b", step="pick", path="1"))
    assert run_.ready() == []
    run_.tell(told(None, "a", step="pick", path="0"))

    assert run_.ready() == [Group("a", "", None, ("0", "2"), 3), Group("b", "", None, ("1",), 3)]
    assert run_.counts["a"].skipped == 1
    for step, path in (("b", "1"), ("a", "0"), ("a", "2")):
        run_.tell(told(step=step, path=path))
    assert run_.ready() == [Group("meet", "", None, ("0", "1", "2"), 3)]


def test_rounds_are_groups_of_those_that_go_on() -> None:
    """A looping step's next round has the tasks whose last one chose to go on, once all have chosen."""
    run_ = Coordinator(planned(LOOP), grouped=True)
    run_.ready()
    run_.tell(told(3, step="start"))
    assert run_.ready() == [Group("turn", "", 0, ("0", "1", "2"), 3)]
    for path, case in (("2", "turn"), ("0", "turn"), ("1", "out")):
        run_.tell(told(None, case, step="turn", path=path, round=0))
    assert run_.ready() == [Group("turn", "", 1, ("0", "2"), 3)]
    run_.tell(told(None, "out", step="turn", path="2", round=1))
    assert run_.ready() == []
    run_.tell(told(None, "out", step="turn", path="0", round=1))
    assert run_.ready() == [Group("out", "", None, ("0", "1", "2"), 3)]


def test_what_is_known_is_not_offered() -> None:
    """After a restart a group has only the tasks that neither ended nor run; facts may come before their task is due."""
    run_ = Coordinator(planned(FAN), grouped=True)
    run_.tell(Running(Task("work", "1")))
    run_.tell(told(step="work", path="0"))
    run_.tell(told(3, step="start"))

    assert run_.ready() == [Group("work", "", None, ("2",), 3)]
    assert run_.running == 2
    assert run_.counts["work"].done == 1


def test_a_failure_stops_the_run() -> None:
    """After a task failed for good nothing starts; what runs is told to end; the run has failed and says by what."""
    world = World(planned(FAN), fails=frozenset({"work-1"}), widest=30)
    executor = FakeExecutor(world, lambda n: n - 1)
    done = lead(world.plan, executor, max_workers=2)

    assert not done.finished
    assert executor.cancelled
    assert [f.reason for f in done.failed.values()] == ["exit code 1"]
    assert done.ready() == []
    assert {task.step for task in world.started} == {"start", "work"}
    assert len(world.started) < 5


def test_retries_change_nothing() -> None:
    """That an attempt failed and another follows is for people: the task still runs."""
    run_ = Coordinator(planned(FAN))
    run_.ready()
    run_.tell(Retried(Task("start"), 0, "exit code 1"))

    assert run_.running == 1
    assert not run_.failed


@pytest.mark.parametrize("splits", [None, 0])
def test_a_foreach_over_nothing_is_a_failure(splits: int | None) -> None:
    """Metaflow refuses a foreach without items; so does the coordinator if a task claims one."""
    run_ = Coordinator(planned(FAN))
    run_.ready()
    run_.tell(told(splits, step="start"))

    assert [f.reason for f in run_.failed.values()] == [f"its foreach has {splits!r} items"]
    assert run_.ended


def test_a_case_that_the_flow_lacks_is_a_failure() -> None:
    """A switch must go on to one of its steps."""
    run_ = Coordinator(planned(SWITCHED))
    run_.ready()
    run_.tell(told(1, step="start"))
    run_.ready()
    run_.tell(told(None, "end", step="pick", path="0"))

    assert run_.failed[Task("pick", "0")].reason == "it went on to 'end', which is none of a, b"


def test_a_lost_fact_is_not_waited_for() -> None:
    """Where no task runs and none can start, the coordinator says so instead of waiting for ever."""
    plan = planned(SWITCHED)
    plan["steps"]["end"]["arrivals"] = [["end"]]
    world = World(plan, widest=1)

    with pytest.raises(StuckError):
        run(world)


@pytest.mark.parametrize("grouped", [False, True])
def test_what_has_ended_is_forgotten(grouped: bool) -> None:
    """A run of 10,000 tasks holds, once they have ended, nothing of them."""
    world = World(planned(FAN), widest=10_000, seed=4)
    world.outcome = lambda task: Finished(task, splits=10_000) if task.step == "start" else Finished(task)  # type: ignore[method-assign]
    done = run(world, grouped=grouped, max_workers=100)

    assert done.finished
    assert done.counts["work"].done == 10_000
    assert len(done._places) == 1
    assert not done._known
    assert not done._queue
