"""The graph of a flow: order, scopes, arrivals, and that neither names, depth nor size change or break it."""

from __future__ import annotations

import json
import random
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import FlowText, flows, renamed, wrong_flows

from flowc import graph
from flowc.frontend import read
from flowc.graph import Graph
from flowc.ir import Flow, Foreach, Linear, NoNext, Split, Step, Switch, Transition
from flowc.settings import Settings
from flowc.source import SourceFile, Span

HERE = Span("flow.py", 1, 1, 1, 2)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def flow_of(transitions: dict[str, Transition], joins: tuple[str, ...] = ()) -> Flow:
    """A flow from its transitions, with the steps in Metaflow's order."""
    steps = {n: Step(n, transitions[n], 2 if n in joins else 1, (), HERE) for n in sorted(transitions)}
    return Flow("Made", SourceFile("flow.py", ""), HERE, steps)


def linear(target: str) -> Linear:
    return Linear(target, HERE)


def read_one(made: FlowText) -> Flow:
    return read(SourceFile("flow.py", made.text), lambda _path: None, Settings(), made.name).flows[0]


def test_scope_holds_the_foreach_of_the_body_but_neither_the_foreach_step_nor_its_join() -> None:
    """A foreach step and its join stand outside the scope that the foreach opens; a nested one counts from the outside in."""
    shape = graph.build(
        flow_of(
            {
                "start": Foreach("fan", "items", HERE),
                "fan": Foreach("work", "items", HERE),
                "work": linear("inner"),
                "inner": linear("outer"),
                "outer": linear("end"),
                "end": NoNext(),
            },
            joins=("inner", "outer"),
        )
    )
    assert {n: shape.nodes[n].scope for n in shape.order} == {
        "start": (),
        "fan": ("start",),
        "work": ("start", "fan"),
        "inner": ("start",),
        "outer": (),
        "end": (),
    }
    assert shape.members("start") == ("fan", "inner")
    assert shape.members("fan") == ("work",)
    assert shape.order == ("start", "fan", "work", "inner", "outer", "end")


def branches_with_switch() -> Graph:
    return graph.build(
        flow_of(
            {
                "start": Split(("z", "b"), HERE),
                "z": Switch((("big", "z"), ("mid", "y"), ("small", "x")), "size", HERE),
                "y": linear("join"),
                "x": linear("join"),
                "b": linear("join"),
                "join": linear("end"),
                "end": NoNext(),
            },
            joins=("join",),
        )
    )


def test_a_static_join_waits_for_one_step_of_each_branch() -> None:
    """The groups follow the order of the split; a branch with a switch lists every step that can end it."""
    shape = branches_with_switch()
    assert shape.arrivals("join") == (("x", "y"), ("b",))
    assert shape.arrivals("z") == (("start",),)
    assert shape.arrivals("start") == ()


def test_steps_behind_a_switch_are_conditional_and_where_its_cases_meet_they_are_not() -> None:
    """Only what some choice leaves out is conditional; a case that names the switch itself repeats it and is no way around."""
    shape = branches_with_switch()
    assert {n for n in shape.order if shape.conditional(n)} == {"x", "y"}
    assert shape.nodes["z"].loops


def test_a_step_that_two_branches_choose_is_shared() -> None:
    """Metaflow's linter lets switches in two branches lead to one step; the graph tells it apart."""
    shape = graph.build(
        flow_of(
            {
                "start": Split(("a", "b"), HERE),
                "a": Switch((("x", "both"), ("y", "c")), "v", HERE),
                "b": Switch((("x", "both"), ("y", "d")), "v", HERE),
                "both": linear("join"),
                "c": linear("join"),
                "d": linear("join"),
                "join": linear("end"),
                "end": NoNext(),
            },
            joins=("join",),
        )
    )
    assert shape.shared == ("both",)


@QUICK
@given(flows(), st.integers(0, 1 << 16))
def test_names_never_change_the_structure(made: FlowText, seed: int) -> None:
    """With other step names, and so another alphabetical order, scopes, arrivals and conditional steps stay what they were."""
    names = [s.name for s in made.steps]
    others = [f"t{n}" for n in range(len(names))]
    random.Random(seed).shuffle(others)
    to = dict(zip(names, others, strict=True))
    steps = renamed(list(made.steps), to)
    marks = {"start": "(start=True)", "end": "(end=True)"} if len(steps) > 1 else {}
    steps = [s if s.marks else type(s)(**{**s.__dict__, "marks": marks.get(old, "")}) for s, old in zip(steps, names, strict=True)]
    first, second = graph.build(read_one(made)), graph.build(read_one(type(made)(**{**made.__dict__, "steps": tuple(steps)})))
    assert [to[n] for n in first.order] == list(second.order)
    for name in first.order:
        assert tuple(to[n] for n in first.nodes[name].scope) == second.nodes[to[name]].scope
        assert [{to[n] for n in group} for group in first.arrivals(name)] == [set(group) for group in second.arrivals(to[name])]
        assert first.conditional(name) == second.conditional(to[name])


@QUICK
@given(flows())
def test_order_puts_every_step_after_all_that_lead_to_it(made: FlowText) -> None:
    """The order is topological, whole, and the same each time."""
    flow = read_one(made)
    shape = graph.build(flow)
    at = {name: n for n, name in enumerate(shape.order)}
    assert set(at) == set(flow.steps)
    assert all(at[before] < at[name] for name, node in shape.nodes.items() for before in node.in_funcs if before != name)
    assert graph.build(flow).order == shape.order


@QUICK
@given(wrong_flows())
def test_wrong_flows_have_a_graph_too(made: FlowText) -> None:
    """No mistake in a flow stops the graph, nor any question to it."""
    for flow in read(SourceFile("flow.py", made.text), lambda _path: None, Settings(), made.name).flows:
        shape = graph.build(flow)
        for name in shape.nodes:
            shape.arrivals(name)
            shape.conditional(name)
            shape.members(name)
        assert json.dumps(graph.as_json(shape, flow), default=str)


def test_ten_thousand_steps_in_a_chain() -> None:
    """Length is no depth: a chain far beyond Python's recursion limit has its order and graph."""
    names = ["start", *(f"s{n:05}" for n in range(9_998)), "end"]
    shape = graph.build(flow_of({n: linear(after) for n, after in pairwise(names)} | {"end": NoNext()}))
    assert list(shape.order) == names
    assert not shape.skippable


def test_a_thousand_switches_in_a_row() -> None:
    """Metaflow walks all 2**1000 paths of such a chain; here the last step is known to run always, all in one pass."""
    transitions: dict[str, Transition] = {"start": linear("s0"), "end": NoNext()}
    for n in range(1_000):
        after = f"s{n + 1}" if n < 999 else "end"
        transitions[f"s{n}"] = Switch((("a", f"a{n}"), ("b", f"b{n}")), "v", HERE)
        transitions[f"a{n}"] = transitions[f"b{n}"] = linear(after)
    shape = graph.build(flow_of(transitions))
    assert len(shape.order) == 3_002
    assert shape.skippable == {f"{x}{n}" for n in range(1_000) for x in "ab"}
