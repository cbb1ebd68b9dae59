"""In: the decorators of a step or flow class as written, and the Scope. Out: Metaflow's decorators in Metaflow's order with static values, and diagnostics."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flowc.diagnostics import Diagnostic
from flowc.frontend.values import Scope
from flowc.ir import Decorator
from flowc.source import Span


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A decorator that is not Metaflow's: its dotted name as written, and where. It acts in the pod, which runs the source."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Found:
    """What a decorator list comes to.

    `decorators` stand in the order in which Metaflow holds them: the one nearest to the def first, inserted and `--with` ones last.
    `is_step`: Metaflow would see a step. `parameters` are `(name, call)` of `mutable_flow.add_parameter`.
    """

    decorators: tuple[Decorator, ...]
    is_step: bool
    marked_start: bool
    marked_end: bool
    wrappers: tuple[Wrapper, ...]
    diagnostics: tuple[Diagnostic, ...]


def resolve_decorators(decorator_list: Sequence[ast.expr], scope: Scope, *, owner: str, kind: Literal["step", "flow"]) -> Found:
    """Read the decorators of one step method (owner "Flow.step") or flow class (owner "Flow").

    `scope.body` is the class that a step stands in (a class decorator sees no class body: give None). Of a method without @step, `is_step` is
    False and all that Metaflow says of it is in `diagnostics`.
    """
    from flowc.frontend.decorators_reading import read_list

    return read_list(decorator_list, scope, owner, kind)


def with_decorators(found: Sequence[Decorator], scope: Scope, *, owner: str) -> tuple[tuple[Decorator, ...], tuple[Diagnostic, ...]]:
    """Metaflow's `--with`: add each of `settings.with_decorators` to a step, unless it has that decorator already. Call it for each step."""
    from flowc.frontend.decorators_specs import attach

    return attach(found, scope, owner)
