"""In: the finished objects of a flow. Out: which of Argo's templates and tasks carries which step, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.target import Part
from flowc.targets.argo import dag
from flowc.targets.argo.identifiers import argo_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.target import Objects


def parts(_flow: Flow, graph: Graph, _settings: Settings, objects: Objects) -> Iterator[Part]:
    """Of a step its tasks in the DAGs (gates that lead to it, its fan-out), then its templates; the rest is the flow's."""
    owners = _owners(graph)
    for file, value in objects.items():
        if value.get("kind") != "WorkflowTemplate":
            yield Part(None, file, "", value)
            continue
        templates = value["spec"]["templates"]
        shown = [each for each in templates if each["name"] not in owners and "dag" not in each]
        yield Part(None, file, "", {**value, "spec": {**value["spec"], "templates": shown}})
        for template in templates:
            yield from _tasks(file, template, owners)
        for template in templates:
            if template["name"] in owners and "dag" not in template:
                yield Part(owners[template["name"]], file, f"spec.templates[{template['name']}]", template)


def _owners(graph: Graph) -> dict[str, str]:
    """The step by the name of each task and template that is made for it."""
    found = {}
    for name in graph.order:
        found[argo_name(name)] = found[dag.foreach_name(name)] = found[dag.loop_name(name)] = name
        found |= {dag.gate_name(before, name): name for before in graph.nodes[name].in_funcs}
    return found


def _tasks(file: str, template: Mapping[str, Any], owners: Mapping[str, str]) -> Iterator[Part]:
    for task in template.get("dag", {}).get("tasks", ()):
        yield Part(owners.get(task["name"]), file, f"spec.templates[{template['name']}].dag.tasks[{task['name']}]", task)
