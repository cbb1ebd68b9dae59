"""In: a CloudFormation template that its schema accepts. Out: references to nothing, circles of them, and what nothing refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_ID = re.compile(r"[A-Za-z0-9]{1,255}")
_PLACE = re.compile(r"\$\{([^!}][^}]*)\}")
_PARTS = ("Resources", "Outputs", "Conditions", "Rules")
_TESTS = ("Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not")
Reference = tuple[str, str]
"""What is referred to, and the attribute of it that is asked for, or the empty text."""


def problems(stack: Mapping[str, Any]) -> list[str]:
    """All that is wrong with the references of a stack, in its order."""
    return list(_problems(stack))


def _problems(stack: Mapping[str, Any]) -> Iterator[str]:
    resources = stack["Resources"]
    parameters, conditions = stack.get("Parameters", {}), stack.get("Conditions", {})
    for part in ("Parameters", *_PARTS):
        yield from (f"{part}.{name}: the name is not of letters and digits" for name in stack.get(part, {}) if not _ID.fullmatch(name))
    needs: dict[str, set[str]] = {}
    used: set[str] = set()
    for part in _PARTS:
        for name, value in stack.get(part, {}).items():
            here = f"{part}.{name}"
            for target, attribute in _references(value):
                used.add(target)
                if target in resources and part == "Resources":
                    needs.setdefault(name, set()).add(target)
                known = target in resources or (not attribute and (target in parameters or target.startswith("AWS::")))
                if not known:
                    yield f"{here}: refers to {target}{f'.{attribute}' if attribute else ''}, which is not there"
            for condition in _conditions(value, part):
                used.add(condition)
                if condition not in conditions:
                    yield f"{here}: there is no condition {condition}"
            if part == "Resources":
                needs.setdefault(name, set()).update(_after(value))
                yield from (f"{here}.DependsOn: there is no resource {other}" for other in _after(value) if other not in resources)
                if not _is_order(value.get("DependsOn", [])):
                    yield f"{here}.DependsOn: is no name of a resource, nor a list of such names"
    yield from (f"Parameters.{name}: nothing refers to it" for name in parameters if name not in used)
    yield from (f"Conditions.{name}: nothing refers to it" for name in conditions if name not in used)
    circle = _circle(needs)
    if circle:
        yield f"Resources: {', '.join(circle)} wait for one another"


def _after(resource: Mapping[str, Any]) -> list[str]:
    depends = resource.get("DependsOn", [])
    return [each for each in (depends if isinstance(depends, list) else [depends]) if isinstance(each, str)]


def _is_order(depends: Any) -> bool:
    return isinstance(depends, str) or (isinstance(depends, list) and all(isinstance(each, str) for each in depends))


def _references(value: Any) -> Iterator[Reference]:
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if key == "Ref" and len(value) == 1:
            yield inner, ""
        elif key == "Fn::GetAtt":
            parts = inner.split(".", 1) if isinstance(inner, str) else inner
            yield parts[0], parts[1]
        elif key == "Fn::Sub":
            text, own = (inner, {}) if isinstance(inner, str) else inner
            yield from _references(own)
            yield from ((name.partition(".")[0], name.partition(".")[2]) for name in _PLACE.findall(text) if name not in own)
        elif key == "DefinitionSubstitutions":
            yield from _references(inner)
        elif key != "Definition":
            # a state machine has ${...} of its own, which DefinitionSubstitutions fill
            yield from _references(inner)


def _conditions(value: Any, part: str) -> Iterator[str]:
    """The conditions that a resource, an output or a value names."""
    if isinstance(value, list):
        for inner in value:
            yield from _conditions(inner, part)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if key == "Condition" and isinstance(inner, str) and (part != "Resources" or "Type" in value or len(value) == 1):
            yield inner
        elif key == "Fn::If":
            yield inner[0]
            yield from _conditions(inner[1:], part)
        elif key not in ("Definition", "PolicyDocument", "AssumeRolePolicyDocument"):
            yield from _conditions(inner, part)


def _circle(needs: Mapping[str, set[str]]) -> list[str]:
    """The resources that can never be created because each waits for another of them."""
    left = {name: {other for other in others if other in needs} for name, others in needs.items()}
    while ready := [name for name, others in left.items() if not others]:
        for name in ready:
            del left[name]
        for others in left.values():
            others.difference_update(ready)
    return sorted(left)
