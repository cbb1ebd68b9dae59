"""In: a template's path below templates/ and the values for it. Out: its text, in which every value stands as JSON on one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc import data
from flowc.diagnostics import OutputBug
from flowc.output.dump import escaped
from flowc.settings import EMPTY

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, values: Mapping[str, Any], own: Mapping[str, str] = EMPTY) -> str:
    """The filled template. OutputBug where the template names a value that is not given, or a value is no JSON.

    `own` are a team's templates by path: they stand in for flowc's, which they can extend as `flowc/PATH`.
    """
    from jinja2 import TemplateError

    try:
        return _environment(tuple(own.items())).get_template(template).render(values)
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
def _environment(own: tuple[tuple[str, str], ...]) -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    kind: type[Environment] = Environment
    if own:
        # a team's templates come with the repository, and need nothing of Python's
        from jinja2.sandbox import SandboxedEnvironment

        kind = SandboxedEnvironment
    texts = dict(own)

    def text(name: str) -> str | None:
        if name in texts:
            return texts[name]
        try:
            return data.read(f"templates/{name.removeprefix('flowc/')}")
        except FileNotFoundError:
            return None

    loader = FunctionLoader(text)
    environment = kind(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader, autoescape=False)
    environment.filters["tojson"] = tojson
    return environment
