"""In: a cron expression or a time zone. Out: what Argo's own parser (robfig/cron, ParseStandard: five fields) has against it, or None."""

from __future__ import annotations

import re

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# minute, hour, day of month, month, day of week: lowest, highest, names
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: index for index, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 6, {name: index for index, name in enumerate(_DAYS)}),
)
_DESCRIPTORS = frozenset(("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"))
_EVERY = re.compile(r"@every (?=\S)([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+")


def cron_problem(text: str) -> str | None:
    """Why the expression is refused, as the end of a sentence that starts with it."""
    if text.startswith("@"):
        return None if text in _DESCRIPTORS or _EVERY.fullmatch(text) else "is no schedule that Argo knows by name"
    if text.startswith(("TZ=", "CRON_TZ=")):
        return "names a time zone, which has a field of its own"
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"has {len(fields)} fields, not 5 (minute, hour, day of month, month, day of week)"
    for field, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        parts = [part for part in field.split(",") if part]
        if not parts:
            return f"has no {name}"
        for part in parts:
            problem = _range_problem(part, low, high, words)
            if problem:
                return f"has a {name} that {problem}: {part}"
    return None


def _range_problem(part: str, low: int, high: int, words: dict[str, int]) -> str | None:
    span, *steps = part.split("/")
    if len(steps) > 1:
        return "has more than one `/`"
    first, *rest = span.split("-")
    if first in ("*", "?"):
        start, end = low, high
    else:
        if len(rest) > 1:
            return "has more than one `-`"
        numbers = [_number(text, words) for text in (first, *rest)]
        if None in numbers:
            return "is neither a number nor a name"
        start, end = numbers[0] or 0, numbers[-1] or 0
        if steps and not rest:
            end = high
    if steps and not (steps[0].isascii() and steps[0].isdigit() and int(steps[0])):
        return "has a step that is no positive number"
    if start < low or end > high:
        return f"is outside of {low}-{high}"
    return "ends before it starts" if start > end else None


def _number(text: str, words: dict[str, int]) -> int | None:
    if text.lower() in words:
        return words[text.lower()]
    return int(text) if text.isascii() and text.isdigit() else None


def timezone_problem(name: str) -> str | None:
    """Why Argo would not load the zone; judged by the names that flowc ships, so that every machine says the same."""
    from flowc.deployment.timezones import NAMES

    return None if name in NAMES or name in ("UTC", "Local") else "is no time zone of the IANA database"
