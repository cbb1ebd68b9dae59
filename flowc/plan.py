"""In: a Flow, its Graph and the Settings. Out: the plan: all that a coordinator has to know to run the flow task by task, as JSON data.

The plan of a run is `{"flow", "start", "end", "max_workers", "steps": {name: step, ...}}`, its steps in the order of the graph, each:

    type          start, linear, split, foreach, split-switch, join, end
    next          the steps that it may go on to
    scope         the foreach and num_parallel steps around it, outermost first: its tasks have as many indices in their path
    arrivals      groups of steps: it runs when of every group one ran and went on to it. [] for the start step
    over          of a join that closes a foreach or num_parallel step, that step; else null
    loops         whether it may go on to itself: its tasks have rounds
    gang          whether its tasks run as one gang (@parallel): one unit whose path is that of the num_parallel step
    arguments     what follows `python boot.py`, without --path, --round and --attempt
    user_retries, retries   how often the user's code is tried again; how often a task is (with those that @catch adds)
    backoff_minutes, timeout_seconds   the pause between attempts; the limit of one attempt
    told          what the coordinator needs of a task's result: "splits", "case", or null where success says all
    environment   the variables of @environment
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc import merging, runtime

if TYPE_CHECKING:
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings


def plan(flow: Flow, graph: Graph, settings: Settings) -> dict[str, Any]:
    """The plan of a flow that has passed all checks, FC442 and FC443 too."""
    return {
        "flow": flow.name,
        "start": graph.start,
        "end": graph.end,
        "max_workers": settings.max_workers,
        "steps": {name: _step(flow, graph, name) for name in graph.order},
    }


def _step(flow: Flow, graph: Graph, name: str) -> dict[str, Any]:
    node, step = graph.nodes[name], flow.steps[name]
    retries = merging.retries(step)
    closed = graph.closes(name)
    over = closed if closed is not None and graph.nodes[closed].type == "foreach" else None
    variables = step.decorator("environment")
    return {
        "type": node.type,
        "next": list(dict.fromkeys(node.next)),
        "scope": list(node.scope),
        "arrivals": [list(group) for group in graph.arrivals(name)],
        "over": over,
        "loops": node.loops,
        "gang": node.parallel_step,
        "arguments": runtime.arguments(graph, name, user_retries=retries.user),
        "user_retries": retries.user,
        "retries": retries.total,
        "backoff_minutes": retries.backoff_minutes,
        "timeout_seconds": merging.timeout_seconds(step),
        "told": {"foreach": "splits", "split-switch": "case"}.get(node.type or ""),
        "environment": {k: str(v) for k, v in ((variables.get("vars", {}) if variables else {}) or {}).items()},
    }
