"""In: an expression and a frame. Out: what it comes to, computed by this small, bounded interpreter, or Stuck."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from flowc.frontend.values import Unknown
from flowc.frontend.values_attributes import attribute, subscript
from flowc.frontend.values_calls import call
from flowc.frontend.values_classes import instantiate
from flowc.frontend.values_functions import run
from flowc.frontend.values_names import RAISED, Names
from flowc.frontend.values_objects import MAX_ITEMS, ClassRef, EnumMember, Frame, Function, Instance, Late, Stuck, Thing, kind_of
from flowc.frontend.values_operations import PLAIN, UNARY, binary, compare, format_value
from flowc.ir import Value
from flowc.source import Span

LITERALS = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.UnaryOp)


class Evaluator(Names):
    """One evaluation of an expression."""

    def value(self, expr: ast.expr) -> Value | Unknown:
        """Plain data of an expression in the scope, or Unknown."""
        span = self.scope.module.span(expr)
        self.origins.clear()
        try:
            data = self.plain(self.eval(expr, self.frame))
        except Stuck as stuck:
            return Unknown(stuck.reason, stuck.span or span, stuck.help)
        except RecursionError:
            return Unknown("it nests too deep", span)
        return Value(data, span, ", ".join(dict.fromkeys(self.origins)) or ("literal" if isinstance(expr, LITERALS) else "expression"))

    def eval(self, node: ast.expr, frame: Frame) -> Any:
        """What an expression comes to; what Python would raise is Stuck."""
        if isinstance(node, ast.Constant):
            if node.value is Ellipsis or isinstance(node.value, complex):
                raise Stuck(f"{ast.unparse(node)} is no plain value", self.place(node, frame))
            return node.value
        self.tick()
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise Stuck(f"{type(node).__name__} is an expression that flowc does not compute", self.place(node, frame))
        try:
            return getattr(self, handler)(node, frame)
        except Stuck as stuck:
            if stuck.span is None:
                stuck.span = self.place(node, frame)
            raise
        except RAISED as error:
            text = ast.unparse(node)
            shown = text if len(text) <= 60 else text[:57] + "..."
            raise Stuck(f"Python raises {type(error).__name__} for {shown}: {error}", self.place(node, frame)) from error

    def external(self, function: Thing, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:  # noqa: ARG002
        """A call of something that is not in sight; what reads decorators knows some of those."""
        path = function.path.removeprefix("builtins.")
        if function.path.startswith("metaflow."):
            raise Stuck(f"{path}() is no plain value")
        raise Stuck(f"it calls {path}(), which flowc does not run")

    def invoke(self, function: Function, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:  # noqa: ARG002
        """A call of a function in sight."""
        return run(self, function, args, kwargs)

    def construct(self, cls: ClassRef, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:
        """A call of a class in sight."""
        return instantiate(self, cls, args, kwargs, node, frame)

    def apply(self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:  # noqa: ARG002
        """A call of any other object."""
        raise Stuck(f"{kind_of(function)} is called, which is no function in sight")

    def has_attribute(self, owner: Any, name: str) -> bool | None:  # noqa: ARG002
        """`hasattr(owner, name)`; None where that is not told."""
        return None

    def decorate(self, decorator: ast.expr, made: Any, frame: Frame) -> Any:
        """What a decorator makes of a function."""
        return call(self, self.eval(decorator, frame), [made], {}, decorator, frame)

    def place(self, node: ast.AST, frame: Frame) -> Span | None:
        """The place to blame: in the expression itself, never in what it uses elsewhere (the user of it is the one to be told)."""
        return frame.module.span(node) if self.depth == 0 else None

    def iterate(self, value: Any) -> list[Any]:
        """The items of a value, when it is one that flowc iterates."""
        value = self.usable(value)
        if isinstance(value, Instance) and value.as_tuple:
            return list(value.fields.values())
        if isinstance(value, ClassRef):
            from flowc.frontend.values_classes import enum_members

            return list(enum_members(self, value))
        if isinstance(value, (set, frozenset)) and len(value) > 1:
            raise Stuck("the order of a set is not defined; sort it")
        if not isinstance(value, (list, tuple, dict, str, range, set, frozenset)):
            raise Stuck(f"it iterates over {kind_of(value)}")
        if len(value) > MAX_ITEMS:
            raise Stuck("it iterates over more items than flowc computes")
        return list(value)

    # --- one method a kind of node -------------------------------------------------------------------------------------

    def on_attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        return attribute(self, self.eval(node.value, frame), node.attr, frame)

    def on_subscript(self, node: ast.Subscript, frame: Frame) -> Any:
        found = subscript(self, self.eval(node.value, frame), self.eval(node.slice, frame))
        return self.charge(found) if isinstance(node.slice, ast.Slice) else found

    def on_slice(self, node: ast.Slice, frame: Frame) -> slice:
        return slice(*[None if part is None else self.usable(self.eval(part, frame)) for part in (node.lower, node.upper, node.step)])

    def on_call(self, node: ast.Call, frame: Frame) -> Any:
        function = self.eval(node.func, frame)
        args, kwargs = self.arguments(node, frame)
        return call(self, function, args, kwargs, node, frame)

    def arguments(self, node: ast.Call, frame: Frame) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a call, `*` and `**` spread."""
        args = self.on_elements(node.args, frame)
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is not None:
                kwargs[keyword.arg] = self.eval(keyword.value, frame)
                continue
            for key, item in self.mapping(keyword.value, frame).items():
                if not isinstance(key, str) or key in kwargs:
                    raise Stuck(f"** gives the argument {key!r} a second time", self.place(keyword.value, frame))
                kwargs[key] = item
        return args, kwargs

    def mapping(self, node: ast.expr, frame: Frame) -> dict[Any, Any]:
        """What stands after `**`; a Config may."""
        value = self.eval(node, frame)
        value = self.usable(value.data if isinstance(value, Late) else value)
        if not isinstance(value, dict):
            raise Stuck(f"what ** spreads is {kind_of(value)}, no mapping", self.place(node, frame))
        return value

    def on_elements(self, nodes: list[ast.expr], frame: Frame) -> list[Any]:
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found.extend(self.iterate(self.eval(node.value, frame)))
            else:
                found.append(self.eval(node, frame))
        return found

    def on_list(self, node: ast.List, frame: Frame) -> list[Any]:
        return self.on_elements(node.elts, frame)

    def on_tuple(self, node: ast.Tuple, frame: Frame) -> tuple[Any, ...]:
        return tuple(self.on_elements(node.elts, frame))

    def on_set(self, node: ast.Set, frame: Frame) -> set[Any]:
        return set(self.on_elements(node.elts, frame))

    def on_dict(self, node: ast.Dict, frame: Frame) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found.update(self.mapping(value, frame))
            else:
                found[self.eval(key, frame)] = self.eval(value, frame)
        return found

    def on_binop(self, node: ast.BinOp, frame: Frame) -> Any:
        left, right = self.usable(self.eval(node.left, frame)), self.eval(node.right, frame)
        right = self.printed(right) if isinstance(left, str) and isinstance(node.op, ast.Mod) else self.usable(right)
        if not isinstance(left, PLAIN) or not isinstance(right, PLAIN):
            raise Stuck(f"an operand is {kind_of(right if isinstance(left, PLAIN) else left)}, no plain value")
        return self.charge(binary(type(node.op), self.charge(left), self.charge(right)))

    def on_unary(self, node: ast.UnaryOp, frame: Frame) -> Any:
        value = self.eval(node.operand, frame)
        if isinstance(node.op, ast.Not):
            return not self.truth(value)
        value = self.usable(value)
        if not isinstance(value, (int, float)):
            raise Stuck(f"the operand is {kind_of(value)}, no number")
        return UNARY[type(node.op)](value)

    def on_boolop(self, node: ast.BoolOp, frame: Frame) -> Any:
        value: Any = None
        for operand in node.values:
            value = self.eval(operand, frame)
            if self.truth(value) is isinstance(node.op, ast.Or):
                return value
        return value

    def on_compare(self, node: ast.Compare, frame: Frame) -> bool:
        left = self.eval(node.left, frame)
        for op, operand in zip(node.ops, node.comparators, strict=True):
            right = self.eval(operand, frame)
            if not self.compared(op, left, right):
                return False
            left = right
        return True

    def compared(self, op: ast.cmpop, left: Any, right: Any) -> bool:
        """One comparison; `is` only where its outcome is not an accident of how Python keeps constants."""
        if not isinstance(op, (ast.Is, ast.IsNot)):
            return compare(type(op), self.charge(self.usable(left)), self.charge(self.usable(right)))
        if isinstance(left, EnumMember):
            same = left == right
        elif any(v is None or isinstance(v, bool) for v in (left, right)) or not isinstance(left, PLAIN):
            same = self.usable(left) is self.usable(right)
        else:
            raise Stuck("whether two equal constants are the same object is not defined")
        return same is isinstance(op, ast.Is)

    def on_ifexp(self, node: ast.IfExp, frame: Frame) -> Any:
        return self.eval(node.body if self.truth(self.eval(node.test, frame)) else node.orelse, frame)

    def on_joined(self, node: ast.JoinedStr, frame: Frame) -> str:
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = self.printed(self.eval(part.value, frame))
                if not isinstance(value, PLAIN) or isinstance(value, (set, frozenset)):
                    raise Stuck(f"a field of the f-string is {kind_of(value)}, no plain value")
                spec = self.on_joined(part.format_spec, frame) if isinstance(part.format_spec, ast.JoinedStr) else ""
                parts.append(format_value(self.charge(value), spec, part.conversion))
            else:
                parts.append(str(self.eval(part, frame)))
        return str(self.charge("".join(parts)))

    def on_named(self, node: ast.NamedExpr, frame: Frame) -> Any:
        if frame.names is None:
            raise Stuck("an assignment expression outside a function is not one that flowc computes")
        frame.names[node.target.id] = value = self.eval(node.value, frame)
        return value

    def on_lambda(self, node: ast.Lambda, frame: Frame) -> Function:
        return Function(frame.module, node, frame)

    def on_comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, frame: Frame) -> Any:
        inner = Frame(frame.module, {}, frame, before=frame.before)
        if isinstance(node, ast.DictComp):
            pairs = [(self.eval(node.key, inner), self.eval(node.value, inner)) for _ in self._rounds(node.generators, inner, frame)]
            return dict(pairs)
        items = [self.eval(node.elt, inner) for _ in self._rounds(node.generators, inner, frame)]
        return set(items) if isinstance(node, ast.SetComp) else items

    def _rounds(self, generators: list[ast.comprehension], inner: Frame, source: Frame) -> Iterator[None]:
        first, rest = generators[0], generators[1:]
        for item in self.iterate(self.eval(first.iter, source)):
            self.tick()
            self.bind(first.target, item, inner)
            if all(self.truth(self.eval(test, inner)) for test in first.ifs):
                if rest:
                    yield from self._rounds(rest, inner, inner)
                else:
                    yield None

    def bind(self, target: ast.expr, value: Any, frame: Frame) -> None:
        """Bind a name, or names to the items of a value."""
        if isinstance(target, ast.Name) and frame.names is not None:
            frame.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)) and not any(isinstance(e, ast.Starred) for e in target.elts):
            items = self.iterate(value)
            if len(items) != len(target.elts):
                raise Stuck(f"{len(items)} items are unpacked into {len(target.elts)} names")
            for element, item in zip(target.elts, items, strict=True):
                self.bind(element, item, frame)
        else:
            raise Stuck("its target is not a name")


_HANDLERS: dict[type[ast.expr], str] = {
    ast.Name: "name",
    ast.Attribute: "on_attribute",
    ast.Subscript: "on_subscript",
    ast.Slice: "on_slice",
    ast.Call: "on_call",
    ast.List: "on_list",
    ast.Tuple: "on_tuple",
    ast.Set: "on_set",
    ast.Dict: "on_dict",
    ast.BinOp: "on_binop",
    ast.UnaryOp: "on_unary",
    ast.BoolOp: "on_boolop",
    ast.Compare: "on_compare",
    ast.IfExp: "on_ifexp",
    ast.JoinedStr: "on_joined",
    ast.NamedExpr: "on_named",
    ast.Lambda: "on_lambda",
    ast.ListComp: "on_comprehension",
    ast.SetComp: "on_comprehension",
    ast.GeneratorExp: "on_comprehension",
    ast.DictComp: "on_comprehension",
}
