"""In: a proven Flow, Settings, a run's id and parameters. Out: a BatchExecutor whose job definitions AWS has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowc.deployment import batch as deployed
from flowc.run.batch import BatchExecutor
from flowc.run.batch_api import Aws, AwsError
from flowc.run.batch_check import queue
from flowc.run.batch_jobs import Kind, Setup, too_big
from flowc.run.batch_ledger import Ledger
from flowc.target import short_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

RESULTS = "flowc-results"
"""The folder below the datastore's root in which tasks leave what the coordinator has to know, and coordinators what they submitted."""


def executor(
    flow: Flow,
    graph: Graph,
    settings: Settings,
    plan: Mapping[str, Any],
    aws: Aws,
    *,
    run: str,
    first: Mapping[str, str],
    resume: bool = False,
) -> BatchExecutor:
    """The executor of the run of that id; the flow passed `batch_check`. `first`: variables of the start step, the parameters in them.

    AwsError where AWS refuses, or where the parameters are more than a job takes.
    """
    assert settings.datastore_root is not None
    bucket, _, prefix = settings.datastore_root.removeprefix("s3://").strip("/").partition("/")
    below = "/".join(filter(None, (prefix, RESULTS, flow.name)))
    setup = Setup(plan, run, bucket, below, _kinds(flow, graph, settings, aws), first)
    if (beyond := too_big(setup)) > 0:
        raise AwsError(f"the parameters are {beyond:,} characters too long: a job of AWS Batch takes 8,192 of variables and command in all")
    return BatchExecutor(aws, setup, Ledger(aws, bucket, f"{below}/{run}.jobs", run), resume=resume)


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
