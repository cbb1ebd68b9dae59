"""In: a template's path below templates/ and the values for it. Out: its text, in which every value stands as JSON on one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc import data
from flowc.diagnostics import OutputBug
from flowc.output.dump import escaped

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, values: Mapping[str, Any]) -> str:
    """The filled template. OutputBug where the template names a value that is not given, or a value is no JSON."""
    from jinja2 import TemplateError

    try:
        return _environment().get_template(template).render(values)
    except (TemplateError, TypeError, ValueError) as error:
        raise OutputBug(f"templates/{template}: {error}") from error


def tojson(value: Any) -> str:
    """The one way for a value into a template: JSON on one line that YAML reads as the same, keys in the order given."""
    return escaped(json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    refuse = getattr(value, "_fail_with_undefined_error", None)
    if refuse is not None:
        refuse()
    raise TypeError(f"{type(value).__name__} is no JSON")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(lambda name: data.read(f"templates/{name}"))
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader, autoescape=False)
    environment.filters["tojson"] = tojson
    return environment
