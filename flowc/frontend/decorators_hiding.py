"""In: the text of a decorator. Out: whether it may apply a Metaflow decorator, and whether it keeps the mark that @step left."""

from __future__ import annotations

import ast

from flowc.frontend.decorators_table import CORE_NAMES, FLOW_DECORATORS, STEP_DECORATORS
from flowc.frontend.modules import External, Local, Module, NotFound, Program, dotted_name

_DECORATORS = set(STEP_DECORATORS) | set(FLOW_DECORATORS)
_PARTS = frozenset({"decorators", "config_decorators", "add_decorator", "_base_step_decorator", "_flow_state"})
_MUTATORS = frozenset({"metaflow.StepMutator", "metaflow.FlowMutator", "metaflow.MutableStep", "metaflow.MutableFlow"})
_MARKS = frozenset({"wraps", "update_wrapper", "__dict__", "is_step", "__getattr__"})


def mentions(program: Program, module: Module, node: ast.AST, seen: set[int] | None = None) -> str | None:
    """The Metaflow decorator (or piece of its machinery) that the text names, also by way of what it uses that is in sight."""
    seen = set() if seen is None else seen
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        dotted = dotted_name(here) if isinstance(here, (ast.Name, ast.Attribute)) else None
        if dotted is None:
            if isinstance(here, (ast.Import, ast.ImportFrom)) and (found := _imported(here)):
                return found
            if isinstance(here, ast.Attribute) and here.attr in _PARTS:
                return f".{here.attr}"
            waiting.extend(ast.iter_child_nodes(here))
            continue
        if _PARTS & set(dotted.split(".")[1:]):
            return dotted
        resolved = program.resolve(module, dotted)
        if isinstance(resolved, External) and is_machinery(resolved.path):
            return resolved.path
        if isinstance(resolved, NotFound):
            found = _any_of(program, module, dotted, seen)
            if found:
                return found
        if isinstance(resolved, Local):
            found = mentions(program, resolved.module, resolved.node, seen)
            if found:
                return found
    return None


def _any_of(program: Program, module: Module, dotted: str, seen: set[int]) -> str | None:
    """The same for a name that is bound in several places: each of them counts."""
    first = dotted.partition(".")[0]
    for binding in program.candidates(module, first):
        found = program.follow(module, binding, first)
        if (
            isinstance(found, External)
            and found.path.startswith("metaflow.")
            and found.path.removeprefix("metaflow.") not in CORE_NAMES - _DECORATORS
        ):
            return found.path
        if isinstance(found, Local) and (inner := mentions(program, found.module, found.node, seen)):
            return inner
    return None


def is_machinery(path: str) -> bool:
    """Whether a dotted path is a decorator of Metaflow or what changes decorators."""
    name = path.rpartition(".")[2]
    return path.startswith("metaflow.") and (
        name in STEP_DECORATORS or name in FLOW_DECORATORS or path in _MUTATORS or path == "metaflow.decorators"
    )


def _imported(node: ast.Import | ast.ImportFrom) -> str | None:
    if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("metaflow"):
        return None
    return next((f"metaflow.{a.name}" for a in node.names if is_machinery(f"metaflow.{a.name}")), None)


def keeps_mark(definition: ast.AST) -> bool:
    """Whether what a decorator returns may still be seen as a step. A bare inner function, or a class without a trace of it, is not."""
    names = {n.id for n in ast.walk(definition) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(definition) if isinstance(n, ast.Attribute)
    }
    defined = {n.name: n for n in ast.walk(definition) if isinstance(n, ast.FunctionDef) and n != definition}
    if (names | set(defined)) & _MARKS:
        return True
    if isinstance(definition, ast.ClassDef):
        return False
    if not isinstance(definition, ast.FunctionDef):
        return True
    returned = [n.value for n in ast.walk(definition) if isinstance(n, ast.Return) and n.value is not None]
    bare = {name for name, inner in defined.items() if not inner.decorator_list}
    mine = {r.id for r in returned if isinstance(r, ast.Name) and r.id in defined}
    return not mine or not mine <= bare or _returns_parameter(definition)


def _returns_parameter(definition: ast.FunctionDef) -> bool:
    parameters = {a.arg for a in ast.walk(definition) if isinstance(a, ast.arg)}
    return any(isinstance(n, ast.Return) and isinstance(n.value, ast.Name) and n.value.id in parameters for n in ast.walk(definition))
