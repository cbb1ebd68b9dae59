"""In: a rendered template, which is YAML of a strict subset. Out: the object it says, at the speed of `json`.

The subset: block mappings and block sequences by indentation, comments, and values that stand on one line: JSON, flow
collections and scalars with bare words (letters, digits and `_./-`). Every value of a user is JSON text by then, on one line,
so no value can end itself, open a key or start a comment. PyYAML reads the same object from the same text (tested), but takes
13 ms to import and twice as long to read.
"""

from __future__ import annotations

import json
import re
from typing import Any

from flowc.diagnostics import OutputBug

_KEY = re.compile(r'("(?:[^"\\]|\\.)*"|[A-Za-z_/][\w./-]*):(?= |$)')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?\Z", re.ASCII)
_BARE = re.compile(r"[A-Za-z_/][\w./-]*\Z", re.ASCII)


def _no_json(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_json)
_DECODE = _DECODER.raw_decode
# What a YAML 1.1 reader would not take for text: a template has to quote these.
_MISREAD = frozenset(("y", "n", "yes", "no", "on", "off", "nan", "inf"))
_JSON_WORDS = frozenset(("true", "false", "null"))


def parse(text: str, name: str) -> Any:
    """The object in a rendered template; OutputBug names the template `name` and the line that is outside of the subset."""
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" ")
        if stripped and not stripped.startswith("#"):
            lines.append((len(line) - len(line.lstrip(" ")), stripped, number))
    reader = _Reader(lines, name)
    if not lines:
        raise OutputBug(f"{name}: the rendered template is empty")
    value = reader.block(lines[0][0])
    if reader.at < len(lines):
        raise reader.bug("the indentation belongs to no open block")
    return value


class _Reader:
    """A cursor over (indent, text, line number); `block` reads the node that starts at the cursor."""

    def __init__(self, lines: list[tuple[int, str, int]], name: str) -> None:
        self.lines = lines
        self.name = name
        self.at = 0

    def bug(self, what: str) -> OutputBug:
        _, text, number = self.lines[min(self.at, len(self.lines) - 1)]
        return OutputBug(f"{self.name}: rendered line {number}: {what}: {text[:120]}")

    def block(self, indent: int) -> Any:
        text = self.lines[self.at][1]
        if text == "-" or text.startswith("- "):
            return self.sequence(indent)
        if _KEY.match(text):
            return self.mapping(indent)
        value = self.inline(text)
        self.at += 1
        return value

    def sequence(self, indent: int) -> list[Any]:
        items = []
        while self.at < len(self.lines):
            depth, text, number = self.lines[self.at]
            if depth != indent or not (text == "-" or text.startswith("- ")):
                break
            rest = text[1:].lstrip(" ")
            if not rest:
                self.at += 1
                items.append(self.nested(indent))
                continue
            # The item's text goes on as a line of its own, as deep as it stands, so that `- a: 1` opens a mapping.
            inner = indent + len(text) - len(rest)
            self.lines[self.at] = (inner, rest, number)
            items.append(self.block(inner))
        return items

    def mapping(self, indent: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.at < len(self.lines):
            depth, text, _ = self.lines[self.at]
            if depth != indent:
                break
            match = _KEY.match(text)
            if match is None:
                if text.startswith("-"):
                    break
                raise self.bug("neither a key nor an item")
            key = match[1]
            key = json.loads(key) if key[0] == '"' else self.word(key)
            if key in found:
                raise self.bug("a key stands twice")
            rest = text[match.end() :].lstrip(" ")
            if rest and not rest.startswith("#"):
                found[key] = self.inline(rest)
                self.at += 1
                continue
            self.at += 1
            found[key] = self.value_below(indent)
        return found

    def value_below(self, indent: int) -> Any:
        """The block under a key; a sequence may stand as deep as its key."""
        if self.at < len(self.lines):
            depth, text, _ = self.lines[self.at]
            if depth == indent and (text == "-" or text.startswith("- ")):
                return self.sequence(indent)
        return self.nested(indent)

    def nested(self, indent: int) -> Any:
        if self.at >= len(self.lines) or self.lines[self.at][0] <= indent:
            self.at -= 1
            raise self.bug("nothing stands below it (write {} or [] or leave it out)")
        return self.block(self.lines[self.at][0])

    def inline(self, text: str) -> Any:
        try:
            value, end = _DECODE(text)
        except ValueError:
            return self.flow(text)
        tail = text[end:]
        if tail and not tail.lstrip(" ").startswith("#"):
            return self.flow(text)
        return value

    def flow(self, text: str) -> Any:
        """A scalar or a flow collection with bare words in it, made JSON by quoting those."""
        text = re.split(r" +#", text, maxsplit=1)[0] if '"' not in text else text
        try:
            return _DECODER.decode(_TOKEN.sub(self.quote, text))
        except ValueError:
            raise self.bug("a value outside of the templates' YAML subset (quote it)") from None

    def quote(self, match: re.Match[str]) -> str:
        token = match[0]
        if token[0] == '"' or token in _JSON_WORDS or _NUMBER.match(token):
            return token
        return json.dumps(self.word(token))

    def word(self, token: str) -> str:
        if not _BARE.match(token) or token.lower() in _MISREAD or token.lower() in _JSON_WORDS:
            raise self.bug(f"{token!r} must be quoted")
        return token
