"""In: a Flow, its Graph and Settings. Out: what they mean as plain data, and what differs in meaning between two such."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from flowc import merging
from flowc.deployment import overlays
from flowc.graph import Graph, Node
from flowc.ir import Decorator, Flow, Parameter, Step, Switch, Value
from flowc.settings import Overlay, Settings

MERGED = ("kubernetes", "resources", "batch", "retry", "timeout", "environment")
"""Decorators that are told as what they mean together, each attribute by its own name."""

APART = ("overlays", "templates")
"""Settings that are told apart from the others: patches by field, texts by digest."""

KEYS = ("mountPath", "devicePath", "containerPort", "topologyKey", "key", "name")
"""By which the items of a list in a patch are told apart, where all have one."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` leads to it (`("steps", "train", "memory")`); `before` is None for what is new, `after` for what is gone."""

    path: tuple[str, ...]
    before: Any
    after: Any


def meaning(flow: Flow, graph: Graph, settings: Settings, own: Mapping[str, Sequence[Settings]] | None = None) -> dict[str, Any]:
    """All that decides how the flow runs: steps, parameters, flow decorators, settings; of code and templates a digest a file.

    `own`: by the name of a table of settings (`argo`, `env.prod`), those with it laid over, then those below it. What is as in none of the
    latter is told as `env.prod: image`.
    """
    texts = {flow.source.path.rsplit("/", 1)[-1]: flow.source.text.encode(), **{m.path: m.text.encode() for m in flow.modules}}
    texts |= {file.path: file.data for file in flow.files}
    given = _given(flow, settings)
    for table, (there, *below) in (own or {}).items():
        if there not in below:
            bases = [_given(flow, each) for each in below]
            for section, values in _given(flow, there).items():
                apart = {name: _otherwise([base[section].get(name) for base in bases], value) for name, value in values.items()}
                given[section] |= {f"{table}: {name}": value for name, value in apart.items() if value is not None}
    return {
        "steps": {name: _step(flow.steps[name], graph.nodes[name]) for name in graph.order},
        "parameters": {parameter.name: _parameter(parameter) for parameter in flow.parameters},
        "configs": {config.name: config.value.data for config in flow.configs if config.value},
        "decorators": _decorators(flow.decorators),
        **given,
        "code": {path: _digest(data) for path, data in texts.items()},
    }


def _given(flow: Flow, settings: Settings) -> dict[str, dict[str, Any]]:
    """What the settings say of the flow. An overlay for other flows says nothing, and which flows another one names is no part of it."""
    here = {name: each for name, each in settings.overlays.items() if overlays.meets(each, flow)}
    return {
        "settings": {field.name: plain(getattr(settings, field.name)) for field in fields(settings) if field.name not in APART},
        "overlays": {name: {"of": _patched(each), "patch": plain(each.patch)} for name, each in here.items()},
        "templates": {path: _text_digest(text) for path, text in settings.templates.items()},
    }


def _otherwise(bases: Sequence[Any], value: Any) -> Any:
    """What of a value is as in none of the bases; None where nothing is. An overlay is told whole."""
    if not isinstance(value, dict) or "patch" in value:
        return None if value in bases else value
    known = [base if isinstance(base, dict) else {} for base in bases]
    return {name: each for name, each in value.items() if all(name not in base or base[name] != each for base in known)} or None


def _patched(overlay: Overlay) -> str:
    """`Pod of step train`."""
    plural = "s" if len(overlay.steps) > 1 else ""
    return f"{overlay.kind} of step{plural} {', '.join(overlay.steps)}" if overlay.steps else overlay.kind


