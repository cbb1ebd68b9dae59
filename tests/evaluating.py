"""In: an expression, and the lines before it. Out: what flowc evaluates it to."""

from __future__ import annotations

import ast
from typing import Any

from flowc.frontend.modules import Program
from flowc.frontend.values import Scope, Unknown, evaluate
from flowc.ir import Value
from flowc.settings import Settings
from flowc.source import SourceFile


def value_of(
    expr: str, before: str = "", files: dict[str, str] | None = None, configs: dict[str, Any] | None = None, **given: Any
) -> Value | Unknown:
    """The last line of a flow file, `_ = <expr>`, evaluated."""
    beside = {path: text.encode() for path, text in (files or {}).items()}
    program = Program(SourceFile("flow.py", f"{before}\n_ = {expr}\n"), beside.get)
    assert not program.diagnostics
    node = program.entry.bindings["_"][-1].node
    assert isinstance(node, ast.expr)
    return evaluate(node, Scope(program, program.entry, Settings(**given), "F", configs=configs or {}, before=node.lineno))


def data_of(expr: str, before: str = "", files: dict[str, str] | None = None, **given: Any) -> Any:
    found = value_of(expr, before, files, **given)
    assert isinstance(found, Value), found
    return found.data


def reason_of(expr: str, before: str = "", files: dict[str, str] | None = None, **given: Any) -> str:
    found = value_of(expr, before, files, **given)
    assert isinstance(found, Unknown), found
    return f"{found.reason} | {found.help}"
