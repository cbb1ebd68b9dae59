"""In: the finished objects of a flow. Out: which entry of the plan and which Job carries which step, for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flowc.target import Part
from flowc.targets.kubernetes.coordinator import PLAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.target import Objects


def parts(_flow: Flow, graph: Graph, _settings: Settings, objects: Objects) -> Iterator[Part]:
    """Of a step its entry in the plan and what its Job has of its own; what all Jobs share, and all other objects, are the flow's."""
    for file, value in objects.items():
        held = value.get("data", {}) if value.get("kind") == "ConfigMap" else {}
        if PLAN not in held:
            yield Part(None, file, "", value)
            continue
        plan = json.loads(held[PLAN])
        rest = {key: item for key, item in plan.items() if key not in ("steps", "jobs")}
        yield Part(None, file, f"data[{PLAN}]", rest, json=True)
        for name in graph.order:
            for group in ("steps", "jobs"):
                if name in plan[group]:
                    yield Part(name, file, f"data[{PLAN}].{group}[{name}]", plan[group][name], json=True)
