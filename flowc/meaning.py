"""In: a Flow, its Graph and Settings. Out: what they mean as plain data, and what differs in meaning between two such."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from flowc import merging
from flowc.graph import Graph, Node
from flowc.ir import Decorator, Flow, Parameter, Step, Switch, Value
from flowc.settings import Overlay, Settings

MERGED = ("kubernetes", "resources", "batch", "retry", "timeout", "environment")
"""Decorators that are told as what they mean together, each attribute by its own name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` leads to it (`("steps", "train", "memory")`); `before` is None for what is new, `after` for what is gone."""

    path: tuple[str, ...]
    before: Any
    after: Any


def meaning(flow: Flow, graph: Graph, settings: Settings) -> dict[str, Any]:
    """All that decides how the flow runs: steps, parameters, flow decorators, settings; of the code a digest a file."""
    texts = {flow.source.path.rsplit("/", 1)[-1]: flow.source.text.encode(), **{m.path: m.text.encode() for m in flow.modules}}
    texts |= {file.path: file.data for file in flow.files}
    return {
        "steps": {name: _step(flow.steps[name], graph.nodes[name]) for name in graph.order},
        "parameters": {parameter.name: _parameter(parameter) for parameter in flow.parameters},
        "configs": {config.name: config.value.data for config in flow.configs if config.value},
        "decorators": _decorators(flow.decorators),
        "settings": {field.name: plain(getattr(settings, field.name)) for field in fields(settings)},
        "code": {path: hashlib.sha256(data).hexdigest() for path, data in texts.items()},
    }


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


def changes(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[Change]:
    """What differs, in the order of `after`, what is gone last. A step, parameter or decorator that is new or gone is one change."""
    if isinstance(before, dict) and isinstance(after, dict) and len(path) < 3:
        for key in [*after, *(key for key in before if key not in after)]:
            yield from changes(before.get(key), after.get(key), (*path, str(key)))
    elif before != after:
        yield Change(path, before, after)
