"""Every FC2 and FC3 code of flowc.checks: its bad flow reports it where it says, its good flow reports nothing; and linear work on any shape."""

from __future__ import annotations

import pytest
from test_graph import HERE, flow_of, linear

from flowc import checks, compiler, graph
from flowc.diagnostics import REGISTRY, Code, Diagnostic, Example, has_errors
from flowc.ir import NoNext, Split, Switch, Transition
from flowc.settings import Settings
from flowc.source import SourceFile

OWN = sorted(code for code in REGISTRY if code.startswith("FC2") or "FC312" <= code <= "FC339")


def report(example: Example) -> tuple[Diagnostic, ...]:
    text = example.files[example.flow]
    assert isinstance(text, str)
    return compiler.check(SourceFile(example.flow, text), lambda _path: None, Settings()).diagnostics


@pytest.mark.parametrize("code", [REGISTRY[c] for c in OWN], ids=OWN)
def test_the_bad_flow_reports_the_code_and_the_good_flow_nothing(code: Code) -> None:
    """The examples of a code, which are also its page, show the code at the line that is marked."""
    found = report(code.bad)
    assert {d.code for d in found} == {code}, "what follows from the problem is not told as well"
    assert {d.span.line for d in found if d.span} >= ({code.bad.line} - {0})
    assert not [d.message for d in report(code.good)]


@pytest.mark.parametrize("code", [REGISTRY[c] for c in OWN], ids=OWN)
def test_messages_stand_alone_and_help_says_what_to_do(code: Code) -> None:
    """One line, no full stop, with a help that is a sentence."""
    for diagnostic in report(code.bad):
        assert "\n" not in diagnostic.message
        assert not diagnostic.message.endswith(".")
        assert diagnostic.help[0].isupper()


def test_all_problems_are_told_in_one_run() -> None:
    """Metaflow stops at the first problem; here an unknown step, a bad name and a missing self.next() come together."""
    text = """from metaflow import FlowSpec, step


class Many(FlowSpec):
    @step
    def start(self):
        self.next(self.lode)

    @step
    def loadAll(self):
        pass

    @step
    def end(self):
        pass
"""
    found = compiler.check(SourceFile("flow.py", text), lambda _path: None, Settings()).diagnostics
    assert [d.code.id for d in found] == ["FC216", "FC210", "FC214"]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ('self.next(self.end, foreach="xs")\n        self.xs = [1]', 7),
        ('self.next(self.end); print("x")', 7),
        ("self.x = 1\n        if self.x:\n            self.next(self.end)", 9),
        ("self.x = 1", None),
    ],
)
def test_a_next_that_is_not_last(body: str, line: int | None) -> None:
    """FC214 says where the self.next() stands that Metaflow does not see, and that there is none only where there is none."""
    text = (
        "from metaflow import FlowSpec, step\n\n\nclass Early(FlowSpec):\n    @step\n    def start(self):\n"
        f"        {body}\n\n    @step\n    def end(self):\n        pass\n"
    )
    found = compiler.check(SourceFile("flow.py", text), lambda _path: None, Settings()).diagnostics
    missing = next(each for each in found if each.code.id == "FC214")
    if line is None:
        assert missing.message == "step start does not say which step comes next"
        assert not missing.labels
    else:
        assert missing.message == f"step start has a self.next() on line {line}, which is not its last statement"
        assert [label.span.line for label in missing.labels] == [line]


def test_what_follows_from_another_problem_is_not_told() -> None:
    """A step behind a misspelt name is no orphan, and a split whose join lost its argument is told once."""
    text = """from metaflow import FlowSpec, step


class Once(FlowSpec):
    @step
    def start(self):
        self.next(self.trian)

    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
    found = compiler.check(SourceFile("flow.py", text), lambda _path: None, Settings()).diagnostics
    assert [d.code.id for d in found] == ["FC216"]
    assert "train" in found[0].help


def test_a_long_chain_of_switches_and_splits_is_checked_in_one_pass() -> None:
    """Metaflow's checks walk 2**600 paths here, and deeper than Python's recursion allows."""
    transitions: dict[str, Transition] = {"start": linear("s0"), "end": NoNext()}
    joins = []
    for n in range(600):
        after = f"s{n + 1}" if n < 599 else "end"
        if n % 2:
            transitions[f"s{n}"] = Switch((("a", f"a{n}"), ("b", f"b{n}")), "v", HERE)
            transitions[f"a{n}"] = transitions[f"b{n}"] = linear(after)
        else:
            transitions[f"s{n}"] = Split((f"a{n}", f"b{n}"), HERE)
            transitions[f"a{n}"] = transitions[f"b{n}"] = linear(f"j{n}")
            transitions[f"j{n}"] = linear(after)
            joins.append(f"j{n}")
    flow = flow_of(transitions, tuple(joins))
    assert not has_errors(checks.run(flow, graph.build(flow)))


def test_a_value_that_cannot_be_read_is_not_told_as_missing() -> None:
    """Where a diagnostic says that an attribute could not be read, no other says that it is not there."""
    text = """import lib
from metaflow import FlowSpec, exit_hook, project, step, timeout, trigger


@project(name=lib.name())
@trigger(event=lib.event)
@exit_hook(on_error=lib.hooks())
class Unread(FlowSpec):
    @timeout(minutes=lib.minutes)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
    found = compiler.check(SourceFile("flow.py", text), lambda _path: None, Settings()).diagnostics
    assert [d.span.line for d in found if d.span] == [5, 6, 7, 9]
    assert not [d.code.id for d in found if d.code.id in OWN]


@pytest.mark.parametrize(
    ("signature", "help_"),
    [
        ("()", "Write `def join(self):`."),
        ("(*args)", "Write `def join(self):`."),
        ("(self, /)", "Write `def join(self):`; Metaflow does not count what stands before a `/`."),
        ("(self, inputs, /)", "Write `def join(self, inputs):`; Metaflow does not count what stands before a `/`."),
    ],
)
def test_help_for_a_step_without_self_keeps_a_join_a_join(signature: str, help_: str) -> None:
    """FC213's help is the signature that was meant: with `inputs` where a second parameter stands before the `/`."""
    text = (
        "from metaflow import FlowSpec, step\n\n\nclass Joining(FlowSpec):\n    @step\n    def start(self):\n"
        "        self.next(self.a, self.b)\n\n    @step\n    def a(self):\n        self.next(self.join)\n\n    @step\n"
        f"    def b(self):\n        self.next(self.join)\n\n    @step\n    def join{signature}:\n        self.next(self.end)\n\n"
        "    @step\n    def end(self):\n        pass\n"
    )
    found = compiler.check(SourceFile("flow.py", text), lambda _path: None, Settings()).diagnostics
    assert [d.help for d in found if d.code.id == "FC213"] == [help_]
