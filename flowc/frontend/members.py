"""In: the classes of a flow in their order. Out: what each attribute of the flow is bound to, or why only running the text would tell."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowc.diagnostics import Code, Diagnostic, Example
from flowc.frontend.classes import FLOWSPEC, Lineage, Lineages, LocalClass, bound
from flowc.frontend.modules import External, Local, Module
from flowc.frontend.modules_bindings import Ambiguous, Binding, pick
from flowc.frontend.values import Scope, Unknown, evaluate

if TYPE_CHECKING:
    from flowc.source import Span

_HEAD = "from metaflow import FlowSpec, step\n\n\n"
_START = "    @step\n    def start(self):\n        self.next(self.end)\n\n"
_END = "    @step\n    def end(self):\n        pass\n"
_PLAIN = _HEAD + "class Hello(FlowSpec):\n" + _START + _END

RUN_TIME = Code(
    "FC106",
    "class that only running the text would tell",
    why=(
        "A metaclass, exec, locals(), setattr and the like may add, replace or remove steps and parameters while the class is created. "
        "flowc reads the "
        "text and runs none of it, so the flow that the pod would see is not known."
    ),
    bad=Example({"flow.py": _PLAIN + "\n\nHello.extra = step(print)\n"}, line=14),
    good=Example({"flow.py": _PLAIN}),
)
CONDITIONAL = Code(
    "FC107",
    "step or parameter under a condition that the text does not decide",
    why=(
        "Which branch of an `if` in a class body holds is decided when the pod imports the flow. Where the condition is no constant "
        "that the text "
        "tells, the graph compiled might not be the one that runs."
    ),
    bad=Example(
        {
            "flow.py": "import os\n"
            + _HEAD
            + "class Hello(FlowSpec):\n    if os.cpu_count() > 4:\n\n    "
            + "    ".join((_START + _END).splitlines(True))
        },
        line=9,
    ),
    good=Example(
        {"flow.py": _HEAD + "FULL = True\n\n\nclass Hello(FlowSpec):\n    if FULL:\n\n    " + "    ".join((_START + _END).splitlines(True))}
    ),
)
NOT_A_METHOD = Code(
    "FC108",
    "step that is no plain method",
    why=(
        "Metaflow reads a step's transition from the source of its `def`, and finds the step again by its name in every task. A step "
        "bound under "
        "another name, made from a lambda or imported into the class body has no such source or name."
    ),
    bad=Example({"flow.py": _PLAIN + "    finish = end\n"}, line=12),
    good=Example({"flow.py": _PLAIN}),
)

_NAMESPACES = ("exec", "locals", "vars", "globals")
# What FlowSpec itself has: where it comes before a mixin in the order, the mixin's attribute of that name does not count.
FLOWSPEC_NAMES = frozenset(["cmd", "foreach_stack", "index", "input", "merge_artifacts", "next", "script_name"])


@dataclass(frozen=True, slots=True)
class Member:
    """What an attribute of the flow is: the binding that counts, and its class. `sure`: no undecided condition is above it."""

    name: str
    binding: Binding
    cls: LocalClass
    sure: bool

    @property
    def span(self) -> Span:
        return self.cls.module.span(self.binding.node)


Decider = Callable[[LocalClass], Callable[[ast.expr], "bool | None"]]


def members(order: Sequence[LocalClass | str], decider: Decider) -> tuple[Mapping[str, Member], tuple[Member, ...]]:
    """The attributes by name, sorted as `dir()` sorts them, and those that an undecided condition may add, replace or remove."""
    found: dict[str, Member] = {}
    unsure: list[Member] = []
    hidden: set[str] = set()
    for cls in order:
        if isinstance(cls, str):
            hidden |= FLOWSPEC_NAMES if cls == FLOWSPEC else set()
            continue
        decide = decider(cls)
        for written, bindings in cls.module.body(cls.node).items():
            name = mangled(written, cls.name)
            chosen = pick(bindings, None, decide)
            if isinstance(chosen, Ambiguous):
                unsure += [Member(name, b, cls, False) for b in bindings]
            elif chosen is not None and not _deletes(chosen) and name not in found and name not in hidden:
                found[name] = Member(name, chosen, cls, _decided(chosen, decide))
    unsure += [m for m in found.values() if not m.sure]
    return {name: found[name] for name in sorted(found)}, tuple(unsure)


def mangled(name: str, cls: str) -> str:
    """Python's private names: `__x` of class A is `_A__x`."""
    return f"_{cls.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") and cls.strip("_") else name


def _deletes(binding: Binding) -> bool:
    return isinstance(binding.node, ast.Name) and isinstance(binding.node.ctx, ast.Del)


def _decided(binding: Binding, decide: Callable[[ast.expr], bool | None]) -> bool:
    return all(test is not None and decide(test) is wanted for test, wanted in binding.conditions)


def conditional(member: Member, what: str) -> Diagnostic:
    """The diagnostic for a step or parameter whose condition the text does not decide."""
    name = member.binding.node.name if isinstance(member.binding.node, (ast.FunctionDef, ast.AsyncFunctionDef)) else member.name
    message = f"{what} {name} of class {member.cls.name} stands under a condition that is not known when compiling"
    return Diagnostic(CONDITIONAL, message, member.span, help="Decide it by a constant of the text, or move the choice into a step.")


