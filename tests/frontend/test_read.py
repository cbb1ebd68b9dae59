"""A whole flow as flowc reads it equals the flow that Metaflow makes of the same text, and no text makes flowc fail."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import codes, imported, reading

from flowc import graph
from flowc.ir import Flow, InvalidNext, NoNext

metaflow = pytest.importorskip("metaflow")
from metaflow.flowspec import FlowStateItems  # noqa: E402

HEAD = "from metaflow import *\n\n\n"


def flow(*steps: str, members: str = "", bases: str = "FlowSpec", name: str = "F", head: str = HEAD) -> str:
    """A flow file: each step is `decorators | name(arguments) | last statement`."""
    lines = [f"{head}class {name}({bases}):"]
    lines += [f"    {line}" for line in members.splitlines()]
    for step in steps:
        decorators, signature, tail = (part.strip() for part in step.split("|"))
        lines += ["", *(f"    @{d.strip()}" for d in decorators.split(";") if d.strip()), f"    def {signature}:"]
        lines += [f'        """Step {signature}."""', f"        {tail}"]
    return "\n".join(lines) + "\n"


START_END = ("step | start(self) | self.next(self.end)", "step | end(self) | pass")
BASE = flow("step | start(self) | self.next(self.middle)", "step | end(self) | pass", name="Base")

FLOWS: dict[str, dict[str, str | bytes] | str] = {
    "hello": flow(*START_END),
    "single": flow("step | only(self) | pass"),
    "custom ends": flow("step(start=True) | first(self) | self.next(self.last)", "step(end=True) | last(self) | pass"),
    "both marks": flow("step(start=True, end=True) | only(self) | pass"),
    "split": flow(
        "step | start(self) | self.next(self.a, self.b)",
        "step | a(self) | self.next(self.j)",
        "step | b(self) | self.next(self.j)",
        "step | j(self, inputs) | self.next(self.end)",
        "step | end(self) | pass",
    ),
    "foreach": flow(
        "step | start(self) | self.next(self.outer, foreach='xs')",
        "step | outer(self) | self.next(self.inner, foreach='ys')",
        "step | inner(self) | self.next(self.j1)",
        "step | j1(self, inputs) | self.next(self.j2)",
        "step | j2(self, inputs) | self.next(self.end)",
        "step | end(self) | pass",
    ),
    "gang": flow(
        "step | start(self) | self.next(self.train, num_parallel=4)",
        "parallel; step | train(self) | self.next(self.j)",
        "step | j(self, inputs) | self.next(self.end)",
        "step | end(self) | pass",
    ),
    "switch": flow(
        "step | start(self) | self.next({'a': self.a, 2: self.b, self.config.key: self.end}, condition='kind')",
        "step | a(self) | self.next(self.end)",
        "step | b(self) | self.next({True: self.b, False: self.end}, condition='again')",
        "step | end(self) | pass",
    ),
    "invalid": flow("step | start(self) | self.next(self.end, bogus=1)", "step | end(self) | pass"),
    "dangling": flow(
        "step | start(self) | self.next(self.nowhere)", "step | lost(self) | pass", "step | end(self) | self.next(self.start)"
    ),
    "empty": flow(members="x = 1"),
    "decorated": flow(
        "retry(times=3); resources(cpu=2, memory=4096); step | start(self) | self.next(self.end)",
        "catch(var='e'); timeout(minutes=5); kubernetes(cpu=1); environment(vars={'A': 'b'}); card; step | end(self) | pass",
    ),
    "flow decorators": flow(*START_END).replace("class F", "@project(name='p')\n@schedule(daily=True)\nclass F"),
    "inherited": {
        "flow.py": flow(
            "step | middle(self) | self.next(self.end)", bases="Base", head="from metaflow import *\nfrom base import Base\n\n\n"
        ),
        "base.py": BASE,
    },
    "mixins": {
        "flow.py": flow("step | end(self) | pass", bases="Right, Left, FlowSpec", head="from metaflow import *\nfrom parts import *\n\n\n"),
        "parts.py": flow(
            "step | start(self) | self.next(self.left)", "step | left(self) | self.next(self.end)", name="Left", bases="object"
        )
        + "\n\n"
        + flow("retry; step | left(self) | self.next(self.end)", name="Right", bases="object"),
    },
    "diamond": flow(*START_END, name="Top")
    + "\n\n"
    + flow("step | start(self) | self.next(self.one)", "step | one(self) | self.next(self.end)", bases="Top", name="One", head="")
    + "\n\n"
    + flow("retry; step | start(self) | self.next(self.end)", bases="Top", name="Two", head="")
    + "\n\n"
    + flow(bases="One, Two", members="x = 1", head=""),
    "overridden": BASE + "\n\n" + flow("step | start(self) | self.next(self.end)", bases="Base", members="middle = None", head=""),
    "twice in a class": flow("step | start(self) | self.next(self.nowhere)", *START_END),
    "private": flow("step | __odd(self) | pass", "step | _even(self) | pass", *START_END),
    "named as FlowSpec's": flow(
        *START_END, "step | next(self) | pass", bases="FlowSpec, M", head=HEAD + "class M:\n    input = None\n\n\n"
    ),
    "inherited decorators": flow(*START_END, name="Base").replace(
        "class Base", "@project(name='p')\n@exit_hook(on_success=[print])\nclass Base"
    )
    + "\n\n"
    + flow(bases="Base", members="x = 1", head="").replace("class F", "@schedule(hourly=True)\nclass F"),
    "async": flow(*START_END).replace("def start", "async def start"),
    "one line": HEAD + "class F(FlowSpec):\n    @step\n    def start(self): self.next(self.end)\n\n    @step\n    def end(self): pass\n",
    "tabs": (
        HEAD
        + "class F(FlowSpec):\n    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
    ).replace("    ", "\t"),
    "text after the tail": flow("step | start(self) | self.next(self.end)  # go on", "step | end(self) | pass"),
    "odd strings": flow("step | start(self) | self.next(self.end, foreach='''\nitems''')", "step | end(self) | x = '''\na\n  b'''"),
    "conditions": HEAD
    + "BIG = True\n\n\nclass F(FlowSpec):\n    if BIG:\n\n        @step\n        def start(self):\n            self.next(self.end)\n\n    else:\n\n        @step\n        def more(self):\n            pass\n\n"
    + "    @step\n    def end(self):\n        pass\n",
    "deleted": flow(*START_END, "step | more(self) | pass") + "\n    del more\n",
    "unicode": flow("step | größe(self) | self.next(self.end)", *START_END),
    "docstrings": HEAD
    + 'class F(FlowSpec):\n    """\n    A flow.\n      Indented.\n    """\n\n    @step\n    def start(self):\n        """First\n        second\n        """\n',
}


def theirs_of(flow_class: Any) -> dict[str, Any]:
    """Metaflow's graph and decorators of a class, in terms of plain data."""
    made = flow_class._graph
    names = (
        "type next num_args has_tail_next invalid_tail_next foreach_param num_parallel parallel_foreach parallel_step condition switch_cases in_funcs "
        "split_parents split_branches matching_join is_inside_foreach"
    ).split()
    nodes = {name: {n: _plain(getattr(node, "out_funcs" if n == "next" else n)) for n in names} for name, node in made.nodes.items()}
    decorators = {name: [d.name for d in node.decorators] for name, node in made.nodes.items()}
    docs = {name: node.doc for name, node in made.nodes.items()}
    held = flow_class._flow_state[FlowStateItems.FLOW_DECORATORS]
    on_flow = [name for name, found in held.items() for _ in found]
    return {
        "nodes": nodes,
        "decorators": decorators,
        "docs": docs,
        "doc": made.doc,
        "flow": on_flow,
        "ends": (made.start_step, made.end_step),
    }


