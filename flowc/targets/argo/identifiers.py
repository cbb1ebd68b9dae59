"""In: names of the flow. Out: names that Argo takes."""

from __future__ import annotations


def argo_name(step: str) -> str:
    """A step's template and task: `_` becomes `-`, which no step name holds, so that two steps never meet (Metaflow's own rule)."""
    return step.replace("_", "-")
