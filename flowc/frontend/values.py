"""In: an expression and the Scope it stands in. Out: its static Value, or Unknown with the reason; nothing of the user's is executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from flowc.diagnostics import Code, Diagnostic, Example
from flowc.frontend.modules import Module, Program
from flowc.ir import Value
from flowc.settings import EMPTY, Settings
from flowc.source import Span


def _flow(decorator: str, before: str = "", imports: str = "kubernetes") -> str:
    return f"""from metaflow import FlowSpec, {imports}, step
{before}
class Hello(FlowSpec):
    @{decorator}
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


NOT_STATIC = Code(
    "FC340",
    "value that the text does not tell",
    "flowc never runs the flow, so a value that only running it would give is not known when compiling. It is not guessed or left out.\n"
    'Give it in `[tool.flowc.values]`, by the key that the help names: "Flow.step.decorator.attribute", "Flow.decorator.attribute", '
    '"module.NAME", "Flow.NAME" or "os.environ.NAME". A given value wins over the text.',
    bad=Example({"flow.py": _flow("kubernetes(image=registry.latest())", "import registry\n")}, line=5),
    good=Example(
        {"flow.py": _flow("kubernetes(image=registry.latest())", "import registry\n")},
        settings={"values": {"Hello.start.kubernetes.image": "registry.example.com/train:1"}},
    ),
)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The text does not tell the value: why (the rest of a sentence after "the value"), where, and the remedy."""

    reason: str
    span: Span
    help: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands.

    `body` is the class whose own names it sees, `owner` that class's name for people and setting keys. `configs` maps the attribute
    of a Config to its data (a mapping, or text when plain), inherited ones too; `config_names` maps its command-line name, which is what
    `config_expr` sees (the attributes where empty). `before` is the line of use: a name bound again later does not count.
    """

    program: Program
    module: Module
    settings: Settings
    owner: str = ""
    body: ast.ClassDef | None = None
    configs: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    config_names: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    before: int | None = None


def evaluate(expr: ast.expr, scope: Scope) -> Value | Unknown:
    """The static value of an expression, as plain data: tuples become lists, a Config's data a dict.

    Values that the text leaves open are taken from `settings.values` by the path under which Python knows them: "module.NAME" (the
    flow's own file by its stem), "Flow.NAME", "package.NAME" of what is not in sight, "os.environ.NAME" (or `settings.environment`).
    """
    if isinstance(expr, ast.Constant) and (expr.value is None or isinstance(expr.value, (str, int, float, bool))):
        return Value(expr.value, scope.module.span(expr))
    from flowc.frontend.values_expressions import Evaluator

    return Evaluator(scope).value(expr)


def decide(expr: ast.expr, scope: Scope) -> bool | None:
    """The truth of a condition, None where the text does not tell."""
    found = evaluate(expr, scope)
    return None if isinstance(found, Unknown) else bool(found.data)


def setting_key(*parts: str) -> str:
    """The key of `[tool.flowc.values]` for an attribute: its parts, as in ("Flow", "step", "kubernetes", "image"), with dots."""
    return ".".join(part for part in parts if part)


def given(settings: Settings, key: str, span: Span) -> Value | None:
    """The value that `[tool.flowc.values]` gives under a key."""
    return Value(settings.values[key], span, "[tool.flowc.values]") if key in settings.values else None


def not_static(unknown: Unknown, what: str, key: str = "") -> Diagnostic:
    """The diagnostic for an Unknown; `what` names the value for people ("image of @kubernetes"), `key` is its setting."""
    remedy = unknown.help or (
        f'Give it in [tool.flowc.values]: "{key}" = ...' if key else "Write a literal, or a constant that a module in sight binds."
    )
    if unknown.help and key:
        remedy = f'{unknown.help} Or give the value itself: "{key}" = ... in [tool.flowc.values].'
    return Diagnostic(NOT_STATIC, f"{what} is not known when compiling: {unknown.reason}", unknown.span, help=remedy)


Evaluated = Union[Value, Unknown]
