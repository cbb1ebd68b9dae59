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
TAKING = ("self.merge_artifacts", "len", "list", "tuple", "sorted", "enumerate", "zip", "iter", "map", "filter", "reversed")
"""Calls that take the inputs of a join one by one."""
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
    joins = [each for one in _family(tree, flow) for each in _joins(tree, one, step)]
    found = [step.name, *(name for each in _family(tree, flow) for name in _references(tree, each, joins, old))]
    everywhere = [name for name in tree.all(cst.Name) if name.value == old]
    if any(text.evaluated_value == old and text not in _artifacts(tree) for text in tree.all(cst.SimpleString)):
        raise Unsafe(f"a text in the file is `{old}` too, and may mean the step")
    if any(old in text.split("/") for text in _paths(tree)):
        raise Unsafe(f"a path in the file has `{old}` in it, and may lead to the step")
    if any(_hands_on(tree, each) for each in joins):
        raise Unsafe("a join hands its inputs on, and what gets them may ask for the step")
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


def _paths(tree: Tree) -> list[str]:
    """Texts with a slash in them, also parts of f-strings: `Step("MyFlow/7/train")` names a step."""
    plain = [text.evaluated_value for text in tree.all(cst.SimpleString)]
    texts = [text for text in plain if isinstance(text, str)] + [part.value for part in tree.all(cst.FormattedStringText)]
    return [text for text in texts if "/" in text]


def _joins(tree: Tree, flow: cst.ClassDef, step: cst.FunctionDef) -> list[cst.FunctionDef]:
    """The methods with a second argument that are steps: they share a decorator with one that is."""
    marks = _marks(tree, step)
    functions = [each for each in flow.body.body if isinstance(each, cst.FunctionDef)]
    return [each for each in functions if len(each.params.params) == 2 and _marks(tree, each) & marks]


def _marks(tree: Tree, function: cst.FunctionDef) -> set[str]:
    found = [each.decorator for each in function.decorators]
    return {tree.code(each.func if isinstance(each, cst.Call) else each) for each in found}


def _inputs(join: cst.FunctionDef) -> str:
    return join.params.params[1].name.value


def _hands_on(tree: Tree, join: cst.FunctionDef) -> bool:
    """Whether the inputs as a whole get another name, or go to a call that is not known to take them one by one."""
    calls = (call for call in tree.all(cst.Call, join) if tree.code(call.func) in TAKING)
    taken: set[cst.CSTNode] = {argument.value for call in calls for argument in call.args}
    for each in tree.every(join):
        if isinstance(each, (cst.Attribute, cst.Subscript)):
            taken.add(each.value)
        elif isinstance(each, (cst.For, cst.CompFor)):
            taken.add(each.iter)
    return any(name.value == _inputs(join) and name not in taken for name in tree.all(cst.Name, join.body))


def _references(tree: Tree, flow: cst.ClassDef, joins: Sequence[cst.FunctionDef], step: str) -> list[cst.Name]:
    """The name where it means the step: in transitions, and as an attribute of a join's inputs."""
    found = []
    for function in (each for each in flow.body.body if isinstance(each, cst.FunctionDef)):
        for call in tree.all(cst.Call, function):
            if tree.code(call.func) == "self.next":
                named = [each for argument in call.args for each in tree.all(cst.Attribute, argument)]
                found += [each.attr for each in named if tree.code(each.value) == "self" and each.attr.value == step]
        if function in joins:
            inputs = _inputs(function)
            found += [a.attr for a in tree.all(cst.Attribute, function) if tree.code(a.value) == inputs and a.attr.value == step]
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
    stored = {tree.code(each) for statement in later for each in _stored(tree, statement)}
    read = {tree.code(each) for argument in every[0].args for kind in (cst.Name, cst.Attribute) for each in tree.all(kind, argument.value)}
    if stored & read or (not plain and not all(_is_inert(tree, each) for each in later)):
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


def _stored(tree: Tree, statement: cst.CSTNode) -> list[cst.BaseExpression]:
    """What a statement gives a value: names, and attributes and items of objects."""
    storing = (cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.NamedExpr, cst.For, cst.CompFor)
    pending: list[cst.CSTNode] = [each.target for each in tree.every(statement) if isinstance(each, storing)]
    pending += [each.name for each in tree.all(cst.AsName, statement)]
    found: list[cst.BaseExpression] = []
    while pending:
        node = pending.pop()
        if isinstance(node, (cst.Name, cst.Attribute, cst.Subscript)):
            found.append(node)
        else:
            pending += node.children
    return found


def _is_inert(tree: Tree, statement: cst.CSTNode) -> bool:
    """Whether a statement cannot change what the keywords of self.next() read.

    It has no `self`, calls nothing but print, and changes no object that `self` may hold too.
    """
    names = {name.value for name in tree.all(cst.Name, statement)}
    if any(True for _ in tree.all(cst.AugAssign, statement)) or any(not isinstance(each, cst.Name) for each in _stored(tree, statement)):
        return False
    return "self" not in names and all(tree.code(call.func) == "print" for call in tree.all(cst.Call, statement))