def not_a_method(member: Member, why: str) -> Diagnostic:
    message = f"{member.cls.name}.{member.name} is a step that is no plain method: {why}"
    return Diagnostic(NOT_A_METHOD, message, member.span, help=f"Write it as `@step` over `def {member.name}(self):` in the class.")


# --- what may change a class besides its statements ---------------------------------------------------------------------


def run_time_changes(scope: Scope, line: Lineage, important: frozenset[str]) -> list[Diagnostic]:
    """All that may change a class of the flow while the text runs. `important`: the names of its steps and parameters."""
    program = scope.program
    found = []
    for cls in line.local:
        found += [_changed(cls.module, node, f"class {cls.name} {why}") for node, why in _in_class(cls)]
    modules = dict.fromkeys([program.entry, *(cls.module for cls in line.local)])
    for module in modules:
        for changed, why in _in_module(replace(scope, module=module, body=None, before=None), line, important):
            found.append(_changed(module, changed, why))
    return found


def _changed(module: Module, node: ast.AST, message: str) -> Diagnostic:
    return Diagnostic(
        RUN_TIME,
        f"{message}; only running the text would tell its steps",
        module.span(node),
        help="Write steps and parameters as statements of the class body.",
    )


def _in_class(cls: LocalClass) -> Iterator[tuple[ast.AST, str]]:
    for keyword in cls.node.keywords:
        yield keyword.value, f"has {keyword.arg or 'keywords'}= in its class statement"
    for statement in cls.node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name in ("__init_subclass__", "__set_name__", "__prepare__"):
            yield statement, f"defines {statement.name}"
    if not any(word in cls.module.source.text for word in (*_NAMESPACES, "match ")):
        return
    for node in _class_time(cls.node.body):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMESPACES:
            yield node, f"calls {node.func.id}() in its body"
        elif isinstance(node, ast.Match):
            yield node, "has a match statement in its body"


def _class_time(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All that runs while the class is created: no bodies of functions, but their decorators."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _class_time(node.decorator_list)
        elif not isinstance(node, (ast.Lambda, ast.ClassDef)):
            yield node
            yield from _class_time(list(ast.iter_child_nodes(node)))


def _in_module(scope: Scope, line: Lineage, important: frozenset[str]) -> Iterator[tuple[ast.AST, str]]:
    module = scope.module
    if not any(word in module.source.text for word in ("setattr", "delattr", "type(", "new_class", *(f"{c.name}." for c in line.local))):
        return
    nodes = {cls.node for cls in line.local}

    def is_flow(expr: ast.expr) -> bool:
        found = scope.program.resolve(module, expr) if isinstance(expr, (ast.Name, ast.Attribute)) else None
        return isinstance(found, Local) and found.node in nodes

    top: list[ast.AST] = [s for s in module.tree.body if not isinstance(s, ast.ClassDef)]
    for node in _class_time(top):
        match node:
            case ast.Call(func=ast.Name(id="setattr" | "delattr" as name), args=[target, *_]) if is_flow(target):
                yield node, f"{name}() changes class {ast.unparse(target)}"
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Attribute) and is_flow(target.value) and _may_matter(target.attr, value, important, scope):
                        yield target, f"class {ast.unparse(target.value)} gets {target.attr} after its class statement"
            case ast.Delete(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Attribute) and is_flow(target.value):
                        yield target, f"class {ast.unparse(target.value)} loses {target.attr} after its class statement"
            case _:
                pass


def _may_matter(name: str, value: ast.expr, important: frozenset[str], scope: Scope) -> bool:
    """Whether an attribute set from outside may be a step or parameter, or hide one."""
    return name in important or isinstance(evaluate(value, scope), Unknown)


def made_elsewhere(lineages: Lineages, scope: Scope) -> list[Diagnostic]:
    """Flow classes of the flow's file that are no class statement, or whose name is bound to something else after it."""
    entry = lineages.program.entry
    found = []
    for name, bindings in entry.bindings.items():
        last = bindings[-1]
        if len(bindings) > 1 and isinstance(bound(scope, bindings), Ambiguous) and any(_is_flow(lineages, entry, b.node) for b in bindings):
            found.append(
                _changed(entry, last.node, f"flow class {name} is bound in several places, and the text does not tell which one counts")
            )
        elif len(bindings) > 1 and last.kind == "value" and any(_is_flow(lineages, entry, b.node) for b in bindings[:-1]):
            found.append(_changed(entry, last.node, f"flow class {name} is bound again after its class statement"))
        elif isinstance(last.node, ast.Call) and _builds(lineages, last.node):
            found.append(_changed(entry, last.node, f"flow class {name} is made by {ast.unparse(last.node.func)}()"))
    return found


def _is_flow(lineages: Lineages, module: Module, node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and lineages.of(LocalClass(module, node)).is_flow


def _builds(lineages: Lineages, call: ast.Call) -> bool:
    """Whether a call is `type(name, bases, body)` or `types.new_class(...)` with a flow among the bases."""
    if ast.unparse(call.func) not in ("type", "types.new_class", "new_class") or len(call.args) < 2:
        return False
    program = lineages.program
    for base in call.args[1].elts if isinstance(call.args[1], (ast.Tuple, ast.List)) else []:
        found = program.resolve(program.entry, base)
        if isinstance(found, External) and found.path == FLOWSPEC:
            return True
        if isinstance(found, Local) and _is_flow(lineages, found.module, found.node):
            return True
    return False
