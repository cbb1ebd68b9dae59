"""Transitions and docstrings equal what Metaflow's own DAGNode reads from the same text."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import reading

from flowc.frontend.steps import argument_count, docstring, fanout_problems, transition
from flowc.ir import Foreach, InvalidNext, Linear, NoNext, NumParallel, Split, Switch, Transition, targets_of
from flowc.source import SourceFile

metaflow_graph = pytest.importorskip("metaflow.graph")

TAILS = [
    "pass",
    '"""only a docstring"""',
    "self.next(self.a)",
    "self.next(self.a, self.b)",
    "self.next(self.a, self.a)",
    "self.next()",
    "self.next(self.a, foreach='items')",
    "self.next(self.a, foreach=NAME)",
    "self.next(self.a, foreach=5)",
    "self.next(self.a, foreach='a' 'b')",
    "self.next(self.a, foreach=f'x')",
    "self.next(self.a, self.b, foreach='items')",
    "self.next(foreach='items')",
    "self.next(self.a, num_parallel=4)",
    "self.next(self.a, num_parallel=self.n)",
    "self.next(self.a, num_parallel='4')",
    "self.next(self.a, self.b, num_parallel=4)",
    "self.next(num_parallel=4)",
    "self.next(self.a, foreach='x', num_parallel=4)",
    "self.next(self.a, foreach='x', bogus=1)",
    "self.next(self.a, bogus=1)",
    "self.next(self.a, **extra)",
    "self.next(self.a, **one, **two)",
    "self.next(*self.targets)",
    "self.next(self.a, *self.targets)",
    "self.next(a)",
    "self.next(self.x.y)",
    "self.next(other.y)",
    "self.next(self.f().y)",
    "self.next('a')",
    "self.next(self.a)()",
    "self.next",
    "next(self.a)",
    "that.next(self.a)",
    "self.flow.next(self.a)",
    "self.next[0](self.a)",
    "x = self.next(self.a)",
    "return self.next(self.a)",
    "if True:\n        self.next(self.a)",
    "(self.next(self.a))",
    "self.next({'x': self.a, 'y': self.b}, condition='c')",
    "self.next({1: self.a, True: self.b, 2: self.me}, condition='c')",
    "self.next({'x': self.a, 'x': self.b}, condition='c')",
    "self.next({False: self.a, 1.5: self.b}, condition='c')",
    "self.next({self.config.key: self.a, 'other': self.b}, condition='c')",
    "self.next({self.key: self.a}, condition='c')",
    "self.next({that.config.key: self.a}, condition='c')",
    "self.next({self.a.b.c: self.a}, condition='c')",
    "self.next({KEY: self.a}, condition='c')",
    "self.next({-1: self.a}, condition='c')",
    "self.next({None: self.a}, condition='c')",
    "self.next({**cases}, condition='c')",
    "self.next({'x': 'a'}, condition='c')",
    "self.next({'x': that.a}, condition='c')",
    "self.next({'x': self.a.b}, condition='c')",
    "self.next({}, condition='c')",
    "self.next({'x': self.a}, condition='')",
    "self.next({'x': self.a}, condition=5)",
    "self.next({'x': self.a}, condition=NAME)",
    "self.next({'x': self.a}, condition='c', foreach='items')",
    "self.next({'x': self.a, KEY: self.b}, condition='c', foreach='items')",
    "self.next({'x': self.a})",
    "self.next({'x': self.a}, self.b, condition='c')",
    "self.next(self.a, condition='c')",
    "self.next({'x': self.a}, **extra)",
]


def seen(found: Transition, arguments: int) -> dict[str, Any]:
    """A transition in the terms of Metaflow's DAGNode."""
    kinds: dict[type[Any], str | None] = {Split: "split", Foreach: "foreach", NumParallel: "foreach", Switch: "split-switch", NoNext: None}
    kind = kinds.get(type(found))
    if isinstance(found, Linear):
        kind = "join" if arguments > 1 else "linear"
    if isinstance(found, InvalidNext) and found.kind:
        kind = "foreach"
    return {
        "type": kind,
        "out_funcs": list(targets_of(found)),
        "has_tail_next": not isinstance(found, NoNext),
        "invalid_tail_next": isinstance(found, InvalidNext),
        "switch_cases": dict(found.cases) if isinstance(found, Switch) else {},
        "condition": found.condition if isinstance(found, Switch) else None,
        "foreach_param": found.artifact if isinstance(found, Foreach) else None,
        "num_parallel": found.count if isinstance(found, NumParallel) else 0,
        "parallel_foreach": isinstance(found, NumParallel) or (isinstance(found, InvalidNext) and found.kind == "num_parallel"),
        "num_args": arguments,
    }


