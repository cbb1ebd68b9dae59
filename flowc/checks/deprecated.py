"""In: a Flow. Out: what it uses of Metaflow that Metaflow itself calls deprecated or legacy (FC390, FC391)."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flowc.checks.example import example
from flowc.diagnostics import Code, Diagnostic, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.ir import Decorator, Flow

_BODY = """
    {decorator}
    @step
    def start(self):
        {statement}
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def _body(decorator: str = "@retry(times=2)", statement: str = "print(self)") -> str:
    return _BODY.format(decorator=decorator, statement=statement)


LIBRARIES = Code(
    "FC390",
    "deprecated attribute of a decorator",
    "Metaflow takes `libraries` of @conda and @conda_base for the sake of old flows and adds it to `packages`, its name today "
    "(metaflow/plugins/pypi/conda_decorator.py). `flowc fix` renames it where no `packages` stands beside it.",
    bad=example(_body('@conda(libraries={"numpy": "1.26.4"})  # error'), imports="conda"),
    good=example(_body('@conda(packages={"numpy": "1.26.4"})'), imports="conda"),
    severity=Severity.WARNING,
)
LEGACY = Code(
    "FC391",
    "legacy member of a flow",
    "Metaflow marks `self.script_name` and `self.cmd()` of a flow and `current.tags` as legacy: do not use (metaflow/flowspec.py, "
    "metaflow/metaflow_current.py). They work today; nothing says for how long.",
    bad=example(_body(statement="print(self.script_name)  # error"), imports="retry"),
    good=example(_body(statement='print("hello.py")'), imports="retry"),
    severity=Severity.WARNING,
)
MEMBERS = {
    "script_name": "write the name of the file, or read `__file__`",
    "cmd": "call subprocess.run() for the command",
}
TAGS = "read `Run(current.run_id)` of the flow by Metaflow's client, and its `tags`"


def check(flow: Flow) -> list[Diagnostic]:
    """FC390 for attributes, FC391 for members that the flow's own file uses."""
    decorators = [*flow.decorators, *(each for step in flow.steps.values() for each in step.decorators)]
    found = [each for decorator in decorators for each in _libraries(decorator)]
    if any(name in flow.source.text for name in (".script_name", ".cmd(", ".tags")):
        found += _legacy(flow)
    return found


def _libraries(decorator: Decorator) -> Iterator[Diagnostic]:
    if decorator.name in ("conda", "conda_base") and "libraries" in decorator.attributes:
        text = f"`libraries` of @{decorator.name} is deprecated; it is called `packages` today"
        yield Diagnostic(LIBRARIES, text, decorator.span_of("libraries"), help="rename it to `packages`")


def _legacy(flow: Flow) -> Iterator[Diagnostic]:
    tree = ast.parse(flow.source.text)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "metaflow"]
    running = {alias.asname or alias.name for node in imports for alias in node.names if alias.name == "current"}
    head = next((node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == flow.name), None)
    for function in head.body if head else ():
        if isinstance(function, ast.FunctionDef) and function.name in flow.steps and function.args.args:
            called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.attr != "cmd" or node in called):
                    yield from _member(flow, function.args.args[0].arg, running, node, node.value.id)


def _member(flow: Flow, myself: str, running: set[str], node: ast.Attribute, owner: str) -> Iterator[Diagnostic]:
    remedy = MEMBERS.get(node.attr) if owner == myself else TAGS if owner in running and node.attr == "tags" else None
    if remedy is not None:
        text = f"Metaflow calls `{owner}.{node.attr}` legacy and advises not to use it"
        yield Diagnostic(LEGACY, text, flow.source.span(node), help=remedy)
