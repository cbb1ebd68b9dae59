"""In: a wish for jobs, made by coordinators that die, meet one another and lose answers. Out: proof that each is submitted exactly once."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from run.batch_fake import FAULTS, Killed, World

from flowc.run.batch_api import AwsError
from flowc.run.batch_ledger import NAME_LIMIT, Ledger, Noted, job_name

JOB = {"jobQueue": "queue", "jobDefinition": "definition"}
WORK = ("start", "work/3-0", "join")


def ledger(world: World) -> Ledger:
    return Ledger(world.aws(), "bucket", "prefix/run/_jobs", "run")


def until_done(world: World) -> tuple[dict[str, str], int]:
    """What coordinators get who start again when they are killed: the jobs' ids, and how often one died."""
    for died in itertools.count():
        with contextlib.suppress(Killed):
            book = ledger(world)
            return {what: book.submit(what, {}, JOB) for what in WORK}, died
    raise AssertionError


def calls_of_a_run() -> int:
    world = World(lambda _: 0)
    until_done(world)
    return world.calls.total()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hidden", [0, 20, 100])
def test_every_call_may_fail(fault: str, hidden: int) -> None:
    """Whichever call is throttled, loses its answer, or is a coordinator's last: there is one job for each work, also where jobs are listed late."""
    for number in range(1, calls_of_a_run() + 1):
        world = World(lambda _: 0, hidden=hidden, faults={number: fault})
        ids, died = until_done(world)
        assert died == fault.startswith("killed"), number
        assert sorted(ids.values()) == sorted(world.jobs), (number, world.calls)


def test_two_faults_in_a_row() -> None:
    """A coordinator that follows a dead one may die as well."""
    total = calls_of_a_run()
    for first, second in itertools.product(range(1, total + 1), repeat=2):
        world = World(lambda _: 0, faults={first: "killed after", first + second: "killed before"})
        ids, _ = until_done(world)
        assert sorted(ids.values()) == sorted(world.jobs), (first, second)


def test_a_job_is_not_submitted_again() -> None:
    """Asked again, also by another coordinator, the ledger gives the job that there is."""
    world = World(lambda _: 0)
    assert [ledger(world).submit("start", {"step": "start"}, JOB) for _ in range(3)] == ["job-0"] * 3
    assert ledger(world).known() == [Noted("start", {"step": "start"}, ("job-0",))]


def test_a_coordinator_that_slept_submits_nothing() -> None:
    """Who was stopped between its note and SubmitJob is late, for another may have taken its place: it makes a new note first."""
    world = World(lambda _: 0, faults={2: "asleep"})
    assert ledger(world).submit("start", {"step": "start"}, JOB) == "job-0"
    assert [job.request["jobName"] for job in world.jobs.values()] == [job_name("run", "start", 1)]


def test_throttled_for_good() -> None:
    """AWS that only ever throttles ends in an error that says so, after a bounded number of calls."""
    world = World(lambda _: 0, faults={})
    world.faults = dict.fromkeys(range(1, 5000), "throttled")
    with pytest.raises(AwsError, match="TooManyRequests"):
        ledger(world).submit("start", {"step": "start"}, JOB)
    assert world.calls.total() < 50


def test_names_are_batchs_own() -> None:
    """A job's name is made of what Batch takes, is at most 128 characters long, and differs wherever run, work or generation does."""
    names = {job_name(run, what, n) for run in ("r", "r/ü" * 80) for what in ("a/1-0", "a/10", "b") for n in (0, 1)}
    assert len(names) == 12
    assert all(len(name) <= NAME_LIMIT and name.replace("-", "").replace("_", "").isalnum() and name.isascii() for name in names)
