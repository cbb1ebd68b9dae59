"""In: a function in sight and its arguments. Out: what it returns, computed statement by statement within bounds, or Stuck."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flowc.frontend.modules import dotted_name
from flowc.frontend.modules_bindings import Binding, collect
from flowc.frontend.values_objects import MAX_DEPTH, UNBOUND, Frame, Function, Instance, Stuck, kind_of
from flowc.frontend.values_operations import BINARY, PLAIN, binary

if TYPE_CHECKING:
    from flowc.frontend.values_expressions import Evaluator


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def run(evaluator: Evaluator, function: Function, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function in sight. Its decorators must be ones that leave the call as it is."""
    if evaluator.depth > MAX_DEPTH:
        raise Stuck("functions call one another too deep")
    evaluator.tick()
    inner = Frame(function.module, {}, function.frame)
    definition = function.node
    evaluator.depth += 1
    try:
        if isinstance(definition, ast.Lambda):
            _bind(evaluator, function, inner, args, kwargs)
            return evaluator.eval(definition.body, inner)
        _callable(definition)
        assert inner.names is not None
        inner.names.update(dict.fromkeys(_assigned(definition), UNBOUND))
        _bind(evaluator, function, inner, args, kwargs)
        _block(evaluator, definition.body, inner)
    except _Return as returned:
        return returned.value
    finally:
        evaluator.depth -= 1
    return None


_TRANSPARENT = {"staticmethod", "classmethod", "property", "lru_cache", "cache", "cached_property", "wraps"}


def _callable(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if isinstance(definition, ast.AsyncFunctionDef) or yields(definition):
        raise Stuck(f"{definition.name} is a generator or coroutine")
    for decorator in definition.decorator_list:
        name = dotted_name(decorator.func if isinstance(decorator, ast.Call) else decorator) or ""
        if name.rpartition(".")[2] not in _TRANSPARENT:
            raise Stuck(f"{definition.name} is changed by its decorator {name or ast.unparse(decorator)}")


def yields(definition: ast.FunctionDef) -> bool:
    """Whether calling the function makes a generator."""
    return any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in _own_nodes(definition))


