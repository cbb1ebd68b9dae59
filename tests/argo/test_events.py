"""Facts about triggers: flowc's events and Sensors are those that Metaflow makes of the same flow."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from reading import imported, reading

from flowc.deployment import events, names
from flowc.settings import Settings
from flowc.targets.argo import events_sensor

CONFIGURED = {"events_event": "metaflow", "events_event_source": "webhook", "events_service_account": "runner"}
BODY = """
    n = Parameter('n', default=1)
    big = Parameter('big', type=JSONType, default={'a': [1]})
    must = Parameter('must', required=True)

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def text_of(*decorators: str) -> str:
    head = "from metaflow import FlowSpec, JSONType, Parameter, project, step, trigger, trigger_on_finish\n\n\n"
    return head + "".join(f"{d}\n" for d in decorators) + "class Hello(FlowSpec):" + BODY


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


def sensor_of_metaflow(text: str, folder: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The Sensor and the triggers that Metaflow makes of the flow."""
    from types import SimpleNamespace

    from metaflow.parameters import flow_context
    from metaflow.plugins.argo import argo_workflows
    from metaflow.plugins.project_decorator import format_name

    cls = imported({"flow.py": text}, folder).Hello
    facts: dict[str, Any] = {}
    if "@project" in text:
        full, branch = format_name("Hello", "ads", False, "b", "ann")
        facts = {"project_name": "ads", "branch_name": branch, "project_flow_name": full}
    monkeypatch.setattr(argo_workflows, "current", SimpleNamespace(get=facts.get, **facts))
    for name, value in (("EVENT", "metaflow"), ("EVENT_SOURCE", "webhook"), ("SERVICE_ACCOUNT", "runner"), ("SENSOR_NAMESPACE", "ml")):
        monkeypatch.setattr(argo_workflows, f"ARGO_EVENTS_{name}", value)
    monkeypatch.setattr(argo_workflows, "KUBERNETES_NAMESPACE", "ml")
    maker = argo_workflows.ArgoWorkflows.__new__(argo_workflows.ArgoWorkflows)
    maker.name = facts.get("project_flow_name", "Hello").lower()
    maker.production_token, maker.username, maker.workflow_title, maker.workflow_description = "t", "ann", None, None
    with flow_context(cls):
        maker.flow = cls(use_cli=False)
        for _, parameter in cls._get_parameters():
            parameter.init()
        for decorator in [d for ds in maker.flow._flow_decorators.values() for d in ds]:
            if decorator.name.startswith("trigger"):
                decorator.flow_init("Hello", None, None, None, None, None, None, {"trigger": None})
        maker.parameters = maker._process_parameters()
        maker.triggers, maker.trigger_options = maker._process_triggers()
        maker._base_labels, maker._base_annotations = maker._base_kubernetes_labels(), maker._base_kubernetes_annotations()
        return json.loads(json.dumps(maker._compile_sensor().to_json())), maker.triggers


def normal(sensor: dict[str, Any]) -> dict[str, Any]:
    """A Sensor without nulls, clock and the container's name (which Argo Events does not have), values of parameters as JSON says."""
    found = without_nulls(sensor)
    for about in (found["metadata"], found["spec"]["template"]["metadata"]):
        about["annotations"].pop("metaflow/deployment_timestamp", None)
    container = found["spec"]["template"]["container"]
    found["spec"]["template"]["container"] = {key: container[key] for key in ("resources",)}
    trigger = found["spec"]["triggers"][0]["template"]["k8s"]
    resource = trigger["source"]["resource"]
    resource["metadata"]["annotations"] = {k: json.loads(v) for k, v in resource["metadata"]["annotations"].items()}
    for parameter in resource["spec"]["arguments"]["parameters"]:
        parameter["value"] = json.loads(parameter["value"])
    for parameter in trigger["parameters"]:
        parameter["src"]["value"] = json.loads(parameter["src"]["value"])
    trigger["parameters"].sort(key=lambda p: p["dest"])
    for dependency in found["spec"]["dependencies"]:
        dependency["filters"]["exprs"].sort(key=json.dumps)
    return found


@pytest.mark.parametrize(
    "decorators",
    [
        ("@trigger(event='new-data')",),
        (
            "@trigger(events=['a.b', {'name': 'c', 'parameters': {'n': 'count', 'must': 'it'}}], options={'reset_at': {'cron': '0 0 * * *'}})",
        ),
        ("@trigger(event={'name': 'x', 'parameters': ['n', ('big', 'payload')]})",),
        ("@trigger_on_finish(flow='Up')",),
        ("@trigger_on_finish(flows=['Up', 'other.prod.Down'], options={'reset_at': {'cron': '0 1 * * *', 'timezone': 'Asia/Tokyo'}})",),
        ("@project(name='ads')", "@trigger_on_finish(flows=['Up', {'name': 'Side', 'project': 'p', 'project_branch': 'prod.x'}])"),
        ("@project(name='ads')", "@trigger_on_finish(flow={'name': 'Up', 'project_branch': 'prod'})"),
    ],
)
def test_equal(decorators: tuple[str, ...], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Sensor says what Metaflow's says: dependencies, filters, mappings, reset, the workflow that it submits."""
    text = text_of(*decorators)
    theirs, triggers = sensor_of_metaflow(text, tmp_path, monkeypatch)
    flow = reading(text).flows[0]
    branch = "b" if "@project" in text else None
    settings = Settings(owner="ann", branch=branch, namespace="ml", production_token="t", **CONFIGURED)
    assert events.check(flow, settings) == []
    ours = events_sensor.sensor(flow, settings)
    assert ours is not None
    assert normal(ours) == normal(theirs)
    assert [(e.id, e.name, e.type) for e in events.events(flow, settings)] == [
        (t["sanitized_name"], t["name"], t["type"]) for t in triggers
    ]
    variables = {e["name"]: e["value"] for e in events.event_environment(flow, settings)}
    assert variables == {
        f"METAFLOW_ARGO_EVENT_PAYLOAD_{t['type']}_{t['sanitized_name']}": f"{{{{workflow.parameters.{t['sanitized_name']}}}}}"
        for t in triggers
    }


def test_case_of_parameters() -> None:
    """An event fills a parameter with capital letters; Metaflow looks for it in lower case and fails."""
    flow = reading(
        text_of("@trigger(event={'name': 'a', 'parameters': {'table': 't'}})").replace("'n', default=1", "'Table', default=1")
    ).flows[0]
    found = events_sensor.sensor(flow, Settings(**CONFIGURED))
    assert found is not None
    fills = found["spec"]["triggers"][0]["template"]["k8s"]["parameters"]
    assert fills[0]["dest"] == "spec.arguments.parameters.#(name=Table).value"


def test_namespaced_event() -> None:
    """Metaflow's namespaced_event_name stands for a name under the project and branch."""
    from metaflow.plugins.namespaced_events import _make_namespaced_event_name

    from flowc.ir import Decorator, Value

    flow = reading(text_of("@project(name='ads')", "@trigger(event='placeholder')")).flows[0]
    trigger = flow.decorator("trigger")
    assert trigger is not None
    settings = Settings(owner="ann@x")
    within = names.project(flow, settings)
    assert within is not None
    changed = Decorator("trigger", {"event": Value({"name": {"namespaced_event_name": "ready"}}, trigger.span)}, trigger.span)
    flow = replace(flow, decorators=tuple(changed if d.name == "trigger" else d for d in flow.decorators))
    (event,) = events.events(flow, settings)
    assert event.name == _make_namespaced_event_name("ready", "ads", within.branch)


@pytest.mark.parametrize(
    ("decorator", "code"),
    [
        ("@trigger(event={'name': 'a', 'parameters': {'N': 'x', 'n': 'y'}})", "FC428"),
        ("@trigger(events=[{'name': 'a', 'parameters': ['n']}, {'name': 'b', 'parameters': ['n']}])", "FC428"),
        ("@trigger(event={'name': 'a', 'parameters': {'n': 'a-b'}})", "FC427"),
        ("@trigger_on_finish(flow={'name': 'A', 'project': \"it's\", 'project_branch': 'b'})", "FC426"),
        ("@trigger(event='a', options={'reset_at': {'cron': '0 0 * * 9'}})", "FC426"),
        ("@trigger(event='a', options={'reset_at': {'cron': '0 0 * * *', 'timezone': 'Mars/Base'}})", "FC421"),
        ("@trigger(event='a', options={'retries': 3})", "FC406"),
    ],
)
def test_refused(decorator: str, code: str) -> None:
    """What Metaflow's Argo compiler refuses, and what would break a Sensor, is a diagnostic."""
    flow = reading(text_of(decorator)).flows[0]
    assert [d.code.id for d in events.check(flow, Settings(**CONFIGURED))] == [code]


def test_what_is_missing_has_the_names_of_settings() -> None:
    """The settings are named as a file has them, so that they can be copied."""
    flow = reading(text_of("@trigger(event='a')")).flows[0]
    told = [d.message for d in events.check(flow, Settings(events_event="e")) if d.code.id == "FC430"]
    assert told == ["@trigger needs to know the cluster's Argo Events: events-event-source, events-service-account"]
