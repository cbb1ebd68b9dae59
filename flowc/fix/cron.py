"""In: a file and a cron line in it that no engine keeps. Out: the file with a line that says the same and is kept."""

from __future__ import annotations

import re

import libcst as cst

from flowc.deployment.schedule import DAY, DAYS, HOUR, MINUTE, MONTH, WEEKDAY, CronError, Field, to_cron
from flowc.diagnostics import Diagnostic
from flowc.fix.tree import Tree
from flowc.fix.unsafe import Unsafe

AWS_WEEKDAY = Field("day of the week", 1, 7, DAYS)
LONG = re.compile(r"(?i)\b(january|february|march|april|june|july|august|september|october|november|december)\b|\b(\w+)day\b")


def spell_cron(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """A line in the same number of fields, if it can be: ranges over the end of a field, Sunday as 7, long names, Quartz' seconds."""
    assert diagnostic.span is not None
    for text in tree.all(cst.SimpleString):
        if tree.starts(text, diagnostic.span) and isinstance(text.evaluated_value, str):
            line = spelled(text.evaluated_value)
            if line is None:
                raise Unsafe("no line of five fields says the same")
            return tree.replaced({text: text.with_changes(value=f"{text.prefix}{text.quote}{line}{text.quote}")})
    raise Unsafe("the line is not written where the decorator stands")


def spelled(line: str) -> str | None:
    """A cron line that `to_cron` takes and that means what this one means; None where there is none."""
    if line.startswith("@"):
        line = re.sub(r"(?<![\d.])(\d+)d", lambda match: f"{24 * int(match[1])}h", line.lower())
    else:
        parts = [LONG.sub(lambda match: (match[1] or match[2])[:3].upper(), part) for part in line.split()]
        if len(parts) == 7 and parts[0] in ("0", "00") and parts[6] in ("*", "?"):
            parts = parts[1:]  # seconds, as Quartz has them before AWS's fields
        if len(parts) not in (5, 6):
            return None
        fields = (MINUTE, HOUR, DAY, MONTH, WEEKDAY if len(parts) == 5 else AWS_WEEKDAY)
        items = [",".join(_item(item, field) for item in text.split(",")) for text, field in zip(parts, fields, strict=False)]
        line = " ".join([*items, *parts[5:]])
    try:
        to_cron(line)
    except CronError:
        return None
    return line


def _item(item: str, field: Field) -> str:
    """The values of an item without a range that runs over the end of the field, and without 7 for Sunday where days go to 6."""
    span, slash, step = item.partition("/")
    ends = span.split("-")
    first, last = _number(ends[0], field), _number(ends[-1], field)
    if len(ends) > 2 or first is None or last is None or (slash and not (step.isdecimal() and int(step))):
        return item
    if first <= last <= field.high:
        return item
    size = field.high - field.low + 1
    length = last - first if first <= last else last - first + size
    values = dict.fromkeys(field.low + (first - field.low + turn) % size for turn in range(0, length + 1, int(step or 1)))
    named = ends[0].upper() in field.words
    if not slash and field not in (WEEKDAY, AWS_WEEKDAY):
        return ",".join(_span([value for value in values if (value >= first) is before], field, named=named) for before in (True, False))
    return ",".join(_text(value, field, named=named) for value in values)


def _span(values: list[int], field: Field, *, named: bool) -> str:
    ends = [_text(value, field, named=named) for value in dict.fromkeys((values[0], values[-1]))]
    return "-".join(ends)


def _text(value: int, field: Field, *, named: bool) -> str:
    return field.words[value - field.low] if named else str(value)


def _number(text: str, field: Field) -> int | None:
    if text.upper() in field.words:
        return field.low + field.words.index(text.upper())
    high = 7 if field is WEEKDAY else field.high
    return int(text) if text.isascii() and text.isdecimal() and field.low <= int(text) <= high else None
