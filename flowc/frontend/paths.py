"""In: the expression of a file's path. Out: the path relative to the flow's folder, where os.path or pathlib make it of `__file__`."""

from __future__ import annotations

import ast
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from flowc.frontend.modules import Program
from flowc.frontend.values import Scope, Unknown, evaluate
from flowc.ir import Value
from flowc.source import SourceFile

if TYPE_CHECKING:
    from flowc.source import Reader

FOLDER = "/flowc folder of the flow"
"""Stands for the flow's folder while a path is computed; no real folder is called so."""
_SAME = frozenset({"abspath", "realpath", "fspath", "resolve", "absolute", "as_posix", "expanduser"})


def near_file(expr: ast.expr, scope: Scope) -> Value | None:
    """A path that is built from `__file__`. None where it is something else.

    It is computed in a program of its own, whose pathlib is os.path and whose `__file__` is a path that must not reach any other value.
    """
    modules = [scope.program.entry, *scope.program.local_modules()]
    if not any("__file__" in m.source.text for m in modules):
        return None
    entry = scope.program.entry.source
    program = Program(SourceFile(entry.path, _rewritten(entry.text)), _rewriting(scope.program.reader))
    module = program.module(scope.module.name) if scope.module.name else program.entry
    places = {f"{m.label}.__file__": f"{FOLDER}/{m.path}" for m in modules}
    settings = replace(scope.settings, values={**scope.settings.values, **places})
    inner = replace(scope, program=program, module=module or program.entry, settings=settings, before=None)
    found = evaluate(ast.fix_missing_locations(_Paths().visit(ast.parse(ast.unparse(expr), mode="eval").body)), inner)
    if isinstance(found, Unknown) or not isinstance(found.data, str) or not found.data.startswith(f"{FOLDER}/"):
        return None
    path = posixpath.relpath(posixpath.normpath(found.data), FOLDER)
    return Value(path, scope.module.span(expr), "path from __file__")


def _rewriting(reader: Reader) -> Reader:
    def read(path: str) -> bytes | None:
        data = reader(path)
        if data is None or not path.endswith(".py"):
            return data
        return _rewritten(data.decode("utf-8-sig", "replace")).encode()

    return read


def _rewritten(text: str) -> str:
    """The module with its paths as os.path would compute them; as it is where it cannot be parsed."""
    try:
        tree = _Paths().visit(ast.parse(text))
    except (SyntaxError, ValueError):
        return text
    return "import os.path as _flowc_path\n" + ast.unparse(ast.fix_missing_locations(tree))


def _os_path(function: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name("_flowc_path", ast.Load()), function, ast.Load()), list(args), [])


class _Paths(ast.NodeTransformer):
    """Writes what pathlib does in terms of os.path, and leaves out what changes nothing for an absolute path."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        if name in ("Path", "PurePath", "PosixPath", "PurePosixPath") and node.args:
            return node.args[0] if len(node.args) == 1 else _os_path("join", *node.args)
        if name in _SAME and len(node.args) == 1:
            return node.args[0]
        if isinstance(node.func, ast.Attribute) and name in _SAME and not node.args:
            return node.func.value
        if isinstance(node.func, ast.Attribute) and name == "joinpath":
            return _os_path("join", node.func.value, *node.args)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        return _os_path("dirname", node.value) if node.attr == "parent" and isinstance(node.ctx, ast.Load) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return _os_path("join", node.left, node.right) if isinstance(node.op, ast.Div) else node
