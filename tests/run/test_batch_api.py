"""In: calls of an AWS that throttles, loses answers and refuses. Out: proof of what is repeated, what never is, and what the user is told."""

from __future__ import annotations

import sys

import pytest
from run.batch_fake import World

from flowc.run.batch_api import Aws, AwsError, Pace, Unsure, connect

JOB = {"jobName": "name", "jobQueue": "queue", "jobDefinition": "definition"}


def always(fault: str) -> World:
    world = World(lambda _: 0)
    world.faults = dict.fromkeys(range(1, 100), fault)
    return world


def test_throttling_and_lost_answers_are_survived() -> None:
    """What may be carried out twice is repeated, and rests longer each time."""
    world = World(lambda _: 0, faults={1: "throttled", 2: "lost", 3: "lost before", 4: "throttled"})
    begun = world.now
    assert world.aws().describe(["job-0"]) == {}
    assert world.calls["describe_jobs"] == 5
    assert world.now - begun >= 0.5 * (0.5 + 1 + 2 + 4)


def test_repeating_is_bounded() -> None:
    """AWS that is away for good ends in an error that says how often it was tried."""
    world = always("lost before")
    with pytest.raises(AwsError, match="tried 12 times"):
        world.aws().describe(["job-0"])
    assert world.calls.total() == 12
    assert world.now < 1_000_000 + 12 * 30


def test_a_submission_is_sent_once_when_its_answer_is_lost() -> None:
    """Nobody knows whether AWS took the job, so it is not sent again; a throttled one was not taken, and is."""
    world = World(lambda _: 0, faults={1: "throttled", 2: "lost"})
    with pytest.raises(Unsure):
        world.aws().submit(world.now + 100, **JOB)
    assert len(world.jobs) == 1


def test_lists_are_read_to_their_end() -> None:
    """Pages of an array job's children, and hundreds of ids, are read whole."""
    world = World(lambda task: int(task.index == 249), hidden=0, takes=0)
    aws = world.aws()
    aws.submit(world.now + 1, arrayProperties={"size": 250}, **JOB)
    assert sorted(aws.children("job-0", "SUCCEEDED")) == list(range(249))
    assert list(aws.children("job-0", "FAILED")) == [249]
    assert len(aws.describe([f"job-0:{n}" for n in range(250)])) == 250


def test_a_definition_is_registered_once() -> None:
    """A job definition that is active under its content's name is used as it is."""
    world = World(lambda _: 0)
    wanted = {"jobDefinitionName": "flow-1234", "type": "container"}
    assert [world.aws().definition(wanted) for _ in range(3)] == ["arn:flow-1234:1"] * 3
    assert world.calls["register_job_definition"] == 1


def test_a_log_that_cannot_be_read_hides_nothing() -> None:
    """Where CloudWatch refuses, there is no log, and no error beside the task's own."""
    assert always("throttled").aws().said("/aws/batch/job", "stream", 10) == ""


def test_clients_repeat_nothing_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's own retries would submit a job twice when an answer is lost."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws = connect()
    assert aws.batch.meta.config.retries["total_max_attempts"] == 1
    assert aws.batch.meta.region_name == "eu-west-1"


def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AWS cannot be asked, the error says what is missing."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(AwsError, match="region"):
        connect()


def test_boto3_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without boto3 the import fails where the command can say how to install it, not deep in a run."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ModuleNotFoundError):
        connect()


def test_pace_is_bounded() -> None:
    """A rest doubles up to the most, and is a random part of that."""
    rests: list[float] = []
    pace = Pace(base=1, most=5, sleep=rests.append, chance=lambda: 0.5)
    for tried in range(4):
        pace.rest(tried)
    assert rests == [0.5, 1, 2, 2.5]
    assert Aws(None, None, None).pace.tries == 12
