"""In: the changes between two outputs, and the Settings of flowc's. Out: the settings that would make flowc's output mean the other's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.comparison.records import EVERY
from flowc.config import BY_KEY

if TYPE_CHECKING:
    from flowc.comparison.records import Reading
    from flowc.meaning import Change
    from flowc.settings import Settings

OF_STEPS = {
    "image": "image", "image_pull_policy": "image-pull-policy", "image_pull_secrets": "image-pull-secrets", "secrets": "secrets",
    "service_account": "service-account", "datastore": "datastore", "datastore_root": "datastore-root", "metadata": "metadata",
    "metaflow_version": "metaflow-version", "tags": "tags", "emits_events": "auto-emit-events", "queue": "batch-queue",
    "labels": "labels", "annotations": "annotations", "env": "environment", "with": "with-decorators", "max_concurrency": "max-workers",
    "map": "use-distributed-map",
}  # fmt: skip
"""Facts of steps that a setting decides for all steps, and its key."""
LISTS = ("secrets", "tags", "image_pull_secrets")
SIDECARS = {"event_logger": "METAFLOW_DEFAULT_EVENT_LOGGER", "monitor": "METAFLOW_DEFAULT_MONITOR"}
OF_FLOW = {
    "name": "name", "namespace": "namespace", "production_token": "production-token", "title": "title", "description": "description",
    "max_workers": "max-workers", "timeout_seconds": "workflow-timeout", "priority": "workflow-priority",
}  # fmt: skip
NOTIFIED = {
    "slack": ("notify-slack-webhook-url", "secret:slack/url"),
    "pager-duty": ("notify-pager-duty-integration-key", "secret:pager-duty/key"),
    "incident-io": ("notify-incident-io-api-key", "secret:incident-io/key"),
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Values by the key of a setting, whole (tables with what they have already); and remarks on what no setting should hold."""

    values: Mapping[str, Any]
    remarks: tuple[str, ...] = ()


def suggest(found: Sequence[Change], settings: Settings, old: Reading, new: Reading, secret: Mapping[int, bool]) -> Suggestion:
    """What to set. `secret`: by the id of a change, whether its values look secret, which no settings file should hold."""
    values: dict[str, Any] = {}
    remarks: list[str] = []
    common = {name: facts for name, facts in new.steps.items() if name in old.steps}
    named = new.flow.get("project") is not None
    for change in found:
        if change.path[0] == "flow" and secret.get(id(change)) and change.path[1] in OF_FLOW:
            remarks.append(f"{change.path[1]} holds what looks secret, so it is no setting here")
        elif change.path[0] == "flow" and not (named and change.path[1] in ("name", "title")):
            values |= _of_flow(change)
        elif change.path[0] == "hooks":
            values |= _of_hooks(change)
    for (fact, name), changes in _of_steps(found).items():
        if fact in LISTS:
            missing = _missing(changes, common)
            values |= {OF_STEPS[fact]: [*getattr(settings, fact), *missing]} if missing else {}
            continue
        before = changes[0].before
        if before is None or str(before).startswith("from {") or any(change.before != before for change in changes):
            continue
        if not _decides(fact, name, changes, settings) or _reaches_others(fact, name, changes, common):
            continue
        if any(secret.get(id(change)) for change in changes):
            remarks.append(f'{name or fact} looks secret: put it into a Secret of the namespace, and name that: secrets = ["NAME"]')
        elif fact in SIDECARS:
            _put(values, settings, "environment", SIDECARS[fact], before)
        elif name:
            _put(values, settings, OF_STEPS[fact], name, before)
        else:
            values[OF_STEPS[fact]] = before == "distributed" if fact == "map" else before
    if "with-decorators" in values:
        added = [f"{name}:{attributes}".rstrip(":") for name, attributes in dict(values["with-decorators"]).items()]
        values["with-decorators"] = [*settings.with_decorators, *added]
    left = {key: value for key, value in values.items() if key in BY_KEY and value not in ([], {}, "")}
    return Suggestion({key: left[key] for key in BY_KEY if key in left}, tuple(dict.fromkeys(remarks)))


def _missing(changes: Sequence[Change], steps: Mapping[str, Any]) -> list[str]:
    """The items that all steps lack alike; none where only some do, since the setting is for all."""
    if changes[0].path[0] != EVERY and len(changes) < len(steps):
        return []
    lacks = [[item for item in change.before or [] if item not in (change.after or [])] for change in changes]
    return lacks[0] if all(each == lacks[0] for each in lacks) else []


def _decides(fact: str, name: str, changes: Sequence[Change], settings: Settings) -> bool:
    """Whether flowc's value comes from the setting, and not from the step's own decorators."""
    current = getattr(settings, BY_KEY["environment" if fact in SIDECARS else OF_STEPS[fact]].field)
    if name:
        return all(change.after is None or current.get(name) == change.after for change in changes)
    return fact not in ("image", "image_pull_policy", "service_account") or all(change.after == current for change in changes)


def _reaches_others(fact: str, name: str, changes: Sequence[Change], steps: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the setting would change steps, too, that are right now: those that have no value of their own."""
    if any(change.path[0] == EVERY for change in changes):
        return False
    others = [facts for step, facts in steps.items() if step not in {change.path[1] for change in changes}]
    values = [(facts.get(fact) or {}).get(name) if name else facts.get(fact) for facts in others]
    return bool(others) if fact == "with" else any(value == change.after for value in values for change in changes)


def _of_steps(found: Sequence[Change]) -> dict[tuple[str, str], list[Change]]:
    """The changes of steps that a setting can decide, by fact and the name in it."""
    grouped: dict[tuple[str, str], list[Change]] = {}
    for change in found:
        rest = change.path[1:] if change.path[0] == EVERY else change.path[2:] if change.path[0] == "steps" else ()
        if rest and (rest[0] in OF_STEPS or rest[0] in SIDECARS):
            grouped.setdefault((rest[0], rest[1] if len(rest) > 1 else ""), []).append(change)
    return grouped


def _put(values: dict[str, Any], settings: Settings, key: str, name: str, value: Any) -> None:
    """Set one name of a table, which keeps what it has."""
    current = getattr(settings, BY_KEY[key].field)
    values.setdefault(key, dict(current) if isinstance(current, Mapping) else {})[name] = value


def _of_flow(change: Change) -> dict[str, Any]:
    fact, before = change.path[1], change.before
    if fact == "branch" and before:
        kind, _, rest = str(before).partition(".")
        return (
            {"owner": rest}
            if kind == "user"
            else {**({"production": True} if kind == "prod" else {}), **({"branch": rest} if rest else {})}
        )
    return {OF_FLOW[fact]: before} if fact in OF_FLOW and before is not None else {}


def _of_hooks(change: Change) -> dict[str, Any]:
    """Notifications that flowc's output lacks; where they go stands in a Secret, never in settings."""
    name = change.path[1]
    for kind, (key, place) in NOTIFIED.items():
        if name.startswith(f"notify-{kind}-on-") and len(change.path) == 2 and change.after is None:
            return {f"notify-on-{name.rpartition('-')[2]}": True, key: place}
    return {}
