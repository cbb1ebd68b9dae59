"""In: a Decorator. Out: its attributes as numbers, and the diagnostics of attributes that hold the wrong kind of value (FC312)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowc.checks.example import END, START_END, example
from flowc.diagnostics import Code, Diagnostic
from flowc.ir import Decorator

WRONG_TYPE = Code(
    "FC312",
    "attribute with the wrong kind of value",
    "Metaflow computes with the value when it deploys or starts the step, and fails where the value is of another kind: a number must be a "
    "number or its text, a table a dict, a list a list.",
    bad=example('@retry(times="often")  # error' + START_END + END, imports="retry"),
    good=example("@retry(times=3)" + START_END + END, imports="retry"),
)


def problem(code: Code, decorator: Decorator, attribute: str, message: str, help_: str) -> Diagnostic:
    """A diagnostic at the value of an attribute, or at the decorator where the attribute is not given."""
    return Diagnostic(code, message, decorator.span_of(attribute), help=help_)


def shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def as_float(value: Any) -> float | None:
    """`float(value)` as Metaflow calls it; None where that raises."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def as_int(value: Any) -> int | None:
    """`int(value)` as Metaflow calls it; None where that raises."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def not_whole(decorator: Decorator, attributes: Sequence[str]) -> list[Diagnostic]:
    """The given attributes that `int()` does not take."""
    return [
        problem(
            WRONG_TYPE,
            decorator,
            name,
            f"@{decorator.name} {name} is {shown(decorator.get(name))}, not a whole number",
            f"Give {name} a whole number.",
        )
        for name in attributes
        if name in decorator.attributes and as_int(decorator.get(name)) is None
    ]


def not_a_number(decorator: Decorator, attributes: Sequence[str], *, empty: bool = False) -> list[Diagnostic]:
    """The given attributes, None aside, that `float()` does not take; `empty`: empty text counts as zero."""
    return [
        problem(
            WRONG_TYPE,
            decorator,
            name,
            f"@{decorator.name} {name} is {shown(decorator.get(name))}, not a number",
            f"Give {name} a plain number; memory and disk count in MB, without a unit.",
        )
        for name in attributes
        if decorator.get(name) is not None and as_float(decorator.get(name)) is None and not (empty and decorator.get(name) == "")
    ]


def not_a_dict(decorator: Decorator, attributes: Sequence[str], *, none: bool = True) -> list[Diagnostic]:
    """The given attributes that are no dict; `none`: None is as good as not given."""
    return [
        problem(
            WRONG_TYPE,
            decorator,
            name,
            f"@{decorator.name} {name} is {shown(decorator.get(name))}, not a dict",
            f'Write {name} as a dict, such as {name}={{"key": "value"}}.',
        )
        for name in attributes
        if name in decorator.attributes and not isinstance(decorator.get(name), Mapping) and not (none and decorator.get(name) is None)
    ]
