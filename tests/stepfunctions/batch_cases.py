"""In: a flow's text. Out: the job definitions of its steps, and what flowc says against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reading import reading

from flowc import graph
from flowc.deployment import batch, batch_check
from flowc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.ir import Flow

ROLE = "arn:aws:iam::123456789012:role/jobs"
FLOW = """\
from metaflow import FlowSpec, batch, environment, kubernetes, parallel, resources, retry, step, timeout


class Hello(FlowSpec):
{0}
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
GANG = """\
from metaflow import FlowSpec, batch, parallel, step


class Hello(FlowSpec):
    @step
    def start(self):
        self.next(self.work, num_parallel={1})

{0}
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


def flow_of(text: str, **settings: Any) -> Flow:
    found = reading(text, **settings)
    assert not [d.message for d in found.diagnostics]
    return found.flows[0]


def bodies(text: str, **values: Any) -> dict[str, Mapping[str, Any]]:
    """The job definitions by logical name."""
    flow, settings = flow_of(text), Settings(**values)
    where = batch.places(flow, settings, job_role=ROLE, root="s3://bucket/metaflow", execution_role=ROLE)
    found = batch.definitions(flow, graph.build(flow), settings, prefix="Hello", name="step-functions", where=where)
    return {name: each.body for name, each in found.items()}


def container_of(body: Mapping[str, Any]) -> dict[str, Any]:
    one: dict[str, Any] = body.get("containerProperties") or body["nodeProperties"]["nodeRangeProperties"][0]["container"]
    return one


def start_body(decorators: str, **values: Any) -> Mapping[str, Any]:
    found = bodies(FLOW.format("    " + decorators.replace("\n", "\n    ") if decorators else ""), **values)
    return found.get("JobDefinitionStart", found["JobDefinition"])


def problems(text: str, **values: Any) -> list[tuple[str, int]]:
    flow = flow_of(text)
    found = batch_check.check(flow, graph.build(flow), Settings(**values))
    return [(d.code.id, d.span.line if d.span else 0) for d in found]
