"""In: a Flow, its Graph and Settings. Out: what a state machine whose jobs run in AWS Batch cannot carry of it (FC454 to FC457, FC523)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity
from flowc.ir import NumParallel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

EXPANDED = re.compile(r"[$%]\{")
ROOT = re.compile(r"s3://[a-z0-9][a-z0-9.-]*(/[A-Za-z0-9!_.*()/@=+-]*)?")

NO_PAUSE = Code(
    "FC454",
    "a pause that AWS Batch does not make",
    "AWS Batch starts the next attempt of a job at once, as it does for Metaflow. minutes_between_retries has no effect there.",
    bad=Example({"flow.py": sample("retry", on_start="@retry(times=2, minutes_between_retries=5)")}, line=5, target="step-functions"),
    good=Example({"flow.py": sample("retry", on_start="@retry(times=2)")}, target="step-functions"),
    severity=Severity.NOTE,
)
WOULD_EXPAND = Code(
    "FC455",
    "text that a deployment would expand",
    "CloudFormation and Terraform's templatefile replace `${...}` (and Terraform `%{...}`) wherever it stands in a state machine, and "
    "have no escape in common.",
    bad=Example({"flow.py": sample()}, line=4, target="step-functions", settings={"owner": "${team}"}),
    good=Example({"flow.py": sample()}, target="step-functions", settings={"owner": "team"}),
)
NOT_S3 = Code(
    "FC456",
    "a datastore that jobs and state machine do not share",
    "The state machine reads in S3 how wide a foreach is and what a switch chose; jobs leave it there, beside the artifacts.",
    bad=Example({"flow.py": sample()}, line=4, target="step-functions", settings={"datastore": "gs", "datastore_root": "gs://b/metaflow"}),
    good=Example({"flow.py": sample()}, target="step-functions", settings={"datastore": "s3", "datastore_root": "s3://b/metaflow"}),
)
NO_PROFILE = Code(
    "FC523",
    "a profile that AWS Batch does not have",
    "Pod Security Standards are about pods of Kubernetes. What a job of AWS Batch may do, its job definition says: an overlay of the kind "
    "JobDefinition can set user, readonlyRootFilesystem and the rest.",
    bad=Example({"flow.py": sample()}, line=4, target="step-functions", settings={"profile": "restricted"}),
    good=Example({"flow.py": sample()}, target="step-functions"),
    severity=Severity.WARNING,
)

_GANG = """\
from metaflow import FlowSpec, parallel, step


class Hello(FlowSpec):
    @step
    def start(self):
        self.next(self.work, num_parallel=%s)

    @parallel
    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
UNKNOWN_WIDTH = Code(
    "FC457",
    "a gang whose size only the run knows",
    "The number of nodes stands in the job definition. Step Functions cannot change it for a job that it waits for.",
    bad=Example({"flow.py": _GANG % "self.count"}, line=7, target="step-functions"),
    good=Example({"flow.py": _GANG % "4"}, target="step-functions"),
)


def check(flow: Flow, graph: Graph, settings: Settings) -> list[Diagnostic]:
    """All of it, at the decorator, the step or the class."""
    return [*_pauses(flow), *_gangs(flow, graph), *_texts(flow, settings), *_datastore(flow, settings), *_profile(flow, settings)]


def _profile(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    if settings.profile is not None:
        text = f"the profile {settings.profile} does nothing for jobs of AWS Batch"
        remedy = "set it for the targets that have pods: under [tool.flowc.argo], [tool.flowc.kubernetes]"
        yield Diagnostic(NO_PROFILE, text, flow.span, help=remedy)


def _gangs(flow: Flow, graph: Graph) -> Iterator[Diagnostic]:
    for name in graph.order:
        transition = flow.steps[name].transition
        if isinstance(transition, NumParallel) and transition.count is None:
            text = f"how many nodes `{transition.target}` has, only the run knows"
            remedy = "write the number, or let a foreach run the tasks where they need not talk to one another"
            yield Diagnostic(UNKNOWN_WIDTH, text, transition.span, help=remedy)


def _pauses(flow: Flow) -> Iterator[Diagnostic]:
    for step in flow.steps.values():
        retry = step.decorator("retry")
        if retry and retry.get("minutes_between_retries") not in (None, 0, "0") and retry.get("times") not in (0, "0"):
            text = f"the attempts of `{step.name}` follow one another without a pause"
            remedy = "wait in the step's own code where a pause matters"
            yield Diagnostic(NO_PAUSE, text, retry.span_of("minutes_between_retries"), help=remedy)


def _texts(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    for what in ("owner", "production_token", "datastore_root"):
        value = getattr(settings, what)
        if isinstance(value, str) and EXPANDED.search(value):
            text = f"{what} is `{value}`, which CloudFormation or Terraform would expand"
            yield Diagnostic(WOULD_EXPAND, text, flow.span, help="write the value itself")


def _datastore(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    if settings.datastore not in (None, "s3"):
        text = f"the datastore is `{settings.datastore}`, and a state machine needs S3"
        yield Diagnostic(NOT_S3, text, flow.span, help="leave `datastore` out for this target, or set it to s3")
    elif settings.datastore_root and not EXPANDED.search(settings.datastore_root) and not ROOT.fullmatch(settings.datastore_root):
        text = f"`{settings.datastore_root}` is no root of an S3 datastore"
        yield Diagnostic(NOT_S3, text, flow.span, help="write it as s3://bucket/prefix")
