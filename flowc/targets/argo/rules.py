"""In: the finished objects of a flow. Out: what the cluster would refuse: diagnostics where a flow can cause it, OutputBug where not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, OutputBug
from flowc.targets.argo import rules_cron, rules_security, rules_size, rules_template

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings

_NAME_LIMITS = {"CronWorkflow": 52, "WorkflowTemplate": 63, "Sensor": 63}
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*", re.ASCII)
_EXPLAINED = 5

# What came and went with versions of Argo: (kind, field, first version, last version).
_SINCE: tuple[tuple[str, str, str, str], ...] = (
    ("CronWorkflow", "spec.schedule", "3.5", "3.7"),
    ("CronWorkflow", "spec.schedules", "3.6", "9"),
    ("CronWorkflow", "spec.when", "3.6", "9"),
    ("CronWorkflow", "spec.stopStrategy", "3.6", "9"),
    ("WorkflowTemplate", "spec.podPriority", "3.5", "3.7"),
    ("WorkflowTemplate", "spec.synchronization.mutex", "3.5", "3.7"),
    ("WorkflowTemplate", "spec.synchronization.semaphore", "3.5", "3.7"),
    ("WorkflowTemplate", "spec.synchronization.mutexes", "3.6", "9"),
    ("WorkflowTemplate", "spec.synchronization.semaphores", "3.6", "9"),
)

BAD_KEY = Code(
    "FC520",
    "no valid label or annotation",
    "Kubernetes takes keys of the form `prefix/name` and label values of at most 63 letters, digits, `-`, `_` and `.`. "
    "Argo stores others, and every pod or workflow made with them is refused.",
    bad=Example({"flow.py": sample()}, line=4, target="argo", settings={"labels": {"team": "data science"}}),
    good=Example({"flow.py": sample()}, target="argo", settings={"labels": {"team": "data-science"}}),
)
BAD_ENVIRONMENT = Code(
    "FC521",
    "no valid name of an environment variable",
    "Kubernetes refuses a pod with such a name, and Argo notices only when it makes the pod.",
    bad=Example({"flow.py": sample("environment", on_start="@environment(vars={'MY VAR': '1'})")}, line=5, target="argo"),
    good=Example({"flow.py": sample("environment", on_start="@environment(vars={'MY_VAR': '1'})")}, target="argo"),
)


def rules(flow: Flow, objects: Sequence[Mapping[str, Any]], settings: Settings) -> list[Diagnostic]:
    """Judge as `argo lint --offline --strict` and the API server do, and beyond: sizes, expressions, Sensors.

    What a flow or a setting can cause is a diagnostic. Anything else is a mistake of flowc's: OutputBug.
    """
    found: list[Diagnostic] = []
    wrong: list[str] = []
    for value in objects:
        what = f"{value.get('kind')} {value.get('metadata', {}).get('name')}"
        wrong += (f"{what}: {problem}" for problem in _problems(value, settings.argo_version))
        found += rules_size.sizes(flow, value, settings.argo_version)
        for where, metadata in _metadata(value):
            found += _keys(flow, f"{what}, {where}", metadata)
        found += _environments(flow, value)
        found += rules_security.check(flow, value, settings)
    if wrong and not found:
        more = f" (and {len(wrong) - _EXPLAINED} more)" if len(wrong) > _EXPLAINED else ""
        raise OutputBug("Argo would refuse the output: " + "; ".join(wrong[:_EXPLAINED]) + more)
    return list(dict.fromkeys(found))


def _problems(value: Mapping[str, Any], version: str) -> Iterator[str]:
    kind = str(value.get("kind"))
    name = value.get("metadata", {}).get("name", "")
    limit = _NAME_LIMITS.get(kind, 253)
    if not _SUBDOMAIN.fullmatch(name) or len(name) > limit:
        yield f"the name has {len(name)} characters of at most {limit}, or others than lower-case letters, digits, `-` and `.`"
    if kind == "Sensor" and "." in name:
        yield "the name of a Sensor must not have dots"
    for owner, path, first, last in _SINCE:
        if owner == kind and _has(value, path.split(".")) and not first <= version <= last:
            yield f"Argo {version} has no {path}"
    if kind == "WorkflowTemplate":
        yield from rules_template.problems(value["spec"])
    if kind == "CronWorkflow":
        yield from _cron(value["spec"])


def _has(value: Any, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def _cron(spec: Mapping[str, Any]) -> Iterator[str]:
    if ("schedule" in spec) == ("schedules" in spec):
        yield "needs exactly one of schedule and schedules"
    lines = spec.get("schedules", [spec["schedule"]] if "schedule" in spec else [])
    if not lines:
        yield "has no schedule"
    for line in lines:
        problem = rules_cron.cron_problem(line)
        if problem:
            yield f"the schedule {line!r} {problem}"
    problem = rules_cron.timezone_problem(spec["timezone"]) if "timezone" in spec else None
    if problem:
        yield f"the timezone {spec['timezone']!r} {problem}"
    if spec.get("concurrencyPolicy", "Allow") not in ("Allow", "Forbid", "Replace"):
        yield f"has the unknown concurrencyPolicy {spec['concurrencyPolicy']}"
    if spec.get("startingDeadlineSeconds", 0) < 0:
        yield "has negative startingDeadlineSeconds"
    workflow = spec.get("workflowSpec", {})
    if "workflowTemplateRef" in workflow:
        if "templates" in workflow:
            yield "has templates beside its workflowTemplateRef"
    else:
        yield from rules_template.problems(workflow)


def _metadata(value: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All places in an object that hold labels and annotations."""
    yield "metadata", value.get("metadata", {})
    spec = value.get("spec")
    if not isinstance(spec, Mapping):
        return
    for part in ("workflowMetadata", "podMetadata"):
        yield f"spec.{part}", spec.get(part, {})
    for template in spec.get("templates", ()):
        yield f"template {template.get('name')}", template.get("metadata", {})


def _keys(flow: Flow, where: str, metadata: Mapping[str, Any]) -> Iterator[Diagnostic]:
    help = "use letters, digits, `-`, `_` and `.`, at most 63, with a letter or digit at both ends"  # noqa: A001 - the field's name
    for part in ("labels", "annotations"):
        for key, text in metadata.get(part, {}).items():
            prefix, slash, name = key.rpartition("/")
            if not _KEY_NAME.fullmatch(name) or (slash and not (_SUBDOMAIN.fullmatch(prefix) and len(prefix) <= 253)):
                yield Diagnostic(BAD_KEY, f"`{key}` is no key for {part}", flow.span, note=f"in {where}", help=help)
            if part == "labels" and not _LABEL_VALUE.fullmatch(text):
                yield Diagnostic(BAD_KEY, f"the label `{key}` cannot have the value `{text}`", flow.span, note=f"in {where}", help=help)


def _environments(flow: Flow, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    if value.get("kind") != "WorkflowTemplate":
        return
    spec = value["spec"]
    for template in (spec.get("templateDefaults", {}), *spec.get("templates", ())):
        for container in (template.get("container", {}), template.get("script", {}), *template.get("sidecars", ())):
            for variable in container.get("env", ()):
                if not _ENV_NAME.fullmatch(variable["name"]):
                    span = rules_size.place_of(flow, template.get("name", ""), "environment", "vars")
                    help = "use letters, digits, `_`, `-` and `.`, and no digit first"  # noqa: A001 - the field's name
                    yield Diagnostic(BAD_ENVIRONMENT, f"`{variable['name']}` cannot name an environment variable", span, help=help)
