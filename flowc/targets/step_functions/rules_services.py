"""In: a Task state. Out: whether the service that it calls exists, may be called that way, and takes the parameters that it is given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from flowc import data

_ARN = re.compile(r"arn:(?:aws(?:-[a-z]+)*|\$\{[^}]+\}):states:(?P<region>[^:]*):(?P<account>[^:]*):(?P<call>.+)")
_OTHER = re.compile(r"arn:(?:aws(?:-[a-z]+)*|\$\{[^}]+\}):lambda:.+:function:.+")

_LISTED = 6
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
}


@cache
def known() -> dict[str, Any]:
    """schemas/step-functions/services.json: what each call takes (`kinds`), how it may be called (`ways`), what it gives (`results`)."""
    whole: dict[str, Any] = json.loads(data.read("schemas/step-functions/services.json"))
    return whole


def call(resource: str) -> tuple[str, str] | None:
    """`batch:submitJob` and `sync` of `arn:aws:states:::batch:submitJob.sync`; None for what is no call of a service."""
    match = _ARN.fullmatch(resource)
    if match is None:
        return None
    name, _, pattern = match["call"].partition(".")
    return name, pattern


def results(resource: str) -> tuple[str, ...] | None:
    """The fields of what a call gives back; None where it may be anything."""
    found = call(resource)
    if found is None:
        return None
    name, pattern = found
    fields = known()["results"].get(f"{name}.{pattern}" if pattern in ("sync", "sync:2") else name)
    return None if fields is None or pattern == "waitForTaskToken" else tuple(fields)


def problems(state: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with a Task's Resource, and its Parameters or Arguments."""
    resource = state["Resource"]
    if resource.startswith("${") or _OTHER.fullmatch(resource):
        return
    found = call(resource)
    if found is None:
        yield f"{where}.Resource: {resource!r} is no ARN of a call, such as arn:aws:states:::batch:submitJob.sync"
        return
    name, pattern = found
    whole = known()
    if name not in whole["kinds"]:
        yield f"{where}.Resource: Step Functions has no call {name!r} that flowc knows; it knows {', '.join(_like(name, whole['kinds']))}"
        return
    if pattern not in whole["ways"][name]:
        ways = ", ".join(f".{way}" if way else "no suffix" for way in whole["ways"][name])
        yield f"{where}.Resource: {name} cannot be called with the suffix {f'.{pattern}'!r}; there is {ways}"
    field = "Arguments" if "Arguments" in state else "Parameters"
    yield from _value(state.get(field, {}), whole["kinds"][name], whole["definitions"], f"{where}.{field}")


def _value(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> Iterator[str]:
    """A value against a definition. Fields whose name ends in `.$`, and JSONata, are known only when the machine runs."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if isinstance(value, str) and (value.startswith("{%") or re.fullmatch(r"\$\{[^}]+\}", value)):
        return
    kind = schema.get("type")
    if kind is None:
        return
    fits: bool = isinstance(value, _TYPES[kind]) and not (isinstance(value, bool) and kind in ("integer", "number"))
    if not fits:
        yield f"{where}: is {json.dumps(value)[:60]}, not of type {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: is {value!r}, not one of {', '.join(schema['enum'][:_LISTED])}"
    if kind == "array":
        for index, item in enumerate(value):
            yield from _value(item, schema["items"], definitions, f"{where}[{index}]")
    elif kind == "object":
        yield from _fields(value, schema, definitions, where)


def _fields(value: Mapping[str, Any], schema: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> Iterator[str]:
    fields = schema.get("properties")
    names = {name.removesuffix(".$") for name in value}
    for name, inner in value.items():
        plain = name.removesuffix(".$")
        if fields is not None and plain not in fields:
            yield f"{where}.{plain}: there is no such parameter; there is {', '.join(_like(plain, fields))}"
        elif plain == name:
            yield from _value(inner, schema["additionalProperties"] if fields is None else fields[name], definitions, f"{where}.{name}")
    yield from (f"{where}.{name}: is missing" for name in schema.get("required", ()) if name not in names)


def _like(name: str, names: Iterable[str]) -> list[str]:
    """Those of the names that were most likely meant."""
    import difflib

    return difflib.get_close_matches(name, names, _LISTED) or sorted(names)[:_LISTED]
