"""In: Settings. Out: what the profile `restricted` gives every pod, below what steps ask for; FC522, where one asks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc import merging
from flowc.deployment import pod_security
from flowc.deployment import pods as parts
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flowc.ir import Step
    from flowc.settings import Settings
    from flowc.source import Span

RESTRICTED = "restricted"
USER = 1000
"""User and group of the pods. Images need not know it: all that a task writes goes to TMP."""
VOLUME, TMP = "flowc-tmp", "/tmp"  # noqa: S108 - a volume of the pod's own
POD: Mapping[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "fsGroupChangePolicy": "OnRootMismatch",  # else the kubelet would walk a whole shared datastore for each pod
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

REFUSED = Code(
    "FC522",
    "a pod that the profile refuses",
    "With `profile = restricted`, pods keep to the Pod Security Standard of that name. A namespace that enforces it refuses what a step, "
    "an overlay or a template asks for beyond it, and only when the run comes to that step.",
    bad=Example(
        {"flow.py": sample("kubernetes", on_start="@kubernetes(security_context={'run_as_user': 0})")},
        line=5,
        target="argo",
        settings={"profile": RESTRICTED},
    ),
    good=Example(
        {"flow.py": sample("kubernetes", on_start="@kubernetes(security_context={'run_as_user': 1234})")},
        target="argo",
        settings={"profile": RESTRICTED},
    ),
)


def restricted(settings: Settings) -> bool:
    """Whether pods keep to the Pod Security Standard of that name."""
    return settings.profile == RESTRICTED


def of_pod(settings: Settings) -> dict[str, Any]:
    """`securityContext` of every pod."""
    return dict(POD) if restricted(settings) else {}


def of_container(settings: Settings, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`securityContext` of a container: the profile's, and over it what a step asked for."""
    return {**(CONTAINER if restricted(settings) else {}), **(parts.security_context(asked) if asked else {})}


def volumes(settings: Settings) -> list[dict[str, Any]]:
    """What a pod may write to where its root may not be written: work directory, HOME and temporary files are all there."""
    return [{"name": VOLUME, "emptyDir": {}}] if restricted(settings) else []


def mounts(settings: Settings) -> list[dict[str, Any]]:
    """Where the volumes of `volumes` appear."""
    return [{"name": VOLUME, "mountPath": TMP}] if restricted(settings) else []


def environment(settings: Settings) -> dict[str, str]:
    """Variables of every pod: an image's own HOME could not be written."""
    return {"HOME": TMP} if restricted(settings) else {}


def refused(pods: Iterable[tuple[str, Span, Mapping[str, Any]]], settings: Settings) -> Iterator[Diagnostic]:
    """FC522 of finished pods (whose, where that is said, their spec), which steps are not alone to decide: overlays and templates do too.

    What several pods have alike is told once.
    """
    if not restricted(settings):
        return
    told: dict[str, dict[str, Span]] = {}
    for what, span, pod in pods:
        for text in pod_security.violations(pod):
            told.setdefault(text, {}).setdefault(what, span)
    for text, places in told.items():
        first, more = next(iter(places)), len(places) - 1
        what = f"{first} and {more} more" if more else first
        remedy = "leave that out of the overlay or template that asks for it, or compile without the profile"
        yield Diagnostic(REFUSED, f"{what}: {text}", places[first], help=remedy)


def check(step: Step, settings: Settings) -> Iterator[Diagnostic]:
    """FC522, at the `security_context` of the step's @kubernetes."""
    decorator = step.decorator("kubernetes")
    asked = merging.kubernetes(step)
    if decorator is None or not restricted(settings) or not isinstance(asked["security_context"] or {}, dict):
        return
    made = {"securityContext": POD, "containers": [{"name": "main", "securityContext": of_container(settings, asked)}]}
    for text in pod_security.violations(made):
        what = text.removeprefix("containers[main].")
        remedy = "leave it out, or compile this flow without the profile, for a namespace that does not enforce it"
        yield Diagnostic(REFUSED, f"step `{step.name}`: {what}", decorator.span_of("security_context"), help=remedy)
