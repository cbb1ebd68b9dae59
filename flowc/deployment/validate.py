"""In: an object and the path of a schema below schemas/. Out: where the object breaks the schema of its kind, and how."""

from __future__ import annotations

import re
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
    """All places where `value` breaks the schema of its kind, sorted by path.

    The kind is what the object says in `kind`; objects that say none, and parts of objects, are judged by a schema named as
    `file.json#Kind`, where the kind may be the name of any definition.
    """
    file, _, named = schema.partition("#")
    whole = load(file)
    kind = named or value.get("kind")
    if not isinstance(kind, str) or (kind not in whole["kinds"] and not (named and kind in whole["definitions"])):
        return [("kind", f"is {kind!r}; schemas/{file} knows {', '.join(sorted(whole['kinds']))}")]
    errors = _validator(file, kind).iter_errors(value)
    holes = whole.get("holes", {})
    return sorted((_path(e.instance_path), e.message[:_SHOWN]) for e in errors if not (holes and _in_hole(holes, value, e.instance_path)))


def _in_hole(holes: Mapping[str, list[str]], value: Any, path: Sequence[str | int]) -> bool:
    """Whether what stands at the path, or above it, only takes the place of a value: CloudFormation's `Ref`, a template's `${...}`."""
    for part in [*path, None]:
        if isinstance(value, str) and any(re.search(form, value) for form in holes.get("strings", ())):
            return True
        if isinstance(value, dict) and len(value) == 1 and any(re.search(form, next(iter(value))) for form in holes.get("keys", ())):
            return True
        if part is not None:
            value = value[part]
    return False


def load(schema: str) -> dict[str, Any]:
    """A schema file: `kinds` maps each kind to its schema, `definitions` what those refer to."""
    try:
        return data.schema(schema)
    except FileNotFoundError:
        raise OutputBug(f"no schema schemas/{schema}") from None


@cache
def _validator(schema: str, kind: str) -> Draft7Validator:
    """One kind at a time, since compiling takes longer than validating: a kind that is not written costs nothing."""
    from jsonschema_rs import Draft7Validator, RegexOptions

    whole = load(schema)
    # no pattern here needs more than the regular expressions that compile fastest
    judge = whole["kinds"].get(kind) or {"$ref": f"#/definitions/{kind}"}
    return Draft7Validator({**judge, "definitions": whole["definitions"]}, pattern_options=RegexOptions())


def _path(parts: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
