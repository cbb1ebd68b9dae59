"""In: an object and the path of a schema below schemas/. Out: where the object breaks the schema of its kind, and how."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc import data
from flowc.diagnostics import OutputBug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema_rs import Draft7Validator

Violation = tuple[str, str]
"""The path of the place, such as `spec.templates[0].name` ("" for the whole object), and what is wrong there."""
_SHOWN = 200


def violations(schema: str, value: Mapping[str, Any]) -> list[Violation]:
    """All places where `value` breaks the schema of its kind, sorted by path."""
    kinds = load(schema)["kinds"]
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        return [("kind", f"is {kind!r}; schemas/{schema} knows {', '.join(sorted(kinds))}")]
    return sorted((_path(error.instance_path), error.message[:_SHOWN]) for error in _validator(schema, kind).iter_errors(value))


@cache
def load(schema: str) -> dict[str, Any]:
    """A schema file: `kinds` maps each kind to its schema, `definitions` what those refer to."""
    try:
        whole: dict[str, Any] = json.loads(data.read(f"schemas/{schema}"))
    except FileNotFoundError:
        raise OutputBug(f"no schema schemas/{schema}") from None
    return whole


@cache
def _validator(schema: str, kind: str) -> Draft7Validator:
    """One kind at a time, since compiling takes longer than validating: a kind that is not written costs nothing."""
    from jsonschema_rs import Draft7Validator, RegexOptions

    whole = load(schema)
    # no pattern here needs more than the regular expressions that compile fastest
    return Draft7Validator({**whole["kinds"][kind], "definitions": whole["definitions"]}, pattern_options=RegexOptions())


def _path(parts: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
