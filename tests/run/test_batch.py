"""In: flows led on AWS Batch, by coordinators that die. Out: proof that every task runs exactly once, in arrays where it can, and failures are told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from run.batch_fake import Killed
from run.batch_runs import SAYS, Run

from flowc.run.batch_jobs import ARRAY_LIMIT, OVERRIDES_LIMIT, piece_of, pieces, request
from flowc.run.executor import Group, Retried


def whole(flow: str) -> Run:
    """The run without a fault."""
    run = Run(flow, SAYS[flow])
    coordinator, _ = run.to_the_end()
    assert coordinator.finished
    return run


@pytest.mark.parametrize("flow", SAYS)
def test_each_task_runs_once(flow: str) -> None:
    """Without faults a run ends, each of its tasks ran once, and no step of a foreach took a job for each task."""
    run = whole(flow)
    assert set(run.ran.values()) == {1}
    assert len(run.world.jobs) <= len(run.ran)


@pytest.mark.parametrize("flow", ["own_ends", "switch_in_branches", "loop_in_fan", "gang"])
@pytest.mark.parametrize("fault", ["killed before", "killed after", "lost", "throttled"])
def test_killed_at_any_call(flow: str, fault: str) -> None:
    """A coordinator that dies at whichever of its calls, before or after AWS acted, is followed by one that goes on: no task twice, none lost."""
    told = whole(flow)
    for number in range(1, told.world.calls.total() + 1):
        run = Run(flow, SAYS[flow])
        run.world.faults = {number: fault}
        coordinator, died = run.to_the_end()
        assert coordinator.finished, number
        assert died == fault.startswith("killed"), number
        assert run.ran == told.ran, number
        assert len(run.world.jobs) == len(told.world.jobs), number


def test_killed_again_and_again() -> None:
    """A coordinator that dies every few calls gets the run to its end nevertheless, each with the work of those before."""
    told = whole("switch_in_branches")
    for every in range(7, 40, 3):
        run = Run("switch_in_branches", SAYS["switch_in_branches"])
        total, deaths = 0, 0
        while True:
            total = run.world.calls.total()
            # each next one lives a little longer: to recover takes a call for every job that there is
            run.world.faults = {total + every + 6 * deaths: "killed after"}
            try:
                coordinator = run.lead()
                break
            except Killed:
                deaths += 1
        assert coordinator.finished
        assert run.ran == told.ran, (every, deaths)


def test_two_coordinators() -> None:
    """One that starts while another leads finds its jobs and adds none: both see the run end."""
    run = Run("loop_in_fan", SAYS["loop_in_fan"])
    run.world.faults = {60: "killed after"}
    with pytest.raises(Killed):
        run.lead()
    first, second = run.lead(), run.lead()
    assert first.finished
    assert second.finished
    assert run.ran == whole("loop_in_fan").ran


def test_a_foreach_is_an_array_job() -> None:
    """The tasks of a foreach are one array job whose path ends in the index; a case of a switch takes a list; one task is a job of its own."""
    jobs = [job.request for job in whole("switch_in_branches").world.jobs.values()]
    sizes = {job["tags"]["flowc/step"]: job.get("arrayProperties", {}).get("size") for job in jobs}
    assert sizes == {name: (2 if name in ("test", "after") else None) for name in sizes}
    (test,) = (job for job in jobs if job["tags"]["flowc/step"] == "test")
    assert test["containerOverrides"]["command"][-1] == "--path=@"


def test_a_gang_is_a_job_of_several_nodes() -> None:
    """num_parallel becomes the number of nodes, whatever the definition says."""
    (gang,) = (job.request for job in whole("gang").world.jobs.values() if job.request["tags"]["flowc/step"] == "train")
    assert gang["nodeOverrides"]["numNodes"] == 3
    assert "containerOverrides" not in gang
    assert "arrayProperties" not in gang


def group(width: int, paths: list[str], parent: str = "7") -> Group:
    return Group("work", parent, None, tuple(paths), width)


@pytest.mark.parametrize("width", [1, 2, 700, ARRAY_LIMIT, ARRAY_LIMIT + 1, 25_000])
def test_any_width(width: int) -> None:
    """A foreach of any width becomes jobs within AWS Batch's limits that together have every path once, in order."""
    setup = Run("fan", SAYS["fan"]).setup
    paths = [f"7-{index}" for index in range(width)]
    found = list(pieces(group(width, paths), setup))
    assert [path for piece in found for path in piece.paths] == paths
    for piece in found:
        job = request(piece, setup)
        assert len(json.dumps(job["containerOverrides"])) <= OVERRIDES_LIMIT
        assert job.get("arrayProperties", {"size": 2})["size"] in range(2, ARRAY_LIMIT + 1)
        assert piece_of(json.loads(json.dumps(piece.about()))) == piece
    assert len({piece.name(0) for piece in found}) == len(found)


def test_the_rest_of_a_group_has_the_same_jobs() -> None:
    """A coordinator that died between two jobs of a group is followed by one that makes the same jobs of what is left."""
    setup = Run("fan", SAYS["fan"]).setup
    paths = [f"7-{index}" for index in range(25_000)]
    found = list(pieces(group(25_000, paths), setup))
    done = 0
    for number in range(1, len(found)):
        done += len(found[number - 1].paths)
        assert list(pieces(group(25_000, paths[done:]), setup)) == found[number:], number


