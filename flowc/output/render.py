"""In: a template's path below templates/ and the values for it. Out: its text, in which every value stands as JSON on one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc import data
from flowc.diagnostics import OutputBug
from flowc.output.dump import escaped
from flowc.settings import EMPTY

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.nodes import Template


def render(template: str, values: Mapping[str, Any], own: Mapping[str, str] = EMPTY) -> str:
    """The filled template. OutputBug where the template names a value that is not given, or a value is no JSON.

    `own` are a team's templates by path: they stand in for flowc's, which they can extend as `flowc/PATH`.
    """
    from jinja2 import TemplateError, TemplateNotFound

    try:
        return _environment(tuple(own.items())).get_template(template).render(values)
    except TemplateNotFound as error:  # its own text is the name alone
        raise OutputBug(f"templates/{template}: there is no template {error.message!r}") from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
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
        path = f"templates/{name.removeprefix('flowc/')}"
        # a template may name what it likes; flowc's own are what it gets
        return data.read(path) if is_plain(path) and data.exists(path) else None

    loader = FunctionLoader(text)
    environment = kind(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader, autoescape=False)
    environment.filters["tojson"] = tojson
    if own:
        _none_idle(environment, texts)
    return environment


def is_plain(path: str) -> bool:
    """Whether a path leads nowhere but down."""
    return "\0" not in path and ".." not in path.split("/")


def _none_idle(environment: Environment, own: Mapping[str, str]) -> None:
    """OutputBug where one of a team's templates, or a block of one, would be passed over in silence: its name is no name of flowc's."""
    from jinja2 import TemplateError, meta, nodes

    trees = {}
    for name in own:
        with suppress(TemplateError):  # told when it is rendered, with its line
            trees[name] = environment.parse(own[name], name)
    used = {each for tree in trees.values() for each in meta.find_referenced_templates(tree)}
    for name, tree in trees.items():
        if name.endswith((".j2", ".yaml", ".yml", ".json")) and name not in used and not data.exists(f"templates/{name}"):
            raise OutputBug(f"templates/{name}: flowc has no template of that name, and none of yours uses it")
        above = _blocks_above(environment, tree)
        for block in (each.name for each in tree.body if isinstance(each, nodes.Block)):
            if above and block not in above:
                raise OutputBug(f"templates/{name}: what it extends has no block {block!r}; it has {', '.join(sorted(above))}")


def _blocks_above(environment: Environment, tree: Template) -> set[str]:
    """The blocks of the templates that this one extends, as far as they can be read. OutputBug where one extends itself."""
    from jinja2 import TemplateError, nodes

    found: set[str] = set()
    seen: set[str] = set()
    while (extends := tree.find(nodes.Extends)) is not None and isinstance(extends.template, nodes.Const):
        name = str(extends.template.value)
        if name in seen:
            raise OutputBug(f"templates/{name}: it extends itself; flowc's own is called flowc/{name}")
        seen.add(name)
        try:
            source = environment.loader.get_source(environment, name)[0] if environment.loader else ""
            tree = environment.parse(source, name)
        except TemplateError:
            return set()
        found |= {block.name for block in tree.find_all(nodes.Block)}
    return found
