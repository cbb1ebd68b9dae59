"""In: a finished object. Out: diagnostics where it nears or passes what etcd, Kubernetes, Argo and Linux take, with what makes it large."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowc.deployment.pods_check import TOO_LONG
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity

if TYPE_CHECKING:
    from flowc.ir import Flow, Step
    from flowc.source import Span

OBJECT_LIMIT = 1024 * 1024
VARIABLE_LIMIT = 128 * 1024
ANNOTATIONS_LIMIT = 256 * 1024
OFFLOADS = "3.6"
"""The first version of Argo that puts a template into a ConfigMap where it is too long for a variable."""
_WARN, _REFUSE = 0.5, 0.9
_SHOWN = 3
# What Go adds to a Sensor when it writes one: empty creationTimestamp and status, and the names of these.
_SENSOR_REST = 128


def _parameter(size: int) -> Example:
    return Example({"flow.py": sample("Parameter", body=f"n = Parameter('n', default='x' * {size:_})")}, line=4, target="argo")


def _triggered(size: int, line: int = 0) -> Example:
    text = sample("Parameter, trigger", above="@trigger(event='data')", body=f"n = Parameter('n', default='x' * {size:_})")
    events = {"events_event": "event", "events_event_source": "webhook", "events_service_account": "events"}
    return Example({"flow.py": text}, line=line, target="argo", settings=events)


def _step(decorator: str, line: int = 0, **settings: object) -> Example:
    return Example({"flow.py": sample("environment", on_start=decorator)}, line=line, target="argo", settings=settings)


LARGE = Code(
    "FC530",
    "the output is more than half of what Argo takes",
    "Argo refuses a workflow of more than 1 MiB, and every run keeps a copy of this object beside the state of its tasks. "
    "So a run with many tasks may fail although the object itself still fits.",
    bad=_parameter(160_000),
    good=_parameter(1_000),
    severity=Severity.WARNING,
)
TOO_LARGE = Code(
    "FC531",
    "the output is larger than Argo takes",
    "Argo refuses a workflow of more than 1 MiB (MAX_WORKFLOW_SIZE), and etcd one of more than 1.5 MiB. At 90 % no room is left to run.",
    bad=_parameter(245_000),
    good=_parameter(1_000),
)
LONG_ANNOTATIONS = Code(
    "FC533",
    "annotations longer than Kubernetes takes",
    "Kubernetes refuses an object whose annotations add up to more than 256 KiB.",
    bad=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(annotations={'note': 'x' * 270_000})")}, line=5, target="argo"),
    good=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(annotations={'note': 'x' * 1_000})")}, target="argo"),
)
LONG_TEMPLATE = Code(
    "FC534",
    "a step longer than Argo hands to a pod",
    "Argo hands a step's whole template to its pod in one environment variable. Past 128 KiB, where Linux takes none, it makes a ConfigMap "
    "for every pod instead, which Argo's standard installation does not allow its controller to do.",
    bad=_step("@environment(vars={'A': 'x' * 70_000, 'B': 'x' * 70_000})", line=7),
    good=_step("@environment(vars={'A': 'x' * 1_000})"),
    severity=Severity.WARNING,
)
TOO_LONG_TEMPLATE = Code(
    "FC535",
    "a step that this Argo cannot hand to a pod",
    "Argo hands a step's whole template to its pod in one environment variable, and Linux takes none of more than 128 KiB: the pod never "
    "starts. Argo 3.6 and later go round it by a ConfigMap for every pod.",
    bad=_step("@environment(vars={'A': 'x' * 70_000, 'B': 'x' * 70_000})", line=7, argo_version="3.5"),
    good=_step("@environment(vars={'A': 'x' * 1_000})", argo_version="3.5"),
)
LONG_SENSOR = Code(
    "FC536",
    "a Sensor longer than Argo Events hands to its pod",
    "Argo Events hands the whole Sensor to its pod as base64 in one environment variable, and Linux takes none of more than 128 KiB: the "
    "Sensor's pod never starts, and no event starts the flow. The defaults of all parameters are in it.",
    bad=_triggered(100_000, line=4),
    good=_triggered(1_000),
)


def step_of(flow: Flow, template: str) -> Step | None:
    """The step that a template runs, by Argo's spelling of its name."""
    return next((step for step in flow.steps.values() if step.name.replace("_", "-") == template), None)


def place_of(flow: Flow, template: str, decorator: str = "", attribute: str = "") -> Span:
    """Where the user can change what a template holds: a decorator's attribute, else the step, else the flow."""
    step = step_of(flow, template)
    if step is None:
        return flow.span
    found = step.decorator(decorator)
    return found.span_of(attribute) if found else step.span


def sizes(flow: Flow, value: Mapping[str, Any], version: str) -> Iterator[Diagnostic]:
    """Judge the object as compact JSON, which is what Argo (of that version) and Kubernetes measure."""
    spec = value.get("spec", {})
    templates = spec.get("templates", ()) if isinstance(spec, Mapping) else ()
    parts = {f"template {t.get('name')}": _size(t) for t in templates}
    if isinstance(spec, Mapping):
        parts |= {f"spec.{key}": _size(item) for key, item in spec.items() if key != "templates"}
    parts |= {key: _size(item) for key, item in value.items() if key != "spec"}
    yield from _whole(flow, str(value.get("kind")), parts)
    yield from _annotations(flow, "metadata", value)
    if value.get("kind") == "WorkflowTemplate":
        defaults = spec.get("templateDefaults", {})
        inherited = _size(defaults)
        for template in templates:
            where = f"template {template.get('name')}"
            refused = list(_annotations(flow, where, template))
            # Annotations that are too long by themselves need no word about the template that holds them.
            yield from refused or _handed_over(flow, template, parts[where] + inherited, version)
        for template in (defaults, *templates):
            yield from _variables(flow, template)
    if value.get("kind") == "Sensor":
        yield from _sensor(flow, value)


