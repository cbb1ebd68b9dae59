"""In: a Program. Out: its flow classes with their method resolution order, which of them to compile, and why a class cannot be read."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowc.diagnostics import Code, Diagnostic, Example
from flowc.frontend.modules import External, Local, Module, NotFound, Program, dotted_name
from flowc.frontend.modules_bindings import Ambiguous, Binding, pick, type_checking_only
from flowc.frontend.values import decide
from flowc.source import SourceFile, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flowc.frontend.values import Scope

FLOWSPEC = "metaflow.FlowSpec"
PLAIN = ("object", "typing.Generic", "typing_extensions.Generic")
"""Bases that are not in sight and bring neither steps nor parameters."""
OTHER_METACLASS = ("abc.ABC", "typing.Protocol", "typing_extensions.Protocol", "enum.Enum")

_STEPS = "\n    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
_FLOW = "from metaflow import FlowSpec, step\n\n\nclass Hello(FlowSpec):" + _STEPS
_MIXIN = "from metaflow import FlowSpec, step\nfrom shared.base import Base\n\n\nclass Hello(FlowSpec, Base):" + _STEPS

NO_FLOW = Code(
    "FC100",
    "no flow in the file",
    why=(
        "A flow is a class at the top level of the file that derives from metaflow.FlowSpec, directly or through classes of this file "
        "or of modules "
        "beside it. Nothing written would look like success, so a file without a flow is an error."
    ),
    bad=Example({"flow.py": "from metaflow import Flow\n\nprint(Flow('Hello').latest_run)\n"}, line=1),
    good=Example({"flow.py": _FLOW}),
)
NOT_NAMED = Code(
    "FC101",
    "no flow of that name",
    why="`flow.py:Name` chooses one of the flows of a file. The name is that of the class, upper and lower case as written.",
    bad=Example({"flow.py": _FLOW}, line=1, flow="flow.py:Helo"),
    good=Example({"flow.py": _FLOW}, flow="flow.py:Hello"),
)
TOO_DEEP = Code(
    "FC103",
    "nested too deep to be read",
    why="An expression of hundreds of nested terms, or a chain of as many classes, exhausts the stack of the reader.",
    bad=Example({"flow.py": _FLOW.replace("(FlowSpec)", f"(FlowSpec, {' + '.join(['1'] * 700)})")}, line=1),
    good=Example({"flow.py": _FLOW}),
)
UNREADABLE_BASE = Code(
    "FC104",
    "base class that is not in sight",
    why=(
        "A base class may bring steps, parameters and decorators. flowc reads the classes of the flow's file and of modules beside it; "
        "it imports no "
        "installed package, so what a class there brings is not known, and it is not guessed."
    ),
    bad=Example({"flow.py": _MIXIN}, line=5),
    good=Example({"flow.py": _MIXIN, "shared/base.py": "class Base:\n    pass\n"}),
)
NO_ORDER = Code(
    "FC105",
    "class that Python refuses to create",
    why=(
        "Python itself raises a TypeError for this class statement (base classes in no consistent order, one named twice, or "
        "metaclasses in conflict)."
    ),
    bad=Example({"flow.py": "from metaflow import FlowSpec, step\n\n\nclass Hello(FlowSpec, FlowSpec):" + _STEPS}, line=4),
    good=Example({"flow.py": _FLOW}),
)


@dataclass(frozen=True, slots=True)
class LocalClass:
    """A class statement of this program."""

    module: Module
    node: ast.ClassDef

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def span(self) -> Span:
        """The name in the class statement."""
        return name_span(self.module, self.node)


@dataclass(frozen=True, slots=True)
class Lineage:
    """A class with its bases: `order` is Python's MRO, classes not in sight by their dotted path. `problems`: why it cannot be read."""

    head: LocalClass
    order: tuple[LocalClass | str, ...]
    problems: tuple[Diagnostic, ...]

    @property
    def is_flow(self) -> bool:
        return FLOWSPEC in self.order

    @property
    def local(self) -> tuple[LocalClass, ...]:
        return tuple(c for c in self.order if isinstance(c, LocalClass))


