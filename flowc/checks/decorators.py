"""In: a Flow and its Graph. Out: what Metaflow's own decorators refuse when a flow is deployed (FC312 to FC339)."""

from __future__ import annotations

from flowc.checks import batch, deprecated, flow_decorators, kubernetes, step_decorators, triggers
from flowc.diagnostics import Diagnostic
from flowc.graph import Graph
from flowc.ir import Flow


def check(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """The decorators of the flow, then of each step."""
    found = flow_decorators.check(flow) + triggers.check(flow) + deprecated.check(flow)
    for step in flow.steps.values():
        if step.decorators:
            found += step_decorators.check(step, graph.nodes[step.name]) + batch.check(step) + kubernetes.check(step)
    return found
