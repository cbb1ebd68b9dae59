"""In: the Settings. Out: a diagnostic for each text in them that Argo would rewrite into something, or refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowc.deployment import settings_check
from flowc.deployment.attributes import TEMPLATED, has_braces
from flowc.diagnostics import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.ir import Flow
    from flowc.settings import Settings

PLAIN = (
    *("image", "image_pull_secrets", "datastore_root", "datastore_claim", "metadata", "config_map", "environment", "secrets"),
    *("service_account", "labels", "annotations", "namespace", "owner", "production_token"),
)
"""Settings whose text reaches the objects as it is; that of the others is coded, or of a form that has no braces."""

OF_EVENTS = ("events-event-bus", "events-event-source", "events-service-account", "events-namespace")
"""Settings whose text is a name in the Sensor, where Argo fills nothing in."""

# What people set here, not in a flow, may name the run: these are there in every field of every pod.
OF_THE_RUN = re.compile(r"\{\{workflow\.(name|namespace|uid|serviceAccountName|creationTimestamp)\}\}")


def check(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    """FC402 for settings with `{{`, those that only name the run (`{{workflow.name}}`) left out; then what no cluster takes."""
    found = list(_braces(flow, settings))
    yield from found or settings_check.check(flow, settings, OF_EVENTS, _filled)


def _filled(text: str) -> str:
    return OF_THE_RUN.sub("x", text)


def _braces(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    for name in PLAIN:
        if has_braces(_without_run(getattr(settings, name))):
            message = f"the setting {name.replace('_', '-')} has `{{{{`, which Argo would rewrite"
            yield Diagnostic(TEMPLATED, message, flow.span, help="write it without `{{`; only what names the run may stand there")


def _without_run(value: Any) -> Any:
    if isinstance(value, str):
        return OF_THE_RUN.sub("", value)
    if isinstance(value, (tuple, list)):
        return [_without_run(item) for item in value]
    return [_without_run(item) for pair in value.items() for item in pair] if hasattr(value, "items") else value
