"""In: what the frontend read. Out: Flow, Step, Transition and the rest: frozen records, each with its span, that all phases share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from flowc.source import SourceFile, Span


@dataclass(frozen=True, slots=True)
class Value:
    """A static value: `data` is None, bool, int, float, str, or a list or str-keyed dict of such.

    `origin` says where it came from, for people: "literal", "constant GPU of common.py", "[tool.flowc.values]", ...
    """

    data: Any
    span: Span
    origin: str = "literal"


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A value that only the pod can know and that Metaflow evaluates there (the lambda or function default of a Parameter)."""

    span: Span
    reason: str


# --- transitions: what a step's last statement says ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Linear:
    """`self.next(self.a)`"""

    target: str
    span: Span


@dataclass(frozen=True, slots=True)
class Split:
    """`self.next(self.a, self.b)`"""

    targets: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Foreach:
    """`self.next(self.a, foreach="artifact")`; Metaflow lets the artifact's name be no literal: then it is None."""

    target: str
    artifact: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class NumParallel:
    """`self.next(self.a, num_parallel=4)`; `count` is None where it is no literal (the width is then known in the pod only)."""

    target: str
    count: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class Switch:
    """`self.next({"x": self.a, 2: self.b}, condition="artifact")`; keys as Metaflow spells them (`config:c.key` for `self.c.key`).

    Two cases may name the same step. A case that names the step itself is a loop (recursion).
    """

    cases: tuple[tuple[str | int | float | bool, str], ...]
    condition: str
    span: Span


@dataclass(frozen=True, slots=True)
class NoNext:
    """The last statement is no `self.next(...)`: the end step, or a mistake. `early` is the last one that stands before or inside it."""

    early: Span | None = None


@dataclass(frozen=True, slots=True)
class InvalidNext:
    """The last statement is a `self.next(...)` in no form that Metaflow knows. `targets` and `kind` are what Metaflow still sees.

    `kind` is "foreach" or "num_parallel" where that is the one keyword beside no target or several, else None.
    """

    span: Span
    targets: tuple[str, ...] = ()
    kind: str | None = None


Transition = Union[Linear, Split, Foreach, NumParallel, Switch, NoNext, InvalidNext]


def targets_of(transition: Transition) -> tuple[str, ...]:
    """Metaflow's `out_funcs`: the steps named, in the order written, repetitions kept."""
    match transition:
        case Linear() | Foreach() | NumParallel():
            return (transition.target,)
        case Split() | InvalidNext():
            return transition.targets
        case Switch():
            return tuple(dict(transition.cases).values())
        case NoNext():
            return ()


# --- decorators, parameters, configs ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decorator:
    """A Metaflow decorator on a step or flow, Metaflow's name and the attributes that were given (not the defaults).

    `unread`: an attribute was given that a diagnostic says flowc could not read, so one that is absent here may be no default.
    """

    name: str
    attributes: Mapping[str, Value]
    span: Span
    origin: str = "source"
    unread: bool = False

    def get(self, attribute: str, default: Any = None) -> Any:
        """The plain data of an attribute, `default` where it was not given."""
        value = self.attributes.get(attribute)
        return default if value is None else value.data

    def span_of(self, attribute: str) -> Span:
        value = self.attributes.get(attribute)
        return self.span if value is None else value.span


@dataclass(frozen=True, slots=True)
class Parameter:
    """A `Parameter` or `IncludeFile`. `attribute` is the Python name, `name` the one on the command line.

    `type`: int, float, str, bool, JSON or File. `default`: a Value, Dynamic (evaluated in the pod), or None where none was given.
    """

    attribute: str
    name: str
    type: str
    default: Value | Dynamic | None
    required: bool
    help: str | None
    span: Span
    separator: str | None = None
    multiple: bool = False
    is_text: bool = True
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A `Config`: `value` is what its file or inline default holds, None where there is neither or only its own parser could tell.

    `file` is its default file, relative to the flow's folder. `parser` is the dotted name of the function that reads the text, None for
    Metaflow's own JSON. `given` is a text from settings, which the pod must get by `--config-value`; None where the pod finds the same
    by itself.
    """

    attribute: str
    name: str
    value: Value | None
    file: str | None
    parser: str | None
    span: Span
    plain: bool = False
    given: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One `@step`. `span` is the name in its `def`; `arguments` counts its parameters, self included (2 is a join).

    `positional_only` counts those before a `/`, which Metaflow, and so `arguments`, leaves out.
    """

    name: str
    transition: Transition
    arguments: int
    decorators: tuple[Decorator, ...]
    span: Span
    marked_start: bool = False
    marked_end: bool = False
    doc: str = ""
    positional_only: int = 0

    def decorator(self, name: str) -> Decorator | None:
        """The decorator of that name that counts: Metaflow allows one of a kind, save those that allow many."""
        return next((d for d in self.decorators if d.name == name), None)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file beside the flow that the pod needs as it is (a Config's or IncludeFile's default). `path` is relative to the flow's folder."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Flow:
    """A FlowSpec subclass, inheritance resolved. `steps` in Metaflow's order (`dir()`: by name).

    `source` is the file with the class; `modules` are the local modules it imports (to be delivered with it), whose paths
    are relative to the flow's folder; `files` are data files likewise.
    """

    name: str
    source: SourceFile
    span: Span
    steps: Mapping[str, Step]
    decorators: tuple[Decorator, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    configs: tuple[Config, ...] = ()
    doc: str = ""
    modules: tuple[SourceFile, ...] = ()
    files: tuple[DataFile, ...] = field(default=())

    def decorator(self, name: str) -> Decorator | None:
        return next((d for d in self.decorators if d.name == name), None)

    def all_decorators(self, name: str) -> tuple[Decorator, ...]:
        """For the kinds that may stand more than once (exit_hook)."""
        return tuple(d for d in self.decorators if d.name == name)
