"""In: paths that the user gave. Out: the bytes and text there, and the Reader of a flow's folder."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from flowc.diagnostics import Code, Diagnostic, Example
from flowc.source import SourceFile, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE_LIMIT = 4 << 20
DATA_LIMIT = 16 << 20
"""Bytes of a flow's file, and of a file beside it. A larger one is no source, and no manifest can carry it."""

_HELLO = """\
from metaflow import FlowSpec, step


class HelloFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
COOKIE = Code(
    "FC180",
    "unknown encoding",
    "The file's coding line names an encoding that Python does not have, or one that its byte order mark contradicts. Python refuses "
    "such a file.",
    bad=Example({"flow.py": "# coding: utf-9\n" + _HELLO}, line=1),
    good=Example({"flow.py": "# coding: utf-8\n" + _HELLO}),
)


class PathError(Exception):
    """A path leads to nothing that flowc can read or write; the message stands alone."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that the user wants looked at. `flow` is the class behind the colon; `exact`: named as it is, not found by a pattern."""

    path: str
    flow: str | None = None
    exact: bool = True


def expand(argument: str) -> list[Wanted]:
    """The files that `FLOW.py`, `FLOW.py:Name` or a glob stands for, sorted. PathError where a glob matches none."""
    if os.path.lexists(argument):
        return [Wanted(argument)]
    path, colon, name = argument.rpartition(":")
    if colon and name.isidentifier():
        return [Wanted(each.path, name, each.exact) for each in expand(path)]
    if not any(sign in argument for sign in "*?["):
        return [Wanted(argument)]
    from flowc.commands.matching import matching

    matches = matching(argument)
    if not matches:
        raise PathError(f"{argument}: no file matches the pattern")
    return [Wanted(match, exact=False) for match in matches]


def shown(path: str) -> str:
    """The path as messages show it: relative to where the user stands when it is below, with forward slashes."""
    if os.path.isabs(path):
        relative = os.path.relpath(path)
        path = path if relative.startswith(os.pardir) else relative
    return os.path.normpath(path).replace(os.sep, "/")


def load(path: str, limit: int = SOURCE_LIMIT) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. PathError says why there are none."""
    name = shown(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise PathError(f"{name} is a folder; name a file, or a pattern in quotes: '{name}/**/*.py'")
        if not stat.S_ISREG(status.st_mode):
            raise PathError(f"{name} is no regular file")
        with open(path, "rb", opener=_at_once) as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise PathError(f"{name}: there is no such file") from error
    except ValueError as error:
        raise PathError(f"{name}: no path has a null byte in it") from error
    except OSError as error:
        raise PathError(f"{name} cannot be read: {error.strerror or error}") from error
    if len(data) > limit:
        raise PathError(f"{name} is larger than {limit >> 20} MiB, which no flow is")
    return data


def content(path: str) -> bytes | None:
    """The bytes of a regular file; None where nothing is there, or something else. OSError where it cannot be read."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (FileNotFoundError, IsADirectoryError):
        return None


def _at_once(path: str, flags: int) -> int:
    """An opener that does not wait for the other end, should a FIFO stand there by now."""
    return os.open(path, flags | os.O_NONBLOCK)


@lru_cache(8)
def texts_below(folder: str) -> Mapping[str, str]:
    """The files of a folder and those below it, text by posix path in it. PathError where it is none, or a file is no text.

    A link may lead to where projects of one repository share files, and no further: what is read becomes part of the output.
    """
    from flowc.commands.above import root_of

    if not os.path.isdir(folder):
        raise PathError(f"{shown(folder)}: there is no such folder")
    root = root_of(os.path.realpath(folder))
    found = {}
    for place, folders, names in sorted(os.walk(folder, onerror=_unlisted)):
        for name in sorted([*folders, *names]):
            path = os.path.join(place, name)
            if os.path.islink(path) and not _below(os.path.realpath(path), root):
                raise PathError(f"{shown(path)} is a link that leads out of the repository; put a copy in its place")
        for name in sorted(names):
            path = os.path.join(place, name)
            try:
                found[os.path.relpath(path, folder).replace(os.sep, "/")] = load(path).decode()
            except UnicodeDecodeError as error:
                raise PathError(f"{shown(path)} is no UTF-8 text") from error
    return MappingProxyType(found)


def _unlisted(error: OSError) -> None:
    raise PathError(f"{shown(str(error.filename))} cannot be listed: {error.strerror}") from error


def decode(path: str, data: bytes) -> tuple[SourceFile | None, list[Diagnostic]]:
    """The text of a Python file, read as Python reads it; no text where its encoding is wrong, or is one that pods would not get."""
    import io
    import tokenize

    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        if "encoding" in str(error) and not _bad_utf8(data):
            line = _cookie_line(data)
            span = Span(path, line, 1, line, 2)
            message = f"{path}: Python does not take its coding line: {error.msg}"
            return None, [Diagnostic(COOKIE, message, span, help="Remove the coding line and save the file as UTF-8.")]
        encoding = "utf-8"
    if not encoding.startswith("utf-8") and not data.isascii():
        return None, [_not_utf8(path, f"is written in {encoding}", 1, 1)]
    bad = _bad_utf8(data)
    if bad is not None:
        line, column, value = bad
        return None, [_not_utf8(path, f"is no UTF-8 text: there is a byte 0x{value:02x} on line {line}", line, column)]
    text = data.decode("utf-8-sig")
    return SourceFile(path, text.replace("\r\n", "\n").replace("\r", "\n")), []


def _bad_utf8(data: bytes) -> tuple[int, int, int] | None:
    """Line, column and value of the first byte that is no UTF-8, or of a null, which no text has."""
    try:
        data.decode()
        where = data.find(b"\0")
    except UnicodeDecodeError as error:
        where = error.start
    if where < 0:
        return None
    before = data[:where]
    start = before.rfind(b"\n") + 1
    return before.count(b"\n") + 1, len(before[start:].decode(errors="replace")) + 1, data[where]


def _not_utf8(path: str, what: str, line: int, column: int) -> Diagnostic:
    from flowc.frontend.modules import ENCODING

    return Diagnostic(ENCODING, f"{path} {what}", Span(path, line, column, line, column + 1), help="Save the file as UTF-8.")


def _cookie_line(data: bytes) -> int:
    return 2 if b"coding" not in data.split(b"\n", 1)[0] else 1


@dataclass(frozen=True, slots=True)
class Folder:
    """The Reader of a flow's folder. `named` are files, by the path the core asks for, that the user pointed to wherever they are.

    Nothing else outside the folder is read: no absolute path, no `..`, no link that leads out.
    """

    root: str
    named: Mapping[str, str]

    def __call__(self, path: str) -> bytes | None:
        full = self.named.get(path) or self._inside(path)
        if full is None or not os.path.lexists(full) or os.path.isdir(full):
            return None
        return load(full, DATA_LIMIT)

    def _inside(self, path: str) -> str | None:
        parts = path.split("/")
        if not path or "\0" in path or "\\" in path or os.path.isabs(path) or os.pardir in parts:
            return None
        full = os.path.join(self.root or os.curdir, *parts)
        if os.path.lexists(full) and not _below(os.path.realpath(full), os.path.realpath(self.root or os.curdir)):
            raise PathError(f"{shown(full)} is a link that leads out of the flow's folder, where flowc does not read")
        return full


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def above(folder: str) -> Iterator[str]:
    """The folder and those above it, up to the root of its git repository or of the disk."""
    folder = os.path.abspath(folder)
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder or os.path.exists(os.path.join(folder, ".git")):
            return
        folder = parent
