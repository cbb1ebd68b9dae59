"""In: a Flow and its Graph. Out: all diagnostics that need no target, as Metaflow's linter (FC2) and decorators (FC3) give them."""

from __future__ import annotations

from flowc.checks import decorators, ends, joins, parallel, signatures, transitions
from flowc.diagnostics import Diagnostic, has_errors
from flowc.graph import Graph
from flowc.ir import Flow

__all__ = ["run"]


def run(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """All that Metaflow's linter and decorators refuse, each problem once; what would only follow from another problem is left out."""
    found = [*signatures.check(flow, graph)]
    shape = [*ends.check(flow, graph), *transitions.check(flow, graph)]
    found += shape
    if not has_errors(shape):
        found += parallel.check(flow, graph)
    if not has_errors(found):
        found += joins.check(flow, graph)
    return found + decorators.check(flow, graph)
