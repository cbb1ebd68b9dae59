"""In: nothing. Out: the objects of a static evaluation beside plain Python values, its frames, its limits, and Stuck, its way out."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any, Union

from flowc.frontend.modules import Module
from flowc.source import Span

# Far above what a decorator holds, far below what costs a second: the text is not trusted.
MAX_STEPS = 100_000
MAX_ITEMS = 20_000
MAX_CHARACTERS = 1_000_000
MAX_BITS = 4_096
MAX_DEPTH = 60


class Stuck(Exception):
    """The text does not tell: why, where (None: wherever it is used), and the remedy."""

    def __init__(self, reason: str, span: Span | None = None, help: str = "") -> None:  # noqa: A002 - the field's name everywhere
        super().__init__(reason)
        self.reason, self.span, self.help = reason, span, help


@dataclass(eq=False, slots=True)
class Frame:
    """Where a name is looked up: the locals of a function or comprehension (None: module or class level), then outwards."""

    module: Module
    names: dict[str, Any] | None = None
    outer: Frame | None = None
    body: ast.ClassDef | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """What is not in sight, by its dotted path: a builtin, a module of the standard library or third parties, or something in one."""

    path: str


@dataclass(frozen=True, slots=True)
class ModuleRef:
    module: Module


@dataclass(eq=False, slots=True)
class ClassRef:
    module: Module
    node: ast.ClassDef


@dataclass(eq=False, slots=True)
class Function:
    """A function in sight with what it closes over; `attributes` are those set on it, `inner` what `functools.wraps` copied from."""

    module: Module
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame
    attributes: dict[str, Any] = field(default_factory=dict)
    inner: Any = None


@dataclass(eq=False, slots=True)
class Method:
    """An attribute of an object that is to be called."""

    owner: Any
    name: str
    function: Function | None = None


@dataclass(eq=False, slots=True)
class Partial:
    function: Any
    args: list[Any]
    kwargs: dict[str, Any]


@dataclass(eq=False, slots=True)
class Instance:
    """An instance of a class in sight (None: a SimpleNamespace)."""

    cls: ClassRef | None
    fields: dict[str, Any] = field(default_factory=dict)
    as_tuple: bool = False


@dataclass(frozen=True, slots=True)
class EnumMember:
    """`plain`: the enum mixes in str or int, so that the member is its value wherever it is used."""

    cls: ClassRef
    name: str
    value: Any = field(compare=False)
    plain: bool = field(compare=False)


@dataclass(frozen=True, slots=True)
class Late:
    """What Metaflow evaluates late: a Config, an attribute of it, or config_expr. It can be looked into and passed on, and no more."""

    data: Any
    name: str


class ConfigData(dict[Any, Any]):
    """The data of a Config inside config_expr: keys are attributes as well."""


UNBOUND = Thing("<unbound>")
Callee = Union[Thing, ClassRef, Function, Method, Partial]


def config_data(data: Any) -> Any:
    """Plain data with every mapping as ConfigData."""
    if isinstance(data, dict):
        return ConfigData({k: config_data(v) for k, v in data.items()})
    if isinstance(data, list):
        return [config_data(v) for v in data]
    return data


def weight(value: Any, limit: int = MAX_ITEMS) -> int:
    """How many nodes a value has, shared ones counted each time; Stuck past the limit, so that no operation on it takes long."""
    count, waiting = 0, [value]
    while waiting:
        count += 1
        if count > limit:
            raise Stuck("the value is larger than flowc computes")
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset, range)):
            if len(item) > limit:
                raise Stuck("the value is larger than flowc computes")
            waiting.extend(item)
        elif isinstance(item, Instance):
            waiting.extend(item.fields.values())
        elif isinstance(item, (str, bytes)) and len(item) > MAX_CHARACTERS:
            raise Stuck("the text is larger than flowc computes")
        elif isinstance(item, int) and item.bit_length() > MAX_BITS:
            raise Stuck("the number is larger than flowc computes")
    return count


def give(key: str) -> str:
    return f'Give it in [tool.flowc.values]: "{key}" = ...'


def kind_of(value: Any) -> str:
    """What an object is, for people."""
    match value:
        case Thing():
            return value.path.removeprefix("builtins.")
        case ClassRef():
            return f"the class {value.node.name}"
        case Function():
            return "a lambda" if isinstance(value.node, ast.Lambda) else f"the function {value.node.name}"
        case Instance():
            return f"an instance of {value.cls.node.name}" if value.cls else "a SimpleNamespace"
        case ModuleRef():
            return f"the module {value.module.label}"
        case _:
            return f"a {type(value).__name__}"


def lasting(value: Any) -> bool:
    """Whether a constant is the same for every flow and decorator that uses it, so that it can be kept."""
    waiting = [value]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, (dict, list, tuple, Instance)):
            if id(item) not in seen:
                seen.add(id(item))
                waiting.extend(item.values() if isinstance(item, dict) else item.fields.values() if isinstance(item, Instance) else item)
        elif not (
            item is None or isinstance(item, (str, int, float, bytes, set, frozenset, range, EnumMember, ClassRef, Thing, ModuleRef))
        ):
            return False
    return True
