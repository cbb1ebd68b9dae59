"""In: a class in sight. Out: its attributes, Enum members and instances (dataclass, NamedTuple, plain __init__), or Stuck."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flowc.frontend.modules import External, Local, Module, dotted_name
from flowc.frontend.modules_bindings import Binding, pick
from flowc.frontend.values_objects import ClassRef, EnumMember, Frame, Function, Instance, Method, Stuck, Thing, give

if TYPE_CHECKING:
    from flowc.frontend.values_expressions import Evaluator

_ENUMS = {"enum.Enum": False, "enum.IntEnum": True, "enum.StrEnum": True, "enum.Flag": False, "enum.IntFlag": True}
_HARMLESS = {"object", "abc.ABC", "typing.Protocol", "typing.Generic", "typing.NamedTuple", "str", "int", *_ENUMS}
_DATACLASS = {"dataclasses.dataclass"}
_HARMLESS_DECORATORS = {*_DATACLASS, "functools.total_ordering", "typing.final", "enum.unique"}


def bases(evaluator: Evaluator, cls: ClassRef) -> list[ClassRef | str]:
    """The bases as written: classes in sight, else dotted paths."""
    found: list[ClassRef | str] = []
    for base in cls.node.bases:
        node = base.value if isinstance(base, ast.Subscript) else base
        resolved = evaluator.program.resolve(cls.module, node, before=cls.node.lineno, decide=evaluator.decide)
        if isinstance(resolved, Local) and isinstance(resolved.node, ast.ClassDef):
            found.append(evaluator.resolved(resolved, resolved.name, resolved.module))
        else:
            found.append(resolved.path if isinstance(resolved, External) else dotted_name(node) or "?")
    return found


def lineage(evaluator: Evaluator, cls: ClassRef) -> Iterator[ClassRef | str]:
    """The class and its bases, nearest first; bases that are not in sight as their path."""
    seen: set[int] = set()
    waiting: list[ClassRef | str] = [cls]
    while waiting:
        here = waiting.pop(0)
        if isinstance(here, ClassRef):
            if id(here.node) in seen:
                continue
            seen.add(id(here.node))
            waiting = bases(evaluator, here) + waiting
        yield here


def _enum_kind(evaluator: Evaluator, cls: ClassRef) -> bool | None:
    """None for no Enum, else whether its members are str or int themselves."""
    paths = {b for b in lineage(evaluator, cls) if isinstance(b, str)}
    kinds = [_ENUMS[p] for p in paths if p in _ENUMS]
    return any(kinds) or bool(paths & {"str", "int"}) if kinds else None


def find(evaluator: Evaluator, cls: ClassRef, name: str) -> tuple[ClassRef, Binding] | None:
    """Where a class or its bases bind a name; Stuck where a base out of sight may."""
    for here in lineage(evaluator, cls):
        if isinstance(here, str):
            if here not in _HARMLESS:
                raise Stuck(f"{cls.node.name}.{name} may come from {here}, which is not in sight", help=give(f"{cls.node.name}.{name}"))
            continue
        bound = pick(here.module.body(here.node).get(name, []), None)
        if isinstance(bound, Binding):
            return here, bound
        if bound is not None:
            raise Stuck(f"{cls.node.name}.{name} is bound in several places", help=give(f"{cls.node.name}.{name}"))
    return None


def class_attribute(evaluator: Evaluator, cls: ClassRef, name: str) -> Any:
    """`Class.name`"""
    if (key := f"{cls.node.name}.{name}") in evaluator.settings.values:
        return evaluator.given(key)
    if name == "__name__":
        return cls.node.name
    found = find(evaluator, cls, name)
    if found is None:
        raise Stuck(f"class {cls.node.name} has no attribute {name}")
    owner, binding = found
    if name == "__members__" and _enum_kind(evaluator, cls) is not None:
        return {m.name: m for m in enum_members(evaluator, cls)}
    if isinstance(binding.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        function = Function(owner.module, binding.node, Frame(owner.module))
        kinds = {dotted_name(d) for d in binding.node.decorator_list}
        return Method(cls, name, function) if "classmethod" in kinds else function
    enum = _enum_kind(evaluator, cls)
    value = _bound_value(evaluator, owner, binding, name)
    if enum is not None and binding.kind == "value" and not name.startswith("_"):
        return _member(cls, name, value, enum)
    return value


def _member(cls: ClassRef, name: str, value: Any, plain: bool) -> EnumMember:
    if value == Thing("enum.auto"):
        raise Stuck(f"{cls.node.name}.{name} is numbered by enum.auto")
    return EnumMember(cls, name, value, plain)


def enum_members(evaluator: Evaluator, cls: ClassRef) -> list[EnumMember]:
    """The members of an Enum, in order."""
    if _enum_kind(evaluator, cls) is None:
        raise Stuck(f"it iterates over the class {cls.node.name}")
    names = [n for n, bound in cls.module.body(cls.node).items() if bound[-1].kind == "value" and not n.startswith("_")]
    return [m for m in (class_attribute(evaluator, cls, n) for n in names) if isinstance(m, EnumMember)]


def _bound_value(evaluator: Evaluator, owner: ClassRef, binding: Binding, name: str) -> Any:
    resolved = evaluator.program.follow(owner.module, binding, name, evaluator.decide, body=owner.node)
    if owner.node is evaluator.scope.body and name in evaluator.scope.configs:
        return evaluator.config(name, evaluator.scope.configs[name])
    return evaluator.resolved(resolved, name, owner.module)


def instance_attribute(evaluator: Evaluator, owner: Instance, name: str) -> Any:
    """`instance.name`: a field, a property, a method, or an attribute of the class."""
    if name in owner.fields:
        return owner.fields[name]
    if name == "_replace" or (owner.cls is None):
        raise Stuck(f"the object has no attribute {name} in sight")
    found = find(evaluator, owner.cls, name)
    if found is None:
        raise Stuck(f"an instance of {owner.cls.node.name} has no attribute {name}")
    where, binding = found
    if not isinstance(binding.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return class_attribute(evaluator, owner.cls, name)
    function = Function(where.module, binding.node, Frame(where.module))
    kinds = {dotted_name(d) for d in binding.node.decorator_list}
    if kinds & {"property", "cached_property", "functools.cached_property"}:
        from flowc.frontend.values_functions import run

        return run(evaluator, function, [owner], {})
    if "staticmethod" in kinds:
        return function
    return Method(owner.cls if "classmethod" in kinds else owner, name, function)


def instantiate(evaluator: Evaluator, cls: ClassRef, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:
    """`Class(...)`: an Enum member by value, a dataclass or NamedTuple by its fields, else by an __init__ in sight."""
    plain = _enum_kind(evaluator, cls)
    if plain is not None:
        return _by_value(evaluator, cls, args)
    decorated = {_decorator_path(evaluator, cls.module, d) for d in cls.node.decorator_list}
    if not decorated <= _HARMLESS_DECORATORS:
        raise Stuck(f"the class {cls.node.name} is changed by its decorators")
    paths = {b for b in lineage(evaluator, cls) if isinstance(b, str)}
    if unseen := sorted(paths - _HARMLESS):
        raise Stuck(f"the class {cls.node.name} derives from {unseen[0]}, which is not in sight")
    if cls.node.keywords:
        raise Stuck(f"the class {cls.node.name} has a metaclass")
    as_tuple = "typing.NamedTuple" in paths
    if find(evaluator, cls, "__new__") is not None:
        raise Stuck(f"the class {cls.node.name} has its own __new__")
    made = Instance(cls, as_tuple=as_tuple)
    init = find(evaluator, cls, "__init__")
    if init is not None:
        from flowc.frontend.values_functions import run

        where, binding = init
        if not isinstance(binding.node, ast.FunctionDef):
            raise Stuck(f"the class {cls.node.name} has an __init__ that is no function")
        run(evaluator, Function(where.module, binding.node, Frame(where.module)), [made, *args], kwargs)
    elif as_tuple or decorated & _DATACLASS:
        _fill(evaluator, made, cls, args, kwargs, node, frame)
    elif args or kwargs:
        raise Stuck(f"the class {cls.node.name} takes no arguments")
    return made


def _by_value(evaluator: Evaluator, cls: ClassRef, args: list[Any]) -> EnumMember:
    member = next((m for m in enum_members(evaluator, cls) if args == [m.value]), None)
    if member is None:
        raise Stuck(f"{cls.node.name} has no member of that value")
    return member


def _decorator_path(evaluator: Evaluator, module: Module, node: ast.expr) -> str:
    name = node.func if isinstance(node, ast.Call) else node
    resolved = evaluator.program.resolve(module, name, decide=evaluator.decide)
    return resolved.path if isinstance(resolved, External) else "?"


def _fill(
    evaluator: Evaluator, made: Instance, cls: ClassRef, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame
) -> None:
    """Fields of a dataclass or NamedTuple: bases first, then in the order written."""
    fields: dict[str, tuple[ClassRef, ast.expr | None]] = {}
    for here in reversed([c for c in lineage(evaluator, cls) if isinstance(c, ClassRef)]):
        for statement in here.node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                annotation = ast.unparse(statement.annotation)
                if "InitVar" in annotation or "KW_ONLY" in annotation:
                    raise Stuck(f"the field {statement.target.id} of {cls.node.name} is a {annotation}")
                if "ClassVar" not in annotation:
                    fields[statement.target.id] = (here, statement.value)
    if len(args) > len(fields) or not kwargs.keys() <= fields.keys():
        raise Stuck(f"the arguments do not fit the fields of {cls.node.name}")
    given = dict(zip(fields, args, strict=False))
    if given.keys() & kwargs.keys():
        raise Stuck(f"a field of {cls.node.name} is given twice")
    given |= kwargs
    for name, (owner, default) in fields.items():
        if name in given:
            made.fields[name] = given[name]
        elif default is None:
            raise Stuck(f"the field {name} of {cls.node.name} is not given")
        else:
            made.fields[name] = _default(evaluator, owner, default, node, frame)
    after = find(evaluator, cls, "__post_init__")
    if after is not None and isinstance(after[1].node, ast.FunctionDef):
        from flowc.frontend.values_functions import run

        run(evaluator, Function(after[0].module, after[1].node, Frame(after[0].module)), [made], {})


def _default(evaluator: Evaluator, owner: ClassRef, default: ast.expr, node: ast.expr, frame: Frame) -> Any:
    inside = Frame(owner.module, body=owner.node, before=getattr(default, "lineno", None))
    evaluator.depth += 1
    try:
        if isinstance(default, ast.Call) and _decorator_path(evaluator, owner.module, default) == "dataclasses.field":
            settings = {k.arg: k.value for k in default.keywords}
            if "default" in settings:
                return evaluator.eval(settings["default"], inside)
            if "default_factory" in settings:
                from flowc.frontend.values_calls import call

                return call(evaluator, evaluator.eval(settings["default_factory"], inside), [], {}, node, frame)
            raise Stuck("a field without a default is not given")
        return evaluator.eval(default, inside)
    finally:
        evaluator.depth -= 1
