"""In: a Flow, its Graph and Settings. Out: labels and annotations as Metaflow puts them on templates, runs, pods and sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment.events import Event, events
from flowc.deployment.names import production_token, project, sensor_name, workflow_name
from flowc.deployment.parameters import records
from flowc.deployment.schedule import schedule
from flowc.runtime import safe_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

PART_OF = {"app.kubernetes.io/part-of": "metaflow"}
# Behind switches Metaflow's structure repeats what follows, once a case: past this many entries it is left out, as where it cannot be made.
STRUCTURE_LIMIT = 5_000


class TooLargeError(ValueError):
    """The structure has more entries than an annotation should hold."""


def _labels(kind: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": kind, **PART_OF}


def _identity(flow: Flow, settings: Settings) -> dict[str, str]:
    """What Metaflow's commands look for: whose deployment of which flow this is, and the token that authorizes."""
    found = {
        "metaflow/production_token": production_token(flow, settings),
        "metaflow/owner": settings.owner,
        "metaflow/user": "argo-workflows",
        "metaflow/flow_name": flow.name,
    }
    within = project(flow, settings)
    if within:
        found["metaflow/project_name"] = within.name
        found["metaflow/branch_name"] = within.branch
        found["metaflow/project_flow_name"] = within.flow_name
    return found


def _titles(flow: Flow, settings: Settings) -> dict[str, str]:
    """The title and description that Argo's UI shows of a template."""
    within = project(flow, settings)
    title = (settings.title or "").strip() or (within.flow_name if within else flow.name)
    description = (settings.description or "").strip() or flow.doc.strip()
    return {"workflows.argoproj.io/title": title, **({"workflows.argoproj.io/description": description} if description else {})}


def _facts(flow: Flow, settings: Settings) -> dict[str, str]:
    """What Metaflow's tools read of a deployment: schedule, parameters, tags, triggers and notifications, as JSON."""
    found: dict[str, Any] = {}
    planned = schedule(flow)
    if planned:
        found["metaflow/cron"] = {"schedule": planned[0], "tz": planned[1]}
    if flow.parameters:
        found["metaflow/parameters"] = records(flow)
    if settings.tags:
        found["metaflow/tags"] = list(settings.tags)
    services = {
        "slack": bool(settings.notify_slack_webhook_url),
        "pager_duty": bool(settings.notify_pager_duty_integration_key),
        "incident_io": bool(settings.notify_incident_io_api_key),
    }
    if settings.notify_on_error:
        found["metaflow/notify_on_error"] = services
    if settings.notify_on_success:
        found["metaflow/notify_on_success"] = services
    texts = {key: safe_json(value) for key, value in found.items()}
    waits_for = events(flow, settings)
    if waits_for:
        texts["metaflow/triggers"] = triggers_json(waits_for)
        texts["metaflow/sensor_name"] = sensor_name(flow, settings)
        place = settings.events_namespace or settings.namespace
        if place:
            texts["metaflow/sensor_namespace"] = place
    return texts


def triggers_json(found: Sequence[Event]) -> str:
    """The events as Metaflow lists them in annotations."""
    return safe_json([{"name": event.name, "type": event.type} for event in found])


def template_metadata(flow: Flow, graph: Graph, settings: Settings) -> dict[str, Any]:
    """`metadata` of the WorkflowTemplate."""
    structure = structure_of(graph)
    dag = safe_json(None if structure is None else {"graph_structure": structure})
    annotations = {**_facts(flow, settings), **_identity(flow, settings), **_titles(flow, settings), "metaflow/dag": dag}
    return _object(workflow_name(flow, settings), settings.namespace, _labels("metaflow-flow"), annotations)


def sensor_metadata(flow: Flow, settings: Settings) -> dict[str, Any]:
    """`metadata` of the Sensor."""
    annotations = {**_identity(flow, settings), **_titles(flow, settings)}
    return _object(sensor_name(flow, settings), settings.events_namespace or settings.namespace, _labels("metaflow-sensor"), annotations)


def workflow_metadata(flow: Flow, settings: Settings) -> dict[str, Any]:
    """`spec.workflowMetadata`: what every run carries. A title would hide which run it is."""
    return {"labels": _labels("metaflow-run"), "annotations": _of_run(flow, settings)}


def pod_metadata(flow: Flow, settings: Settings) -> dict[str, Any]:
    """`spec.podMetadata`: what every pod carries, with the labels and annotations of Settings."""
    return {"labels": {**settings.labels, **_labels("metaflow-task")}, "annotations": {**settings.annotations, **_of_run(flow, settings)}}


def _of_run(flow: Flow, settings: Settings) -> dict[str, str]:
    return {**_facts(flow, settings), **_identity(flow, settings), "metaflow/run_id": "argo-{{workflow.name}}"}


def _object(name: str, namespace: str | None, labels: Mapping[str, str], annotations: Mapping[str, str]) -> dict[str, Any]:
    return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": dict(labels), "annotations": dict(annotations)}


def structure_of(graph: Graph) -> list[Any] | None:
    """The steps in order, a list of lists where the flow splits: Metaflow's `graph_structure`. None where it has none or is too large."""
    if graph.start is None or graph.end is None:
        return None
    room = [STRUCTURE_LIMIT]
    try:
        found = [] if graph.start == graph.end else _block(graph, graph.start, graph.end, room)
    except (TooLargeError, KeyError, RecursionError):
        return None
    return [*found, graph.end]


def _block(graph: Graph, name: str | None, end: str | None, room: list[int]) -> list[Any]:
    found: list[Any] = []
    while name is not None and name != end:
        room[0] -= 1
        if room[0] < 0:
            raise TooLargeError
        node = graph.nodes[name]
        found.append(name)
        if node.type == "split" or (node.type == "foreach" and not node.parallel_foreach):
            found.append([_block(graph, branch, node.matching_join, room) for branch in node.next])
            name = node.matching_join
        elif node.type == "split-switch":
            found.append([_block(graph, case, end, room) for case in node.next if case != name])
            name = end
        else:
            name = node.next[0] if node.next else None
    return found
