"""In: the changes of flows, by flow. Out: one text that people, a pull request or programs read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from flowc.merging import DEFAULT_TIME_LIMIT, KUBERNETES_DEFAULTS
from flowc.report import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowc.meaning import Change

FORMATS = ("text", "markdown", "json")
NOUNS = {
    "steps": "step",
    "parameters": "parameter",
    "configs": "config",
    "decorators": "flow",
    "settings": "setting",
    "overlays": "overlay",
    "templates": "template",
    "code": "code of",
    "hooks": "hook",
    "flow": "flow",
    "every step": "every step",
    "file": "file",
    "name": "name",
}
UNITS = {"memory": " MB", "disk": " MB", "shared_memory": " MiB", "tmpfs_size": " MiB", "timeout_seconds": " s"}


USUAL = {**KUBERNETES_DEFAULTS, "retries": 0, "timeout_seconds": DEFAULT_TIME_LIMIT}
"""What a step is without a word in the flow."""
SHARED = ("settings", "overlays", "templates", "code")
"""What flows have in common: where it changed for several alike, it is told once."""
FEW = 10
"""How many names a list has before it ends in a count."""


def render(found: Mapping[str, Sequence[Change]], form: str, flows: int) -> str:
    """What changed, by `file:Flow`, of so many flows; one that is new or gone has one change of an empty path. Empty where nothing did.

    For people, what changed alike for several flows through what they share is told once, before them; programs get all of each flow.
    """
    if form == "json":
        text = json.dumps({flow: [plain(change) for change in each] for flow, each in found.items()}, indent=2, ensure_ascii=False) + "\n"
        return text.encode(errors="backslashreplace").decode()  # half of a surrogate pair has no bytes
    lines = []
    quote = "`" if form == "markdown" else ""
    for names, each in _parts(found):
        several = f"all {flows} flows" if len(names) == flows else f"{len(names)} of {counted(flows, 'flow')}"
        title = several if len(names) > 1 else quoted(names[0], quote)
        lines.append(f"### {title}\n" if quote else title)
        if 1 < len(names) < flows:
            lines.append(f"{_listed(names, quote)}\n" if quote else f"  {_listed(names, quote)}")
        lines += [f"- {sentence(change, quote)}" if quote else f"  {sign(change)} {sentence(change, quote)}" for change in each]
        lines.append("")
    return "\n".join(lines)


def _parts(found: Mapping[str, Sequence[Change]]) -> Iterator[tuple[tuple[str, ...], list[Change]]]:
    """The changes with the flows that they are for: first what several share, then each flow's own."""
    alike: dict[str, tuple[Change, list[str]]] = {}
    for flow, each in found.items():
        for change in (change for change in each if change.path[:1] and change.path[0] in SHARED):
            alike.setdefault(repr(change), (change, []))[1].append(flow)
    together: dict[tuple[str, ...], list[Change]] = {}
    for change, flows in alike.values():
        if len(flows) > 1:
            together.setdefault(tuple(flows), []).append(change)
    yield from together.items()
    told = {repr(change) for each in together.values() for change in each}
    for flow, each in found.items():
        if own := [change for change in each if repr(change) not in told]:
            yield (flow,), own


def _listed(names: Sequence[str], quote: str) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(quoted(name, quote) for name in names[:FEW]) + more


def plain(change: Change) -> dict[str, Any]:
    """The Change as JSON data."""
    return {"path": list(change.path), "before": change.before, "after": change.after}


def sign(change: Change) -> str:
    """`+`, `-` or `~`: new, gone or changed."""
    return "+" if change.before is None else "-" if change.after is None else "~"


def sentence(change: Change, quote: str) -> str:
    """What changed in words, names and values between `quote`s."""
    if not change.path:
        return "new flow" if change.before is None else "flow removed"
    section, *rest = change.path
    if section == "overlays":
        return _of_overlay(rest, change, quote)
    rest = ["", *rest] if section == "every step" else rest
    if section == "settings":  # as a settings file has it
        table, colon, name = rest[0].rpartition(": ")
        rest[0] = f"{table}{colon and '.'}{name.replace('_', '-')}"
    subject = " ".join([NOUNS[section], *(quoted(name, quote) for name in rest[:1] if name)])
    if section in ("code", "templates"):
        return f"{subject} {'added' if change.before is None else 'removed' if change.after is None else 'changed'}"
    if section in ("steps", "parameters", "hooks") and len(rest) == 1:
        facts = _facts(change.after, quote) if section == "steps" else ""
        return f"{subject} {'added' if change.before is None else 'removed'}{facts and ': '}{facts}"
    unit = UNITS.get(rest[-1], "") if section in ("steps", "every step") else ""
    what = f"{subject}: {quoted(' '.join(rest[1:]), quote)}" if len(rest) > 1 else f"{subject}:"
    return f"{what} {_value(change.before, unit, quote)} → {_value(change.after, unit, quote)}"


def _of_overlay(rest: Sequence[str], change: Change, quote: str) -> str:
    """`overlay pools, Pod of step train: spec.nodeSelector.pool small → gpu`."""
    if rest:
        table, colon, name = rest[0].rpartition(": ")
        rest = [f"{table}{colon and '.overlays.'}{name}", *rest[1:]]
    if len(rest) < 3:
        subject = f"overlay {quoted(rest[0], quote)} is for" if rest else "order of overlays"
        return f"{subject}: {_value(change.before, '', quote)} → {_value(change.after, '', quote)}"
    where, of, field = rest
    subject = f"overlay {quoted(where, quote)}, {quoted(of, quote)}: {quoted(field or 'patch', quote)}"
    if change.after is None:
        return f"{subject} removed"
    if change.before is None:
        return f"{subject} added" + (f" {_value(change.after, '', quote)}" if change.after not in ([], {}) else "")
    return f"{subject} {_value(change.before, '', quote)} → {_value(change.after, '', quote)}"


def _facts(step: Any, quote: str) -> str:
    """What a new step has that steps do not have anyway."""
    if not isinstance(step, dict):
        return ""
    told = {name: value for name, value in step.items() if value not in (None, [], {}) and USUAL.get(name) != value and name != "type"}
    return ", ".join(f"{quoted(name, quote)} {_value(value, UNITS.get(name, ''), quote)}" for name, value in told.items())


def _value(value: Any, unit: str, quote: str) -> str:
    if value is None or value in ([], {}):
        return "none"
    text = _flat(value)
    return quoted(text if text.endswith(unit) else f"{text}{unit}", quote)


def _flat(value: Any) -> str:
    """Data in a line: a list of plain items with commas, a map as the dotted name and the value of each; else as JSON has it."""
    if value in ("", [], {}):
        return json.dumps(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_flat(item)}" for name, item in _leaves(value, ""))
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return ", ".join(map(_flat, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _leaves(value: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        yield from _leaves(item, f"{above}{name}.") if isinstance(item, dict) and item else ((f"{above}{name}", item),)


def quoted(text: str, quote: str) -> str:
    """The text on one line between quotes; more of them where it has such itself, as Markdown wants it, so that none of it is Markdown."""
    text = printable(text)
    runs = re.findall(f"{quote}+", text) if quote else []
    if not runs:
        return f"{quote}{text}{quote}"
    fence = next(quote * length for length in range(1, len(text) + 2) if quote * length not in runs)
    return f"{fence} {text} {fence}"
