"""In: a flow's file and what a step or the flow needs for its next stage. Out: the file with the decorators that say so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import libcst as cst

from flowc.fix.layout import arranged, joined
from flowc.fix.tree import UNREADABLE, WHY_UNREADABLE, Tree

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

    GraduateError where the class or a step is not in this file, a decorator there has arguments by `**`, or LibCST cannot read the file.
    """
    try:
        return _graduated(data, flow, steps, of_flow)
    except UNREADABLE as error:
        raise GraduateError(WHY_UNREADABLE) from error


def _graduated(data: bytes, flow: str, steps: Mapping[str, Wanted], of_flow: Wanted) -> bytes:
    for step, wanted in steps.items():
        for name, attributes in wanted.items():
            tree = Tree(data)
            for place, some in _places(tree, _step(tree, flow, step), name, attributes):
                tree = Tree(data)
                data = _decorated(tree, flow, _step(tree, flow, step), place, some)
    for name, attributes in of_flow.items():
        tree = Tree(data)
        data = _decorated(tree, flow, _class(tree, flow), name, attributes)
    return data


def _class(tree: Tree, flow: str) -> cst.ClassDef:
    found = [each for each in tree.all(cst.ClassDef) if each.name.value == flow]
    if not found:
        raise GraduateError(f"the class {flow} is not in this file")
    return found[-1]  # Python takes the last of two


def _step(tree: Tree, flow: str, step: str) -> cst.FunctionDef:
    body = _class(tree, flow).body.body
    found = [each for each in body if isinstance(each, cst.FunctionDef) and each.name.value == step]
    if not found:
        raise GraduateError(f"the step {step} is not in the class {flow} of this file, but in one of its bases")
    return found[-1]


def _places(tree: Tree, function: cst.FunctionDef, name: str, attributes: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The decorators that get attributes, each with its own: resources go where a step has some.

    Metaflow takes the largest of what several say, so those that say the same thing elsewhere are changed too.
    """
    standing = {each: found for each in COMPUTE if (found := _standing(tree, function, each))} if name == "resources" else {}
    if not standing:
        return [(name, attributes)]
    places: list[tuple[str, Mapping[str, Any]]] = [(next(iter(standing)), attributes)]
    for each, decorator in [*standing.items()][1:]:
        arguments = decorator.decorator.args if isinstance(decorator.decorator, cst.Call) else ()
        said = {argument.keyword.value for argument in arguments if argument.keyword}
        places.append((each, {key: value for key, value in attributes.items() if key in said}))
    return [place for place in places if place[1]]


def _standing(tree: Tree, owner: cst.FunctionDef | cst.ClassDef, name: str) -> cst.Decorator | None:
    spellings = _spellings(tree, name)
    for decorator in owner.decorators:
        called = decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator
        if tree.code(called) in spellings:
            return decorator
    return None


def _spellings(tree: Tree, name: str) -> list[str]:
    """How the file can name something of metaflow's, short ones first; none where it imports neither it nor metaflow."""
    short, long = [], []
    for statement in _imports(tree):
        if isinstance(statement.names, cst.ImportStar):
            short.append(name)
            continue
        for alias in statement.names:
            known = tree.code(alias.asname.name) if alias.asname else tree.code(alias.name)
            if isinstance(statement, cst.ImportFrom) and alias.name.value == name:
                short.append(known)
            elif isinstance(statement, cst.Import) and tree.code(alias.name) == "metaflow":
                long.append(f"{known}.{name}")
    return [*short, *long]


def _imports(tree: Tree) -> Iterator[cst.Import | cst.ImportFrom]:
    """The imports that count for all of the file: at its top level, or tried there; of those from elsewhere, the ones of metaflow."""
    body = [each for block in tree.module.body for each in (block.body.body if isinstance(block, cst.Try) else [block])]
    lines = [line for line in body if isinstance(line, cst.SimpleStatementLine)]
    for statement in (each for line in lines for each in line.body):
        ours = isinstance(statement, cst.ImportFrom) and statement.module is not None and tree.code(statement.module) == "metaflow"
        if isinstance(statement, cst.Import) or (isinstance(statement, cst.ImportFrom) and ours):
            yield statement


def _is_bound(tree: Tree, flow: str, name: str) -> bool:
    """Whether the name means anything already where decorators are looked up: in the file, or in the body of a class of that name."""
    import symtable

    table = symtable.symtable(tree.module.code.removeprefix("\ufeff"), "flow", "exec")
    scopes = [table, *(each for each in table.get_children() if each.get_name() == flow)]
    found = [each.lookup(name) for each in scopes if name in each.get_identifiers()]
    return any(symbol.is_assigned() or symbol.is_imported() for symbol in found)


def _decorated(tree: Tree, flow: str, owner: cst.FunctionDef | cst.ClassDef, name: str, attributes: Mapping[str, Any]) -> bytes:
    standing = _standing(tree, owner, name)
    if standing is not None:
        return tree.replaced({standing.decorator: _call(tree, standing.decorator, attributes)})
    spelled = next(iter(_spellings(tree, name)), None)
    if spelled is None and _is_bound(tree, flow, name):
        other = f"from metaflow import {name} as metaflow_{name}"
        raise GraduateError(f"`{name}` means something else in this file; import metaflow's by another name: `{other}`")
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
    kept = []
    for argument in call.args:
        name = argument.keyword.value if argument.keyword else ""
        if name in replaced:
            continue
        kept.append((argument, argument.with_changes(value=cst.parse_expression(_literal(left.pop(name)))) if name in left else argument))
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    added = [cst.Arg(cst.parse_expression(_literal(value)), cst.Name(name), equal) for name, value in left.items()]
    return arranged(call, kept, added)


def _literal(value: Any) -> str:
    """Python's text of a value, with the quotes that most code has."""
    if isinstance(value, str) and '"' not in value and "\\" not in value and value.isprintable():
        return f'"{value}"'
    return repr(value)


def _imported(tree: Tree, name: str) -> dict[cst.CSTNode, Any]:
    """The import of the name joins the first `from metaflow import`; GraduateError where there is none to join."""
    for statement in _imports(tree):
        if isinstance(statement, cst.Import) or isinstance(statement.names, cst.ImportStar):
            continue
        names = list(statement.names)
        at = sum(1 for alias in names if str(alias.name.value).lower() < name.lower() or not str(alias.name.value).islower())
        in_order = [alias.name.value for alias in names] == sorted((alias.name.value for alias in names), key=str)
        return {statement: joined(statement, names, name, at if in_order else len(names))}
    raise GraduateError(f"{name} of metaflow is not imported here, and there is no `from metaflow import ...` that could bring it")
