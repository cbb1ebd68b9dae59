"""In: the files of the project. Out: proof that they keep the house's limits: size, opening sentence, lazy imports, no loose ends."""

from __future__ import annotations

import ast
import io
import os
import re
import sys
import tokenize
from pathlib import Path

import pytest

import flowc

ROOT = Path(__file__).resolve().parents[1]
FILE_LINES, FUNCTION_LINES = 400, 50
FOREIGN = ("fixtures", "flows", "__pycache__")  # flows stand as users write them
HEAVY = {"yaml", "jinja2", "jsonschema", "jsonschema_rs", "libcst", "kubernetes", "metaflow", "requests", "tomli", "tomlkit"}
PARTS = ("flowc", "tools", "tests", "benchmarks")
FILES = sorted(p for part in PARTS for p in (ROOT / part).rglob("*.py") if not set(FOREIGN) & set(p.relative_to(ROOT).parts))
PACKAGE = [p for p in FILES if p.is_relative_to(ROOT / "flowc")]
LOOSE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    return set(range(function.lineno, (function.end_lineno or function.lineno) + 1))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_limits(path: Path) -> None:
    """A file has at most 400 lines, a function at most 50, docstring included; functions inside it are counted by themselves."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES
    lengths = {}
    for function in functions(ast.parse(text)):
        inner = [lines_of(other) for other in functions(function) if other is not function]
        lengths[function.name] = len(lines_of(function).difference(*inner))
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "__init__.py" or p.stat().st_size], ids=ids)
def test_opens_with_a_sentence(path: Path) -> None:
    """A module's docstring begins with a whole sentence on its first line."""
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    assert re.match(r"\S.*[.!?:]$", first), f"the module opens with {first!r}"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_loose_ends(path: Path) -> None:
    """No comment promises later work: that belongs in an issue."""
    comments = [t for t in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline) if t.type == tokenize.COMMENT]
    assert [t.string for t in comments if LOOSE.search(t.string)] == []


def imported_at_load(tree: ast.Module) -> set[str]:
    """The top-level packages that loading a module imports: its statements outside functions and outside `if TYPE_CHECKING`."""
    found: set[str] = set()
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("path", PACKAGE, ids=ids)
def test_loads_lightly(path: Path) -> None:
    """No module of flowc imports a heavy package when it is loaded: a cold compile is a tenth of a second.

    Only the modules of flowc/fix do, which are nothing without LibCST; its `__init__` loads them when something is to be mended.
    """
    allowed = {"libcst"} if path.parent.name == "fix" and path.name != "__init__.py" else set()
    assert imported_at_load(ast.parse(path.read_text(encoding="utf-8"))) & HEAVY <= allowed


def test_the_judge_of_imports_sees_them() -> None:
    """Imports in classes, branches and `try` count as loading; those in functions and for type checkers do not."""
    text = "import a\nif 1:\n    from b.c import d\ntry:\n    import e\nexcept ImportError:\n    pass\ndef f():\n    import g\n"
    tree = ast.parse(text + "if TYPE_CHECKING:\n    import h\nclass C:\n    import i\n")

    assert imported_at_load(tree) == {"a", "b", "e", "i"}


def test_engines_of_the_pods_python() -> None:
    """The bootstrap parses as Python 3.8, the oldest that a pod's image may have, and imports the standard library alone."""
    tree = ast.parse((ROOT / "flowc" / "bootstrap.py").read_text(encoding="utf-8"), feature_version=(3, 8))

    assert imported_at_load(tree) <= set(sys.stdlib_module_names)


@pytest.mark.skipif("FLOWC_TEST_WHEEL" not in os.environ, reason="set by `make test`, which installs the wheel")
def test_the_wheel_is_tested() -> None:
    """`make test` judges the installed wheel, templates and schemas in it, not the checkout."""
    package = Path(flowc.__file__).parent

    assert not package.is_relative_to(ROOT / "flowc")
    for folder in ("templates", "schemas"):
        shipped = {p.relative_to(package / "_data").as_posix() for p in (package / "_data" / folder).rglob("*") if p.is_file()}
        assert shipped == {p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob("*") if p.is_file()}
