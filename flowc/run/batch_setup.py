"""In: a Job for AWS Batch. Out: its BatchExecutor, whose job definitions AWS has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowc import runtime
from flowc.deployment import batch as deployed
from flowc.deployment.hooks import hooks
from flowc.run.batch import BatchExecutor
from flowc.run.batch_api import Aws, AwsError, connect
from flowc.run.batch_check import queue
from flowc.run.batch_jobs import Kind, Setup, too_big
from flowc.run.batch_ledger import Ledger
from flowc.run.job import UsageError
from flowc.target import short_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.run.job import Job
    from flowc.settings import Settings

RESULTS = "flowc-results"
"""The folder below the datastore's root in which tasks leave what the coordinator has to know, and coordinators what they submitted."""


def executor(job: Job) -> BatchExecutor:
    """The executor of a run whose flow passed `batch_check`. UsageError where AWS cannot be used, or takes no such job."""
    try:
        aws = connect(job.option("region") or None, job.option("profile") or None)
        return prepared(job, aws)
    except ModuleNotFoundError as error:
        raise UsageError(f"--on batch needs {error.name}: pip install 'flowc[batch]'") from error
    except AwsError as error:
        raise UsageError(str(error)) from error


def prepared(job: Job, aws: Aws) -> BatchExecutor:
    """The same on the given clients; AwsError where AWS refuses, or where the parameters are more than a job takes."""
    assert job.settings.datastore_root is not None
    bucket, _, prefix = job.settings.datastore_root.removeprefix("s3://").strip("/").partition("/")
    below = "/".join(filter(None, (prefix, RESULTS, job.flow.name)))
    given = {"FLOWC_PARAMETERS": job.encoded} if job.encoded else {}
    first = {**runtime.parameters_environment(job.flow), **given}
    # only what was typed for this run: else the compute environment says how much runs at once
    # a person who waits for the run to begin hears soon that AWS does not answer
    kinds = _kinds(job.flow, job.graph, job.settings, replace(aws, pace=replace(aws.pace, tries=4)))
    after = tuple((hook.function, hook.succeeded) for hook in hooks(job.flow))
    setup = Setup(job.plan, job.run, bucket, below, kinds, first, job.flags.get("max_workers"), after)
    if (beyond := too_big(setup)) > 0:
        raise AwsError(f"the parameters are {beyond:,} characters too long: a job of AWS Batch takes 8,192 of variables and command in all")
    settle = float(job.option("settle", "180"))
    ledger = Ledger(aws, bucket, f"{below}/{job.run}.jobs", job.run, settle=settle, look=min(5.0, settle / 10))
    if job.resume and not aws.keys(bucket, f"{below}/{job.run}.jobs/"):
        raise AwsError(f"there is no run {job.run} of {job.flow.name} in s3://{bucket}/{below}")
    return BatchExecutor(aws, setup, ledger, resume=job.resume)


def _kinds(flow: Flow, graph: Graph, settings: Settings, aws: Aws) -> dict[str, Kind]:
    """How each step's jobs are submitted. Job definitions are named by their content, so an equal one that is active is used again."""
    where = deployed.places(
        flow,
        settings,
        job_role=settings.batch_job_role,
        execution_role=settings.batch_execution_role,
        root=settings.datastore_root,
        region=aws.batch.meta.region_name,
    )
    kinds = {}
    for definition in deployed.definitions(flow, graph, settings, prefix=flow.name, name="batch", where=where).values():
        body = {key: value for key, value in definition.body.items() if key != "jobDefinitionName"}
        name = deployed.definition_name(f"flowc-{flow.name}-{short_hash(json.dumps(body, sort_keys=True), 16)}")
        arn = aws.definition({"jobDefinitionName": name, **body})
        for step in definition.steps:
            found = queue(flow.steps[step], settings)
            assert found is not None
            kinds[step] = Kind(arn, found, tuple(deployed.launcher(flow.steps[step])), _log_group(body))
    return kinds


def _log_group(body: Mapping[str, Any]) -> str:
    """Where the containers' output goes: AWS Batch's own group unless the definition names another."""
    one = body.get("containerProperties") or body["nodeProperties"]["nodeRangeProperties"][0]["container"]
    options = one.get("logConfiguration", {}).get("options") or {}
    return str(options.get("awslogs-group", "/aws/batch/job"))