def ours_of(flow: Flow, names: list[str]) -> dict[str, Any]:
    made = graph.build(flow)
    nodes = {name: {n: _plain(getattr(node, n)) for n in names} for name, node in made.nodes.items()}
    decorators = {name: [d.name for d in step.decorators] for name, step in flow.steps.items()}
    docs = {name: step.doc for name, step in flow.steps.items()}
    on_flow = [d.name for d in flow.decorators]
    return {"nodes": nodes, "decorators": decorators, "docs": docs, "doc": flow.doc, "flow": on_flow, "ends": (made.start, made.end)}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, list)) else dict(value) if isinstance(value, dict) else value


@pytest.mark.parametrize("case", FLOWS)
def test_a_flow_is_what_metaflow_makes_of_it(case: str, tmp_path: Path) -> None:
    """Steps, transitions, graph, decorators in order, docstrings and the marked ends equal Metaflow's, for right flows and for wrong ones."""
    text = FLOWS[case]
    files = {"flow.py": text} if isinstance(text, str) else text
    (tmp_path / "flow").mkdir()
    theirs = theirs_of(imported(files, tmp_path / "flow").F)
    found = reading(files, name="F")
    (flow_read,) = found.flows
    ours = ours_of(flow_read, list(next(iter(theirs["nodes"].values()))) if theirs["nodes"] else [])
    if sys.version_info >= (3, 13):
        # this compiler dedents docstrings before Metaflow sees them; what flowc emits must not hang on the Python that it runs on
        ours |= {"doc": theirs["doc"], "docs": theirs["docs"]}
    assert ours == theirs
    assert list(ours["nodes"]) == list(theirs["nodes"])


