"""In: runs that are asked for on AWS Batch. Out: proof of what is registered, of which queue and root count, and of what the user is told."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from run.batch_fake import World
from runtime import reading

from flowc import plan as plans
from flowc.run import batch, batch_setup
from flowc.run.batch_api import AwsError
from flowc.run.job import Job, UsageError, load
from flowc.settings import Settings

SETTINGS = Settings(datastore_root="s3://bucket/below/metaflow", batch_queue="jobs", batch_job_role="arn:aws:iam::1:role/jobs")
FLOW = """
from metaflow import FlowSpec, Parameter, batch, step


class SomeFlow(FlowSpec):
    text = Parameter("text", default="x")

    @batch(queue="big", memory=9000)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


@pytest.fixture
def wanted(tmp_path: Path) -> Any:
    """Makes the Job of a run of FLOW."""
    path = tmp_path / "flow.py"
    path.write_text(FLOW)

    def make(**more: Any) -> Job:
        settings = more.pop("settings", SETTINGS)
        flow, graph = reading.read(path, settings)
        return Job(flow, graph, settings, plans.plan(flow, graph, settings), str(path), "batch-1", **more)

    return make


def test_definitions_are_registered_once(wanted: Any) -> None:
    """Each distinct container is a job definition named by its content: a second run registers nothing, a change of the image does."""
    world = World(lambda _: 0)
    for _ in range(2):
        batch_setup.prepared(wanted(), world.aws())
    assert len(world.definitions) == 2
    assert all(name.startswith("flowc-SomeFlow-") for name in world.definitions)
    batch_setup.prepared(wanted(settings=Settings(image="other:1", datastore_root="s3://b/x", batch_queue="jobs")), world.aws())
    assert len(world.definitions) == 4


def test_queue_role_and_root(wanted: Any) -> None:
    """@batch's queue is the step's, the setting's that of others; the role and the datastore's root are in the definitions, results below it."""
    world = World(lambda _: 0)
    setup = batch_setup.prepared(wanted(), world.aws()).setup
    assert {step: kind.queue for step, kind in setup.kinds.items()} == {"start": "big", "end": "jobs"}
    assert (setup.bucket, setup.results) == ("bucket", "below/metaflow/flowc-results/SomeFlow/batch-1")
    for definition in world.definitions.values():
        one = definition["containerProperties"]
        assert one["jobRoleArn"] == "arn:aws:iam::1:role/jobs"
        env = {entry["name"]: entry["value"] for entry in one["environment"]}
        assert env["METAFLOW_DATASTORE_SYSROOT_S3"] == SETTINGS.datastore_root
        assert env["AWS_DEFAULT_REGION"] == "eu-west-1"


def test_parameters_reach_the_first_step_alone(wanted: Any) -> None:
    """They are variables of the start step's job."""
    setup = batch_setup.prepared(wanted(parameters={"text": '"y"'}), World(lambda _: 0).aws()).setup
    assert json.loads(base64.b64decode(setup.first["FLOWC_PARAMETERS"])) == {"text": '"y"'}
    assert "text" in json.loads(setup.first["FLOWC_DECLARED"])


def test_parameters_that_no_job_takes(wanted: Any) -> None:
    """What is too long is said before anything is submitted, with how much too long it is."""
    world = World(lambda _: 0)
    with pytest.raises(AwsError, match=r"characters too long: a job of AWS Batch takes 8,192"):
        batch_setup.prepared(wanted(parameters={"text": "y" * 9000}), world.aws())
    assert not world.jobs


def test_a_run_that_is_not_there(wanted: Any) -> None:
    """--resume of an unknown id is a mistake, not a new run."""
    with pytest.raises(AwsError, match="there is no run batch-1 of SomeFlow"):
        batch_setup.prepared(wanted(resume=True), World(lambda _: 0).aws())


def test_without_boto3(wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that installs it is named."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UsageError, match=r"pip install 'flowc\[batch\]'"):
        batch.executor(wanted())


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ({}, {"FC620", "FC621"}),
        ({"batch_queue": "jobs"}, {"FC621"}),
        ({"datastore_root": "s3://bucket"}, {"FC620"}),
        ({"datastore_root": "s3://", "batch_queue": "jobs"}, {"FC621"}),
        ({"datastore_root": "/somewhere", "batch_queue": "jobs"}, {"FC621"}),
        ({"datastore_root": "s3://bucket", "batch_queue": "jobs"}, set()),
    ],
)
def test_what_is_missing(wanted: Any, settings: dict[str, str], codes: set[str]) -> None:
    """A queue for every step and an S3 root are asked for, each at its place, all at once."""
    job = wanted(settings=Settings(**settings))  # type: ignore[arg-type]
    assert {found.code.id for found in load("batch").check(job.flow, job.graph, job.settings)} == codes
