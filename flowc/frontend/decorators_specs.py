"""In: a decorator as `--with` spells it (`kubernetes:cpu=2,image=a`). Out: its name and attributes, parsed as Metaflow parses it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from flowc.diagnostics import Diagnostic
from flowc.frontend.decorators_codes import BAD_SPEC
from flowc.frontend.decorators_table import Known
from flowc.ir import Decorator, Value
from flowc.source import Span


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """`retry:times=4` -> ("retry", {"times": 4}): values are JSON, else int, float or text. ValueError where one has no `=`."""
    name, _, rest = spec.partition(":")
    attributes: dict[str, Any] = {}
    for part in re.split(r",(?=[\s\w]+=)", rest) if rest else []:
        attribute, equals, text = part.partition("=")
        if not equals:
            raise ValueError(part)
        attributes[attribute.strip()] = _value(text.strip())
    return name.strip(), attributes


def _value(text: str) -> Any:
    readers: tuple[Callable[[str], Any], ...] = (lambda t: json.loads(t.replace('\\"', '"')), int, float)
    for read in readers:
        with contextlib.suppress(ValueError):
            return read(text)
    return text


def decorator(spec: Any, span: Span, origin: str, table: Mapping[str, Known], where: Span | None) -> Decorator | Diagnostic:
    """The Decorator of a spec, its values placed at `span`; a diagnostic at `where` when it is none."""
    if not isinstance(spec, str):
        return _refused(f"{origin} holds {spec!r}, which is no decorator", where)
    try:
        name, attributes = parse(spec)
    except ValueError as error:
        return _refused(f"{origin} holds {spec!r}, where {str(error)!r} is no attribute=value", where)
    known = table.get(name)
    if known is None:
        return _refused(f"{origin} names {name!r}, which is no decorator of Metaflow here{suggestion(name, list(table))}", where)
    for attribute in attributes:
        if attribute not in known.defaults:
            return _refused(
                f"{origin} gives {attribute!r} to @{name}, which has no such attribute{suggestion(attribute, list(known.defaults))}", where
            )
    return Decorator(name, {k: Value(v, span, origin) for k, v in attributes.items()}, span, origin)


def _refused(message: str, where: Span | None) -> Diagnostic:
    return Diagnostic(BAD_SPEC, message, where, help='Write NAME or NAME:attribute=value,..., as in "kubernetes:cpu=2,memory=4096".')


def suggestion(name: str, known: list[str]) -> str:
    """`; did you mean X?` where a known name is close."""
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