def test_a_failure_ends_the_run() -> None:
    """The failed index is named, with its exit code, its last attempt and the end of its log; nothing starts after it."""
    run = Run("fan", SAYS["fan"], fails=lambda task, _: 3 if task.id == "work-1" else 0)
    coordinator, _ = run.to_the_end()
    (failed,) = coordinator.failed.values()
    assert (failed.task.id, failed.reason, failed.attempt) == ("work-1", "exit code 3", 0)
    assert failed.log.startswith("last words in log/job-1:1")
    assert not coordinator.finished
    assert "collect" not in run.ran


def test_resumed() -> None:
    """A resumed run starts again what failed, in a new job, and nothing that finished; it is resumed only once, however often that is asked."""
    broken = {"work-1"}
    run = Run("fan", SAYS["fan"], fails=lambda task, _: 3 if task.id in broken else 0)
    run.to_the_end()
    before = run.ran.copy()
    assert not run.lead().finished
    assert run.ran == before
    broken.clear()
    run.resume = True
    assert run.lead().finished
    assert run.ran["work-1"] == 2
    assert {name for name, times in run.ran.items() if times != 1} == {"work-1"}
    again = list(run.world.jobs.values())[2].request
    assert (again["retryStrategy"], again["containerOverrides"]["command"][-2:]) == ({"attempts": 1}, ["--attempt=1", "--user-retries=1"])
    jobs = len(run.world.jobs)
    assert run.lead().finished
    assert len(run.world.jobs) == jobs


def test_what_runs_is_ended_when_the_run_fails() -> None:
    """A job that still waits when another task fails is terminated; a resumed run starts it again."""
    broken = {"right"}
    says = {"branches": lambda _: None}["branches"]
    run = Run("branches", says, fails=lambda task, _: 1 if task.id in broken else 0)
    run.world.slow = {"left": 1000.0}
    coordinator, _ = run.to_the_end()
    assert [task.id for task in coordinator.failed] == ["right"]
    assert [job.stopped for job in run.world.jobs.values() if job.stopped] == ["flowc: the run was ended"]
    assert "left" not in run.ran
    broken.clear()
    run.resume, run.world.slow = True, {}
    assert run.lead().finished
    assert run.ran["left"] == 1


def test_retries_are_batchs() -> None:
    """@retry becomes the attempts of the job, and an attempt that failed is told while the next one runs."""
    run = Run("retries", lambda _: 2, fails=lambda task, attempt: int(task.step == "start" and attempt == 0))
    coordinator, _ = run.to_the_end()
    assert coordinator.finished
    start = next(iter(run.world.jobs.values())).request
    assert start["retryStrategy"] == {"attempts": 3}
    assert run.ran["start"] == 2
    told = [fact for fact in run.facts if isinstance(fact, Retried)]
    assert [(fact.task.id, fact.attempt, fact.reason) for fact in told] == [("start", 0, "exit code 1")]
    assert told[0].log.startswith("last words")


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_a_limit_of_tasks_at_once(limit: int) -> None:
    """With --max-workers no more tasks than that are in Batch at once, and the run ends all the same, also after a coordinator's death."""
    told = whole("nested")
    run = Run("nested", SAYS["nested"])
    run.setup = replace(run.setup, limit=limit)
    most = 0

    def running(of: object) -> int:
        nonlocal most
        most = max(most, sum(task.fate is None for job in run.world.jobs.values() for task in job.tasks))
        return run.container(of)  # type: ignore[arg-type]

    run.world.work = running
    run.world.faults = {150: "killed after"}
    coordinator, _ = run.to_the_end()
    assert coordinator.finished
    assert run.ran == told.ran
    assert most <= limit


@pytest.mark.parametrize("fault", ["killed before", "killed after", "lost"])
def test_exit_hooks_run_once(fault: str) -> None:
    """The hooks of the run's end, and only these, run in jobs of their own, once, also where a coordinator dies among them."""
    hooks = (("celebrate", True), ("mourn", False), ("clean", True))

    def run(number: int, fails: int = 0) -> Run:
        made = Run("own_ends", SAYS["own_ends"], fails=lambda task, _: fails if task.step == "count" else 0)
        made.setup = replace(made.setup, hooks=hooks)
        made.world.faults = {number: fault}
        made.to_the_end()
        return made

    total = run(0).world.calls.total()
    for number in range(total - 15, total + 1):
        assert {name: times for name, times in run(number).ran.items() if "hook" in name} == {"hook celebrate": 1, "hook clean": 1}, number
    assert {name: times for name, times in run(0, fails=1).ran.items() if "hook" in name} == {"hook mourn": 1}


def test_a_hook_that_fails_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It changes nothing of the run's end."""
    run = Run("own_ends", SAYS["own_ends"], hook_code=5)
    run.setup = replace(run.setup, hooks=(("celebrate", True),))
    assert run.lead().finished
    assert capsys.readouterr().err == "flowc: exit hook celebrate failed: exit code 5\n"
