"""In: the decorators of a step or flow as written, and their Scope. Out: Metaflow's decorators in its order, and diagnostics."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
class Mutator:
    """A user step decorator, StepMutator or FlowMutator that was applied: an opaque token for `finish`."""

    name: str
    span: Span
    made: Any


@dataclass(frozen=True, slots=True)
class Found:
    """What a decorator list comes to.

    `decorators` stand in the order in which Metaflow holds them: the one nearest to the def first. `is_step`: Metaflow would see a step.
    `mutators` are still to be applied, by `finish`.
    """

    decorators: tuple[Decorator, ...]
    is_step: bool
    marked_start: bool
    marked_end: bool
    wrappers: tuple[Wrapper, ...]
    diagnostics: tuple[Diagnostic, ...]
    mutators: tuple[Mutator, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The decorators of a whole flow after mutators and `--with`: by step, and the flow's own."""

    steps: Mapping[str, tuple[Decorator, ...]]
    flow: tuple[Decorator, ...]
    diagnostics: tuple[Diagnostic, ...]


def resolve_decorators(
    decorator_list: Sequence[ast.expr],
    scope: Scope,
    *,
    owner: str,
    kind: Literal["step", "flow"],
    inherited: Collection[str] = (),
) -> Found:
    """Read the decorators of one method (owner "Flow.step") or flow class (owner "Flow").

    `scope.body` is the class that a method stands in (a class decorator sees no class body: give None), `scope.before` the line of the
    decorators. `inherited` are the names of flow decorators that base classes have. Call it for every method, decorated or not: without
    @step, `is_step` is False and what Metaflow objects to is in `diagnostics`.
    """
    from flowc.frontend.decorators_reading import read_list

    return read_list(decorator_list, scope, owner, kind, inherited)


def finish(flow: Found, steps: Mapping[str, Found], scope: Scope, *, owner: str) -> Finished:
    """What Metaflow does to a whole flow before it deploys: mutators of the flow and of the steps, `settings.with_decorators` in between.

    `steps` in any order, real steps only; `scope` is the flow class's (with its configs). Call it once a flow, after every
    `resolve_decorators`; diagnostics of those are not repeated.
    """
    from flowc.frontend.decorators_finishing import finish_flow

    return finish_flow(flow, steps, scope, owner)
