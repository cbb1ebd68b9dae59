"""In: a file and a decorator in it that stands twice, or a cron line that no engine keeps. Out: the file with it mended."""

from __future__ import annotations

import re

import libcst as cst

from flowc.deployment.schedule import DAYS, CronError, to_cron
from flowc.diagnostics import Diagnostic
from flowc.fix.tree import Tree


def drop_twin(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """The second of two decorators that are the same to the letter goes."""
    assert diagnostic.span is not None
    owners: list[cst.FunctionDef | cst.ClassDef] = [*tree.all(cst.FunctionDef), *tree.all(cst.ClassDef)]
    for owner in owners:
        here = any(tree.line(each) == diagnostic.span.line for each in owner.decorators)
        texts: set[str] = set()
        for decorator in owner.decorators if here else ():
            text = tree.code(decorator.decorator)
            if text in texts:
                return tree.replaced({decorator: cst.RemoveFromParent()})
            texts.add(text)
    return None


def spell_cron(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """Days of the week as five-field cron counts them: 7 is 0, and what runs past the week's end becomes a list."""
    assert diagnostic.span is not None
    for text in tree.all(cst.SimpleString):
        if tree.starts(text, diagnostic.span) and isinstance(text.evaluated_value, str):
            line = _spelled(text.evaluated_value)
            if line is not None and line != text.evaluated_value:
                return tree.replaced({text: text.with_changes(value=f"{text.prefix}{text.quote}{line}{text.quote}")})
    return None


def _spelled(line: str) -> str | None:
    parts = line.split()
    if len(parts) != 5:
        return None
    line = " ".join([*parts[:4], ",".join(_days(item) for item in parts[4].split(","))])
    try:
        to_cron(line)
    except CronError:
        return None
    return line


def _days(item: str) -> str:
    match = re.fullmatch(r"(\w+)(?:-(\w+))?", item)
    if match is None:
        return item
    first, last = (_number(day) for day in (match[1], match[2] or match[1]))
    if first is None or last is None or (first <= last and "7" not in match.groups()):
        return item
    days = [first % 7]
    while days[-1] != last % 7:
        days.append((days[-1] + 1) % 7)
    named = match[1].upper() in DAYS
    return ",".join(DAYS[day] if named else str(day) for day in days)


def _number(day: str) -> int | None:
    if day.upper() in DAYS:
        return DAYS.index(day.upper())
    return int(day) if day.isdecimal() and int(day) <= 7 else None
