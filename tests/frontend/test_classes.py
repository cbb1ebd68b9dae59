"""Which classes are flows, in which order their bases count, and which of a file's flows are compiled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import codes, reading

from flowc.frontend.classes import Lineages, LocalClass
from flowc.frontend.members import mangled
from flowc.frontend.modules import Program
from flowc.source import SourceFile

STEPS = "    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n\n\n"
HEAD = "from metaflow import FlowSpec, step\n\n\n"
HOLE = "class Base(FlowSpec):\n" + STEPS.replace("self.end", "self.middle")


def flows(*classes: str, launch: str = "") -> str:
    return HEAD + "".join(f"class {c}:\n{STEPS}" for c in classes) + launch


@given(st.lists(st.lists(st.integers(0, 6), max_size=3), min_size=1, max_size=7))
def test_order_of_bases_is_pythons(shape: list[list[int]]) -> None:
    """C3 over any class graph gives Python's own MRO, and a problem exactly where Python raises a TypeError."""
    statements, made, failed = [], {}, False
    for number, bases in enumerate(shape):
        names = [f"C{b % number}" for b in bases] if number else []
        statements.append(f"class C{number}({', '.join(names)}):\n    pass\n")
        try:
            made[f"C{number}"] = type(f"C{number}", tuple(made[n] for n in names), {})
        except TypeError:
            failed = True
            break
    source = SourceFile("flow.py", "\n\n".join(statements))
    program = Program(source, lambda _path: None)
    last = program.entry.tree.body[-1]
    found = Lineages(program).of(LocalClass(program.entry, last))  # type: ignore[arg-type]
    assert bool(found.problems) is failed
    if not failed:
        assert [c.name for c in found.local] == [c.__name__ for c in made[f"C{len(shape) - 1}"].__mro__[:-1]]


def test_names_of_private_methods_are_mangled_as_python_does() -> None:
    """`__x` becomes `_A__x`, dunder names stay, leading underscores of the class are dropped."""
    assert mangled("__x", "A") == "_A__x"
    assert mangled("__x", "__A") == "_A__x"
    assert mangled("__init__", "A") == "__init__"
    assert mangled("_x", "A") == "_x"


@pytest.mark.parametrize(
    "text",
    [
        "import metaflow\n\n\nclass F(metaflow.FlowSpec):\n    @metaflow.step\n    def start(self):\n        pass\n",
        "import metaflow as mf\n\n\nclass F(mf.FlowSpec):\n    @mf.step\n    def start(self):\n        pass\n",
        "from metaflow import FlowSpec as Spec, step as s\n\n\nclass F(Spec):\n    @s\n    def start(self):\n        pass\n",
        "from metaflow import *\n\n\nclass F(FlowSpec):\n    @step\n    def start(self):\n        pass\n",
        "from metaflow.flowspec import FlowSpec\nfrom metaflow.decorators import step\n\n\nclass F(FlowSpec):\n    @step\n    def start(self):\n        pass\n",
        "try:\n    from metaflow import FlowSpec, step\nexcept ImportError:\n    raise\n\n\nclass F(FlowSpec):\n    @step\n    def start(self):\n        pass\n",
        "import metaflow\n\nSpec = metaflow.FlowSpec\n\n\nclass F(Spec):\n    @metaflow.step\n    def start(self):\n        pass\n",
        "from typing import Generic, TypeVar\nfrom metaflow import FlowSpec, step\n\nT = TypeVar('T')\n\n\nclass F(FlowSpec, Generic[T]):\n    @step\n    def start(self):\n        pass\n",
    ],
)
def test_a_flow_is_known_under_any_name(text: str) -> None:
    """Aliases of the module, of FlowSpec and of step make no difference."""
    found = reading(text)
    assert codes(found) == []
    assert [(f.name, list(f.steps)) for f in found.flows] == [("F", ["start"])]


