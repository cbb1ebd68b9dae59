"""In: the `def` of a step. Out: its Transition, read exactly as `DAGNode._parse` of Metaflow's graph.py reads it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Union

from flowc.diagnostics import Code, Diagnostic, Example, Severity
from flowc.frontend.values_functions import yields
from flowc.ir import Foreach, InvalidNext, Linear, NoNext, NumParallel, Split, Switch, Transition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.source import SourceFile, Span

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def _flow(call: str) -> str:
    return (
        "from metaflow import FlowSpec, step\n\n\nclass Wide(FlowSpec):\n    @step\n    def start(self):\n        self.items = [1, 2]\n"
        f"        self.next({call})\n\n    @step\n    def work(self):\n        self.next(self.gather)\n\n    @step\n"
        "    def gather(self, inputs):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
    )


FANOUT_LITERAL = Code(
    "FC109",
    "the width of a fan-out is no name or number",
    why=(
        "`foreach=` takes the name of the artifact to fan out over, as a string; `num_parallel=` takes a whole number. Metaflow's "
        "linter lets any "
        "other literal pass, and the run then fails in this step, after the work before it was paid for."
    ),
    bad=Example({"flow.py": _flow("self.work, foreach=2")}, line=8),
    good=Example({"flow.py": _flow('self.work, foreach="items"')}),
)

_HELLO = (
    "import asyncio\n\nfrom metaflow import FlowSpec, step\n\n\nclass Hello(FlowSpec):\n    @step\n    def start(self):\n"
    "        self.next(self.end)\n\n    @step\n"
)
_WORK = "\n    async def work(self):\n        await asyncio.sleep(1)\n"
NEVER_RUNS = Code(
    "FC113",
    "step whose body never runs",
    why=(
        "Metaflow calls a step as a plain function. The call of an `async def`, or of a function that yields, only makes a coroutine or a "
        "generator, which Metaflow throws away: nothing of the body runs. The end step then succeeds without its work; any other step "
        "fails, as its self.next() was never called. Metaflow's linter lets both pass. Nothing is said of a step with a decorator of your "
        "own, which may run it."
    ),
    bad=Example({"flow.py": _HELLO + "    async def end(self):\n        await self.work()\n" + _WORK}, line=12),
    good=Example({"flow.py": _HELLO + "    def end(self):\n        asyncio.run(self.work())\n" + _WORK}),
    severity=Severity.WARNING,
)


def argument_count(function: Function) -> int:
    """Metaflow's `num_args`: plain positional arguments, self included; `*args`, keyword-only and positional-only ones do not count."""
    return len(function.args.args)


def transition(function: Function, source: SourceFile) -> Transition:
    """What the last statement says. Never fails: what Metaflow calls invalid is an InvalidNext with what Metaflow still sees of it."""
    tail = function.body[-1]
    if not isinstance(tail, ast.Expr) or not isinstance(tail.value, ast.Call) or not _is_self_next(tail.value.func):
        return NoNext(_early(function, source))
    call = tail.value
    span = source.span(call)
    if len(call.args) == 1 and isinstance(call.args[0], ast.Dict) and any(k.arg == "condition" for k in call.keywords):
        cases = _cases(call.args[0])
        condition = next(_literal(k.value) for k in call.keywords if k.arg == "condition")
        if cases and isinstance(condition, str) and condition:
            return Switch(tuple(cases.items()), condition, span)
        return InvalidNext(span)
    targets = []
    for argument in call.args:
        if not isinstance(argument, ast.Attribute):
            return InvalidNext(span)
        targets.append(argument.attr)
    # Metaflow makes a dict of the keywords, so that several `**mappings` count as one
    keywords = {k.arg: _literal(k.value) for k in call.keywords}
    return _by_keywords(tuple(targets), keywords, InvalidNext(span, tuple(targets)))


def _early(function: Function, source: SourceFile) -> Span | None:
    """Where the last self.next() is that is not the last statement: Metaflow takes no notice of it."""
    last = max(_next_calls(function), key=lambda call: (call.lineno, call.col_offset), default=None)
    return None if last is None else source.span(last)


def spoken_of(method: ast.AST) -> frozenset[str]:
    """Every `self.X` in the arguments of a method's self.next() calls, wherever they stand: the steps it may lead to are among them."""
    inside = (node for call in _next_calls(method) for argument in call.args for node in ast.walk(argument))
    return frozenset(node.attr for node in inside if isinstance(node, ast.Attribute))


