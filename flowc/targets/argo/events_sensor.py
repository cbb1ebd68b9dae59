"""In: the events that start a Flow. Out: the Sensor of Argo Events that submits its WorkflowTemplate, as Metaflow makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment import profile
from flowc.deployment.events import Event, events, reset
from flowc.deployment.names import workflow_name
from flowc.deployment.parameters import default_text
from flowc.targets.argo.metadata import sensor_metadata, triggers_json

if TYPE_CHECKING:
    from flowc.ir import Flow, Parameter
    from flowc.settings import Settings

# A sensor does little: guaranteed, minimal resources.
RESOURCES = {"cpu": "100m", "memory": "250Mi"}
LABELS = {"app.kubernetes.io/name": "metaflow-sensor", "app.kubernetes.io/part-of": "metaflow"}
# The payload's value as JSON. Where the payload lacks the field, the template fails and Argo Events takes the default.
FIELD = '{{- (get $.Input.body.payload "%s" | toRawJson) -}}'
# The value of a JSON parameter is JSON in a JSON string, as a person would give it.
JSON_FIELD = (
    '{{- $pv:=(get $.Input.body.payload "%s") -}}{{ if kindIs "string" $pv }}{{- $pv | toRawJson -}}'
    "{{- else -}}{{ $pv | toRawJson | toRawJson }}{{- end -}}"
)
IF_PRESENT = '{{ if (hasKey $.Input.body.payload "%s") }}%s{{- else -}}{{ (fail "use-default-instead") }}{{- end -}}'


def sensor(flow: Flow, settings: Settings) -> dict[str, Any] | None:
    """The Sensor object; None for a flow that waits for nothing."""
    found = events(flow, settings)
    if not found:
        return None
    container: dict[str, Any] = {"resources": {"requests": RESOURCES, "limits": RESOURCES}}
    safe = {}
    if profile.restricted(settings):
        container["securityContext"], safe = profile.of_container(settings), {"securityContext": profile.of_pod(settings)}
    metadata = sensor_metadata(flow, settings)
    spec = {
        "template": {
            "metadata": {"labels": LABELS, "annotations": metadata["annotations"]},
            "container": container,
            "serviceAccountName": settings.events_service_account,
            **safe,
        },
        "replicas": 1,
        "eventBusName": settings.events_event_bus,
        "triggers": [{"template": _trigger(flow, found, settings)}],
        "dependencies": [_dependency(event, flow, settings) for event in found],
    }
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": metadata, "spec": spec}


def _trigger(flow: Flow, found: list[Event], settings: Settings) -> dict[str, Any]:
    name = workflow_name(flow, settings)
    given = {parameter.name: parameter for parameter in flow.parameters}
    values = [{"name": p.name, "value": default_text(p)} for p in flow.parameters]
    values += [{"name": event.id, "value": "null"} for event in found]
    metadata: dict[str, Any] = {"generateName": f"{name}-", "annotations": {"metaflow/triggered_by": triggers_json(found)}}
    if settings.namespace:
        metadata["namespace"] = settings.namespace
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": metadata,
        "spec": {"arguments": {"parameters": values}, "workflowTemplateRef": {"name": name}},
    }
    filled = [_fill(event, given[n], field) for event in found for n, field in event.parameters.items()]
    filled += [_payload(event) for event in found]
    template: dict[str, Any] = {"name": name, "k8s": {"operation": "create", "source": {"resource": workflow}, "parameters": filled}}
    at = reset(flow)
    if at:
        template["conditionsReset"] = [{"byTime": {"cron": at[0], **({"timezone": at[1]} if at[1] else {})}}]
    return template


def _fill(event: Event, parameter: Parameter, field: str) -> dict[str, Any]:
    value = (JSON_FIELD if parameter.type == "JSON" else FIELD) % field
    template = IF_PRESENT % (field, value)
    source = {"dependencyName": event.id, "dataTemplate": template, "value": default_text(parameter), "useRawData": False}
    return {"src": source, "dest": _destination(parameter.name)}


def _payload(event: Event) -> dict[str, Any]:
    source = {"dependencyName": event.id, "dataKey": "body.payload", "value": "null", "useRawData": False}
    return {"src": source, "dest": _destination(event.id)}


def _destination(name: str) -> str:
    return f"spec.arguments.parameters.#(name={name}).value"


def _dependency(event: Event, flow: Flow, settings: Settings) -> dict[str, Any]:
    required = {parameter.name for parameter in flow.parameters if parameter.required}
    expressions = [_expression(f"name == '{event.name}'", "name", "name")]
    # An expression over a field fails where the payload lacks it.
    expressions += [_expression("true == true", "field", field) for name, field in event.parameters.items() if name in required]
    expressions += [_expression(f"field == '{value}'", "field", key) for key, value in event.filters.items()]
    return {
        "name": event.id,
        "eventName": settings.events_event,
        "eventSourceName": settings.events_event_source,
        "filters": {"exprs": expressions},
    }


def _expression(text: str, name: str, field: str) -> dict[str, Any]:
    return {"expr": text, "fields": [{"name": name, "path": f"body.payload.{field}"}]}
