"""In: a file and a step in it that is misnamed, or whose self.next() is not last. Out: the file with the step renamed or in order."""

from __future__ import annotations

import re
from collections.abc import Callable

import libcst as cst

from flowc.checks.signatures import RESERVED
from flowc.diagnostics import Diagnostic
from flowc.fix.tree import Tree

VALID = re.compile(r"[a-z0-9][a-z0-9_]*")


def rename_reserved(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """`index` becomes `index_step`. Elsewhere `self.index` means Metaflow's own attribute, so only transitions and joins are touched."""
    return _rename(tree, diagnostic, lambda name: f"{name}_step", others=True)


def rename_invalid(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """`trainModel` becomes `train_model`, where the name stands for nothing else in the file."""
    return _rename(tree, diagnostic, lambda name: re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_"), others=False)


def _rename(tree: Tree, diagnostic: Diagnostic, renamed: Callable[[str], str], *, others: bool) -> bytes | None:
    assert diagnostic.span is not None
    step = tree.step(diagnostic.span)
    flow = tree.class_of(step) if step else None
    if step is None or flow is None:
        return None
    old, new = step.name.value, renamed(step.name.value)
    taken = {name.value for name in tree.all(cst.Name)} | {text.evaluated_value for text in tree.all(cst.SimpleString)}
    if not VALID.fullmatch(new) or new in taken or new in RESERVED:
        return None
    found = [step.name, *_references(tree, flow, old)]
    everywhere = [name for name in tree.all(cst.Name) if name.value == old]
    told = any(text.evaluated_value == old for text in tree.all(cst.SimpleString))
    if not others and (told or len(everywhere) != len(found)):
        return None
    return tree.replaced({name: name.with_changes(value=new) for name in found})


def _references(tree: Tree, flow: cst.ClassDef, step: str) -> list[cst.Name]:
    """The name where it means the step: in transitions, and as an attribute of a join's inputs."""
    found = []
    for function in (each for each in flow.body.body if isinstance(each, cst.FunctionDef)):
        parameters = [parameter.name.value for parameter in function.params.params]
        for call in tree.all(cst.Call, function):
            if tree.code(call.func) == "self.next":
                found += [a.attr for a in tree.all(cst.Attribute, call) if tree.code(a.value) == "self" and a.attr.value == step]
        if len(parameters) == 2:
            found += [a.attr for a in tree.all(cst.Attribute, function) if tree.code(a.value) == parameters[1] and a.attr.value == step]
    return found


def move_next_last(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """The one `self.next()` of a step's body goes behind what follows it, where that neither leaves the step nor changes its arguments."""
    assert diagnostic.span is not None
    step = tree.step(diagnostic.span)
    if step is None or not isinstance(step.body, cst.IndentedBlock):
        return None
    body = list(step.body.body)
    calls = [statement for statement in body if _is_next(tree, statement)]
    every = [call for call in tree.all(cst.Call, step) if tree.code(call.func) == "self.next"]
    if len(calls) != 1 or len(every) != 1:
        return None
    at = body.index(calls[0])
    later = body[at + 1 :]
    plain = all(argument.keyword is None and isinstance(argument.value, cst.Attribute) for argument in every[0].args)
    if not later or any(_leaves(tree, statement) for statement in later) or not (plain or all(_is_inert(tree, each) for each in later)):
        return None
    return tree.replaced({step.body: step.body.with_changes(body=[*body[:at], *later, calls[0]])})


def _is_next(tree: Tree, statement: cst.CSTNode) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
        return False
    small = statement.body[0]
    return isinstance(small, cst.Expr) and isinstance(small.value, cst.Call) and tree.code(small.value.func) == "self.next"


def _leaves(tree: Tree, statement: cst.CSTNode) -> bool:
    """Whether a statement can end the step, or puts another meaning behind a step's name."""
    return any(True for kind in (cst.Return, cst.Raise, cst.Yield, cst.FunctionDef, cst.Del) for _ in tree.all(kind, statement))


def _is_inert(tree: Tree, statement: cst.CSTNode) -> bool:
    """Whether a statement cannot change what the keywords of self.next() read: it has no `self`, and calls nothing but print."""
    names = {name.value for name in tree.all(cst.Name, statement)}
    return "self" not in names and all(tree.code(call.func) == "print" for call in tree.all(cst.Call, statement))