def _next_calls(method: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(method) if isinstance(node, ast.Call) and _is_self_next(node.func))


def _by_keywords(targets: tuple[str, ...], keywords: dict[str | None, Any], invalid: InvalidNext) -> Transition:
    span = invalid.span
    if not keywords and targets:
        return Linear(targets[0], span) if len(targets) == 1 else Split(targets, span)
    if len(keywords) == 1 and "foreach" in keywords:
        artifact = keywords["foreach"]
        if len(targets) != 1:
            return InvalidNext(span, targets, "foreach")
        return Foreach(targets[0], artifact if isinstance(artifact, str) else None, span)
    if len(keywords) == 1 and "num_parallel" in keywords:
        count = keywords["num_parallel"]
        if len(targets) != 1:
            return InvalidNext(span, targets, "num_parallel")
        return NumParallel(targets[0], count if isinstance(count, int) else None, span)
    return invalid


def _is_self_next(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self" and node.attr == "next"


def _literal(node: ast.expr) -> Any:
    """What Metaflow sees of a keyword's value: None where it is no literal."""
    return node.value if isinstance(node, ast.Constant) else None


def _cases(node: ast.Dict) -> dict[Any, str]:
    """The cases as a Python dict makes them: equal keys (1 and True) are one case, the later target counts. Empty: not readable."""
    cases: dict[Any, str] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        case = _case_key(key)
        if case is None or not isinstance(value, ast.Attribute) or not isinstance(value.value, ast.Name) or value.value.id != "self":
            return {}
        cases[case] = value.attr
    return cases


def _case_key(key: ast.expr | None) -> Any:
    if isinstance(key, ast.Constant):
        return key.value
    if not isinstance(key, ast.Attribute) or not isinstance(key.value, ast.Attribute) or not isinstance(key.value.value, ast.Name):
        return None
    return f"config:{key.value.attr}.{key.attr}" if key.value.value.id == "self" else None


def fanout_problems(function: Function, source: SourceFile) -> list[Diagnostic]:
    """Literals that Metaflow's linter lets pass in a fan-out and that no run survives."""
    tail = function.body[-1]
    found = transition(function, source)
    if not isinstance(found, (Foreach, NumParallel)) or not isinstance(tail, ast.Expr) or not isinstance(tail.value, ast.Call):
        return []
    keyword = tail.value.keywords[0]
    wanted, example = (str, 'foreach="items"') if isinstance(found, Foreach) else (int, "num_parallel=4")
    if not isinstance(keyword.value, ast.Constant) or isinstance(keyword.value.value, wanted):
        return []
    message = (
        f"step {function.name}: {keyword.arg}={keyword.value.value!r} is no {'name of an artifact' if wanted is str else 'whole number'}"
    )
    return [Diagnostic(FANOUT_LITERAL, message, source.span(keyword.value), help=f"Write it like {example}")]


def never_runs(function: Function, span: Span) -> list[Diagnostic]:
    """A step that no call runs: a coroutine or a generator. `span` is its name."""
    if isinstance(function, ast.AsyncFunctionDef):
        message = f"step {function.name} is `async def`: Metaflow never awaits it, so its body does not run"
        help_ = f"Write `def {function.name}`, and run what awaits inside it with `asyncio.run(...)`."
    elif yields(function):
        message = f"step {function.name} yields: Metaflow never iterates over it, so its body does not run"
        help_ = "Put what yields into a function of its own, and loop over that in the step."
    else:
        return []
    return [Diagnostic(NEVER_RUNS, message, span, help=help_)]


def docstring(node: Function | ast.ClassDef) -> str:
    """The docstring as Metaflow shows it: the first indentation met is taken off every line."""
    body = node.body
    if (
        not body
        or not isinstance(body[0], ast.Expr)
        or not isinstance(body[0].value, ast.Constant)
        or not isinstance(body[0].value.value, str)
    ):
        return ""
    doc = body[0].value.value
    lines = [line for line in doc.splitlines() if line]
    indents = [re.match("[\t ]+", line) for line in lines[:2]]
    found = next((m.group() for m in indents if m is not None), None)
    return re.sub("\n" + found, "\n", doc).strip() if found else doc
