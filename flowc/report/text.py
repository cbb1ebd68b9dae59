"""In: one diagnostic and the texts it points into. Out: the message with the source lines, carets and help, for people."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowc.diagnostics import Diagnostic, Severity
from flowc.report import Found, Style, Texts, printable, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.source import SourceFile, Span

TAB = 4
RESET = "\x1b[0m"
BOLD = "\x1b[1m"
GUTTER = "\x1b[1;34m"
PAINT = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m", Severity.NOTE: "\x1b[1;36m"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to underline with a character, and what to write behind it."""

    span: Span
    sign: str
    text: str


def render(found: Found, texts: Texts, style: Style) -> str:
    """The whole block of one diagnostic, ending in a newline."""
    diagnostic = found.diagnostic
    head = _paint(f"{diagnostic.severity.value}[{diagnostic.code.id}]", PAINT[diagnostic.severity], style)
    lines = [head + _paint(f": {printable(diagnostic.message)}", BOLD, style)]
    files = _by_file(diagnostic)
    margin = len(str(max((mark.span.line for marks in files.values() for mark in marks), default=1)))
    if not files:
        lines.append(f"{' ' * margin}{_paint('-->', GUTTER, style)} {printable(found.path)}")
    for number, (path, marks) in enumerate(files.items()):
        arrow = "-->" if number == 0 else ":::"
        first = marks[0].span
        lines.append(f"{' ' * margin}{_paint(arrow, GUTTER, style)} {printable(path)}:{first.line}:{first.column}")
        source = texts(path)
        if source is not None:
            lines += _snippet(source, marks, margin, diagnostic.severity, style)
        else:
            lines += [f"{' ' * margin} {_paint('=', GUTTER, style)} {printable(mark.text)}" for mark in marks if mark.text]
    lines += _trailer("note", diagnostic.note if not files else "", margin, style)
    lines += _trailer("help", diagnostic.help, margin, style)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _by_file(diagnostic: Diagnostic) -> dict[str, list[Mark]]:
    """The marks of each file, the file of the primary place first, and that place first in it."""
    files: dict[str, list[Mark]] = {}
    if diagnostic.span:
        files[diagnostic.span.path] = [Mark(diagnostic.span, "^", diagnostic.note)]
    for label in sorted(diagnostic.labels, key=lambda label: label.span.key):
        files.setdefault(label.span.path, []).append(Mark(label.span, "-", label.text))
    return files


def _snippet(source: SourceFile, marks: list[Mark], margin: int, severity: Severity, style: Style) -> Iterator[str]:
    bar = _paint("|", GUTTER, style)
    empty = f"{' ' * margin} {bar}"
    numbers = sorted({mark.span.line for mark in marks if 0 < mark.span.line <= len(source.lines)})
    if not numbers:
        return
    yield empty
    previous = None
    for line in numbers:
        if previous is not None and line > previous + 1:
            yield f"{' ' * margin}{_paint('...', GUTTER, style)}"
        previous = line
        text = source.lines[line - 1]
        on_line = [mark for mark in marks if mark.span.line == line]
        window = Window.around(text, _columns(text, on_line[0].span), style.width)
        yield f"{_paint(str(line).rjust(margin), GUTTER, style)} {bar} {window.shown}"
        for mark in on_line:
            offset, length = window.place(_columns(text, mark.span))
            paint = PAINT[severity] if mark.sign == "^" else GUTTER
            first, *rest = (printable(part) for part in mark.text.split("\n"))
            yield f"{empty} {' ' * offset}{_paint(f'{mark.sign * length} {first}'.rstrip(), paint, style)}"
            for part in rest:
                yield f"{empty} {' ' * (offset + length + 1)}{_paint(part, paint, style)}"
    yield empty


def _columns(text: str, span: Span) -> tuple[int, int]:
    """Start and end of the span on its first line, from 0 and exclusive; at least one character."""
    start = min(max(span.column - 1, 0), len(text))
    end = span.end_column - 1 if span.end_line == span.line else len(text.rstrip())
    return start, max(min(end, len(text)), start + 1)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a source line that is shown: tabs expanded, what does not print escaped, cut to a width around a place.

    `offsets[i]` is the column, in terminal cells from 0, at which character `i` of the line stands, if nothing were cut.
    """

    shown: str
    offsets: tuple[int, ...]
    first: int
    last: int

    @classmethod
    def around(cls, text: str, columns: tuple[int, int], width: int) -> Window:
        cells: list[str] = []
        offsets = [0]
        for character in text.rstrip():
            cell = " " * (TAB - offsets[-1] % TAB) if character == "\t" else visible(character)
            cells.append(cell)
            offsets.append(offsets[-1] + _width(cell))
        if offsets[-1] <= width:
            return cls("".join(cells), tuple(offsets), 0, len(cells))
        first = last = min(columns[0], len(cells))
        # a third of the room goes to what stands before the place, the rest to what follows
        while first > 0 and offsets[last] - offsets[first - 1] < width // 3:
            first -= 1
        while last < len(cells) and offsets[last + 1] - offsets[first] < width - 2:
            last += 1
        shown = ("…" if first else "") + "".join(cells[first:last]) + ("…" if last < len(cells) else "")
        return cls(shown, tuple(offsets), first, last)

    def place(self, columns: tuple[int, int]) -> tuple[int, int]:
        """(offset, length) in terminal cells, within what is shown; the length is at least 1."""
        start = min(max(columns[0], self.first), self.last)
        end = min(max(columns[1], start), self.last)
        offset = self.offsets[start] - self.offsets[self.first] + (1 if self.first else 0)
        return offset, max(self.offsets[end] - self.offsets[start], 1)


def _width(cell: str) -> int:
    """Terminal cells that a text takes."""
    if cell.isascii():
        return len(cell)
    return sum(0 if _joins(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in cell)


def _joins(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me", "Cf")


def _trailer(word: str, text: str, margin: int, style: Style) -> Iterator[str]:
    if not text:
        return
    first, *rest = (printable(part) for part in text.split("\n"))
    yield f"{' ' * margin} {_paint('=', GUTTER, style)} {_paint(f'{word}:', BOLD, style)} {first}"
    for part in rest:
        yield f"{' ' * margin}   {' ' * len(word)}  {part}"


def _paint(text: str, escape: str, style: Style) -> str:
    return f"{escape}{text}{RESET}" if style.color and text else text
