"""In: a flow's file and what a step or the flow needs for its next stage. Out: the file with the decorators that say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import libcst as cst

from flowc.fix.tree import Tree

COMPUTE = ("kubernetes", "batch", "resources")
"""Where a step's resources may stand already; the first that stands there is changed."""

ONE_OF = ({"seconds", "minutes", "hours"}, {"cron", "weekly", "daily", "hourly"})
"""Attributes that say one thing together: where one is wanted, the others go."""

Wanted = Mapping[str, Mapping[str, Any]]
"""Decorator -> attribute -> value. `resources` is what any platform reads; a step with @kubernetes or @batch takes it there."""


class GraduateError(ValueError):
    """The file has no place for a decorator; the message stands alone."""


def graduate(data: bytes, flow: str, steps: Mapping[str, Wanted], of_flow: Wanted) -> bytes:
    """The bytes of the file with decorators added or changed: `steps` by step name, and those of the flow's class. The rest stays.

    GraduateError where the class or a step is not in this file, or a decorator there has arguments by `**`.
    """
    for step, wanted in steps.items():
        for name, attributes in wanted.items():
            tree = Tree(data)
            function = _step(tree, flow, step)
            data = _decorated(tree, function, _place(tree, function, name), attributes)
    for name, attributes in of_flow.items():
        tree = Tree(data)
        data = _decorated(tree, _class(tree, flow), name, attributes)
    return data


def _class(tree: Tree, flow: str) -> cst.ClassDef:
    found = next((each for each in tree.all(cst.ClassDef) if each.name.value == flow), None)
    if found is None:
        raise GraduateError(f"the class {flow} is not in this file")
    return found


def _step(tree: Tree, flow: str, step: str) -> cst.FunctionDef:
    body = _class(tree, flow).body.body
    found = next((each for each in body if isinstance(each, cst.FunctionDef) and each.name.value == step), None)
    if found is None:
        raise GraduateError(f"the step {step} is not in the class {flow} of this file, but in one of its bases")
    return found


def _place(tree: Tree, function: cst.FunctionDef, name: str) -> str:
    """`kubernetes` or `batch` for resources of a step that has such a decorator."""
    if name != "resources":
        return name
    return next((each for each in COMPUTE if _standing(tree, function, each)), name)


def _standing(tree: Tree, owner: cst.FunctionDef | cst.ClassDef, name: str) -> cst.Decorator | None:
    spelled = _spelling(tree, name)
    for decorator in owner.decorators:
        called = decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator
        if spelled is not None and tree.code(called) == spelled:
            return decorator
    return None


def _spelling(tree: Tree, name: str) -> str | None:
    """How the file names something of metaflow's; None where it imports neither it nor metaflow."""
    module = None
    for statement in tree.all(cst.ImportFrom):
        if statement.module is not None and tree.code(statement.module) == "metaflow" and not isinstance(statement.names, cst.ImportStar):
            for alias in statement.names:
                if alias.name.value == name:
                    return tree.code(alias.asname.name) if alias.asname else name
    for plain in tree.all(cst.Import):
        for alias in plain.names:
            if tree.code(alias.name) == "metaflow":
                module = tree.code(alias.asname.name) if alias.asname else "metaflow"
    return None if module is None else f"{module}.{name}"


def _decorated(tree: Tree, owner: cst.FunctionDef | cst.ClassDef, name: str, attributes: Mapping[str, Any]) -> bytes:
    standing = _standing(tree, owner, name)
    if standing is not None:
        return tree.replaced({standing.decorator: _call(tree, standing.decorator, attributes)})
    spelled = _spelling(tree, name)
    new = cst.Decorator(_call(tree, cst.parse_expression(spelled or name), attributes))
    changed: dict[cst.CSTNode, Any] = {}
    decorators = owner.decorators
    if decorators:
        first = decorators[0]
        new = new.with_changes(leading_lines=first.leading_lines)
        changed[owner] = owner.with_changes(decorators=[new, first.with_changes(leading_lines=[]), *decorators[1:]])
    else:
        changed[owner] = owner.with_changes(decorators=[new])
    if spelled is None:
        changed.update(_imported(tree, name))
    return tree.replaced(changed)


def _call(tree: Tree, decorator: cst.BaseExpression, attributes: Mapping[str, Any]) -> cst.Call:
    """The call with these keywords: those that it has are given the value, the others are added."""
    call = decorator if isinstance(decorator, cst.Call) else cst.Call(decorator)
    if any(argument.star for argument in call.args):
        raise GraduateError(f"line {tree.line(decorator)}: {tree.code(decorator)} takes its arguments from elsewhere; change them there")
    left = dict(attributes)
    replaced = {name for group in ONE_OF if group & left.keys() for name in group - left.keys()}
    arguments = []
    for argument in call.args:
        name = argument.keyword.value if argument.keyword else ""
        if name in replaced:
            continue
        arguments.append(argument.with_changes(value=cst.parse_expression(_literal(left.pop(name)))) if name in left else argument)
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    added = [cst.Arg(cst.parse_expression(_literal(value)), cst.Name(name), equal) for name, value in left.items()]
    if arguments and added and isinstance(arguments[-1].comma, cst.MaybeSentinel):
        arguments[-1] = arguments[-1].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
    return call.with_changes(args=[*arguments, *added])


def _literal(value: Any) -> str:
    """Python's text of a value, with the quotes that most code has."""
    if isinstance(value, str) and '"' not in value and "\\" not in value and value.isprintable():
        return f'"{value}"'
    return repr(value)


def _imported(tree: Tree, name: str) -> dict[cst.CSTNode, Any]:
    """The import of the name joins the first `from metaflow import`; GraduateError where there is none to join."""
    for statement in tree.all(cst.ImportFrom):
        if statement.module is None or tree.code(statement.module) != "metaflow" or isinstance(statement.names, cst.ImportStar):
            continue
        names = list(statement.names)
        at = sum(1 for alias in names if str(alias.name.value).lower() < name.lower() or not str(alias.name.value).islower())
        in_order = [alias.name.value for alias in names] == sorted((alias.name.value for alias in names), key=str)
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        if in_order and at < len(names):
            names.insert(at, cst.ImportAlias(cst.Name(name), comma=comma))
        else:
            last = names[-1]
            ends = isinstance(last.comma, cst.Comma)
            names[-1] = last if ends else last.with_changes(comma=comma)
            names.append(cst.ImportAlias(cst.Name(name), comma=last.comma if ends else cst.MaybeSentinel.DEFAULT))
        return {statement: statement.with_changes(names=names)}
    raise GraduateError(f"{name} of metaflow is not imported here, and there is no `from metaflow import ...` that could bring it")