def test_bases_in_modules_beside_the_flow_count() -> None:
    """Steps come from base classes and mixins of sibling modules and packages; those modules are delivered."""
    files = {
        "flow.py": "from lib.base import Base\nfrom mix import Mixin\n\n\nclass F(Mixin, Base):\n    pass\n\n\nif __name__ == '__main__':\n    F()\n",
        "lib/__init__.py": "",
        "lib/base.py": HEAD + "class Base(FlowSpec):\n" + STEPS,
        "mix.py": "from metaflow import step\n\n\nclass Mixin:\n    @step\n    def middle(self):\n        self.next(self.end)\n",
    }
    found = reading(files)
    assert codes(found) == []
    (flow,) = found.flows
    assert list(flow.steps) == ["end", "middle", "start"]
    assert [m.path for m in flow.modules] == ["lib/__init__.py", "lib/base.py", "mix.py"]
    assert flow.steps["middle"].span.path == "mix.py"


def test_a_step_overridden_by_something_else_is_no_step() -> None:
    """A plain method or attribute of a subclass hides the step of its base; a later definition of a name wins."""
    text = (
        flows("Base(FlowSpec)")
        + "class F(Base):\n    def start(self):\n        pass\n\n    end = None\n\n    @step\n    def new(self):\n        pass\n"
    )
    found = reading(text, name="F")
    assert [list(f.steps) for f in found.flows] == [["new"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (flows("A(FlowSpec)", "B(FlowSpec)"), ["A", "B"]),
        (flows("A(FlowSpec)", "B(FlowSpec)", launch="if __name__ == '__main__':\n    B()\n"), ["B"]),
        (flows("A(FlowSpec)", "B(FlowSpec)", launch="def main():\n    A()\n\n\nif __name__ == '__main__':\n    main()\n"), ["A"]),
        (HEAD + "class Base(FlowSpec):\n    pass\n\n\nclass A(Base):\n" + STEPS, ["A"]),
        (HEAD + "class Base(FlowSpec):\n    @step\n    def end(self):\n        pass\n\n\nclass A(Base):\n" + STEPS, ["A"]),
        (flows("Base(FlowSpec)") + "class A(Base):\n    pass\n", ["Base", "A"]),
        (HEAD + HOLE + "class A(Base):\n    @step\n    def middle(self):\n        self.next(self.end)\n", ["A"]),
        (HEAD + HOLE + "class A(Base):\n    pass\n", ["Base", "A"]),
        (HEAD + "class A(FlowSpec):\n    pass\n", []),
        (HEAD + "class A(FlowSpec):\n    pass\n\n\nif __name__ == '__main__':\n    A()\n", ["A"]),
    ],
)
def test_which_flows_of_a_file_are_compiled(text: str, expected: list[str]) -> None:
    """Those that the file launches; without a launch all, save mere bases: without a whole graph, or without any step."""
    assert [f.name for f in reading(text).flows] == expected


