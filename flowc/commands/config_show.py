"""In: the settings that count for a folder. Out: each with where it comes from, as TOML or JSON; and the JSON Schema of a settings file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flowc import config, target
from flowc.commands.files import shown
from flowc.commands.options import Source, text_of
from flowc.config import Option
from flowc.meaning import plain
from flowc.option import HIDDEN, LARGEST, hidden
from flowc.settings import Settings


def origins(sources: Source, folder: str) -> dict[str, str]:
    """By field of Settings or key of PROJECT, whence: `flag`, `flowc.toml:3`, `flowc.toml:9 (env.prod)`; both where tables are merged."""
    found: dict[str, str] = {}
    path = sources.settings_file(folder)
    text = None if path is None else text_of(path)
    if path is not None and text is not None:
        for layer, lines in config.lines(text, shown(path), sources.env, sources.target):
            for field, line in lines.items():
                place = f"{shown(path)}:{line}{f' ({layer})' if layer else ''}"
                found[field] = f"{found[field]}, {place}" if field in found and _is_table(field) else place
    for field in sources.flags:
        found[field] = f"{found[field]}, flag" if field in found and _is_table(field) else "flag"
    return found


def _is_table(field: str) -> bool:
    tables = ("map", "json", "pairs", "json pairs", "overlays")
    return field == "per-file-ignores" or any(option.field == field and option.kind in tables for option in config.OPTIONS)


def settings_text(sources: Source, folder: str, form: str, everything: bool) -> str:
    """The settings of a folder: those that something says, or all; as TOML with the origin in a comment, or as JSON."""
    settings, _ = sources.near(folder)
    told = origins(sources, folder)
    given = {**sources.from_file(folder), **sources.flags}
    _, project = sources.project(folder) or ("", config.Project())
    rows = {
        key: (plain(getattr(project, key.replace("-", "_"))), told.get(key, "default"))
        for key in config.PROJECT
        if everything or key in told
    }
    rows |= {
        option.key: (_shown(option, given, getattr(settings, option.field)), told.get(option.field, "default"))
        for option in config.OPTIONS
        if everything or option.field in told
    }
    if form == "json":
        told_rows = {key: {"value": value, "origin": origin} for key, (value, origin) in rows.items()}
        return json.dumps(told_rows, indent=2, ensure_ascii=False) + "\n"
    lines = [f"# {key} =" if value is None else f"{key} = {toml(value)}" for key, (value, _) in rows.items()]
    width = min(max(map(len, lines), default=0), 60)
    return "".join(f"{line:<{width}}  # {origin}\n" for line, (_, origin) in zip(lines, rows.values(), strict=True))


def _shown(option: Option, given: Mapping[str, Any], value: Any) -> Any:
    """The value as a settings file has it; of a folder of texts its path, of a secret that it is set."""
    if hidden(option, value):
        return HIDDEN
    if option.kind == "folder":
        path = given.get(option.field)
        return path and shown(str(path))
    return plain(value)


def toml(value: Any) -> str:
    """A value on one line of TOML."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {toml(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


KINDS: Mapping[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "folder": {"type": "string"},
    "integer": {"type": "integer"},
    "switch": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
    "map": {"type": "object", "additionalProperties": {"type": "string"}},
    "pairs": {"type": "object", "additionalProperties": {"type": "string"}},
    "json": {"type": "object"},
    "json pairs": {"type": "object"},
    "overlays": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": False,
            "required": ["kind", "patch"],
            "properties": {
                "kind": {"type": "string", "description": "What is patched: Pod, or the kind of an object that a target writes."},
                "flows": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Globs over names of flows."},
                "steps": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Globs over names of steps."},
                "patch": {"type": "object", "description": "What is laid over each: a strategic merge patch."},
            },
        },
    },
}


def schema() -> dict[str, Any]:
    """The JSON Schema of flowc.toml and of `[tool.flowc]`, for editors."""
    properties = {option.key: _property(option) for option in config.OPTIONS}
    project: dict[str, Any] = {
        "flows": {**KINDS["list"], "description": "Globs of the files that hold flows, relative to this file."},
        "out": {"type": "string", "description": "Folder of the outputs, relative to this file.", "default": config.Project().out},
        "targets": {**KINDS["list"], "description": "What to compile for.", "default": list(config.Project().targets)},
        "per-file-ignores": {
            "type": "object",
            "additionalProperties": KINDS["list"],
            "description": "Codes, or the beginnings of codes, that are not reported for files that match a glob.",
        },
    }
    assert set(project) == set(config.PROJECT)
    keys = {key: {"$ref": f"#/definitions/{key}"} for key in {**project, **properties}}
    own = {"type": "object", "additionalProperties": False, "properties": {key: keys[key] for key in properties}}
    # a plug-in's target has its table too, whose name no schema can know
    sections = {name: {**own, "description": f"Settings for {name} alone, laid over these."} for name in target.own()}
    keys |= {name: {"$ref": f"#/definitions/{name}"} for name in sections}
    layer = {"type": "object", "additionalProperties": False, "properties": keys}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Settings of flowc",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **keys,
            "env": {"type": "object", "additionalProperties": layer, "description": "Settings laid over these by --env NAME."},
        },
        "definitions": {**project, **properties, **sections},
    }


def _property(option: Option) -> dict[str, Any]:
    found = {**KINDS[option.kind], "description": option.help.replace(" Repeatable.", "")}
    if option.choices:
        found["enum"] = list(option.choices)
    if option.kind == "integer":
        found |= {"minimum": -LARGEST if option.minimum is None else option.minimum, "maximum": LARGEST}
    default = plain(getattr(Settings(), option.field))
    return found if default in (None, [], {}) else {**found, "default": default}
