"""In: a Flow, its Graph and Settings. Out: what Step Functions cannot carry of it (FC4), or the documents to write."""

from __future__ import annotations

from collections.abc import Sequence

from flowc.deployment import batch_check, scopes
from flowc.diagnostics import Diagnostic
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Settings
from flowc.target import Lowered
from flowc.targets.step_functions import hooks, machine_check, names, schedules, stack, stack_size, triggers


def check(flow: Flow, graph: Graph, settings: Settings) -> Sequence[Diagnostic]:
    """FC4: what of the flow Step Functions and AWS Batch cannot carry, and which settings they lack."""
    return [
        *names.check(flow, settings),
        *machine_check.check(flow, graph, settings),
        *hooks.check(flow, settings),
        *schedules.check(flow),
        *triggers.check(flow, settings),
        *scopes.check(flow, graph),
        *batch_check.check(flow, graph, settings),
    ]


def lower(flow: Flow, graph: Graph, settings: Settings) -> Lowered:
    """The documents of a flow that passed `check`."""
    made = stack.documents(flow, graph, settings)
    return Lowered(made.documents, (*made.diagnostics, *stack_size.notes(flow, settings, made.documents)))