def test_a_flow_is_chosen_by_name() -> None:
    """A name chooses one flow, launched or not; a wrong name is FC101 with the nearest one."""
    text = flows("Alpha(FlowSpec)", "Beta(FlowSpec)", launch="Beta()\n")
    assert [f.name for f in reading(text, name="Alpha").flows] == ["Alpha"]
    found = reading(text, name="Alpa")
    assert codes(found) == ["FC101"]
    assert found.diagnostics[0].help == "Did you mean Alpha?"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1\n",
        "import metaflow\n",
        "from metaflow import Flow\n\n\nclass A:\n    pass\n",
        "# FlowSpec\n",
        "def f():\n    class A(FlowSpec):\n        pass\n",
    ],
)
def test_a_file_without_a_flow_says_so(text: str) -> None:
    """No flow is FC100, never an empty success."""
    found = reading(text)
    assert (found.flows, codes(found)) == ((), ["FC100"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("from extension import Base\nfrom metaflow import step\n\n\nclass F(Base):\n" + STEPS, "FC104"),
        ("from metaflow import FlowSpec, step\nfrom pkg import Mixin\n\n\nclass F(FlowSpec, Mixin):\n" + STEPS, "FC104"),
        (HEAD + "def make():\n    return FlowSpec\n\n\nclass F(make()):\n" + STEPS, "FC104"),
        (HEAD + "from abc import ABC\n\n\nclass F(FlowSpec, ABC):\n" + STEPS, "FC105"),
        (HEAD + "class A(FlowSpec):\n    pass\n\n\nclass F(FlowSpec, A):\n" + STEPS, "FC105"),
        (HEAD + "class F(FlowSpec, metaclass=Meta):\n" + STEPS, "FC106"),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "    exec('x = 1')\n", "FC106"),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "    for n in 'ab':\n        locals()[n] = step(print)\n", "FC106"),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "for n in 'ab':\n    setattr(F, n, step(print))\n", "FC106"),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "F.extra = step(print)\n", "FC106"),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "F.start = 1\n", "FC106"),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "del F.start\n", "FC106"),
        (HEAD + "class M:\n    def __init_subclass__(cls):\n        cls.x = 1\n\n\nclass F(M, FlowSpec):\n" + STEPS, "FC106"),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "F = wrap(F)\n", "FC106"),
        (HEAD + "import sys\n\n\nclass F(FlowSpec):\n" + STEPS + "if sys.argv:\n\n    class F(FlowSpec):\n        pass\n", "FC106"),
        (HEAD + "F = type('F', (FlowSpec,), {'start': step(print)})\n", "FC106"),
        (HEAD + "class F(FlowSpec):\n    for n in 'ab':\n\n        @step\n        def more(self):\n            pass\n\n" + STEPS, "FC107"),
        (
            HEAD
            + "import sys\n\n\nclass F(FlowSpec):\n    if sys.argv:\n\n        @step\n        def more(self):\n            pass\n\n"
            + STEPS,
            "FC107",
        ),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "    more = end\n", "FC108"),
        (HEAD + "class F(FlowSpec):\n" + STEPS + "    more = step(lambda self: None)\n", "FC108"),
        ("from other import more\n" + HEAD + "class F(FlowSpec):\n" + STEPS + "    again = more\n", "FC108"),
    ],
)
def test_what_only_running_the_text_would_tell_is_refused(text: str, code: str) -> None:
    """Each way to change a class besides its statements is its diagnostic, and the flow is not handed on."""
    files = {"flow.py": text, "other.py": "from metaflow import step\n\n\n@step\ndef more(self):\n    pass\n"}
    found = reading(files, name="F")
    assert code in codes(found)
    assert found.flows == ()


@pytest.mark.parametrize(
    "line",
    ["F.note = 'text'\n", "F.__doc__ = 'text'\n", "class G:\n    pass\n\n\nsetattr(G, 'x', 1)\n", "def f():\n    setattr(F, 'x', 1)\n"],
)
def test_what_changes_no_step_is_let_be(line: str) -> None:
    """Constants set from outside, and changes of other classes, are no reason to refuse a flow."""
    found = reading(HEAD + "class F(FlowSpec):\n" + STEPS + line)
    assert codes(found) == []
    assert len(found.flows) == 1


def test_a_decided_condition_is_followed() -> None:
    """An `if` in a class body whose condition is a constant brings its steps, or does not."""
    body = "class F(FlowSpec):\n    if EXTRA:\n\n        @step\n        def more(self):\n            pass\n\n" + STEPS
    assert "more" in reading(HEAD + "EXTRA = True\n\n\n" + body).flows[0].steps
    assert "more" not in reading(HEAD + "EXTRA = False\n\n\n" + body).flows[0].steps


@pytest.mark.parametrize(
    "text",
    [
        "class FlowSpec(:\n",
        "from metaflow import FlowSpec\n\nx = 'a\n",
        "metaflow\0",
        "metaflow\n\tx\n  y\n",
        "metaflow = " + "(" * 5000,
        "metaflow = " + "-" * 50000 + "1",
    ],
)
def test_text_that_python_cannot_parse_is_a_diagnostic(text: str) -> None:
    """Syntax errors, NUL, mixed indentation and hostile nesting are reported with the Python that flowc runs on."""
    found = reading(text)
    assert codes(found) == ["FC140"]
    assert "grammar of Python 3" in found.diagnostics[0].note
