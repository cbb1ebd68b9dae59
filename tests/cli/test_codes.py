"""Facts about every diagnostic code: its number, its page, its examples through the whole compiler, and that something emits it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowc.commands.above import resolved
from flowc.commands.session import FlowFile, known_codes
from flowc.diagnostics import REGISTRY
from flowc.report.page import RANGES
from flowc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.diagnostics import Code, Diagnostic, Example

ROOT = Path(__file__).parents[2]
CODES = sorted(known_codes())


def _above(files: Mapping[str, object], folder: str, dotted: str) -> str | None:
    """Where a module stands above the flow's folder, as the paths of an example have it; that is one folder deep."""
    found = resolved(dotted, files.__contains__) if folder else None
    return None if found is None else f"../{found}"


def _reported(example: Example) -> list[Diagnostic]:
    files = {path: text.encode() if isinstance(text, str) else text for path, text in example.files.items()}
    path, _, name = example.flow.partition(":")
    folder = path.rpartition("/")[0]
    settings = Settings(**dict(example.settings))  # type: ignore[arg-type]

    def read(path: str) -> bytes | None:
        return files.get(f"{folder}/{path}" if folder else path)

    file = FlowFile(path, files[path], read, name or None, elsewhere=partial(_above, files, folder))
    judged = file.judged(settings, example.target)
    found = list(judged.found)
    if example.on:
        check = importlib.import_module(f"flowc.run.{example.on}_check").check
        found += [each for flow, graph in judged.checked.flows for each in check(flow, graph, settings)]
    return found


@pytest.fixture(params=CODES)
def code(request: pytest.FixtureRequest) -> Code:
    return REGISTRY[request.param]


def test_number(code: Code) -> None:
    """An id is FC and three digits of a range that has a meaning; the texts of the page are there, on one line each."""
    assert re.fullmatch(r"FC\d{3}", code.id)
    assert code.id[:3] in RANGES
    assert code.title
    assert len(code.why) > 40
    assert "\n" not in code.title


@pytest.mark.parametrize("code", [code for code in CODES if not code.startswith("FC9")], indirect=True)
def test_bad_example(code: Code) -> None:
    """The bad example reports this code and no other, on the line it names."""
    found = _reported(code.bad)
    assert {each.code.id for each in found} == {code.id}, [(each.code.id, each.message, each.span) for each in found]
    if code.bad.line:
        lines = [each.span.line if each.span else 0 for each in found]
        assert code.bad.line in lines, f"reported on {lines}"
    for each in found:
        assert "\n" not in each.message
        assert each.message


@pytest.mark.parametrize("code", [code for code in CODES if not code.startswith("FC9")], indirect=True)
def test_good_example(code: Code) -> None:
    """The good example reports nothing at all."""
    assert [(each.code.id, each.message, each.span) for each in _reported(code.good)] == []


def test_bugs_have_no_example() -> None:
    """Only a bug of flowc has no flow that shows it."""
    assert [code for code in CODES if not REGISTRY[code].bad.files] == [code for code in CODES if code.startswith("FC9")]


@cache
def _uses() -> tuple[dict[str, str], dict[str, int]]:
    """The constant that holds each code, and how often each name is read in flowc."""
    constants: dict[str, str] = {}
    reads: dict[str, int] = {}
    for path in sorted((ROOT / "flowc").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _name(node.value.func) == "Code":
                first = node.value.args[0] if node.value.args else next(k.value for k in node.value.keywords if k.arg == "id")
                constants[ast.literal_eval(first)] = _name(node.targets[0])
            elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                reads[_name(node)] = reads.get(_name(node), 0) + 1
    return constants, reads


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def test_emitted(code: Code) -> None:
    """A code is a constant of a module, and something in flowc reads that constant."""
    constants, reads = _uses()
    assert code.id in constants, "declare it as a constant of its module"
    assert reads.get(constants[code.id], 0) > 0, f"{constants[code.id]} is declared and never used"


def test_pages_are_current() -> None:
    """docs/diagnostics/ holds exactly what tools/docs.py would write."""
    done = subprocess.run([sys.executable, ROOT / "tools" / "docs.py", "--check"], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