@lru_cache(256)  # all flows have the same templates
def _text_digest(text: str) -> str:
    return _digest(text.encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _step(step: Step, node: Node) -> dict[str, Any]:
    retries = merging.retries(step)
    environment = step.decorator("environment")
    facts: dict[str, Any] = {
        "type": node.type,
        "next": [f"{case}: {target}" for case, target in step.transition.cases] if isinstance(step.transition, Switch) else list(node.next),
        "condition": node.condition,
        "foreach": node.foreach_param,
        "num_parallel": node.num_parallel or None,
        "retries": retries.user,
        "minutes_between_retries": retries.backoff_minutes if retries.user else None,
        "timeout_seconds": merging.timeout_seconds(step),
        **{name: plain(value) for name, value in merging.kubernetes(step).items()},
        "environment": plain(environment.get("vars") or {}) if environment else {},
        "batch": _attributes(batch) if (batch := step.decorator("batch")) else None,
    }
    return {**facts, **_decorators(d for d in step.decorators if d.name not in MERGED)}


def _decorators(found: Any) -> dict[str, Any]:
    """By name with an `@`; those that stand several times are numbered."""
    named: dict[str, Any] = {}
    for decorator in found:
        name = f"@{decorator.name}"
        while name in named:
            head, _, number = name.partition(" ")
            name = f"{head} {int(number or 1) + 1}"
        named[name] = _attributes(decorator)
    return named


def _attributes(decorator: Decorator) -> dict[str, Any]:
    return {name: plain(value.data) for name, value in sorted(decorator.attributes.items())}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    default = parameter.default
    told = plain(default.data) if isinstance(default, Value) else None if default is None else "known in the pod only"
    return {"type": parameter.type, "default": told, "required": parameter.required}


def plain(value: Any) -> Any:
    """Maps and lists of any kind as dicts and lists, at every depth; an overlay as a settings file has it."""
    if isinstance(value, Overlay):
        globs = {name: list(each) for name, each in (("flows", value.flows), ("steps", value.steps)) if each}
        return {"kind": value.kind, **globs, "patch": plain(value.patch)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """What differs between two meanings, section by section. A step, parameter or decorator that is new or gone is one change."""
    for section in after:
        if section == "overlays":
            yield from _overlay_changes(before[section], after[section])
        else:
            yield from _differing(before[section], after[section], (section,))


def _differing(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[Change]:
    """In the order of `after`, what is gone last."""
    if before == after:
        return
    found: list[Change] = []
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *(key for key in before if key not in after)]:
            found += _differing(before.get(key), after.get(key), (*path, str(key)))
    elif _key([side for side in (before, after) if side is not None]):
        found += [Change((*path[:-1], field), *sides) for field, *sides in _fields(before, after, path[-1])]
    yield from found or [Change(path, before, after)]


def _overlay_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """By field: `("overlays", NAME, "Pod of step train", "spec.nodeSelector.pool")`. Of two overlays the later wins, so order counts."""
    for name in [*after, *(name for name in before if name not in after)]:
        one, two = (side.get(name, {}) for side in (before, after))
        if one and two and one["of"] != two["of"]:
            yield Change(("overlays", name), one["of"], two["of"])
        of = (two or one)["of"]
        yield from (Change(("overlays", name, of, path), *sides) for path, *sides in _fields(one.get("patch"), two.get("patch"), ""))
    was, now = ([name for name in side if name in before and name in after] for side in (before, after))
    if was != now:
        yield Change(("overlays",), was, now)


def _fields(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """The fields of patches that differ, each with its path. A list's items are told apart by a key that all have."""
    if before == after:
        return
    found: list[tuple[str, Any, Any]] = []
    sides = [side for side in (before, after) if side is not None]
    key = _key(sides)
    if all(isinstance(side, dict) for side in sides):
        one, two = before or {}, after or {}
        for name in dict.fromkeys([*two, *one]):
            found += _fields(one.get(name), two.get(name), f"{path}.{_word(name)}" if path else _word(name))
    elif key:
        one, two = ({item[key]: item for item in side or ()} for side in (before, after))
        for each in dict.fromkeys([*two, *one]):
            was, now = ({k: v for k, v in side[each].items() if k != key} if each in side else None for side in (one, two))
            place = f"{path}[{key}={each}]"
            # a patch of containers names those that are there anyway
            whole = not path.lower().endswith("containers") and (was is None or now is None)
            found += [(place, was, now)] if whole else _fields(was, now, place)
    yield from found or [(path, before, after)]


def _key(sides: list[Any]) -> str | None:
    """The first of KEYS that tells apart all items of every list; None where one is missing, or something is no list of objects."""
    if not all(isinstance(side, list) and side and all(isinstance(item, dict) for item in side) for side in sides):
        return None
    told = ([[item.get(key) for item in side] for side in sides] for key in KEYS)
    unique = (all(all(isinstance(n, (str, int)) for n in names) and len({*names}) == len(names) for names in each) for each in told)
    return next((key for key, is_one in zip(KEYS, unique, strict=True) if is_one), None)


def _word(name: str) -> str:
    """A field's name as TOML has it: in quotes where it has dots or slashes."""
    return name if name.replace("_", "").replace("-", "").replace("$", "").isalnum() else json.dumps(name, ensure_ascii=False)
