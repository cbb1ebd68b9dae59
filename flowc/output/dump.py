"""In: a JSON-like object. Out: its one canonical YAML text, which every YAML 1.1 and 1.2 reader reads back as that object.

Block style, keys in the order given, sequences as deep as their key, no folding, no anchors, no nulls. A string is plain only
where no reader could take it for something else, a literal block where it has lines and a block can say it exactly, and
quoted otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from flowc.diagnostics import OutputBug

# A letter first (after dashes or slashes), then nothing that could start a comment, a key, a tag, an alias or a template expression.
_PLAIN = re.compile(r"(?:--?|[/_$])?[A-Za-z](?:[A-Za-z0-9_./@%+=,;()*&!?<>|$~^'\\-]|:(?! |\Z)| (?![ #]|\Z))*\Z", re.ASCII)
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"])
# What may not stand raw in YAML: controls, the line breaks of YAML 1.1 (NEL, LS, PS), the BOM, non-characters.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_NOT_IN_BLOCK = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_ONLY_DOUBLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONGEST_KEY = 1000


def dump(value: Mapping[str, Any]) -> str:
    """The YAML document, ending in a newline. OutputBug where a value is null, not finite or not JSON-like."""
    out: list[str] = []
    if not value:
        return "{}\n"
    _mapping(value, "", "", out)
    return "".join(out)


def _mapping(value: Mapping[str, Any], indent: str, first: str, out: list[str]) -> None:
    """`first` is what the first line starts with in the place of `indent`: the dash of the item that this mapping is."""
    lead = first or indent
    for key, item in value.items():
        if type(key) is not str:
            raise OutputBug(f"a key of an output is no text: {key!r}")
        name = scalar(key)
        if len(name) > _LONGEST_KEY:
            raise OutputBug(f"a key of an output is longer than YAML allows: {name[:60]}…")
        out.append(f"{lead}{name}:")
        lead = indent
        _value(item, indent, out)


def _value(item: Any, indent: str, out: list[str]) -> None:
    """What follows `key:`."""
    kind = type(item)
    if kind is str:
        out.append(_text(item, indent + "  "))
    elif isinstance(item, Mapping):
        if not item:
            out.append(" {}\n")
            return
        out.append("\n")
        _mapping(item, indent + "  ", "", out)
    elif kind is list or kind is tuple:
        if not item:
            out.append(" []\n")
            return
        out.append("\n")
        _sequence(item, indent, "", out)
    else:
        out.append(f" {_atom(item)}\n")


def _sequence(items: Any, indent: str, first: str, out: list[str]) -> None:
    lead = first or indent
    deeper = indent + "  "
    for item in items:
        kind = type(item)
        if kind is str:
            out.append(f"{lead}-{_text(item, deeper)}")
        elif isinstance(item, Mapping) and item:
            _mapping(item, deeper, f"{lead}- ", out)
        elif (kind is list or kind is tuple) and item:
            _sequence(item, deeper, f"{lead}- ", out)
        else:
            out.append(f"{lead}- {_atom(item)}\n")
        lead = indent


def _atom(item: Any) -> str:
    if item is True:
        return "true"
    if item is False:
        return "false"
    kind = type(item)
    if kind is int:
        return str(item)
    if kind is float and item - item == 0:
        text = repr(item)
        # YAML 1.1 takes an exponent without a point for text.
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    if isinstance(item, Mapping):
        return "{}"
    if kind is list or kind is tuple:
        return "[]"
    raise OutputBug(f"an output holds {item!r}, which has no place in a manifest")


def _text(text: str, indent: str) -> str:
    """A string after `key:` or `-`, its newline included."""
    if "\n" not in text or not _fits_block(text):
        return f" {scalar(text)}\n"
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    mark = "|-" if ends == 0 else "|" if ends == 1 else "|+"
    lines = [indent + line if line else "" for line in body.split("\n")]
    return f" {mark}\n" + "\n".join(lines) + "\n" + "\n" * max(ends - 1, 0)


def _fits_block(text: str) -> bool:
    """Whether a literal block without an indentation indicator says the text exactly, to every reader."""
    if _NOT_IN_BLOCK.search(text):
        return False
    body = text.strip("\n")
    last = body[body.rfind("\n") + 1 :]
    return bool(body) and body[0] not in " \t" and bool(last.strip(" \t"))


def scalar(text: str) -> str:
    """A string as a key or on the line of its key: plain where no reader could misread it, else quoted with as few escapes as can be."""
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    if ('"' in text or "\\" in text) and not _ONLY_DOUBLE.search(text):
        return "'" + text.replace("'", "''") + "'"
    return escaped(json.dumps(text, ensure_ascii=False))


def escaped(quoted: str) -> str:
    """JSON text with everything escaped that YAML does not take raw; other characters stay, since YAML joins no two escapes to one."""
    return quoted if quoted.isascii() and "\x7f" not in quoted else _ESCAPED.sub(lambda m: f"\\u{ord(m[0]):04x}", quoted)
