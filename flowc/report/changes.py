"""In: the changes of flows, by flow. Out: one text that people, a pull request or programs read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowc.report import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.meaning import Change

FORMATS = ("text", "markdown", "json")
NOUNS = {
    "steps": "step",
    "parameters": "parameter",
    "configs": "config",
    "decorators": "flow",
    "settings": "setting",
    "code": "code of",
    "hooks": "hook",
    "flow": "flow",
    "every step": "every step",
    "file": "file",
}
UNITS = {"memory": " MB", "disk": " MB", "shared_memory": " MiB", "tmpfs_size": " MiB", "timeout_seconds": " s"}


def render(found: Mapping[str, Sequence[Change]], form: str) -> str:
    """What changed, by `file:Flow`; a flow that is new or gone has one change with an empty path. Empty text where nothing changed."""
    if form == "json":
        return json.dumps({flow: [plain(change) for change in each] for flow, each in found.items()}, indent=2, ensure_ascii=False) + "\n"
    lines = []
    for flow, each in found.items():
        lines.append(f"### `{printable(flow)}`\n" if form == "markdown" else printable(flow))
        lines += [f"- {sentence(change, '`')}" if form == "markdown" else f"  {sign(change)} {sentence(change, '')}" for change in each]
        lines.append("")
    return "\n".join(lines)


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
    rest = ["", *rest] if section == "every step" else rest
    subject = " ".join([NOUNS[section], *(f"{quote}{printable(name)}{quote}" for name in rest[:1] if name)])
    if section == "code":
        return f"{subject} {'added' if change.before is None else 'removed' if change.after is None else 'changed'}"
    if section in ("steps", "parameters", "hooks") and len(rest) == 1:
        return f"{subject} {'added' if change.before is None else 'removed'}"
    unit = UNITS.get(rest[-1], "") if section in ("steps", "every step") else ""
    what = f"{subject}: {quote}{printable(' '.join(rest[1:]))}{quote}" if len(rest) > 1 else f"{subject}:"
    return f"{what} {_value(change.before, unit, quote)} → {_value(change.after, unit, quote)}"


def _value(value: Any, unit: str, quote: str) -> str:
    if value is None or value in ([], {}):
        return "none"
    text = ", ".join(str(item) for item in value) if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)
    return f"{quote}{printable(text if text.endswith(unit) else f'{text}{unit}')}{quote}"