def compare(text: str) -> None:
    function = ast.parse(text).body[0]
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    source = SourceFile("flow.py", text)
    oracle = metaflow_graph.DAGNode(function, [], [], [], None, "flow.py", 1)
    found = transition(function, source)
    ours = seen(found, argument_count(function))
    theirs = {name: getattr(oracle, name) for name in ours}
    if fanout_problems(function, source):
        # a literal that no run survives is a diagnostic, and what it says is not carried
        theirs |= {"foreach_param": None} if isinstance(found, Foreach) else {"num_parallel": None}
    assert ours == theirs
    assert [type(k) for k in ours["switch_cases"]] == [type(k) for k in theirs["switch_cases"]]


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("head", ["def me(self):", "def me(self, inputs):", "async def me(self):", "def me(self, /, *args, key=None):"])
def test_every_form_reads_as_metaflow_reads_it(head: str, tail: str) -> None:
    """Each form of a last statement, good or bad, gives the node that DAGNode gives."""
    compare(f"{head}\n    x = 1\n    {tail}\n")


attributes = st.sampled_from(["self.a", "self.b", "self.a.b", "that.c", "a", "'a'", "*many", "self.a()", "None"])
literals = st.sampled_from(["'items'", "''", "5", "True", "None", "NAME", "f'{x}'", "self.n", "2.5", "b'x'"])
keys = st.sampled_from(["'x'", "1", "True", "False", "0", "1.0", "self.config.k", "KEY", "None", "-1", "self.k"])
words = st.sampled_from(["foreach", "num_parallel", "condition", "bogus"])


@st.composite
def calls(draw: st.DrawFn) -> str:
    arguments = draw(st.lists(attributes, max_size=3))
    if draw(st.booleans()):
        cases = draw(st.lists(st.tuples(keys, attributes.filter(lambda a: not a.startswith("*"))), max_size=4))
        arguments.insert(0, "{" + ", ".join(f"{k}: {v}" for k, v in cases) + "}")
    keywords = [f"{w}={draw(literals)}" for w in draw(st.lists(words, max_size=3, unique=True))]
    keywords += ["**extra"] * draw(st.integers(0, 2))
    return f"self.next({', '.join(arguments + keywords)})"


@given(calls(), st.sampled_from(["self", "self, inputs", "self, *inputs", "self, *, inputs"]))
def test_generated_calls_read_as_metaflow_reads_them(call: str, arguments: str) -> None:
    """Any combination of arguments and keywords of `self.next` gives the node that DAGNode gives."""
    compare(f"def me({arguments}):\n    {call}\n")


@given(st.text(alphabet="a \t\n", max_size=40))
def test_docstrings_are_dedented_as_metaflow_does(doc: str) -> None:
    """`docstring` equals Metaflow's deindent_docstring of `__doc__`."""
    text = f"def me(self):\n    {doc!r}\n"
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert docstring(function) == metaflow_graph.deindent_docstring(doc)


@pytest.mark.parametrize(("tail", "count"), [("foreach=5", 1), ("num_parallel='4'", 1), ("foreach=NAME", 0), ("num_parallel=self.n", 0)])
def test_a_width_that_no_run_survives_is_reported(tail: str, count: int) -> None:
    """Only literals of the wrong type are mistakes; what is no literal is left to the run, as Metaflow leaves it."""
    text = f"def me(self):\n    self.next(self.a, {tail})\n"
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert len(fanout_problems(function, SourceFile("flow.py", text))) == count


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        ("async def end(self):", "pass", ["step end is `async def`: Metaflow never awaits it, so its body does not run"]),
        ("async def end(self):", "yield 1", ["step end is `async def`: Metaflow never awaits it, so its body does not run"]),
        ("def end(self):", "x = yield from []", ["step end yields: Metaflow never iterates over it, so its body does not run"]),
        ("def end(self):", "self.x = list((i for i in (1, 2)))", []),
        ("def end(self):", "def inner():\n            yield 1\n        async def other():\n            pass", []),
        ("@driven\n    async def end(self):", "pass", []),
        ("async def end(self):", "await self.x", ["step end is `async def`: Metaflow never awaits it, so its body does not run"]),
    ],
)
@pytest.mark.parametrize("above", ["", "@handled\n    "])
def test_a_step_that_metaflow_calls_and_never_runs_is_told(above: str, head: str, body: str, said: list[str]) -> None:
    """A coroutine or generator as a step is a warning at its name, whose flow is read all the same; a decorator of one's own may run it."""
    said = [] if above else said
    text = (
        "import asyncio\nimport functools\nfrom metaflow import FlowSpec, step, user_step_decorator\n\n\n"
        "def driven(f):\n    @functools.wraps(f)\n    def run(self):\n        return asyncio.run(f(self))\n    return run\n\n\n"
        "@user_step_decorator\ndef handled(step_name, flow, inputs, attributes):\n    yield\n\n\n"
        "class Odd(FlowSpec):\n    @step\n    def start(self):\n        self.next(self.end)\n\n"
        f"    {above}@step\n    {head}\n        {body}\n"
    )
    found = reading(text)
    told = [d for d in found.diagnostics if d.code.id == "FC113"]
    assert [d.message for d in told] == said
    assert [(d.severity.value, d.span) for d in told] == [("warning", found.flows[0].steps["end"].span)] * len(said)
    assert list(found.diagnostics) == told
    assert list(found.flows[0].steps) == ["end", "start"]