def name_span(module: Module, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Span:
    """The place of the name in a class or def statement."""
    text = module.source.lines[node.lineno - 1]
    start = module.span(node).column - 1
    found = re.compile(r"(?:async\s+)?(?:class|def)\s+").match(text, start)
    column = (found.end() if found else start) + 1
    return Span(module.source.path, node.lineno, column, node.lineno, column + len(node.name))


class _UnorderedError(Exception):
    """The bases have no consistent order."""


class Lineages:
    """The lineages of a program's classes, each read once. What cannot be read is a problem at the class that names it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[LocalClass, Lineage] = {}
        self._busy: set[LocalClass] = set()

    def of(self, cls: LocalClass) -> Lineage:
        """The class with its bases, and theirs."""
        if cls not in self._known:
            self._busy.add(cls)
            self._known[cls] = self._read(cls)
            self._busy.discard(cls)
        return self._known[cls]

    def _read(self, cls: LocalClass) -> Lineage:
        bases: list[LocalClass | str] = []
        problems: dict[Diagnostic, None] = {}
        for expr in cls.node.bases:
            base = _base(self.program, cls, expr)
            if isinstance(base, Diagnostic):
                problems[base] = None
            elif isinstance(base, LocalClass) and base in self._busy:
                message = f"class {cls.name} is a base of itself"
                problems[Diagnostic(NO_ORDER, message, cls.span, help="Remove the base class.")] = None
            else:
                bases.append(base)
        parts: list[list[LocalClass | str]] = []
        for base in bases:
            line = self.of(base) if isinstance(base, LocalClass) else None
            problems.update(dict.fromkeys(line.problems if line else ()))
            parts.append(list(line.order) if line else [base])
        try:
            order = parts[0] if len(parts) == 1 else _merge([*parts, bases])
        except _UnorderedError as error:
            message = f"Python cannot create class {cls.name}: {error}"
            remedy = "Name each base class once, derived classes before their bases."
            problems[Diagnostic(NO_ORDER, message, cls.span, help=remedy)] = None
            order = list(dict.fromkeys(c for part in parts for c in part))
        return Lineage(cls, (cls, *(c for c in order if c != "object")), tuple(problems))


def _merge(parts: list[list[LocalClass | str]]) -> list[LocalClass | str]:
    """The C3 linearization of bases' linearizations; `object` always comes last and is left out."""
    left = [[c for c in part if c != "object"] for part in parts]
    order: list[LocalClass | str] = []
    if len(set(parts[-1])) < len(parts[-1]):
        raise _UnorderedError("it names a base class twice")
    while left := [part for part in left if part]:
        head = next((p[0] for p in left if not any(p[0] in other[1:] for other in left)), None)
        if head is None:
            raise _UnorderedError("its bases have no consistent order")
        order.append(head)
        left = [part[1:] if part[0] == head else part for part in left]
    return order


def _base(program: Program, cls: LocalClass, expr: ast.expr) -> LocalClass | str | Diagnostic:
    written = ast.unparse(expr)
    if isinstance(expr, ast.Subscript):
        expr = expr.value
    found = program.resolve(cls.module, expr, before=cls.node.lineno)
    where = cls.module.span(expr)
    match found:
        case Local(node=ast.ClassDef() as node):
            return LocalClass(found.module, node)
        case External(path=path) if path == FLOWSPEC or path in PLAIN:
            return path
        case External(path=path) if path in OTHER_METACLASS:
            message = f"class {cls.name} cannot be a flow and derive from {path}: their metaclasses conflict"
            return Diagnostic(NO_ORDER, message, where, help=f"Remove {written} from the bases.")
        case External(path=path):
            package = path.partition(".")[0]
            reason = f"{written} comes from {package}, which is not beside the flow"
            remedy = (
                f"Put the module that defines {written} beside the flow (vendor it), or derive from metaflow.FlowSpec and classes in sight."
            )
        case NotFound() if dotted_name(expr) == "object":
            return "object"
        case NotFound(reason=text):
            reason, remedy = f"{written} {text}", "Name a class of this file or of a module beside it."
        case _:
            reason, remedy = f"{written} is no class statement", "Write the base class as a class statement."
    return Diagnostic(UNREADABLE_BASE, f"the bases of class {cls.name} cannot be read: {reason}", where, help=remedy)


# --- which flows a file gives ----------------------------------------------------------------------------------------


def bound(scope: Scope, bindings: Sequence[Binding]) -> Binding | Ambiguous | None:
    """Which of the bindings of a name counts at the end of the module."""

    def outcome(test: ast.expr) -> bool | None:
        known = type_checking_only(test)
        return decide(test, scope) if known is None else known

    return pick(bindings, None, outcome)


def top_level_classes(scope: Scope) -> list[LocalClass]:
    """The classes that the flow's file itself binds at its top level, in the order written; of one name, the one that counts."""
    found = []
    for name, bindings in scope.module.bindings.items():
        if any(isinstance(b.node, ast.ClassDef) for b in bindings):
            last = bound(scope, bindings)
            if isinstance(last, Binding) and isinstance(last.node, ast.ClassDef) and name == last.node.name:
                found.append(LocalClass(scope.module, last.node))
    return sorted(found, key=lambda c: c.node.lineno)


def launched(module: Module, names: Iterable[str]) -> tuple[str, ...]:
    """Which of the classes the module calls when it runs as a script, itself or through its own functions."""
    wanted = set(names)
    functions = {n: b[-1].node for n, b in module.bindings.items() if isinstance(b[-1].node, ast.FunctionDef)}
    seen: set[str] = set()
    found: list[str] = []
    waiting: list[ast.AST] = [s for s in module.tree.body if not isinstance(s, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))]
    while waiting:
        for node in ast.walk(waiting.pop(0)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            name = node.func.id
            if name in wanted and name not in found:
                found.append(name)
            if name in functions and name not in seen:
                seen.add(name)
                waiting.append(functions[name])
    return tuple(found)


def select(program: Program, lineages: Sequence[Lineage], steps_of: dict[str, dict[str, frozenset[str]]]) -> list[Lineage]:
    """The flows to compile when none is named: those that the file launches, else all that are no mere base of another.

    `steps_of` gives the steps of each flow class, with the names that their transitions speak of. A base counts as a flow of its own
    when it has a start and an end, and leads to no step that only a class derived from it has.
    """
    flows = [x for x in lineages if x.is_flow]
    called = launched(program.entry, [x.head.name for x in flows])
    if called:
        return [x for x in flows if x.head.name in called]
    whole = [x for x in flows if _stands_alone(x, flows, steps_of)]
    with_steps = [x for x in whole if steps_of[x.head.name]]
    return with_steps or whole


def _stands_alone(line: Lineage, flows: Sequence[Lineage], steps_of: dict[str, dict[str, frozenset[str]]]) -> bool:
    derived = [x for x in flows if x.head != line.head and line.head in x.local]
    own = steps_of[line.head.name]
    added = {name for x in derived for name in steps_of[x.head.name]} - own.keys()
    return not derived or ({"start", "end"} <= own.keys() and added.isdisjoint(set().union(*own.values())))


def no_flow(source: SourceFile, lineages: Lineages | None = None, stepless: Sequence[str] = ()) -> Diagnostic:
    """Why a file gives nothing to compile: its flow classes have no step, or it has none; without lineages, it was not worth parsing."""
    remedy = "Name a file with a class that derives from metaflow.FlowSpec."
    if lineages is not None:
        program = lineages.program
        bindings = program.entry.bindings
        inner = next(_hidden_classes(program.entry.tree), None)
        imported = next((n for n, b in bindings.items() if b[-1].kind == "from" and _is_imported_flow(lineages, n)), None)
        if stepless:
            remedy = f"Class {stepless[0]} has no step: name a file with a flow that derives from it."
        elif inner is not None:
            remedy = f"Class {inner.name} stands inside a function or class; move it to the top level of the file."
        elif imported is not None:
            remedy = f"{imported} is defined in another file; name that file."
    return Diagnostic(NO_FLOW, f"there is no flow in {source.path}", source.at_line(1), help=remedy)


def _is_imported_flow(lineages: Lineages, name: str) -> bool:
    found = lineages.program.resolve(lineages.program.entry, name)
    return isinstance(found, Local) and isinstance(found.node, ast.ClassDef) and lineages.of(LocalClass(found.module, found.node)).is_flow


def _hidden_classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    for outer in ast.walk(tree):
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for node in ast.walk(outer):
                if node is not outer and isinstance(node, ast.ClassDef) and any("FlowSpec" in ast.unparse(b) for b in node.bases):
                    yield node


def not_named(program: Program, name: str, flows: Sequence[str]) -> Diagnostic:
    """The name asked for is no flow of the file."""
    import difflib

    source = program.entry.source
    near = difflib.get_close_matches(name, flows, 1)
    others = ", ".join(flows)
    remedy = f"Did you mean {near[0]}?" if near else f"Its flows: {others}." if flows else "The file has no flow at all."
    return Diagnostic(NOT_NAMED, f"{source.path} has no flow {name}", source.at_line(1), help=remedy)
