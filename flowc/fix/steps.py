"""In: a file and a step in it that is misnamed, or whose self.next() is not last. Out: the file with the step renamed or in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import libcst as cst

from flowc.checks.signatures import RESERVED
from flowc.diagnostics import Diagnostic
from flowc.fix.tree import Tree
from flowc.fix.unsafe import Unsafe

ASKING = ("getattr", "hasattr", "setattr", "delattr", "vars", "operator.attrgetter", "attrgetter")
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
        raise Unsafe(f"`{new}`, the name that it would get, is taken or none")
    found = [step.name, *(name for each in _family(tree, flow) for name in _references(tree, each, old))]
    everywhere = [name for name in tree.all(cst.Name) if name.value == old]
    if any(text.evaluated_value == old and text not in _artifacts(tree) for text in tree.all(cst.SimpleString)):
        raise Unsafe(f"a text in the file is `{old}` too, and may mean the step")
    if not others and len(everywhere) != len(found):
        raise Unsafe(f"`{old}` is also the name of something else in the file")
    if others and any(tree.code(call.func) in ASKING and _may_ask(call) for call in tree.all(cst.Call)):
        raise Unsafe("the file reads attributes by names that it makes")
    return tree.replaced({name: name.with_changes(value=new) for name in found})


def _family(tree: Tree, flow: cst.ClassDef) -> list[cst.ClassDef]:
    """The class and those of the file that inherit from it or that it inherits from: what a transition names is one step in all of them."""
    classes = {each.name.value: each for each in tree.all(cst.ClassDef)}
    bases = {name: {tree.code(base.value) for base in each.bases} & classes.keys() for name, each in classes.items()}
    family = {flow.name.value}
    while True:
        more = {name for name, above in bases.items() if above & family} | {base for name in family for base in bases[name]}
        if more <= family:
            return [each for each in classes.values() if each.name.value in family]
        family |= more


def _artifacts(tree: Tree) -> list[cst.BaseExpression]:
    """Texts that name artifacts and not steps: what self.next() fans out over or decides by."""
    calls = (call for call in tree.all(cst.Call) if tree.code(call.func) == "self.next")
    arguments = [each for call in calls for each in call.args]
    return [each.value for each in arguments if each.keyword is not None and each.keyword.value in ("foreach", "condition")]


def _may_ask(call: cst.Call) -> bool:
    """Whether getattr() and the like may ask for any name: what they ask for is no plain text."""
    return len(call.args) < 2 or not isinstance(call.args[1].value, cst.SimpleString)


def _references(tree: Tree, flow: cst.ClassDef, step: str) -> list[cst.Name]:
    """The name where it means the step: in transitions, and as an attribute of a join's inputs."""
    found = []
    for function in (each for each in flow.body.body if isinstance(each, cst.FunctionDef)):
        parameters = [parameter.name.value for parameter in function.params.params]
        for call in tree.all(cst.Call, function):
            if tree.code(call.func) == "self.next":
                named = [each for argument in call.args for each in tree.all(cst.Attribute, argument)]
                found += [each.attr for each in named if tree.code(each.value) == "self" and each.attr.value == step]
        if len(parameters) == 2:
            found += [a.attr for a in tree.all(cst.Attribute, function) if tree.code(a.value) == parameters[1] and a.attr.value == step]
    return found


def move_next_last(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """The one `self.next()` of a step's body goes behind what follows it, where that neither leaves the step nor changes its arguments."""
    assert diagnostic.span is not None
    step = tree.step(diagnostic.span)
    if step is None:
        return None
    every = [call for call in tree.all(cst.Call, step) if tree.code(call.func) == "self.next"]
    if not every:
        return None
    if len(every) > 1:
        raise Unsafe("it has more than one self.next(), of which only you know the one that counts")
    body = list(step.body.body) if isinstance(step.body, cst.IndentedBlock) else []
    calls = [statement for statement in body if _is_next(tree, statement)]
    if not calls and any(isinstance(each, cst.Expr) and each.value is every[0] for line in [step.body, *body] for each in _small(line)):
        raise Unsafe("self.next() shares its line with other statements, which are not rearranged: give it a line of its own")
    if not calls:
        raise Unsafe("self.next() is inside another statement, so that whether it is reached depends on more than the text")
    at = body.index(calls[0])
    later = body[at + 1 :]
    plain = all(argument.keyword is None and isinstance(argument.value, cst.Attribute) for argument in every[0].args)
    if any(_leaves(tree, statement) for statement in later):
        raise Unsafe("a statement after self.next() leaves the step or gives a name another meaning, so that it may not be reached there")
    if not plain and not all(_is_inert(tree, each) for each in later):
        raise Unsafe("a statement after self.next() could change what its arguments read, so it would not do the same behind it")
    return tree.replaced({step.body: step.body.with_changes(body=[*body[:at], *later, calls[0]])})


def _small(line: cst.CSTNode) -> Sequence[cst.BaseSmallStatement]:
    return line.body if isinstance(line, (cst.SimpleStatementLine, cst.SimpleStatementSuite)) else ()


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
