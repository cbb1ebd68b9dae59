"""In: text of Python, YAML or JSON. Out: its lines as pieces with a class for the colour of each; and where a step's function stands."""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from flowc.report import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.source import SourceFile, Span

Piece = tuple[str, str]
"""(class of the colour, text): k keyword, s string, n number, c comment, d decorator, f name that is defined, b builtin, y key, x odd."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The lines of a step's function with its decorators, from line `first` of `path` on, its indentation taken off."""

    path: str
    first: int
    last: int
    lines: tuple[tuple[Piece, ...], ...]


@dataclass(frozen=True, slots=True)
class Colour:
    """A stretch of one line, columns from 0, the end exclusive."""

    start: int
    end: int
    kind: str


def excerpt(source: SourceFile, span: Span) -> Excerpt:
    """The function whose name stands at the span."""
    first, last = _functions(source).get(span.line, (span.line, span.line))
    lines = source.lines[first - 1 : last]
    indent = len(lines[0]) - len(lines[0].lstrip())
    if any(line[:indent].strip() for line in lines):
        indent = 0
    colours = _python(source)
    found = []
    for number, line in enumerate(lines, first):
        marks = [Colour(max(c.start - indent, 0), c.end - indent, c.kind) for c in colours.get(number, ()) if c.end > indent]
        found.append(tuple(_pieces(line[indent:], marks)))
    return Excerpt(source.path, first, last, tuple(found))


@lru_cache(8)
def _functions(source: SourceFile) -> dict[int, tuple[int, int]]:
    """First and last line of every function, decorators included, by the line of its `def`."""
    found = [node for node in ast.walk(ast.parse(source.text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {f.lineno: (min([f.lineno, *(each.lineno for each in f.decorator_list)]), f.end_lineno or f.lineno) for f in found}


def _pieces(line: str, colours: list[Colour]) -> Iterator[Piece]:
    at = 0
    for colour in sorted(colours, key=lambda c: c.start):
        if colour.start >= at:
            yield from _shown("", line[at : colour.start])
            yield from _shown(colour.kind, line[colour.start : colour.end])
            at = max(at, colour.end)
    yield from _shown("", line[at:])


def _shown(kind: str, text: str) -> Iterator[Piece]:
    """What would hide text, or show it in another order than it stands, as its escape."""
    if text.isprintable():
        yield from [(kind, text)] if text else []
        return
    for part in re.split(r"([^\x20-\x7e])", text):
        seen = part if part == "\t" else "".join(visible(character) for character in part)
        if seen:
            yield (kind if seen == part else "x", seen)


# --- Python --------------------------------------------------------------------------------------------------------------


@lru_cache(8)
def _python(source: SourceFile) -> dict[int, list[Colour]]:
    """Colours by line. A text of several lines has one a line; an f-string is one text, as every Python before 3.12 saw it."""
    found: dict[int, list[Colour]] = {}
    decorating = defining = False
    opened: list[tuple[int, int]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            kind = tokenize.tok_name[token.type]
            if kind in ("FSTRING_START", "TSTRING_START"):
                opened.append(token.start)
            elif kind in ("FSTRING_END", "TSTRING_END"):
                start = opened.pop()
                if not opened:
                    _add(found, source, start, token.end, "s")
            elif not opened:
                if kind == "OP" and token.string == "@" and not token.line[: token.start[1]].strip():
                    decorating = True
                _add(found, source, token.start, token.end, _kind(kind, token.string, decorating, defining))
                decorating = decorating and (kind == "NAME" or token.string in ("@", "."))
                defining = token.string in ("def", "class")
    except (tokenize.TokenError, SyntaxError):
        # it was parsed, so its colours are all that is lost
        return {}
    return found


def _kind(type_: str, text: str, decorating: bool, defining: bool) -> str:
    if type_ in ("STRING", "NUMBER", "COMMENT"):
        return {"STRING": "s", "NUMBER": "n", "COMMENT": "c"}[type_]
    if decorating and (type_ == "NAME" or text in ("@", ".")):
        return "d"
    if type_ != "NAME":
        return ""
    if keyword.iskeyword(text):
        return "k"
    return "f" if defining else "b" if text == "self" or text in _BUILTINS else ""


_BUILTINS = frozenset(
    "abs all any bool dict enumerate float getattr int isinstance len list map max min open print range round set sorted str sum tuple "
    "zip".split()
)


def _add(found: dict[int, list[Colour]], source: SourceFile, start: tuple[int, int], end: tuple[int, int], kind: str) -> None:
    if not kind:
        return
    for line in range(start[0], end[0] + 1):
        left = start[1] if line == start[0] else 0
        right = end[1] if line == end[0] else len(source.lines[line - 1])
        if right > left:
            found.setdefault(line, []).append(Colour(left, right, kind))


# --- YAML and JSON -------------------------------------------------------------------------------------------------------

_KEY = re.compile(r'^(\s*(?:- )*)("(?:[^"\\]|\\.)*"|[^\s"\'#&*!|>%@`{\[-][^:#]*?)(:)(?= |$)')
_SCALAR = re.compile(r"(?:(?<=: )|(?<=- )|^ *)(-?\d[\d.eE+-]*|true|false|null|~)(?=,?$)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'')
_BLOCK = re.compile(r"[:-] [|>][-+0-9]*$")


def document(text: str) -> tuple[tuple[Piece, ...], ...]:
    """The lines of a YAML or JSON text. Lines within a block of text are text, whatever they look like."""
    found = []
    block: int | None = None
    for line in text.rstrip("\n").split("\n"):
        indent = len(line) - len(line.lstrip())
        if block is not None and (indent > block or not line.strip()):
            found.append(tuple(_shown("s", line)))
            continue
        block = indent if _BLOCK.search(line) else None
        found.append(tuple(_pieces(line, list(_data(line)))))
    return tuple(found)


def _data(line: str) -> Iterator[Colour]:
    key = _KEY.match(line)
    start = 0
    if key is not None:
        start = key.end()
        yield Colour(key.start(2), key.end(2), "y")
    for quoted in _QUOTED.finditer(line, start):
        yield Colour(*quoted.span(), "s")
    scalar = _SCALAR.search(line, start)
    if scalar is not None:
        yield Colour(*scalar.span(1), "n")
