"""In: flows on an API server that fails, coordinators that are killed. Out: proof that every task runs once, after its inputs, to the right end."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from run.fake_kubernetes import Fault
from run.kubernetes_world import Stage, compiled
from run.world import World

from flowc.run.coordinator import lead
from flowc.run.kubernetes_lease import Leadership

pytest.importorskip("kubernetes")

FLOW = '''
from metaflow import FlowSpec, step, retry

class ChaosFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.wide, self.pick)

    @step
    def wide(self):
        self.next(self.deep, foreach="items")

    @retry(times=1)
    @step
    def deep(self):
        self.next({"a": self.left, "b": self.right}, condition="case")

    @step
    def left(self):
        self.next(self.merge)

    @step
    def right(self):
        self.next(self.merge)

    @step
    def merge(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.both)

    @step
    def pick(self):
        self.next({"again": self.pick, "on": self.both_too}, condition="case")

    @step
    def both_too(self):
        self.next(self.both)

    @step
    def both(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
'''
GANG = '''
from metaflow import FlowSpec, step, retry, parallel

class GangFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=3)

    @retry(times=1)
    @parallel
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
'''
SMALL = '''
from metaflow import FlowSpec, step

class SmallFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
'''
PLANS = {name: compiled(text) for name, text in (("chaos", FLOW), ("gang", GANG), ("small", SMALL))}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FIRST_PAUSE", 0.01), ("LONGEST_PAUSE", 0.05)):
        monkeypatch.setattr(f"flowc.run.kubernetes_api.{name}", value)
    monkeypatch.setattr("flowc.run.kubernetes_jobs.MISSING", 0.1)


@pytest.fixture
def stages() -> Iterator[Any]:
    made: list[Stage] = []

    def stage(name: str, seed: int = 0, **more: Any) -> Stage:
        fails = more.pop("fails", frozenset())
        made.append(Stage(PLANS[name], World(PLANS[name], seed, fails=fails), **more))
        return made[-1]

    yield stage
    for each in made:
        each.cluster.close()


def test_runs_to_the_end(stages: Any) -> None:
    """Foreach, switch in it, loop and branches: each task once, tries that fail and evictions aside; results stay with the Jobs."""
    stage = stages("chaos", seed=4, flaky=frozenset({"deep-0"}), evicted=frozenset({"wide", "gather"}))
    run, _ = stage.led()
    stage.judge(run)
    assert stage.echoes == Counter()
    wide = next(j for j in stage.cluster.items("jobs") if "-wide-" in j["metadata"]["name"])
    assert '"flowc/results"' in str(wide["metadata"]["annotations"]).replace("'", '"')


def kill_points(stages: Any, name: str, **more: Any) -> list[tuple[str, str]]:
    """The calls of a coordinator that nobody kills."""
    stage = stages(name, **more)
    run, calls = stage.led()
    stage.judge(run)
    return list(calls)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["small", "gang"])
def test_killed_at_each_of_its_calls(stages: Any, name: str, after: bool) -> None:
    """kill -9 before or after any call to the API server, start again: every task once, and no pod in vain."""
    calls = kill_points(stages, name)
    assert len(calls) >= 7
    for at in range(1, len(calls) + 1):
        stage = stages(name)
        dead, _ = stage.led(at, after=after)
        run, _ = (dead, ()) if dead else stage.led()
        stage.judge(run)
        assert stage.echoes == Counter(), calls[at - 1]
        stage.cluster.close()


@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again(stages: Any, seed: int) -> None:
    """Coordinators that each live for a few calls bring a flow with everything to its end."""
    draw = random.Random(seed)
    stage = stages("chaos", seed=seed, flaky=frozenset({"deep-0"}), evicted=frozenset({"merge-0"}))
    run, lives = None, 0
    while run is None and lives < 40:
        run, _ = stage.led(draw.randrange(6, 12), after=draw.random() < 0.5)
        lives += 1
    stage.judge(run)
    assert stage.echoes == Counter()
    assert lives > 1


@pytest.mark.parametrize("seed", range(6))
def test_an_api_server_in_trouble(stages: Any, seed: int) -> None:
    """A third of all requests fails (429, 500, 503, dropped before or after they were carried out), watches expire, events come twice."""
    draw = random.Random(seed)
    faults = [Fault(429, retry_after="0"), Fault(500), Fault(503), Fault(), Fault(late=True), Fault(500, late=True)]

    def fault(_number: int, method: str, path: str) -> Fault | None:
        if draw.random() > 0.35:
            return None
        watched = method == "GET" and path.rsplit("/", 1)[-1] in ("jobs", "pods")
        return draw.choice([Fault(410), Fault(410, late=True), Fault(late=True), Fault()]) if watched and draw.random() < 0.5 else draw.choice(faults)

    stage = stages("chaos", seed=seed, flaky=frozenset({"deep-0"}))
    stage.cluster.fault, stage.cluster.repeat = fault, True
    run, _ = stage.led()
    stage.judge(run)
    assert stage.echoes == Counter()


def test_pods_that_vanish(stages: Any) -> None:
    """Pods that are gone before anyone saw how they ended: their tasks tell it once more, and do not run again."""
    stage = stages("chaos", seed=2)
    stage.cluster.vanish = lambda pod: "--tell" not in pod["spec"]["containers"][0]["args"]
    run, _ = stage.led()
    stage.judge(run)
    tellers = {task.id for task in stage.expected if stage.plan["steps"][task.step]["told"]}
    assert stage.echoes == Counter(dict.fromkeys(tellers, 1))


def test_what_a_task_told_outlives_its_pod(stages: Any) -> None:
    """A Job whose pods are removed after its end keeps their results: the next coordinator asks nobody."""
    stage = stages("small")
    dead, _ = stage.led(7, after=True)
    assert dead is None
    for pod in stage.cluster.items("pods"):
        stage.cluster.delete("pods", pod["metadata"]["name"])
    run, _ = stage.led()
    stage.judge(run)
    assert stage.echoes == Counter()


def test_two_coordinators_at_once(stages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any lease between them, two coordinators of a run make each Job once."""
    monkeypatch.setattr(Leadership, "acquire", lambda *_: True)
    stage = stages("chaos", seed=3)
    ended: list[Any] = []
    executors = [stage.coordinator()[0] for _ in range(2)]
    threads = [threading.Thread(target=lambda e=e: ended.append(lead(stage.plan, e)), daemon=True) for e in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert len(ended) == 2
    for run in ended:
        stage.judge(run)
    assert stage.echoes == Counter()


def test_a_failure_stops_the_run_and_a_resume_goes_on(stages: Any) -> None:
    """A task that fails for good ends the run, with its log; resumed, what had finished does not run again, and the rest does."""
    stage = stages("small", seed=0, fails=frozenset({"work-0"}))
    run, _ = stage.led()
    assert run is not None
    assert not run.finished
    (failed,) = run.failed.values()
    assert (failed.task.id, failed.log.startswith("log of")) == ("work-0", True)
    again, _ = stage.led()
    assert again is not None
    assert list(again.failed) == list(run.failed)
    assert stage.ran["work-0"] == 1
    before = stage.ran.copy()
    stage.world.fails = frozenset()
    resumed, _ = stage.led(resume=True)
    assert resumed is not None
    assert resumed.finished
    assert stage.ran - before == Counter({t.id: 1 for t in stage.expected if t.id not in before or t.id == "work-0"})
    assert stage.attempts["work-0"] == [0, 1]


def test_attempts_are_counted_on(stages: Any) -> None:
    """What failed for good is tried once each time that the run is resumed, by a higher attempt: Metaflow reads the highest."""
    stage = stages("chaos", seed=2, fails=frozenset({"deep-0"}))
    for resume in (False, True, True):
        run, _ = stage.led(resume=resume)
        assert run is not None
        assert not run.finished
    assert stage.attempts["deep-0"] == [0, 1, 2, 3]
    stage.world.fails = frozenset()
    run, _ = stage.led(resume=True)
    assert run is not None
    assert run.finished
    assert stage.attempts["deep-0"] == [0, 1, 2, 3, 4]
    gang = stages("gang", fails=frozenset({"train"}))
    for resume in (False, True):
        gang.led(resume=resume)
    assert gang.attempts["train"] == [0, 1, 2, 3]


def test_at_most_so_many_pods(stages: Any) -> None:
    """`max_workers` is never exceeded, and everything runs nevertheless."""
    stage = stages("chaos", seed=5)
    most = 0
    real = stage.cluster.put

    def put(kind: str, item: Any, event: str) -> Any:
        nonlocal most
        made = real(kind, item, event)
        most = max(most, sum(pod["status"]["phase"] in ("Pending", "Running") for pod in stage.cluster.items("pods")))
        return made

    stage.cluster.put = put
    run, _ = stage.led(max_workers=2)
    stage.judge(run)
    assert 1 <= most <= 2


def test_a_job_that_someone_deletes(stages: Any) -> None:
    """A Job deleted while its task was to run is made again."""
    stage = stages("small", seed=0)
    stage.cluster.held = True
    seen = threading.Event()

    def delete() -> None:
        while not stage.cluster.items("jobs"):
            seen.wait(0.05)
        stage.cluster.delete("jobs", stage.cluster.items("jobs")[0]["metadata"]["name"])
        stage.cluster.held = False

    threading.Thread(target=delete, daemon=True).start()
    run, _ = stage.led()
    stage.judge(run)


def test_a_job_that_fails_while_the_run_is_resumed(stages: Any) -> None:
    """Siblings that the Job controller kills after the run was resumed are started again: they were under way when it was."""
    stage = stages("small", seed=0)
    assert len([task for task in stage.expected if task.step == "work"]) > 1
    stage.world.fails = frozenset({"work-0"})
    stage.led(5, after=True)
    # one index has failed; that the Job has failed with it comes a moment later
    with stage.cluster.changed:
        stage.cluster.held = True
        work = next(job for job in stage.cluster.items("jobs") if "-work-" in job["metadata"]["name"])
        for pod in stage.cluster._pods_of(work):
            stage.cluster.delete("pods", pod["metadata"]["name"])
        stage.cluster.patch("jobs", work["metadata"]["name"], {"status": {"failedIndexes": "0", "completedIndexes": "", "conditions": []}})
    stage.world.fails = frozenset()
    stage.ran.clear()
    stage.done = {task for task in stage.done if task.step == "start"}

    def fail() -> None:
        conditions = [{"type": "Failed", "status": "True", "reason": "MaxFailedIndexesExceeded"}]
        stage.cluster.patch("jobs", work["metadata"]["name"], {"status": {"conditions": conditions}})
        stage.cluster.held = False

    threading.Timer(1.5, fail).start()
    run, _ = stage.led(resume=True)
    assert run is not None
    assert run.finished
    assert stage.ran == Counter({task.id: 1 for task in stage.expected if task.step != "start"})
