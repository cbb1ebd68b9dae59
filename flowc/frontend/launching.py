"""In: the flows of a file. Out: what is said of how the file launches them: not at all, or already when it is imported."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flowc.diagnostics import Code, Diagnostic, Example, Severity
from flowc.frontend.classes import Lineage, launched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowc.frontend.modules import Program
    from flowc.settings import Settings

_STEPS = "\n    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
_FLOW = "from metaflow import FlowSpec, step\n\n\nclass Hello(FlowSpec):" + _STEPS
_GUARD = '\n\nif __name__ == "__main__":\n    Hello()\n'
NOT_LAUNCHED = Code(
    "FC111",
    "flow that its file does not launch",
    why=(
        "`python flow.py run` does nothing where the file does not call its flow. Pods do not need the call: they call the class that "
        "was compiled, and so does `flowc run`. So this is said only where `require-guard` is set, and by `flowc fix`, which adds "
        '`if __name__ == "__main__":` and the call.'
    ),
    bad=Example({"flow.py": _FLOW}, line=4, settings={"require_guard": True}),
    good=Example({"flow.py": _FLOW + _GUARD}, settings={"require_guard": True}),
    severity=Severity.WARNING,
)
UNGUARDED = Code(
    "FC112",
    "flow that runs when its file is imported",
    why=(
        "A call at the top level of the file also runs when a test, a notebook or another flow imports it, and Metaflow's command line "
        'then takes over that process. Under `if __name__ == "__main__":` it runs for `python flow.py` only, as it should.'
    ),
    bad=Example({"flow.py": _FLOW + "\n\nHello()\n"}, line=14),
    good=Example({"flow.py": _FLOW + _GUARD}),
    severity=Severity.WARNING,
)
GUARD = 'if __name__ == "__main__":'


def launching(program: Program, flows: Sequence[Lineage], settings: Settings) -> list[Diagnostic]:
    """FC111 where the file launches none of its flows and `settings` want it to, FC112 where it launches one at its top level."""
    module = program.entry
    names = [line.head.name for line in flows if line.head.module is module]
    found = []
    for statement in module.tree.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names:
            text = f"{call.func.id} runs whenever {module.source.path} is imported"
            found.append(Diagnostic(UNGUARDED, text, module.span(statement), help=f"put `{GUARD}` above the call"))
    if settings.require_guard and len(names) == 1 and not launched(module, names):
        head = next(line.head for line in flows if line.head.module is module)
        text = f"`python {module.source.path}` does not run {head.name}: the file does not call it"
        found.append(Diagnostic(NOT_LAUNCHED, text, head.span, help=f"end the file with `{GUARD}` and `{head.name}()` below it"))
    return found