def _own_nodes(definition: ast.AST) -> list[ast.AST]:
    """The nodes of a function without those of functions and classes in it."""
    found: list[ast.AST] = []
    waiting = list(ast.iter_child_nodes(definition))
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def _assigned(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    names: set[str] = set()
    for node in _own_nodes(definition):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node is not definition:
            names.add(node.name)
    return names


def _bind(evaluator: Evaluator, function: Function, inner: Frame, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Arguments to parameters, as Python does."""
    spec = function.node.args
    names = inner.names
    assert names is not None
    positional = [*spec.posonlyargs, *spec.args]
    what = kind_of(function)
    if len(args) > len(positional) and spec.vararg is None:
        raise Stuck(f"{what} takes {len(positional)} arguments, and {len(args)} are given")
    bound: dict[str, Any] = {p.arg: v for p, v in zip(positional, args, strict=False)}
    if spec.vararg is not None:
        bound[spec.vararg.arg] = tuple(args[len(positional) :])
    allowed = {p.arg for p in (*spec.args, *spec.kwonlyargs)}
    extra = {}
    for name, value in kwargs.items():
        if name in allowed and name not in bound:
            bound[name] = value
        elif spec.kwarg is not None and name not in allowed:
            extra[name] = value
        else:
            raise Stuck(f"{what} takes no argument {name}" if name not in allowed else f"{what} is given {name} twice")
    if spec.kwarg is not None:
        bound[spec.kwarg.arg] = extra
    defaults = dict(zip([p.arg for p in positional][len(positional) - len(spec.defaults) :], spec.defaults, strict=True))
    defaults |= {p.arg: d for p, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if d is not None}
    for parameter in (*positional, *spec.kwonlyargs):
        if parameter.arg not in bound:
            if parameter.arg not in defaults:
                raise Stuck(f"{what} is not given its argument {parameter.arg}")
            bound[parameter.arg] = evaluator.eval(defaults[parameter.arg], function.frame)
            evaluator.share(bound[parameter.arg])
    names.update(bound)


def _block(evaluator: Evaluator, body: list[ast.stmt], frame: Frame) -> None:
    for statement in body:
        evaluator.tick()
        _statement(evaluator, statement, frame)


def _statement(evaluator: Evaluator, node: ast.stmt, frame: Frame) -> None:
    match node:
        case ast.Return():
            raise _Return(None if node.value is None else evaluator.eval(node.value, frame))
        case ast.Expr():
            if not isinstance(node.value, ast.Constant):
                evaluator.eval(node.value, frame)
        case ast.Assign():
            value = evaluator.eval(node.value, frame)
            for target in node.targets:
                _store(evaluator, target, value, frame)
        case ast.AnnAssign():
            if node.value is not None:
                _store(evaluator, node.target, evaluator.eval(node.value, frame), frame)
        case ast.AugAssign():
            _augmented(evaluator, node, frame)
        case ast.If():
            _block(evaluator, node.body if evaluator.truth(evaluator.eval(node.test, frame)) else node.orelse, frame)
        case ast.For():
            _for(evaluator, node, frame)
        case ast.FunctionDef():
            _define(evaluator, node, frame)
        case ast.Import() | ast.ImportFrom():
            _import(evaluator, node, frame)
        case ast.Assert():
            if not evaluator.truth(evaluator.eval(node.test, frame)):
                raise Stuck(f"an assertion fails on line {node.lineno} of {frame.module.source.path}")
        case ast.Try():
            # what Python would raise is Stuck here, so no handler is ever entered wrongly
            _block(evaluator, [*node.body, *node.orelse, *node.finalbody], frame)
        case ast.Break():
            raise _Break
        case ast.Continue():
            raise _Continue
        case ast.Pass():
            pass
        case ast.Raise():
            raise Stuck(f"it raises an exception on line {node.lineno} of {frame.module.source.path}")
        case _:
            raise Stuck(f"line {node.lineno} of {frame.module.source.path} is a statement that flowc does not compute")


def _for(evaluator: Evaluator, node: ast.For, frame: Frame) -> None:
    try:
        for item in evaluator.iterate(evaluator.eval(node.iter, frame)):
            evaluator.tick()
            evaluator.bind(node.target, item, frame)
            try:
                _block(evaluator, node.body, frame)
            except _Continue:
                continue
    except _Break:
        return
    _block(evaluator, node.orelse, frame)


def _store(evaluator: Evaluator, target: ast.expr, value: Any, frame: Frame) -> None:
    if isinstance(target, (ast.Name, ast.Tuple, ast.List)):
        evaluator.bind(target, value, frame)
        return
    if isinstance(target, ast.Attribute):
        owner = evaluator.eval(target.value, frame)
        if isinstance(owner, Function):
            owner.attributes[target.attr] = value
            return
        if isinstance(owner, Instance) and id(owner) not in evaluator.shared:
            owner.fields[target.attr] = value
            return
    elif isinstance(target, ast.Subscript):
        owner = evaluator.eval(target.value, frame)
        if isinstance(owner, (dict, list)) and id(owner) not in evaluator.shared:
            owner[evaluator.usable(evaluator.eval(target.slice, frame))] = value
            return
    raise Stuck(f"line {target.lineno} of {frame.module.source.path} changes what it did not make")


def _augmented(evaluator: Evaluator, node: ast.AugAssign, frame: Frame) -> None:
    if not isinstance(node.target, ast.Name):
        raise Stuck(f"line {node.lineno} of {frame.module.source.path} is a statement that flowc does not compute")
    before = evaluator.usable(evaluator.eval(ast.Name(node.target.id, ast.Load(), lineno=node.lineno, col_offset=node.col_offset), frame))
    value = evaluator.usable(evaluator.eval(node.value, frame))
    if isinstance(before, (list, dict, set)) or not isinstance(before, PLAIN) or not isinstance(value, PLAIN):
        raise Stuck(f"line {node.lineno} of {frame.module.source.path} changes {kind_of(before)} in place")
    assert type(node.op) in BINARY
    evaluator.bind(node.target, binary(type(node.op), before, value), frame)


def _define(evaluator: Evaluator, node: ast.FunctionDef, frame: Frame) -> None:
    """A function within the function; `functools.wraps(f)` on it hands it the attributes of `f`."""
    made: Any = Function(frame.module, node, frame)
    for decorator in reversed(node.decorator_list):
        name = dotted_name(decorator.func if isinstance(decorator, ast.Call) else decorator) or ""
        if (
            name.rpartition(".")[2] == "wraps"
            and isinstance(decorator, ast.Call)
            and len(decorator.args) == 1
            and isinstance(made, Function)
        ):
            made.inner = evaluator.eval(decorator.args[0], frame)
            continue
        made = evaluator.decorate(decorator, made, frame)
    assert frame.names is not None
    frame.names[node.name] = made


def _import(evaluator: Evaluator, node: ast.stmt, frame: Frame) -> None:
    assert frame.names is not None
    for name, bindings in collect([node])[0].items():
        binding: Binding = bindings[-1]
        found = evaluator.program.follow(frame.module, binding, name, evaluator.decide)
        frame.names[name] = evaluator.resolved(found, name, frame.module)
