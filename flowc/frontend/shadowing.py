"""In: a Program. Out: FC144 where a file beside the flow hides the installed Metaflow from it."""

from __future__ import annotations

import ast
import posixpath
from typing import TYPE_CHECKING

from flowc.diagnostics import Diagnostic
from flowc.frontend.modules_bindings import import_statements
from flowc.frontend.modules_codes import SHADOWED

if TYPE_CHECKING:
    from flowc.frontend.modules import Program


def shadowed(program: Program) -> list[Diagnostic]:
    """A warning at the first import of Metaflow in the flow's file or in a module beside it; a copy of Metaflow itself hides nothing."""
    path = next((p for p in ("metaflow/__init__.py", "metaflow.py") if program.read(p) is not None), None)
    if path is None or program.read("metaflow/flowspec.py") is not None:
        return []
    entry = program.entry
    for module in (entry, *program.local_modules()):
        for node in import_statements(module.tree.body):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""] if not node.level else []
            if any(name.partition(".")[0] == "metaflow" for name in names):
                shown = posixpath.normpath(posixpath.join(posixpath.dirname(entry.source.path), path))
                message = f"{shown} beside the flow hides the installed metaflow: `python {entry.source.path}` imports it instead"
                return [Diagnostic(SHADOWED, message, module.span(node), help=f"Rename {shown}, and what imports it.")]
    return []
