"""In: the statements of a module or class body. Out: what each name is bound to, one by one, and where it may be changed later."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Union

Kind = Literal["value", "module", "from", "class", "function", "unclear"]
Conditions = tuple[tuple[Union[ast.expr, None], bool], ...]
Decide = Callable[[ast.expr], Union[bool, None]]

MUTATORS = frozenset(
    "append extend insert update pop popitem clear remove setdefault sort reverse add discard __setitem__ __delitem__".split()
)


@dataclass(frozen=True, slots=True)
class Binding:
    """One statement that binds a name.

    `kind` value: `node` is the expression, `unpack` the index path when the target is a tuple. module: `target` is the dotted
    module (the first part of it for `import a.b`). from: `attribute` of module `target`, `level` dots. class and function:
    `node` is the definition. unclear: `reason` says why no value can be read. `conditions` are the tests of the enclosing `if`s
    with the outcome needed; a test that is None cannot be decided (a `try`).
    """

    kind: Kind
    node: ast.AST
    line: int
    target: str = ""
    attribute: str = ""
    level: int = 0
    unpack: tuple[int, ...] = ()
    reason: str = ""
    conditions: Conditions = ()


@dataclass(frozen=True, slots=True)
class Star:
    """`from target import *`"""

    target: str
    level: int
    line: int
    node: ast.ImportFrom
    conditions: Conditions = ()


class Ambiguous:
    """The name is bound in several places and the text does not tell which one counts."""


AMBIGUOUS = Ambiguous()


def type_checking_only(test: ast.expr) -> bool | None:
    """What every reader knows about a test without evaluating: TYPE_CHECKING is false when the code runs."""
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return False if name == "TYPE_CHECKING" else None


def pick(found: Sequence[Binding], before: int | None, decide: Decide = type_checking_only) -> Binding | Ambiguous | None:
    """The binding that counts at line `before` (None: at the end of the module). None where there is none."""
    left = [b for b in found if before is None or b.line < before] if len(found) > 1 else list(found)
    verdicts = [(b, _holds(b.conditions, decide)) for b in left]
    possible = [(b, v) for b, v in verdicts if v is not False]
    if not possible:
        return None
    last, verdict = possible[-1]
    return last if verdict or len(possible) == 1 else AMBIGUOUS


def _holds(conditions: Conditions, decide: Decide) -> bool | None:
    unsure = False
    for test, wanted in conditions:
        outcome = None if test is None else decide(test)
        if outcome is None:
            unsure = True
        elif outcome is not wanted:
            return False
    return None if unsure else True


def collect(body: Iterable[ast.stmt]) -> tuple[dict[str, list[Binding]], list[Star]]:
    """Every binding of every name in a body, in the order written; `if`, `try`, `with` and loops are followed."""
    collector = _Collector()
    collector.block(body, ())
    return collector.found, collector.stars


class _Collector:
    def __init__(self) -> None:
        self.found: dict[str, list[Binding]] = {}
        self.stars: list[Star] = []
        self.loops = 0

    def add(self, name: str, binding: Binding) -> None:
        if self.loops and binding.kind == "value":
            binding = Binding("unclear", binding.node, binding.line, reason="it is bound in a loop", conditions=binding.conditions)
        self.found.setdefault(name, []).append(binding)

    def block(self, body: Iterable[ast.stmt], conditions: Conditions) -> None:
        for statement in body:
            self.statement(statement, conditions)

    def statement(self, node: ast.stmt, conditions: Conditions) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                self.imports(node, conditions)
            case ast.ClassDef():
                self.add(node.name, Binding("class", node, node.lineno, conditions=conditions))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.add(node.name, Binding("function", node, node.lineno, conditions=conditions))
            case ast.Assign():
                for target in node.targets:
                    self.target(target, node.value, (), conditions)
            case ast.AnnAssign() if node.value is not None:
                self.target(node.target, node.value, (), conditions)
            case ast.AugAssign():
                self.unclear(node.target, "it is changed by an augmented assignment", conditions)
            case ast.Delete():
                for target in node.targets:
                    self.unclear(target, "it is deleted", conditions)
            case ast.If():
                self.block(node.body, (*conditions, (node.test, True)))
                self.block(node.orelse, (*conditions, (node.test, False)))
            case ast.Try():
                self.attempt(node, conditions)
            case ast.Match():
                for case in node.cases:
                    self.block(case.body, (*conditions, (None, True)))
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    if item.optional_vars is not None:
                        self.unclear(item.optional_vars, "it is bound by a with statement", conditions)
                self.block(node.body, conditions)
            case ast.For() | ast.AsyncFor() | ast.While():
                self.loop(node, conditions)
            case _:
                pass

    def loop(self, node: ast.For | ast.AsyncFor | ast.While, conditions: Conditions) -> None:
        if not isinstance(node, ast.While):
            self.unclear(node.target, "it is bound in a loop", conditions)
        self.loops += 1
        self.block([*node.body, *node.orelse], (*conditions, (None, True)))
        self.loops -= 1

    def attempt(self, node: ast.Try, conditions: Conditions) -> None:
        """Imports that a pod always has do not fail; of anything else the text does not tell."""
        sure = all(isinstance(s, (ast.Import, ast.ImportFrom)) and _always_there(s) for s in node.body)
        inner = conditions if sure else (*conditions, (None, True))
        self.block(node.body, inner)
        self.block(node.orelse, inner)
        if not sure:
            for handler in node.handlers:
                self.block(handler.body, (*conditions, (None, True)))
        self.block(node.finalbody, conditions)

    def imports(self, node: ast.Import | ast.ImportFrom, conditions: Conditions) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                name = alias.asname or alias.name.partition(".")[0]
                target = alias.name if alias.asname else name
                self.add(name, Binding("module", node, node.lineno, target=target, conditions=conditions))
            elif alias.name == "*":
                self.stars.append(Star(node.module or "", node.level, node.lineno, node, conditions))
            else:
                found = Binding(
                    "from", node, node.lineno, target=node.module or "", attribute=alias.name, level=node.level, conditions=conditions
                )
                self.add(alias.asname or alias.name, found)

    def target(self, target: ast.expr, value: ast.expr, path: tuple[int, ...], conditions: Conditions) -> None:
        if isinstance(target, ast.Name):
            self.add(target.id, Binding("value", value, target.lineno, unpack=path, conditions=conditions))
        elif isinstance(target, (ast.Tuple, ast.List)):
            if any(isinstance(e, ast.Starred) for e in target.elts):
                self.unclear(target, "it is bound by unpacking with a star", conditions)
                return
            for index, element in enumerate(target.elts):
                self.target(element, value, (*path, index), conditions)

    def unclear(self, target: ast.expr, reason: str, conditions: Conditions) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                self.add(node.id, Binding("unclear", node, node.lineno, reason=reason, conditions=conditions))


def _always_there(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.Import):
        return all(a.name.partition(".")[0] in sys.stdlib_module_names for a in node.names)
    root = (node.module or "").partition(".")[0]
    if node.level:
        return False
    if node.module == "metaflow":
        from flowc.frontend.decorators_table import CORE_NAMES

        return all(a.name in CORE_NAMES for a in node.names)
    return root in sys.stdlib_module_names and root == node.module


def changes(tree: ast.AST) -> dict[str, int]:
    """Names of module level that may change after they are bound, with the line: mutating calls, item and attribute stores, `global`.

    Bodies of methods do not count: they run in the pod, after the decorators were read.
    """
    found: dict[str, int] = {}
    for node, hidden in _module_time(tree, frozenset()):
        match node:
            case ast.Call(func=ast.Attribute(attr=attr, value=base)) if attr in MUTATORS:
                _note(found, _base(base), node.lineno, hidden)
            case ast.Subscript(value=base, ctx=ast.Store() | ast.Del()) | ast.Attribute(value=base, ctx=ast.Store() | ast.Del()):
                _note(found, _base(base), node.lineno, hidden)
            case ast.Global(names=names):
                for name in names:
                    _note(found, name, node.lineno, frozenset())
            case _:
                pass
    return found


def _note(found: dict[str, int], name: str | None, line: int, hidden: frozenset[str]) -> None:
    if name is not None and name not in hidden:
        found.setdefault(name, line)


def _base(node: ast.expr) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _module_time(node: ast.AST, hidden: frozenset[str]) -> Iterator[tuple[ast.AST, frozenset[str]]]:
    """All nodes below, with the names that are local where they stand; methods are left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not isinstance(node, ast.ClassDef):
                yield from _module_time(child, hidden | _locals(child))
            continue
        yield child, hidden
        yield from _module_time(child, hidden)


def _locals(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    names = {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}
    shared: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Global):
            shared.update(node.names)
    return frozenset(names - shared)


def import_statements(body: Iterable[ast.AST]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports at any depth. Only statements can hold them, so expressions are not walked."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
            continue
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, None)
            if isinstance(inner, list):
                yield from import_statements(inner)


def dynamic_imports(tree: ast.AST) -> Iterator[str]:
    """The names that calls of import_module and __import__ say, with the dots of relative ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
            if name in ("import_module", "__import__"):
                yield node.args[0].value
