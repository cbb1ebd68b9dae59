"""In: the flow's file and a Reader for what stands beside it. Out: Program and Module, which say what a name in the text stands for."""

from __future__ import annotations

import ast
import builtins
import posixpath
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Union

from flowc.diagnostics import Diagnostic
from flowc.frontend.decorators_table import CORE_NAMES, RE_EXPORTS
from flowc.frontend.modules_bindings import (
    Ambiguous,
    Binding,
    Star,
    changes,
    collect,
    dynamic_imports,
    import_statements,
    pick,
    type_checking_only,
)
from flowc.frontend.modules_codes import ENCODING, RELATIVE, SYNTAX
from flowc.source import Reader, SourceFile, Span


@dataclass(frozen=True, slots=True)
class Local:
    """A class, function or expression of this program. `name` is the name it is bound to in `module` (or in the class `body` there)."""

    module: Module
    node: ast.expr | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    name: str
    binding: Binding
    body: ast.ClassDef | None = None


@dataclass(frozen=True, slots=True)
class LocalModule:
    """A module that stands beside the flow."""

    module: Module


@dataclass(frozen=True, slots=True)
class External:
    """Something that is not in sight: its dotted path, Metaflow's public names normalised to `metaflow.<name>`."""

    path: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The text does not tell what the name stands for; `reason` is the rest of a sentence that starts with the name."""

    reason: str


Resolved = Union[Local, LocalModule, External, NotFound]
Decide = Callable[["Module", ast.expr], Union[bool, None]]
"""The outcome of the test of an `if` in a module; None where the text does not tell."""


def _undecided(module: Module, test: ast.expr) -> bool | None:  # noqa: ARG001 - the signature is Decide's
    return type_checking_only(test)


class Module:
    """One parsed file. `name` is dotted ("" for the flow's own file), `path` counts from the flow's folder, `source` shows its own."""

    __slots__ = ("_bodies", "_changes", "bindings", "broken", "name", "package", "path", "source", "stars", "tree")

    def __init__(self, name: str, path: str, source: SourceFile, tree: ast.Module, broken: bool = False) -> None:
        self.name, self.path, self.source, self.tree, self.broken = name, path, source, tree, broken
        is_package = path.endswith("/__init__.py")
        self.package = name if is_package else name.rpartition(".")[0]
        self.bindings, self.stars = collect(tree.body)
        self._changes: dict[str, int] | None = None
        self._bodies: dict[ast.ClassDef, dict[str, list[Binding]]] = {}

    @property
    def label(self) -> str:
        """The name a user knows the module by; the flow's own file goes by its stem."""
        return self.name or posixpath.basename(self.path).removesuffix(".py")

    def span(self, node: ast.AST) -> Span:
        return self.source.span(node)

    def body(self, definition: ast.ClassDef) -> dict[str, list[Binding]]:
        """The bindings of a class body."""
        if definition not in self._bodies:
            self._bodies[definition] = collect(definition.body)[0]
        return self._bodies[definition]

    def changed(self, name: str) -> int | None:
        """The line where what a module-level name holds may be changed after it was bound."""
        if self._changes is None:
            self._changes = changes(self.tree)
        return self._changes.get(name)


class Program:
    """The flow's file and, lazily, the modules beside it.

    `diagnostics` grows as files are read: syntax errors, encodings, relative imports. `constants` holds what bindings came to.
    """

    def __init__(self, entry: SourceFile, reader: Reader) -> None:
        self.reader = reader
        self.diagnostics: list[Diagnostic] = []
        self._folder = posixpath.dirname(entry.path)
        self._modules: dict[str, Module | None] = {}
        self._bytes: dict[str, bytes | None] = {}
        self.constants: dict[int, tuple[Binding, Any]] = {}
        tree = self._parse(entry)
        self.entry = Module("", posixpath.basename(entry.path), entry, tree or ast.Module([], []), tree is None)
        for node in self.entry.tree.body:
            if isinstance(node, ast.ImportFrom) and node.level:
                message = f"{'.' * node.level}{node.module or ''} is a relative import, which a flow file cannot use"
                self.diagnostics.append(
                    Diagnostic(
                        RELATIVE, message, entry.span(node), help="Import the module by its own name: the flow's folder is on the path."
                    )
                )

    def read(self, path: str) -> bytes | None:
        """A file by its path relative to the flow's folder, read once."""
        if path not in self._bytes:
            self._bytes[path] = self.reader(path)
        return self._bytes[path]

    def module(self, dotted: str) -> Module | None:
        """The local module of that name; None where there is no such file (then it is installed, or missing)."""
        if dotted not in self._modules:
            self._modules[dotted] = None
            if dotted and not dotted.startswith("metaflow.") and dotted != "metaflow":
                self._modules[dotted] = self._load(dotted)
        return self._modules[dotted]

    def _load(self, dotted: str) -> Module | None:
        stem = dotted.replace(".", "/")
        for path in (f"{stem}/__init__.py", f"{stem}.py"):
            data = self.read(path)
            if data is None:
                continue
            shown = posixpath.join(self._folder, path)
            try:
                text = data.decode("utf-8-sig")
            except UnicodeDecodeError:
                remedy = "Save the file as UTF-8."
                self.diagnostics.append(Diagnostic(ENCODING, f"{shown} is not UTF-8, so it cannot be read or delivered", help=remedy))
                text = ""
            source = SourceFile(shown, text)
            tree = self._parse(source)
            return Module(dotted, path, source, tree or ast.Module([], []), tree is None)
        return None

    def _parse(self, source: SourceFile) -> ast.Module | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(source.text)
        except SyntaxError as error:
            line, column = error.lineno or 1, error.offset or 1
            last = error.end_lineno or line
            end = error.end_offset if error.end_offset and (last, error.end_offset) > (line, column) else column + 1
            span = Span(source.path, line, max(column, 1), last, max(end, 1))
            message = f"{source.path} is not valid Python: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            span = Span(source.path, 1, 1, 1, 2)
            reason = "it nests too deep" if not isinstance(error, ValueError) else str(error)
            message = f"{source.path} cannot be parsed: {reason}"
        self.diagnostics.append(
            Diagnostic(SYNTAX, message, span, help=f"Correct the syntax; `python -m py_compile {source.path}` shows the same error.")
        )
        return None

    # --- names ---------------------------------------------------------------------------------------------------------

    def absolute(self, module: Module, target: str, level: int) -> str:
        """The dotted name that an import in `module` means: relative ones count from its package."""
        if not level:
            return target
        parts = module.package.split(".") if module.package else []
        kept = parts[: len(parts) - (level - 1)] if level > 1 else parts
        return ".".join([*kept, target] if target else kept)

    def candidates(self, module: Module, name: str) -> list[Binding]:
        """All that may bind a module-level name, in order, names that a star import brings included."""
        found = module.bindings.get(name, [])
        stars = [_from_star(star, name) for star in module.stars if self._star_has(module, star, name, set())]
        return sorted([*found, *stars], key=lambda b: b.line) if stars else found

    def _star_has(self, module: Module, star: Star, name: str, seen: set[str]) -> bool:
        target = self.absolute(module, star.target, star.level)
        if target == "metaflow":
            return name in CORE_NAMES
        source = self.module(target)
        if source is None or target in seen:
            return False
        exported = _declared_all(source)
        if exported is not None:
            return name in exported
        if name.startswith("_"):
            return False
        return name in source.bindings or any(self._star_has(source, s, name, seen | {target}) for s in source.stars)

    def resolve(
        self,
        module: Module,
        expr: str | ast.expr,
        *,
        body: ast.ClassDef | None = None,
        before: int | None = None,
        decide: Decide = _undecided,
    ) -> Resolved:
        """What a dotted name (text, or a Name/Attribute expression) stands for in `module`.

        `body`: the class in whose body the expression stands. `before`: the line of use, where a name is bound more than once.
        Aliases (`a = b`) are followed. Any other expression is NotFound.
        """
        dotted = expr if isinstance(expr, str) else dotted_name(expr)
        if dotted is None:
            return NotFound("is an expression, not a name")
        first, *rest = dotted.split(".")
        found = self._lookup(module, first, body, before, decide, 0)
        for part in rest:
            found = self._attribute(found, part, decide, 0)
        return found

    def follow(
        self,
        module: Module,
        binding: Binding,
        name: str,
        decide: Decide = _undecided,
        depth: int = 0,
        body: ast.ClassDef | None = None,
    ) -> Resolved:
        """What one binding of `module` (in the class `body`, where given) stands for; `a = b` is followed to what `b` is."""
        node = binding.node
        if binding.kind == "module":
            local = self.module(binding.target)
            return LocalModule(local) if local else External(binding.target)
        if binding.kind == "from":
            return self._imported(module, binding, decide, depth)
        if binding.kind == "unclear":
            return NotFound(f"cannot be read: {binding.reason} on line {binding.line}")
        if binding.kind == "value" and not binding.unpack and isinstance(node, (ast.Name, ast.Attribute)) and depth < 20:
            dotted = dotted_name(node)
            if dotted:
                first, *rest = dotted.split(".")
                target = self._lookup(module, first, body, binding.line, decide, depth + 1) if first != name else NotFound("is itself")
                for part in rest:
                    target = self._attribute(target, part, decide, depth + 1)
                if not isinstance(target, NotFound):
                    return target
        assert isinstance(node, (ast.expr, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        return Local(module, node, name, binding, body)

    def _imported(self, module: Module, binding: Binding, decide: Decide, depth: int) -> Resolved:
        target = self.absolute(module, binding.target, binding.level)
        source = self.module(target)
        found = self._lookup(source, binding.attribute, None, None, decide, depth + 1) if source is not None else None
        if found is not None and not isinstance(found, NotFound):
            return found
        inner = self.module(f"{target}.{binding.attribute}") if target != "metaflow" else None
        if inner is not None:
            return LocalModule(inner)
        return found or External(normalise(f"{target}.{binding.attribute}"))

    def _lookup(self, module: Module, name: str, body: ast.ClassDef | None, before: int | None, decide: Decide, depth: int) -> Resolved:
        if depth > 20:
            return NotFound("goes round in a circle of imports")
        if body is not None:
            inner = pick(module.body(body).get(name, []), before, partial(decide, module))
            if isinstance(inner, Binding):
                return self.follow(module, inner, name, decide, depth, body)
        found = pick(self.candidates(module, name), before, partial(decide, module))
        if isinstance(found, Ambiguous):
            return NotFound(f"is bound in several places of {module.source.path}, and the text does not tell which one counts")
        if found is None:
            stars = [target for star in module.stars if self.module(target := self.absolute(module, star.target, star.level)) is None]
            if (unseen := [s for s in stars if s != "metaflow"]) and not hasattr(builtins, name):
                return NotFound(f"may come from {unseen[-1]} by its star import, and {unseen[-1]} is not in sight")
            return NotFound(f"is not bound in {module.source.path}")
        return self.follow(module, found, name, decide, depth)

    def _attribute(self, base: Resolved, name: str, decide: Decide, depth: int) -> Resolved:
        match base:
            case External():
                # a folder without __init__.py is a package as well
                inner = self.module(f"{base.path}.{name}") if base.path.partition(".")[0] not in sys.stdlib_module_names else None
                return LocalModule(inner) if inner else External(normalise(f"{base.path}.{name}"))
            case LocalModule():
                found = self._lookup(base.module, name, None, None, decide, depth + 1)
                inner = self.module(f"{base.module.name}.{name}") if isinstance(found, NotFound) and base.module.name else None
                return LocalModule(inner) if inner else found
            case Local(node=ast.ClassDef() as definition):
                inner_binding = pick(base.module.body(definition).get(name, []), None, partial(decide, base.module))
                if isinstance(inner_binding, Binding):
                    return self.follow(base.module, inner_binding, name, decide, depth + 1, definition)
                return NotFound(f"is not bound in class {definition.name}")
            case Local():
                return NotFound("is an attribute of a value")
            case NotFound():
                return base

    # --- what the pod needs --------------------------------------------------------------------------------------------

    def local_modules(self) -> tuple[Module, ...]:
        """Every local module that imports reach from the flow, at any depth of the text, sorted by path; packages' __init__ included."""
        found: dict[str, Module] = {}
        waiting = [self.entry]
        while waiting:
            module = waiting.pop()
            for dotted in self._imports(module):
                parts = dotted.split(".")
                for count in range(1, len(parts) + 1):
                    name = ".".join(parts[:count])
                    local = self.module(name)
                    if local is not None and name not in found and local.path != self.entry.path:
                        found[name] = local
                        waiting.append(local)
        return tuple(sorted(found.values(), key=lambda m: m.path))

    def delivered(self) -> tuple[SourceFile, ...]:
        """The texts of `local_modules()` under their paths relative to the flow's folder."""
        return tuple(SourceFile(m.path, m.source.text) for m in self.local_modules())

    def _imports(self, module: Module) -> Iterator[str]:
        for node in import_statements(module.tree.body):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            else:
                target = self.absolute(module, node.module or "", node.level)
                if target:
                    yield target
                for alias in node.names:
                    yield f"{target}.{alias.name}" if target else alias.name
        if "import_module" in module.source.text or "__import__" in module.source.text:
            yield from (name.lstrip(".") for name in dynamic_imports(module.tree))


def dotted_name(node: ast.expr) -> str | None:
    """`a.b.c` of a Name or Attribute expression, else None."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


def normalise(path: str) -> str:
    """Metaflow's public names by their short path: `metaflow.decorators.step` is `metaflow.step`."""
    if path.startswith("metaflow."):
        module, _, name = path.rpartition(".")
        if name in RE_EXPORTS.get(module, ()):
            return f"metaflow.{name}"
    return path


def _from_star(star: Star, name: str) -> Binding:
    return Binding("from", star.node, star.line, target=star.target, attribute=name, level=star.level, conditions=star.conditions)


def _declared_all(module: Module) -> set[str] | None:
    found = module.bindings.get("__all__", [])
    if not found or not isinstance(found[-1].node, (ast.List, ast.Tuple)):
        return None
    return {e.value for e in found[-1].node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)}


__all__ = [
    "ENCODING",
    "RELATIVE",
    "SYNTAX",
    "External",
    "Local",
    "LocalModule",
    "Module",
    "NotFound",
    "Program",
    "Resolved",
    "dotted_name",
    "normalise",
]
