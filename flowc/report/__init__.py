"""In: diagnostics, each with the file it is about, and the texts they point into. Out: one text in one of FORMATS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowc.diagnostics import Diagnostic, Severity

if TYPE_CHECKING:
    from flowc.source import SourceFile

FORMATS = ("full", "concise", "json", "github", "gitlab", "sarif", "junit")

Texts = Callable[[str], "SourceFile | None"]
"""The text of a file by the path that spans give; None where it is not at hand, then no snippet is shown."""


@dataclass(frozen=True, slots=True)
class Found:
    """A diagnostic and the file it is about (as the user sees it), for those that have no place in the text."""

    path: str
    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True)
class Style:
    """`color`: ANSI escapes. `width`: columns that a source line may take before it is cut around the caret."""

    color: bool = False
    width: int = 140


def render(found: Sequence[Found], texts: Texts, form: str, style: Style = Style(), version: str = "") -> str:
    """The report in one of FORMATS, ending in a newline; empty where a text format has nothing to say. `version` is flowc's, for SARIF."""
    if form == "concise":
        return "".join(f"{_place(each)}: {each.diagnostic.code.id} {printable(each.diagnostic.message)}\n" for each in found)
    if form == "full":
        return _full(found, texts, style) if found else ""
    from flowc.report import machine

    if form == "json":
        return machine.as_json(found)
    if form == "github":
        return machine.as_github(found)
    if form == "sarif":
        return machine.as_sarif(found, version)
    if form in ("gitlab", "junit"):
        from flowc.report import ci

        return ci.as_gitlab(found) if form == "gitlab" else ci.as_junit(found)
    raise ValueError(f"no report format {form}")


def _full(found: Sequence[Found], texts: Texts, style: Style) -> str:
    from flowc.report import text

    return "".join(text.render(each, texts, style) + "\n" for each in found)


def summary(found: Sequence[Found]) -> str:
    """`2 errors, 1 warning`; empty where nothing was found."""
    counts = []
    for severity in Severity:
        count = sum(each.diagnostic.severity is severity for each in found)
        if count:
            counts.append(counted(count, severity.value))
    return ", ".join(counts)


def counted(number: int, noun: str) -> str:
    """`1 flow`, `2 flows`: the number and a noun whose plural ends in s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def once(found: Iterable[Found]) -> list[Found]:
    """Each diagnostic once: what is wrong with a flow itself is found anew for each target."""
    return list({(each.path, each.diagnostic.code.id, each.diagnostic.message, each.diagnostic.span): each for each in found}.values())


def unmoved(message: str) -> str:
    """The message without the numbers of lines in it: what it says of a file is the same when lines are added above."""
    import re

    return re.sub(r"(\bline |\.py:)\d+", r"\1*", message)


def printable(text: str) -> str:
    """The text on one line with what could steer a terminal or hide text made visible: controls, escapes, bidirectional marks."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(visible(character) for character in text)


def visible(character: str) -> str:
    """The character, or its escape where printing it would show something else than what is there."""
    if character.isprintable() or character in "\u200c\u200d":  # the joiners that emoji and some scripts need
        return character
    return character.encode("unicode_escape").decode()


def _place(each: Found) -> str:
    span = each.diagnostic.span
    return f"{printable(span.path)}:{span.line}:{span.column}" if span else printable(each.path)