def _annotations(flow: Flow, where: str, holder: Mapping[str, Any]) -> Iterator[Diagnostic]:
    annotations = holder.get("metadata", {}).get("annotations", {})
    total = sum(len(key.encode()) + len(text.encode()) for key, text in annotations.items())
    if total > ANNOTATIONS_LIMIT:
        span = place_of(flow, holder.get("name", ""), "kubernetes", "annotations")
        text = f"the annotations of {where} have {total:,} bytes, more than {ANNOTATIONS_LIMIT:,}"
        yield Diagnostic(LONG_ANNOTATIONS, text, span, help=f"shorten the longest: {_largest(annotations)}")


def _whole(flow: Flow, kind: str, parts: Mapping[str, int]) -> Iterator[Diagnostic]:
    total = sum(parts.values())
    if total <= OBJECT_LIMIT * _WARN:
        return
    largest = ", ".join(f"{name} {size:,}" for name, size in sorted(parts.items(), key=lambda item: -item[1])[:_SHOWN])
    text = f"the {kind} has {total:,} bytes, {total * 100 // OBJECT_LIMIT} % of the {OBJECT_LIMIT:,} that Argo takes"
    help = f"the largest parts: {largest}; shorten them, or take code out of the manifest with `--code image`"  # noqa: A001 - the field's name
    yield Diagnostic(TOO_LARGE if total > OBJECT_LIMIT * _REFUSE else LARGE, text, flow.span, help=help)


def _handed_over(flow: Flow, template: Mapping[str, Any], size: int, version: str) -> Iterator[Diagnostic]:
    """`size` counts what template and defaults share twice, which is a few names."""
    if size > VARIABLE_LIMIT and "dag" not in template and "steps" not in template:
        name = template.get("name", "")
        message = f"the template {name} has {size:,} bytes with what all steps share; Argo hands {VARIABLE_LIMIT:,} to a pod"
        code, way_out = (
            (LONG_TEMPLATE, "let Argo's controller create ConfigMaps") if version >= OFFLOADS else (TOO_LONG_TEMPLATE, "update Argo")
        )
        help = f"shorten its texts, take code out of the manifest with `--code image`, or {way_out}"  # noqa: A001 - the field's name
        yield Diagnostic(code, message, place_of(flow, name), help=help)


def _sensor(flow: Flow, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    # Of the metadata, name and namespace travel with the spec.
    handed = _size({"metadata": {key: value["metadata"].get(key, "") for key in ("name", "namespace")}, "spec": value["spec"]})
    size = len("SENSOR_OBJECT=") + (handed + _SENSOR_REST + 2) // 3 * 4 + 1
    if size <= VARIABLE_LIMIT:
        return
    decorator = flow.decorator("trigger") or flow.decorator("trigger_on_finish")
    texts = {p["name"]: p["value"] for t in value["spec"]["triggers"] for p in _arguments(t)}
    help = f"shorten the longest default: {_largest(texts)}" if texts else "wait for fewer events"  # noqa: A001 - the field's name
    message = f"the Sensor has {size:,} bytes as Argo Events hands it to its pod, more than the {VARIABLE_LIMIT:,} that Linux takes"
    yield Diagnostic(LONG_SENSOR, message, decorator.span if decorator else flow.span, help=help)


def _arguments(trigger: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    """The parameters of the workflow that a Sensor's trigger submits."""
    workflow = trigger["template"].get("k8s", {}).get("source", {}).get("resource", {})
    found: Sequence[Mapping[str, str]] = workflow.get("spec", {}).get("arguments", {}).get("parameters", ())
    return found


def _variables(flow: Flow, template: Mapping[str, Any]) -> Iterator[Diagnostic]:
    container = template.get("container", {})
    texts = {f"the environment variable {v['name']}": f"{v['name']}={v.get('value', '')}" for v in container.get("env", ())}
    texts |= {f"argument {i}": text for i, text in enumerate(container.get("args", ()), 1)}
    for what, text in texts.items():
        size = len(text.encode(errors="surrogatepass")) + 1
        if size > VARIABLE_LIMIT:
            step = step_of(flow, template.get("name", ""))
            owner = f"step {step.name}" if step else "every step"
            message = f"{what} of {owner} has {size:,} bytes, more than the {VARIABLE_LIMIT:,} that Linux takes"
            remedy = "keep the text in a file, or in an artifact of an earlier step"
            yield Diagnostic(TOO_LONG, message, place_of(flow, template.get("name", "")), help=remedy)


def _size(value: Any) -> int:
    """Bytes of compact JSON as Go writes it, which spells `<`, `>` and `&` with six characters."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    length = len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
    return length + 5 * (text.count("<") + text.count(">") + text.count("&"))


def _largest(texts: Mapping[str, str]) -> str:
    return max(texts, key=lambda key: len(texts[key]))
