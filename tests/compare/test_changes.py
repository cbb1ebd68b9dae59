"""Facts about what differs: each change to Metaflow's output, or to the flow, is told as that change and as nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from compare import flows, made
from compare.made import ARGO

Change = tuple[Any, Any]
SETTINGS = {"environment": flows.EVENT_VARIABLES, **flows.EVENTS}


def template(old: Any, name: str) -> Any:
    """The template of that name."""
    return next(each for each in old["spec"]["templates"] if each["name"] == name)


def task(old: Any, name: str) -> Any:
    """The task of that name, in whichever DAG."""
    return next(each for dag in old["spec"]["templates"] for each in (dag.get("dag") or {}).get("tasks", ()) if each["name"] == name)


def container(old: Any, name: str) -> Any:
    return template(old, name)["container"]


def drop(old: Any, name: str) -> None:
    """A step out of the output: its task and its template."""
    old["spec"]["templates"] = [each for each in old["spec"]["templates"] if each["name"] != name]
    for each in old["spec"]["templates"]:
        if each.get("dag"):
            each["dag"]["tasks"] = [one for one in each["dag"]["tasks"] if one["name"] != name]


def put(old: Any, *path: Any) -> None:
    """Set the last item at the path of the others."""
    *keys, last, value = path
    for key in keys:
        if old[key] is None:
            old[key] = {}
        old = old[key]
    old[last] = value


def variable(old: Any, name: str, key: str, value: str | None) -> None:
    """Set a variable of a container, or take it away."""
    env = [each for each in container(old, name)["env"] if each["name"] != key]
    container(old, name)["env"] = env if value is None else [*env, {"name": key, "value": value}]


def command(old: Any, name: str, before: str, after: str) -> None:
    """Another word in a container's command."""
    words = container(old, name)["command"]
    assert before in words[-1]
    words[-1] = words[-1].replace(before, after)


def everywhere(old: Any, before: str, after: str) -> None:
    """Another text in the whole output."""
    text = json.dumps(old)
    assert before in text
    old.clear()
    old.update(json.loads(text.replace(before, after)))


def moved(each: Any) -> Any:
    """A template with another root of the datastore, in its command and in its variables."""
    return json.loads(json.dumps(each).replace("s3://flows/metaflow", "s3://other/root"))


