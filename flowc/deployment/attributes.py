"""In: what a decorator says. Out: the diagnostics that several kinds of decorators share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity

if TYPE_CHECKING:
    from flowc.source import Span

BAD_VALUE = Code(
    "FC401",
    "a value that Kubernetes refuses",
    "Metaflow passes most attributes of @kubernetes on unseen. Kubernetes then refuses the pod, when the flow is already running.",
    bad=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(image_pull_policy='Sometimes')")}, line=5, target="argo"),
    good=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(image_pull_policy='Always')")}, target="argo"),
)
TEMPLATED = Code(
    "FC402",
    "text that Argo would rewrite",
    "Argo replaces `{{...}}` anywhere in a workflow and has no way to write it literally. Parameters and environment variables are "
    "carried safely; other texts must do without.",
    bad=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(annotations={'note': 'use {{braces}}'})")}, line=5, target="argo"),
    good=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(annotations={'note': 'use braces'})")}, target="argo"),
)
NO_EFFECT = Code(
    "FC406",
    "an attribute without effect",
    "The attribute is valid, and nothing on the platform depends on it here. Metaflow passes over it in silence.",
    bad=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(hostname_resolution_timeout=60)")}, line=5, target="argo"),
    good=Example({"flow.py": sample("kubernetes", on_start="@kubernetes(cpu=2)")}, target="argo"),
    severity=Severity.WARNING,
)


def bad_value(text: str, span: Span | None, remedy: str) -> Diagnostic:
    return Diagnostic(BAD_VALUE, text, span, help=remedy)


def no_effect(what: str, span: Span | None, reason: str = "the platform has nothing for it") -> Diagnostic:
    return Diagnostic(NO_EFFECT, f"{what} has no effect: {reason}", span, help="leave it out")


def has_braces(value: Any) -> bool:
    """Whether `{{` stands anywhere in a value."""
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, dict):
        return any(has_braces(item) for pair in value.items() for item in pair)
    return isinstance(value, (list, tuple)) and any(has_braces(item) for item in value)
