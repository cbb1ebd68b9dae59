"""In: the text of a Python file. Out: SourceFile and Span, the places that diagnostics and the IR point at."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

Reader = Callable[[str], "bytes | None"]
"""How the core reads what stands beside a flow: a posix path relative to the flow's folder in, the bytes out; None where no file is."""

Elsewhere = Callable[[str], "str | None"]
"""How the core asks for a module that does not stand beside a flow: its dotted name in; out the path, from the flow's folder, of the file
that it is to who has a folder above that one on the path. None where there is none in the repository.
"""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of text. Lines and columns count from 1, columns in characters; the end is exclusive."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def key(self) -> tuple[str, int, int, int, int]:
        """Sort order of places: by file, then by position."""
        return (self.path, self.line, self.column, self.end_line, self.end_column)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read: `path` as diagnostics show it (posix, relative to where the user stands), and its whole text."""

    path: str
    text: str
    lines: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", tuple(self.text.split("\n")))

    def span(self, node: ast.AST) -> Span:
        """The place of an `ast` node, whose columns count UTF-8 bytes."""
        line = getattr(node, "lineno", 1)
        column = getattr(node, "col_offset", 0)
        end_line = getattr(node, "end_lineno", None) or line
        end_column = getattr(node, "end_col_offset", None)
        if end_column is None:
            end_column = column + 1
        return Span(self.path, line, self._characters(line, column), end_line, self._characters(end_line, end_column))

    def _characters(self, line: int, utf8_column: int) -> int:
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        if text.isascii():
            return utf8_column + 1
        return len(text.encode()[:utf8_column].decode(errors="ignore")) + 1

    def at_line(self, line: int) -> Span:
        """The whole of one line, without its indentation."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        start = len(text) - len(text.lstrip()) + 1
        return Span(self.path, line, start, line, max(len(text) + 1, start + 1))
