"""In: a finished WorkflowTemplate or Sensor and a profile. Out: FC522, where a pod that Argo will make of it breaks the profile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flowc.deployment import profile
from flowc.deployment.strategic import PatchError
from flowc.diagnostics import Diagnostic
from flowc.targets.argo.pods_whole import Template, Workflow, loaded
from flowc.targets.argo.rules_size import place_of

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.source import Span

OWN = {"initContainers": ("init",), "containers": ("wait",)}
"""Containers that Argo adds to every pod, with no security context unless a patch gives them one."""


def check(flow: Flow, value: Mapping[str, Any], settings: Settings) -> Iterator[Diagnostic]:
    """Nothing without a profile, and of other kinds."""
    try:
        yield from profile.refused(_pods(flow, value), settings)
    except PatchError as error:
        help_ = "write it without tags, or compile without the profile"
        yield Diagnostic(profile.REFUSED, f"no pod of this workflow can be judged: {error}", flow.span, help=help_)


def _pods(flow: Flow, value: Mapping[str, Any]) -> Iterator[tuple[str, Span, Mapping[str, Any]]]:
    if value.get("kind") == "Sensor":
        template = value["spec"]["template"]
        yield "the Sensor", flow.span, {**template, "containers": [{"name": "main", **template.get("container", {})}]}
    if value.get("kind") == "WorkflowTemplate":
        for name, pod in pods(value["spec"]):
            yield f"the pod of `{name}`", place_of(flow, name, "kubernetes", "security_context"), pod


def pods(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name of the template, and the spec of a pod: those that Argo makes, and those of JobSets."""
    workflow = Workflow(dict(spec), spec.get("podMetadata", {}), spec.get("templateDefaults", {}))
    for each in spec["templates"]:
        if "resource" in each:
            yield from ((each["name"], pod) for pod in _gang(each["resource"].get("manifest", "")))
        if "resource" in each or "container" in each:
            fields = {key: item for key, item in each.items() if key not in ("name", "container", "resource")}
            pod = workflow.pod(Template(each["name"], None, fields, each.get("container")))["spec"]
            yield each["name"], {**pod, **_with_own(pod, resource="resource" in each)}


def _with_own(pod: Mapping[str, Any], *, resource: bool) -> dict[str, Any]:
    """The containers with those of Argo's that no patch names. A pod that makes an object has no `wait`."""
    wanted: Mapping[str, tuple[str, ...]] = {**OWN, "containers": ()} if resource else OWN
    named = {kind: [each["name"] for each in pod.get(kind, ())] for kind in wanted}
    return {kind: [*pod.get(kind, ()), *({"name": name} for name in names if name not in named[kind])] for kind, names in wanted.items()}


def _gang(manifest: str) -> Iterator[Mapping[str, Any]]:
    """The pods of a JobSet in the text in which Argo fills in numbers; those say nothing of rights. Of other objects none are known."""
    made = loaded(re.sub(r'(?<!")\{\{=[^{}]*\}\}(?!")', "0", manifest))
    if isinstance(made, dict) and made.get("kind") == "JobSet":
        for job in made["spec"]["replicatedJobs"]:
            yield job["template"]["spec"]["template"]["spec"]
