"""In: a step of a Flow. Out: which Batch job definition and queue its jobs take, and the words that start the bootstrap in the container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowc.runtime import SCRIPT

if TYPE_CHECKING:
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings


def definition(flow: Flow, graph: Graph, settings: Settings, name: str) -> str:
    """The substitution that stands for the ARN of the step's job definition."""
    return "${JobDefinition}"


def queue(flow: Flow, settings: Settings, name: str) -> str:
    """The queue that @batch names, else the substitution."""
    batch = flow.steps[name].decorator("batch")
    return (batch and batch.get("queue")) or "${JobQueue}"


def launcher(flow: Flow, settings: Settings) -> list[str]:
    """What stands before the bootstrap's arguments in the command of every container."""
    return ["python", SCRIPT]