POD = "steps end "
CASES: dict[str, tuple[Callable[[Any], Any], dict[str, Change]]] = {
    "image": (lambda o: put(container(o, "end"), "image", "other:1"), {POD + "image": ("other:1", "python:3.11")}),
    "pull policy": (lambda o: put(container(o, "end"), "imagePullPolicy", "Never"), {POD + "image_pull_policy": ("Never", None)}),
    "cpu": (lambda o: put(container(o, "end"), "resources", "requests", "cpu", "500m"), {POD + "cpu": ("0.5", "1")}),
    "memory": (lambda o: put(container(o, "end"), "resources", "requests", "memory", "8Gi"), {POD + "memory": ("8192 MiB", "4096 MB")}),
    "disk": (
        lambda o: put(container(o, "end"), "resources", "requests", "ephemeral-storage", "1M"),
        {POD + "disk": ("1 MB", "10240 MB")},
    ),
    "gpu": (
        lambda o: put(container(o, "end"), "resources", "limits", "nvidia.com/gpu", "2"),
        {POD + "limits nvidia.com/gpu": ("2", None)},
    ),
    "a variable more": (lambda o: variable(o, "end", "MODE", "slow"), {POD + "env MODE": ("slow", None)}),
    "another variable": (lambda o: variable(o, "train", "y", "2"), {"steps train env y": ("2", "1e3")}),
    "a variable less": (lambda o: variable(o, "train", "MODE", None), {"steps train env MODE": (None, "{{fast}}")}),
    "a secret variable": (lambda o: variable(o, "end", "DB_PASSWORD", "hunter2"), {POD + "env DB_PASSWORD": ("(hidden)", None)}),
    "headers": (
        lambda o: variable(o, "end", "METAFLOW_SERVICE_HEADERS", '{"x-api-key": "k"}'),
        {POD + "env METAFLOW_SERVICE_HEADERS": ("(hidden)", None)},
    ),
    "webhook's key": (
        lambda o: variable(o, "end", "METAFLOW_ARGO_EVENTS_WEBHOOK_AUTH", "service"),
        {POD + "env METAFLOW_ARGO_EVENTS_WEBHOOK_AUTH": ("(hidden)", None)},
    ),
    "an address with a password": (
        lambda o: variable(o, "end", "PROXY", "http://me:hunter2@proxy"),
        {POD + "env PROXY": ("http://(hidden)@proxy", None)},
    ),
    "secrets": (lambda o: put(container(o, "end"), "envFrom", [{"secretRef": {"name": "db"}}]), {POD + "secrets": (["db"], [])}),
    "service account": (lambda o: put(template(o, "end"), "serviceAccountName", "robot"), {POD + "service_account": ("robot", None)}),
    "node selector": (lambda o: put(template(o, "end"), "nodeSelector", "pool", "big"), {POD + "node_selector pool": ("big", None)}),
    "toleration": (
        lambda o: put(template(o, "end"), "tolerations", [{"key": "a"}]),
        {POD + "tolerations": (['{"key": "a"}'], [])},
    ),
    "label": (lambda o: put(template(o, "end"), "metadata", "labels", "team", "a"), {POD + "labels team": ("a", None)}),
    "annotation": (lambda o: put(template(o, "end"), "metadata", "annotations", "x/y", "a"), {POD + "annotations x/y": ("a", None)}),
    "pull secrets": (
        lambda o: put(template(o, "end"), "podSpecPatch", '{"imagePullSecrets": [{"name": "p"}]}'),
        {POD + "image_pull_secrets": (["p"], [])},
    ),
    "claim": (
        lambda o: put(template(o, "train"), "volumes", [v for v in template(o, "train")["volumes"] if v["name"] != "data"]
            + [{"name": "data", "persistentVolumeClaim": {"claimName": "other"}}]),
        {"steps train volumes /data": ("the claim other", "the claim data")},
    ),
    "size of shared memory": (
        lambda o: everywhere(o, '"sizeLimit": "512Mi"', '"sizeLimit": "64Mi"'),
        {"steps train volumes /dev/shm": ("memory 64 MiB", "memory 512 MiB")},
    ),
    "port": (lambda o: put(container(o, "train"), "ports", [{"containerPort": 1}]), {"steps train ports": ([1], [8080])}),
    "user of the pod": (
        lambda o: put(container(o, "train"), "securityContext", "runAsUser", 0),
        {"steps train security_context runAsUser": (0, 1000)},
    ),
    "no retries": (
        lambda o: template(o, "start").pop("retryStrategy"),
        {"steps start retries": (0, 2), "steps start retry_policy": (None, "Always"), "steps start retry_wait": (None, "1m")},
    ),
    "more retries": (lambda o: put(template(o, "start"), "retryStrategy", "limit", 9), {"steps start retries": (9, 2)}),
    "pause": (
        lambda o: put(template(o, "start"), "retryStrategy", "backoff", "duration", "5m"),
        {"steps start retry_wait": ("5m", "1m")},
    ),
    "another strategy": (
        lambda o: put(template(o, "start"), "retryStrategy", "expression", "false"),
        {"steps start retry_more": ('{"expression": "false"}', None)},
    ),
    "retries of the code": (
        lambda o: command(o, "train", "--max-user-code-retries 0", "--max-user-code-retries 2"),
        {"steps train user_code_retries": (2, 0)},
    ),
    "time limit": (lambda o: put(template(o, "train"), "activeDeadlineSeconds", 60), {"steps train timeout_seconds": (60, 3600)}),
    "datastore": (
        lambda o: put(o["spec"], "templates", [moved(each) if each["name"] == "end" else each for each in o["spec"]["templates"]]),
        {POD + "datastore_root": ("s3://other/root", "s3://flows/metaflow")},
    ),
    "metadata": (
        lambda o: [command(o, "end", "--metadata=local", "--metadata=service"), variable(o, "end", "METAFLOW_DEFAULT_METADATA", "service")],
        {POD + "metadata": ("service", "local")},
    ),
    "a variable that contradicts the command": (
        lambda o: variable(o, "end", "METAFLOW_DEFAULT_DATASTORE", "gs"),
        {POD + "env METAFLOW_DEFAULT_DATASTORE": ("gs", None)},
    ),
    "packages": (lambda o: command(o, "end", "--environment=local", "--environment=conda"), {POD + "environment": ("conda", "local")}),
    "tag": (lambda o: command(o, "end", "step end ", "step end --tag nightly "), {POD + "tags": (["nightly"], [])}),
    "namespace of Metaflow": (
        lambda o: command(o, "end", "--quiet --metadata", "--namespace=prod --quiet --metadata"),
        {POD + "metaflow_namespace": ("prod", None)},
    ),
    "a step": (
        lambda o: drop(o, "left"),
        {"steps left": (None, "…"), "steps meet runs_after": ("right or the task left", "left or right")},
    ),
    "an arrow": (
        lambda o: put(task(o, "meet"), "depends", "right.Succeeded"),
        {"steps meet runs_after": ("right", "left or right")},
    ),
    "all instead of one": (
        lambda o: put(task(o, "meet"), "depends", "left.Succeeded && right.Succeeded"),
        {"steps meet runs_after": ("left and right", "left or right")},
    ),
    "another result": (
        lambda o: put(task(o, "meet"), "depends", "left.Failed"),
        {"steps meet runs_after": ("left.Failed", "left or right")},
    ),
    "a case": (
        lambda o: put(task(o, "left"), "when", task(o, "left")["when"].replace("== 'left'", "== 'other'")),
        {"steps left runs_after": ("pick choosing other", "pick choosing left")},
    ),
    "a condition that nobody writes": (
        lambda o: put(task(o, "left"), "when", "1 == 1"),
        {"steps left runs_after": ("1 == 1 and pick", "pick choosing left")},
    ),
    "no fan-out": (
        lambda o: [task(o, "start-foreach-items").pop("withParam"), put(task(o, "gather"), "depends", "start.Succeeded")],
        {
            **{f"steps {name} foreach": ([], ["start"]) for name in ("train", "pick", "left", "right", "meet")},
            "steps train runs_after": ("", "each item of start"),
            "steps gather runs_after": ("start", "the foreach of start"),
        },
    ),
    "name": (lambda o: put(o["metadata"], "name", "other"), {"flow name": ("other", "rich")}),
    "namespace": (lambda o: put(o["metadata"], "namespace", "other"), {"flow namespace": ("other", "default")}),
    "production token": (
        lambda o: everywhere(o, "__PLACEHOLDER_PRODUCTION_TOKEN__", "rich-3-abcd"),
        {"flow production_token": ("rich-3-abcd", "rich-0-ajbk")},
    ),
    "title": (
        lambda o: put(o["metadata"]["annotations"], "workflows.argoproj.io/title", "T"),
        {"flow title": ("T", "Rich")},
    ),
    "cron": (
        lambda o: put(o["metadata"]["annotations"], "metaflow/cron", '{"schedule": "0 7 * * *", "tz": null}'),
        {"flow schedule": ("0 7 * * *", "0 6 ? * MON-FRI Europe/Berlin")},
    ),
    "event": (
        lambda o: put(o["metadata"]["annotations"], "metaflow/triggers", '[{"name": "other", "type": "event"}]'),
        {"flow triggers": (["other"], ["data_ready"])},
    ),
    "label of the whole": (lambda o: put(o["metadata"]["labels"], "team", "a"), {"flow labels team": ("a", None)}),
    "label of all pods": (lambda o: put(o["spec"]["podMetadata"]["labels"], "team2", "a"), {"every step labels team2": ("a", None)}),
    "workers": (lambda o: put(o["spec"], "parallelism", 3), {"flow max_workers": (3, 100)}),
    "limit of the run": (lambda o: put(o["spec"], "activeDeadlineSeconds", 60), {"flow timeout_seconds": (60, None)}),
    "priority": (lambda o: put(o["spec"], "priority", 5), {"flow priority": (5, None)}),
    "default": (
        lambda o: put(next(p for p in o["spec"]["arguments"]["parameters"] if p["name"] == "count"), "value", "4"),
        {"parameters count default": (4, 3)},
    ),
    "type": (
        lambda o: everywhere(o, '\\"count\\", \\"value\\": \\"3\\", \\"type\\": \\"int\\"', '\\"count\\", \\"value\\": \\"3\\", \\"type\\": \\"str\\"'),
        {"parameters count type": ("str", "int")},
    ),
    "a parameter more": (
        lambda o: o["spec"]["arguments"]["parameters"].append({"name": "more", "value": "1"}),
        {"parameters more": ({"default": 1, "description": None}, None)},
    ),
    "a hook": (lambda o: o["spec"]["hooks"].pop("success-told"), {"hooks success-told": (None, "…")}),
    "image of a hook": (lambda o: put(container(o, "error-mourned"), "image", "other"), {"hooks error-mourned image": ("other", "python:3.11")}),
    "when a hook runs": (
        lambda o: put(o["spec"]["hooks"]["error-mourned"], "expression", "true"),
        {"hooks error-mourned on": ("true", "error")},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rich(metaflow: made.Metaflow) -> Any:
    """What Metaflow writes of the flow with much in it."""
    return metaflow.only_json(flows.RICH, ARGO, **flows.EVENT_VARIABLES)


@pytest.fixture(scope="module")
def ours() -> Any:
    """What flowc's objects for it mean."""
    return made.ours(flows.RICH, ARGO, SETTINGS)


def _told(old: Any, ours: Any) -> dict[str, Change]:
    """The changes; a whole step or hook stands for itself."""
    found = made.compare(made.argo.read([old]), copy.deepcopy(ours[0]), ours[1])
    return {path: (before, "…" if isinstance(after, dict) else after) for path, (before, after) in made.told(found).items()}


@pytest.mark.parametrize("name", CASES)
def test_each_change_of_metaflows_output(name: str, rich: Any, ours: Any) -> None:
    """A change of one field is told as that change, and nothing else is."""
    change, expected = CASES[name]
    old = copy.deepcopy(rich)
    change(old)
    assert old != rich
    assert _told(old, ours) == expected


UNKNOWN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "of the pod": (lambda o: put(template(o, "end"), "priorityClassName", "high"), "steps.end.priorityClassName"),
    "of the container": (lambda o: put(container(o, "end"), "livenessProbe", {"periodSeconds": 5}), "steps.end.container.livenessProbe.periodSeconds"),
    "of the workflow": (lambda o: put(o["spec"], "ttlStrategy", {"secondsAfterCompletion": 5}), "spec.ttlStrategy.secondsAfterCompletion"),
    "of a task": (lambda o: put(task(o, "end"), "continueOn", {"failed": True}), "templates[Rich].tasks[end].continueOn.failed"),
    "a template": (lambda o: o["spec"]["templates"].append({"name": "daemon", "script": {"source": "x"}}), "spec.templates[daemon].name"),
    "of an input": (
        lambda o: put(template(o, "end"), "inputs", "artifacts", [{"name": "a", "path": "/a"}]),
        "steps.end.inputs.artifacts[a].name",
    ),
    "an option": (lambda o: command(o, "end", "step end ", "step end --clone-run-id 7 "), "steps.end.container.command[0]"),
    "a command": (lambda o: put(container(o, "end"), "command", ["sh", "-c", "true"]), "steps.end.container.command"),
    "of the metadata": (lambda o: put(o["metadata"], "finalizers", ["x"]), "metadata.finalizers[0]"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_understood_is_named(name: str, rich: Any, ours: Any) -> None:
    """A field of Metaflow's output that no reader knows is listed by its path, and the outputs do not count as the same."""
    change, path = UNKNOWN[name]
    old = copy.deepcopy(rich)
    change(old)
    found = made.compare(made.argo.read([old]), copy.deepcopy(ours[0]), ours[1])
    assert path in found.not_compared
    assert not found.same


def test_an_applied_template_is_no_other(rich: Any, ours: Any) -> None:
    """What an API server adds to an object is no difference: `kubectl get workflowtemplate -o json` serves as well."""
    old = copy.deepcopy(rich)
    old["metadata"] |= {"uid": "1", "resourceVersion": "2", "generation": 3, "creationTimestamp": "now", "managedFields": [{"manager": "x"}]}
    assert _told(old, ours) == {}


TEXTS = {
    "memory": ("memory=2048", "memory=9000", {"steps pick memory": ("4096 MB", "9000 MB")}),
    "image": ('train:1.2"', 'train:1.3"', {"steps train image": ("registry.example.com/train:1.2", "registry.example.com/train:1.3")}),
    "retries": ("times=2", "times=4", {"steps start retries": (2, 4), "steps start user_code_retries": (2, 4)}),
    "cron": ("0 6 ?", "0 8 ?", {"flow schedule": ("0 6 ? * MON-FRI Europe/Berlin", "0 8 ? * MON-FRI Europe/Berlin")}),
    "a secret": ('"db", "api"', '"db"', {"steps train secrets": (["api", "db"], ["db"])}),
    "a variable": ('"y": "1e3"', '"y": "1e4"', {"steps train env y": ("1e3", "1e4")}),
    "a default": ("default=3", "default=5", {"parameters count default": (3, 5)}),
    "a text of help": ("which day", "what day", {"parameters day description": ("which day", "what day")}),
    "an event": ('event="data_ready"', 'event="other"', {"flow triggers": (["data_ready"], ["other"])}),
    "a time limit": ("hours=1", "hours=2", {"steps train timeout_seconds": (3600, 7200)}),
    "a hook": ("on_success=[told], ", "", {"hooks success-told": ("…", None)}),
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_change_of_the_flow(name: str, rich: Any) -> None:
    """A flow that changed since Metaflow compiled it differs in that change."""
    before, after, expected = TEXTS[name]
    assert before in flows.RICH
    found = made.compared(rich, flows.RICH.replace(before, after), **SETTINGS)
    said = {path: ("…" if isinstance(one, dict) else one, two) for path, (one, two) in made.told(found).items()}
    assert said == expected


def test_dollars_that_kubernetes_takes(metaflow: made.Metaflow) -> None:
    """Metaflow leaves `$$` to Kubernetes, which makes `$` of it; flowc keeps the text. A difference that is there is told."""
    text = flows.RICH.replace('"y": "1e3"', '"y": "$$1"')
    found = made.compared(metaflow.only_json(text, ARGO, **flows.EVENT_VARIABLES), text, **SETTINGS)
    assert made.told(found) == {"steps train env y": ("$1", "$$1")}


def test_a_field_that_every_step_has_is_named_once(metaflow: made.Metaflow) -> None:
    """Of what stands on all steps alike one line is enough; what a profile adds to flowc's output is marked as flowc's."""
    old = metaflow.only_json(flows.PLAIN, ARGO)
    for name in ("start", "end"):
        put(template(old, name), "priorityClassName", "high")
    found = made.compared(old, flows.PLAIN, profile="restricted")
    assert "steps.*.priorityClassName" in found.not_compared
    assert any(path.startswith("steps.*.podSpecPatch.") and path.endswith(" (flowc's)") for path in found.not_compared)
    assert made.told(found)["every step volumes /tmp"] == (None, "an empty folder")
