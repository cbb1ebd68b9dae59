"""In: an object and the path of a schema below schemas/. Out: where the object breaks the schema, each as (path, what is wrong).

tools/schemas.py writes the schemas with the few keywords that are read here, and no others; so this judges as the `jsonschema`
package does (tested on broken objects), without its 50 ms of import and without compiling a schema of which one object touches little.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc import data
from flowc.diagnostics import OutputBug

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Violation = tuple[str, str]
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def violations(schema: str, value: Mapping[str, Any]) -> list[Violation]:
    """All places where `value` breaks the schema of its kind, in the order of the object."""
    whole = load(schema)
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in whole["kinds"]:
        return [("kind", f"is {kind!r}; schemas/{schema} knows {', '.join(sorted(whole['kinds']))}")]
    return list(_walk(whole["kinds"][kind], value, "", whole["definitions"]))


@cache
def load(schema: str) -> dict[str, Any]:
    """A schema file: `kinds` maps each kind to its schema, `definitions` what those refer to."""
    try:
        whole: dict[str, Any] = json.loads(data.read(f"schemas/{schema}"))
    except FileNotFoundError:
        raise OutputBug(f"no schema schemas/{schema}") from None
    return whole


def _walk(schema: Mapping[str, Any], value: Any, path: str, definitions: Mapping[str, Any]) -> Iterator[Violation]:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    expected = schema.get("type")
    if expected is not None and not _is(value, expected):
        wanted = expected if isinstance(expected, str) else " or ".join(expected)
        yield path, f"is {_shown(value)}, not of type {wanted}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield path, f"is {_shown(value)}, not one of {', '.join(map(str, schema['enum']))}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield path, f"is {_shown(value)}, which does not match {schema['pattern']}"
    if isinstance(value, dict):
        yield from _object(schema, value, path, definitions)
    elif isinstance(value, (list, tuple)):
        items = schema.get("items")
        if items is not None:
            for index, item in enumerate(value):
                yield from _walk(items, item, f"{path}[{index}]", definitions)


def _object(schema: Mapping[str, Any], value: Mapping[str, Any], path: str, definitions: Mapping[str, Any]) -> Iterator[Violation]:
    for key in schema.get("required", ()):
        if key not in value:
            yield path, f"lacks the field {key}"
    properties = schema.get("properties", {})
    rest = schema.get("additionalProperties", True)
    for key, item in value.items():
        inner = properties.get(key)
        below = f"{path}.{key}" if path else key
        if inner is not None:
            yield from _walk(inner, item, below, definitions)
        elif rest is False:
            yield path, f"has the unknown field {key}"
        elif rest is not True:
            yield from _walk(rest, item, below, definitions)


def _is(value: Any, expected: str | list[str]) -> bool:
    if isinstance(expected, list):
        return any(_is(value, one) for one in expected)
    if isinstance(value, bool):
        return expected == "boolean"
    return isinstance(value, _TYPES[expected])


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