def test_spans_point_at_names() -> None:
    """A step's span is the name in its def, a flow's the name in its class statement, in characters."""
    text = HEAD + "class Größe(FlowSpec):\n    @step\n    async   def start(self):\n        pass\n"
    (found,) = reading(text).flows
    assert (found.span.line, found.span.column, found.span.end_column) == (4, 7, 12)
    span = found.steps["start"].span
    assert (span.line, span.column, span.end_column) == (6, 17, 22)


def test_every_flow_in_the_metaflow_package_is_read() -> None:
    """Each module of the metaflow package that names FlowSpec gives flows or diagnostics; of its tutorials, one asks the machine for a value."""
    root = Path(metaflow.__file__).parent
    count = 0
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "FlowSpec" not in text:
            continue
        beside = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
        found = reading({**beside, "flow.py": text})
        if "tutorials" in path.parts:
            assert codes(found) == (["FC340"] if "python_version_tuple" in text else []), path
            assert len(found.flows) == 1
            count += 1
    assert count >= 6


# --- any text ---------------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "from metaflow import FlowSpec, step\n", "import metaflow\n", "class F(FlowSpec):\n", "class F(F):\n", "    @step\n", "    def start(self):\n",
        "        self.next(self.end)\n", "    x = Parameter('x')\n", "    if x:\n", "        pass\n", "F()\n", "FlowSpec = FlowSpec\n", "from . import F\n",
        "from flow import *\n", "import flow as metaflow\n", "    c = Config('c', default='c.json')\n", "    @project(name=c.x)\n", "@F\n", "    del start\n",
        "    start = F.start\n", "    start = start\n", "setattr(F, 'x', F)\n", "\x0c", "\ufeff", "\\\n", "'''", "(", "é = 1\n", "    def __init_subclass__(cls):\n",
        "    @retry(times=F.x)\n", "x = lambda: x()\n", "x = [x for x in x]\n", "    x = Parameter(**x)\n", "    y: int = IncludeFile('y', default=__file__)\n",
    ]
)  # fmt: skip


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.one_of(st.text().map(lambda t: "metaflow" + t), st.lists(PIECES, max_size=12).map(lambda p: "# metaflow\n" + "".join(p))))
def test_any_text_gives_a_reading(text: str) -> None:
    """Arbitrary text, and text made of pieces of flows, gives flows or diagnostics, never an exception, never nothing."""
    found = reading({"flow.py": text, "c.json": '{"x": 1}'})
    assert found.flows or found.diagnostics


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(FLOWS)), st.integers(0, 2**32), st.integers(1, 4))
def test_a_mutated_flow_gives_a_reading(case: str, seed: int, edits: int) -> None:
    """Flows with lines dropped, doubled, swapped or cut give flows or diagnostics, never an exception."""
    text = FLOWS[case]
    files = {"flow.py": text} if isinstance(text, str) else dict(text)
    chance = random.Random(seed)
    for _ in range(edits):
        path = chance.choice(sorted(files))
        lines = str(files[path]).split("\n")
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        kind = chance.randrange(4)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[other])
        elif kind == 2:
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        files[path] = "\n".join(lines)
    found = reading(files)
    assert found.flows or found.diagnostics
    for flow_read in found.flows:
        assert all(isinstance(s.transition, (NoNext, InvalidNext)) or s.transition.span for s in flow_read.steps.values())
        graph.build(flow_read)


@pytest.mark.parametrize("depth", [50, 300, 3000])
def test_deep_nesting_is_a_diagnostic_or_read(depth: int) -> None:
    """Deep expressions, chains of constants and of classes end in a Reading on any Python."""
    for text in (
        flow(*START_END, members=f"x = Parameter('x', default={'+'.join(['1'] * depth)})"),
        flow(*START_END, members=f"x = Parameter('x', default={'(' * depth}1{')' * depth})"),
        flow(*START_END, members=f"x = Parameter('x', default={'[' * depth}{']' * depth}, type=JSONType)"),
        HEAD
        + "a0 = 1\n"
        + "".join(f"a{n + 1} = a{n}\n" for n in range(depth))
        + flow(*START_END, members=f"x = Parameter('x', default=a{depth})", head=""),
        HEAD
        + "class C0(FlowSpec):\n    pass\n"
        + "".join(f"class C{n + 1}(C{n}):\n    pass\n" for n in range(depth))
        + flow(*START_END, bases=f"C{depth}", head=""),
    ):
        found = reading(text, name="F")
        assert found.flows or found.diagnostics
