"""In: nothing. Out: Shape, what is known about a JSON value before the machine runs, and what a path finds in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

from flowc.targets.step_functions.rules_paths import Path


class Missing(Exception):
    """A path leads to nothing; the message completes `path: `."""


@dataclass(frozen=True, slots=True)
class Anything:
    """A value of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, a number, a boolean or null."""


@dataclass(frozen=True, slots=True)
class Fields:
    """An object that is certain to have these fields, and may have others only if it is `open`."""

    known: Mapping[str, Shape]
    open: bool = False


@dataclass(frozen=True, slots=True)
class List:
    """An array whose items are alike; its length is not known."""

    item: Shape


Shape = Union[Anything, Scalar, Fields, List]
ANYTHING, SCALAR, NOTHING = Anything(), Scalar(), Fields({})


def of(value: Any) -> Shape:
    """The shape of a JSON value that stands in the machine."""
    if isinstance(value, Mapping):
        return Fields({name: of(inner) for name, inner in value.items()})
    return List(joined(of(item) for item in value)) if isinstance(value, list) else SCALAR


def joined(shapes: Iterable[Shape]) -> Shape:
    """What is certain whichever of the shapes a value has."""
    found: Shape | None = None
    for shape in shapes:
        found = shape if found is None else _both(found, shape)
    return ANYTHING if found is None else found


def _both(one: Shape, two: Shape) -> Shape:
    if one == two:
        return one
    if isinstance(one, Fields) and isinstance(two, Fields):
        shared = {name: _both(inner, two.known[name]) for name, inner in one.known.items() if name in two.known}
        return Fields(shared, one.open or two.open)
    if isinstance(one, List) and isinstance(two, List):
        return List(_both(one.item, two.item))
    return ANYTHING


def at(shape: Shape, path: Path) -> Shape:
    """What the path finds. Missing where it may find nothing."""
    for index, step in enumerate(path.steps):
        if step is None:
            return ANYTHING
        shape = _step(shape, step, _shown(path, index))
    return _picked(shape, path) if path.union else shape


def _picked(shape: Shape, path: Path) -> Shape:
    """`['a', 'b']` is an object with those of the fields that are there; nothing is found where none is."""
    if not isinstance(shape, Fields):
        return _step(shape, path.union[0], _shown(path, len(path.steps)))
    there = {name: shape.known[name] for name in path.union if name in shape.known}
    if not there and not shape.open:
        _step(shape, path.union[0], _shown(path, len(path.steps)))
    return Fields(there, shape.open)


def _step(shape: Shape, step: str | int, before: str) -> Shape:
    if isinstance(shape, Anything):
        return ANYTHING
    if isinstance(step, int):
        if isinstance(shape, List):
            return shape.item
        raise Missing(f"{before} is no array")
    if isinstance(shape, Fields):
        if step in shape.known:
            return shape.known[step]
        if shape.open:
            return ANYTHING
        raise Missing(f"{before} has no field {step!r} there; {_has(shape)}")
    raise Missing(f"{before} is {'an array' if isinstance(shape, List) else 'no object'}, which has no field {step!r}")


def _has(shape: Fields) -> str:
    return f"it has {', '.join(sorted(shape.known))}" if shape.known else "it is empty"


def _shown(path: Path, steps: int) -> str:
    root = path.root if path.root.startswith("$") else f"${path.root}"
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path.steps[:steps])


def put(shape: Shape, steps: tuple[Any, ...], value: Shape) -> Shape:
    """The shape with a value placed at a reference path; objects on the way are made where there are none."""
    if not steps:
        return value
    if isinstance(steps[0], int) or isinstance(shape, List):
        return ANYTHING
    fields = shape if isinstance(shape, Fields) else Fields({}, open=isinstance(shape, Anything))
    inner = fields.known.get(steps[0], ANYTHING if fields.open else NOTHING)
    return Fields({**fields.known, steps[0]: put(inner, steps[1:], value)}, fields.open)
