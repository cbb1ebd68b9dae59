"""In: the finished objects of a flow. Out: what the API server would refuse: diagnostics where a flow can cause it, OutputBug where not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowc.deployment import jobs, profile, settings_check
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, OutputBug, Severity

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.source import Span

TARGET = "kubernetes"
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*", re.ASCII)
# A Job's pods are called `<job>-<5 letters>`, a CronJob's Jobs `<cron job>-<minute>`; both are labels of pods.
_NAME_LIMITS = {"Job": 57, "CronJob": 52, "Namespace": 63}
CODE = "flowc"
OBJECT_LIMIT = 1024 * 1024
ANNOTATIONS_LIMIT = 256 * 1024

_MANY = ", ".join(f"'{letter}': 'x' * 120_000" for letter in "ABCDEFGHI")
BAD_KEY = Code(
    "FC560",
    "no valid label or annotation",
    "Kubernetes takes keys of the form `prefix/name` and label values of at most 63 letters, digits, `-`, `_` and `.`.",
    bad=Example({"flow.py": sample()}, line=4, target=TARGET, settings={"labels": {"team": "data science"}}),
    good=Example({"flow.py": sample()}, target=TARGET, settings={"labels": {"team": "data-science"}}),
)
BAD_ENVIRONMENT = Code(
    "FC561",
    "no valid name of an environment variable",
    "Kubernetes refuses a Job with such a name, when the run comes to it.",
    bad=Example({"flow.py": sample("environment", on_start="@environment(vars={'MY VAR': '1'})")}, line=5, target=TARGET),
    good=Example({"flow.py": sample("environment", on_start="@environment(vars={'MY_VAR': '1'})")}, target=TARGET),
)
TOO_LARGE = Code(
    "FC562",
    "the plan is larger than a ConfigMap",
    "The coordinator reads the Jobs of all steps from a ConfigMap, which Kubernetes limits to 1 MiB.",
    bad=Example({"flow.py": sample("environment", on_start=f"@environment(vars={{{_MANY}}})")}, line=4, target=TARGET),
    good=Example({"flow.py": sample("environment", on_start="@environment(vars={'A': 'x' * 1_000})")}, target=TARGET),
)
LONG_ANNOTATIONS = Code(
    "FC563",
    "annotations longer than Kubernetes takes",
    "Kubernetes refuses an object whose annotations add up to more than 256 KiB. The coordinator keeps the results of tasks there too.",
    bad=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(annotations={'note': 'x' * 270_000})")}, line=5, target=TARGET),
    good=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(annotations={'note': 'x' * 1_000})")}, target=TARGET),
)
SERVER_SIDE = Code(
    "FC565",
    "an object for server-side apply only",
    "`kubectl apply` keeps a copy of what it applied in an annotation, and annotations have 256 KiB. With `--server-side` it keeps none; "
    "Argo CD has the sync option ServerSideApply=true.",
    bad=Example({"flow.py": sample() + "\n\nTABLE = '" + "x" * 270_000 + "'\n"}, line=4, target=TARGET),
    good=Example({"flow.py": sample()}, target=TARGET),
    severity=Severity.WARNING,
)


def rules(flow: Flow, objects: Sequence[Mapping[str, Any]], settings: Settings) -> list[Diagnostic]:
    """Judge the objects, and the Jobs in the plan that the coordinator will make of them."""
    found = list(settings_check.check(flow, settings, own=("kueue-queue",)))
    plan = _plan(objects)
    templates: dict[str, Mapping[str, Any]] = {"": plan["shared"], **plan["jobs"]}
    for value in objects:
        found += _keys(f"{value['kind']} {value['metadata']['name']}", value["metadata"], flow.span)
        found += _size(flow, value)
    for step, template in templates.items():
        found += _template(flow, step, template)
    found += profile.refused(_pods(flow, objects, plan), settings)
    wrong = [f"{value['kind']} {value['metadata']['name']}: {what}" for value in objects for what in _problems(value, objects)]
    if wrong and not found:
        raise OutputBug("Kubernetes would refuse the output: " + "; ".join(wrong[:5]))
    if any(diagnostic.severity is Severity.ERROR for diagnostic in found):
        found = [diagnostic for diagnostic in found if diagnostic.code is not SERVER_SIDE]  # what is large must change anyway
    return list(dict.fromkeys(found))


def _plan(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    text = next(value["data"]["plan.json"] for value in objects if "plan.json" in value.get("data", {}))
    return dict(json.loads(text))


def _keys(where: str, metadata: Mapping[str, Any], span: Span) -> Iterator[Diagnostic]:
    help_ = "use letters, digits, `-`, `_` and `.`, at most 63, with a letter or digit at both ends"
    for part in ("labels", "annotations"):
        for key, text in metadata.get(part, {}).items():
            prefix, slash, name = key.rpartition("/")
            if not _KEY_NAME.fullmatch(name) or (slash and not (_SUBDOMAIN.fullmatch(prefix) and len(prefix) <= 253)):
                yield Diagnostic(BAD_KEY, f"`{key}` is no key for {part}", span, help=help_)
            if part == "labels" and not _LABEL_VALUE.fullmatch(text):
                yield Diagnostic(BAD_KEY, f"the label `{key}` cannot have the value `{text}`", span, help=help_)
    if sum(len(key) + len(text.encode()) for key, text in metadata.get("annotations", {}).items()) > ANNOTATIONS_LIMIT:
        text = f"the annotations of {where} add up to more than 256 KiB"
        yield Diagnostic(LONG_ANNOTATIONS, text, span, help="put long texts into the flow, or into artifacts")


def _template(flow: Flow, step: str, template: Mapping[str, Any]) -> Iterator[Diagnostic]:
    where = f"the Job of step `{step}`" if step else "the Jobs"
    yield from _keys(where, template.get("metadata", {}), _span(flow, step, "kubernetes"))
    for container in _containers(template):
        for variable in container.get("env", ()):
            if not _ENV_NAME.fullmatch(variable["name"]):
                text = f"`{variable['name']}` cannot name an environment variable"
                help_ = "use letters, digits, `_`, `-` and `.`, and no digit first"
                yield Diagnostic(BAD_ENVIRONMENT, text, _span(flow, step, "environment"), help=help_)


def _pods(flow: Flow, objects: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> Iterator[tuple[str, Span, Mapping[str, Any]]]:
    """Of the coordinator and of all that it makes."""
    made: list[tuple[str, str, dict[str, Any]]] = [(step, f"the pod of `{step}`", jobs.manifest(plan, step)) for step in plan["jobs"]]
    made += [("", f"the pod of the exit hook `{hook['function']}`", jobs.whole(plan, hook["job"])) for hook in plan.get("hooks", ())]
    for value in objects:
        started = value["spec"]["jobTemplate"] if value["kind"] == "CronJob" else value
        made += [("", "the coordinator", {"kind": "Job", "spec": started["spec"]})] if value["kind"] in ("Job", "CronJob") else []
    for step, what, job in made:
        for pod in jobs.pods(job):
            yield what, _span(flow, step, "kubernetes"), pod["spec"]


def _span(flow: Flow, step: str, decorator: str) -> Span:
    """Where the step says it; the flow, where a setting did."""
    if step not in flow.steps:
        return flow.span
    found = flow.steps[step].decorator(decorator)
    return found.span if found else flow.steps[step].span


def _containers(template: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    spec = template.get("spec", {})
    inner = [job["template"]["spec"] for job in spec.get("replicatedJobs", ())] or [spec]
    for job in inner:
        yield from job.get("template", {}).get("spec", {}).get("containers", ())


def _size(flow: Flow, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    size = sum(len(key) + len(text.encode()) for key, text in value.get("data", {}).items())
    if "plan.json" in value.get("data", {}) and size > OBJECT_LIMIT:
        text = f"the plan of `{flow.name}` and its coordinator take {size:,} bytes; a ConfigMap holds {OBJECT_LIMIT:,}"
        help_ = "deliver large values of @environment and @kubernetes in another way, or split the flow"
        yield Diagnostic(TOO_LARGE, text, flow.span, help=help_)
    elif size > ANNOTATIONS_LIMIT:
        text = f"{value['kind']} {value['metadata']['name']} takes {size:,} bytes, more than `kubectl apply` can keep a copy of"
        yield Diagnostic(SERVER_SIDE, text, flow.span, help="use `kubectl apply --server-side` or `flowc apply`")


# --- what only flowc can get wrong ---------------------------------------------------------------------------------------


def _problems(value: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    kind, name = value["kind"], value["metadata"]["name"]
    limit = _NAME_LIMITS.get(kind, 253)
    form = _LABEL if kind in _NAME_LIMITS else _SUBDOMAIN
    if not form.fullmatch(name) or len(name) > limit:
        yield f"the name has {len(name)} characters of at most {limit}, or others than lower-case letters, digits and `-`"
    known = {(other["kind"], other["metadata"]["name"]): other for other in objects}
    if kind == "RoleBinding":
        wanted = [value["roleRef"], *value["subjects"]]
        yield from (f"there is no {each['kind']} {each['name']}" for each in wanted if (each["kind"], each["name"]) not in known)
    if kind in ("Job", "CronJob"):
        spec = value["spec"] if kind == "Job" else value["spec"]["jobTemplate"]["spec"]
        yield from _references(spec["template"]["spec"], known)
        names = {container["name"] for container in spec["template"]["spec"]["containers"]}
        for rule in spec["podFailurePolicy"]["rules"]:
            if rule.get("onExitCodes", {}).get("containerName", next(iter(names))) not in names:
                yield "its podFailurePolicy names no container"


def _references(pod: Mapping[str, Any], known: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[str]:
    if ("ServiceAccount", pod["serviceAccountName"]) not in known:
        yield f"there is no ServiceAccount {pod['serviceAccountName']}"
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for volume in volumes.values():
        source: Any = volume.get("configMap") if volume["name"] == CODE else None  # others are overlays', and the cluster has them
        held = known.get(("ConfigMap", source["name"])) if source else {}
        if held is None:
            yield f"there is no ConfigMap {source['name']}"
        elif source:
            yield from (f"ConfigMap {source['name']} has no {item['key']}" for item in source["items"] if item["key"] not in held["data"])
    for container in pod["containers"]:
        yield from (f"there is no volume {each['name']}" for each in container.get("volumeMounts", ()) if each["name"] not in volumes)
