"""In: a Program, and who knows the folders above the flow's. Out: FC143 for imports that only a module there answers: no pod gets it."""

from __future__ import annotations

import ast
import posixpath
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowc.diagnostics import Diagnostic
from flowc.frontend.modules_bindings import dynamic_imports, type_checking_only
from flowc.frontend.modules_codes import ABOVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowc.frontend.modules import Module, Program
    from flowc.source import Elsewhere

_CAUGHT = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_TRIES = (ast.Try, getattr(ast, "TryStar", ast.Try))
"""Python 3.10 has no `except*`."""


@dataclass(frozen=True, slots=True)
class _Import:
    """A statement that imports `names`, or attributes of `package` by these names; `optional`: the text goes on where they are missing."""

    node: ast.stmt
    names: tuple[str, ...]
    package: str = ""
    optional: bool = False


def undelivered(program: Program, elsewhere: Elsewhere) -> list[Diagnostic]:
    """FC143 at the first import of each such module in the flow's file, and in each of the modules beside it that run with it."""
    found: list[Diagnostic] = []
    seen = {program.entry.path}
    waiting = [program.entry]
    while waiting:
        module = waiting.pop()
        told: set[str] = set()
        for one in _imports(program, module):
            beside = [each for name in (one.package, *one.names) for each in _beside(program, name)]
            waiting += [each for each in dict.fromkeys(beside) if each.path not in seen]
            seen.update(each.path for each in beside)
            for dotted, path in () if one.optional else _missing(program, one, elsewhere):
                if dotted not in told:
                    told.add(dotted)
                    found.append(_diagnostic(program, module, one.node, dotted, path))
    return found


def _diagnostic(program: Program, module: Module, node: ast.stmt, dotted: str, path: str) -> Diagnostic:
    shown = posixpath.normpath(posixpath.join(posixpath.dirname(program.entry.source.path), path))
    if path.startswith("../"):
        message = f"{dotted} is {shown}, above the flow's folder: it is not delivered, and pods fail at this import if the image lacks it"
        remedy = (
            "Install it in the image, or bake the repository into that (`--code image`), or move it beside the flow. "
            "Where the image has it: `# flowc: ignore[FC143]`."
        )
        return Diagnostic(ABOVE, message, module.span(node), note="Metaflow, too, packages the flow's folder alone.", help=remedy)
    message = f"{dotted} is {shown} to who has a folder above the flow's on the path; pods have the flow's own, so they fail at this import"
    own = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    remedy = f"Import it as `{own}`." if own != "__init__" else "Move what is imported into a module beside the flow."
    return Diagnostic(ABOVE, message, module.span(node), help=remedy)


# --- what is imported when the code runs -----------------------------------------------------------------------------------


def _imports(program: Program, module: Module) -> Iterator[_Import]:
    """The imports that run. Relative ones never lead above the flow's folder: they are there for the modules that they run."""
    dynamic = "import_module" in module.source.text or "__import__" in module.source.text
    for node, optional in _running(module.tree.body, False):
        if isinstance(node, ast.Import):
            yield from (_Import(node, (alias.name,), optional=optional) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = program.absolute(module, node.module or "", node.level)
            names = (f"{package}.{alias.name}" if package else alias.name for alias in node.names if alias.name != "*")
            yield _Import(node, tuple(names), package, optional or node.level > 0)
        elif dynamic:
            names = (name for name in dynamic_imports(node) if all(map(str.isidentifier, name.split("."))))
            yield from (_Import(node, (name,), optional=optional) for name in names)


def _running(body: Iterable[ast.AST], guarded: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """The statements that hold no others, at any depth, but those that type checkers alone read; and whether an import may fail there."""
    for node in body:
        match node:
            case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=test)) if type_checking_only(test) is False:
                yield from _running(node.body, guarded)
            case ast.If() if type_checking_only(node.test) is False:
                yield from _running(node.orelse, guarded)
            case ast.stmt() if isinstance(node, _TRIES):
                yield from _running(node.body, guarded or any(map(_goes_on, node.handlers)))
                yield from _running([*node.handlers, *node.orelse, *node.finalbody], guarded)
            case ast.With() if any(_suppresses(item.context_expr) for item in node.items):
                yield from _running(node.body, True)
            case ast.Match():
                yield from _running(node.cases, guarded)
            case ast.stmt() | ast.ExceptHandler() | ast.match_case() if hasattr(node, "body"):
                yield from _running([*node.body, *getattr(node, "orelse", ())], guarded)
            case ast.stmt():
                yield node, guarded


def _goes_on(handler: ast.ExceptHandler) -> bool:
    """Whether the handler takes a failed import and does not raise in turn."""
    return (handler.type is None or _is_caught(handler.type)) and not any(isinstance(each, ast.Raise) for each in handler.body)


def _is_caught(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return any(map(_is_caught, node.elts))
    return _last(node) in _CAUGHT


def _suppresses(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _last(node.func) == "suppress" and any(map(_is_caught, node.args))


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


# --- where it stands -------------------------------------------------------------------------------------------------------


def _beside(program: Program, dotted: str) -> list[Module]:
    """The modules beside the flow that Python runs for an import of that name."""
    parts = dotted.split(".")
    found = (program.module(".".join(parts[:count])) for count in range(1, len(parts) + 1))
    return [each for each in found if each is not None]


def _missing(program: Program, one: _Import, elsewhere: Elsewhere) -> list[tuple[str, str]]:
    """The names that nothing beside the flow answers, with where above it they stand; the package, where one may be an attribute of it."""
    top = (one.package or one.names[0]).partition(".")[0]
    if top in sys.stdlib_module_names or top == "metaflow":
        return []
    left = [name for name in one.names if not _beside(program, name)]
    found = [(name, path) for name in left if (path := elsewhere(name)) is not None]
    if one.package and (len(found) < len(left) or not one.names) and not _beside(program, one.package):
        path = elsewhere(one.package)
        found += [] if path is None else [(one.package, path)]
    return found
