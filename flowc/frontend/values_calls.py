"""In: a callable of an evaluation, and arguments. Out: what the call gives: pure builtins, functions and classes in sight; else Stuck."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flowc.frontend.values_functions import run
from flowc.frontend.values_objects import (
    ClassRef,
    ConfigData,
    EnumMember,
    Frame,
    Function,
    Instance,
    Late,
    Method,
    Partial,
    Stuck,
    Thing,
    config_data,
    give,
    kind_of,
    weight,
)
from flowc.frontend.values_operations import BUILTINS, CHANGING, PLAIN, checked, method

if TYPE_CHECKING:
    from flowc.frontend.values_expressions import Evaluator

_ENVIRONMENT = {"os.getenv", "os.environ.get"}
_SILENT = {"builtins.print", "warnings.warn"}
_CASTS = {"builtins.str", "builtins.int", "builtins.float", "builtins.bool"}


def call(evaluator: Evaluator, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:
    """`function(*args, **kwargs)`; `node` is the call, for its place."""
    match function:
        case Thing():
            return _thing(evaluator, function, args, kwargs, node, frame)
        case Function():
            return evaluator.invoke(function, args, kwargs, node, frame)
        case Partial():
            return call(evaluator, function.function, [*function.args, *args], {**function.kwargs, **kwargs}, node, frame)
        case ClassRef():
            return evaluator.construct(function, args, kwargs, node, frame)
        case Method(function=Function() as inner):
            return run(evaluator, inner, [function.owner, *args], kwargs)
        case Method():
            return _method(evaluator, function, args, kwargs)
        case Instance(cls=ClassRef() as cls):
            from flowc.frontend.values_classes import find

            found = find(evaluator, cls, "__call__")
            if found is not None and isinstance(found[1].node, ast.FunctionDef):
                method_found = Function(found[0].module, found[1].node, Frame(found[0].module))
                return run(evaluator, method_found, [function, *args], kwargs)
    return evaluator.apply(function, args, kwargs, node, frame)


def _thing(evaluator: Evaluator, function: Thing, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:
    path = function.path
    if path in _ENVIRONMENT:
        return _getenv(evaluator, args, kwargs)
    if path == "os.environ.copy":
        raise evaluator.unseen(Thing("os.environ"))
    if path in _SILENT or path.startswith("logging."):
        return None if path in _SILENT else Thing("logging.Logger")
    if path in ("metaflow.config_expr", "metaflow.Config"):
        return _config(evaluator, path, args, kwargs, frame)
    if path in ("metaflow.Parameter", "metaflow.IncludeFile"):
        raise Stuck(
            "the value of a Parameter is known only when a run starts", help="Use a constant, or a Config, which is known when compiling."
        )
    if path == "functools.partial" and args:
        return Partial(args[0], args[1:], kwargs)
    if path == "types.SimpleNamespace":
        return Instance(None, dict(kwargs))
    if path in ("copy.copy", "copy.deepcopy") and len(args) == 1:
        return _copied(evaluator.charge(args[0]))
    if path in ("builtins.getattr", "builtins.hasattr"):
        return _getattr(evaluator, path, args, frame)
    if path == "builtins.isinstance":
        return _isinstance(args)
    if path == "builtins.map" and len(args) == 2:
        return [call(evaluator, args[0], [item], {}, node, frame) for item in evaluator.iterate(args[1])]
    if path in BUILTINS:
        args = [_casts(path, evaluator.printed(a) if path == "builtins.str" else evaluator.usable(a)) for a in args]
        if any(not isinstance(v, PLAIN) for v in (*args, *kwargs.values())):
            if path == "builtins.len" and isinstance(args[0], Instance) and args[0].as_tuple:
                return len(args[0].fields)
            args = [evaluator.iterate(a) if isinstance(a, (ClassRef, Instance)) else a for a in args]
        for argument in (*args, *kwargs.values()):
            evaluator.charge(argument)
        return evaluator.charge(checked(BUILTINS[path](*args, **kwargs)))
    return evaluator.external(function, args, kwargs, node, frame)


def _casts(path: str, value: Any) -> Any:
    if path in _CASTS and not isinstance(value, PLAIN):
        raise Stuck(f"{path.removeprefix('builtins.')} of {kind_of(value)} is not one that flowc computes")
    return value


def _method(evaluator: Evaluator, function: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
    owner, name = function.owner, function.name
    usable = evaluator.printed if name == "format" else evaluator.usable
    args, kwargs = [usable(a) for a in args], {k: usable(v) for k, v in kwargs.items()}
    changing = next((names for kind, names in CHANGING.items() if isinstance(owner, kind)), frozenset())
    if name in changing:
        if id(owner) in evaluator.shared or isinstance(owner, ConfigData):
            raise Stuck(f"{name} changes a constant")
        if evaluator.depth == 0:
            raise Stuck(f"{name} changes a value")
        evaluator.charge([args, list(kwargs.values())])
        evaluator.tick(len(owner))
        return getattr(owner, name)(*args, **kwargs)
    if isinstance(owner, ConfigData) and name == "to_dict":
        return dict(owner)
    evaluator.charge([owner, args, list(kwargs.values())])
    return evaluator.charge(method(owner, name, args, kwargs))


def _getenv(evaluator: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if not args or not isinstance(args[0], str):
        raise Stuck("the name of an environment variable is no text")
    default = args[1] if len(args) > 1 else kwargs.get("default")
    return environment(evaluator, args[0], default, required=False)


def environment(evaluator: Evaluator, name: str, default: Any, *, required: bool) -> Any:
    """An environment variable of the process that deploys: only settings can give it, never the machine's environment.

    A default in the text does not count by itself: whether the variable is set is not known.
    """
    key = f"os.environ.{name}"
    settings = evaluator.settings
    for source, where, known in ((settings.values, key, "[tool.flowc.values]"), (settings.environment, name, "[tool.flowc.environment]")):
        if where in source:
            evaluator.origins.append(f"{key} of {known}")
            return source[where]
    shown = "" if required else f" (its default there is {default!r})" if isinstance(default, (str, int, float, type(None))) else ""
    raise Stuck(
        f"it depends on the environment variable {name} of the machine that compiles, which flowc does not read{shown}",
        help=give(key),
    )


def _config(evaluator: Evaluator, path: str, args: list[Any], kwargs: dict[str, Any], frame: Frame) -> Late:
    """`config_expr("text")`, or a Config found as the constant that it is bound to."""
    scope = evaluator.scope
    names = scope.config_names or scope.configs
    text = args[0] if args else kwargs.get("expr" if path.endswith("expr") else "name")
    if not isinstance(text, str):
        raise Stuck("the argument of a config call is no text")
    if path == "metaflow.Config":
        if text not in names:
            raise Stuck(f"the Config {text} has no value in sight")
        return evaluator.config(text, names[text])
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Stuck(f"config_expr holds no Python expression: {error}") from error
    evaluator.origins.append("config_expr")
    inner = Frame(frame.module, {k: config_data(v) for k, v in names.items()}, Frame(frame.module))
    evaluator.depth += 1
    try:
        return Late(evaluator.eval(tree, inner), text)
    finally:
        evaluator.depth -= 1


def _copied(value: Any) -> Any:
    weight(value)
    if isinstance(value, (list, tuple, set)):
        return type(value)(_copied(v) for v in value)
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    if isinstance(value, Instance):
        return Instance(value.cls, {k: _copied(v) for k, v in value.fields.items()}, value.as_tuple)
    return value


def _getattr(evaluator: Evaluator, path: str, args: list[Any], frame: Frame) -> Any:
    from flowc.frontend.values_attributes import attribute

    if len(args) not in (2, 3) or not isinstance(args[1], str):
        raise Stuck("getattr is called with no attribute's name")
    owner, name = args[0], args[1]
    has = None
    if isinstance(owner, Instance) and (owner.cls is None or name in owner.fields):
        has = name in owner.fields
    elif isinstance(owner, Function):
        has = name in owner.attributes or name in ("__name__", "__doc__", "__qualname__") or bool(evaluator.has_attribute(owner, name))
    else:
        has = evaluator.has_attribute(owner, name)
    if path == "builtins.hasattr":
        if has is None:
            raise Stuck(f"whether {kind_of(owner)} has {name} is not one that flowc tells")
        return has
    return args[2] if has is False and len(args) == 3 else attribute(evaluator, owner, name, frame)


_TYPES: dict[str, type] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "set": set,
    "bytes": bytes,
}


def _isinstance(args: list[Any]) -> bool:
    kinds = args[1] if len(args) == 2 and isinstance(args[1], tuple) else args[1:]
    found = [_TYPES.get(k.path.removeprefix("builtins.")) if isinstance(k, Thing) else None for k in kinds]
    known = [k for k in found if k is not None]
    if len(known) != len(found) or not isinstance(args[0], PLAIN) or isinstance(args[0], EnumMember):
        raise Stuck("isinstance of that type is not one that flowc computes")
    return isinstance(args[0], tuple(known))
