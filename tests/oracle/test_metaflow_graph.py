"""flowc's graph and verdict against Metaflow's FlowGraph and linter: on generated flows, right and wrong, and on every flow in the metaflow package."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("metaflow")

from oracle.metaflow_flows import executed, graph_of, packaged_flows, refusal
from strategies import FlowText, flows, wrong_flows

from flowc import checks, graph
from flowc.diagnostics import Diagnostic, has_errors
from flowc.frontend import read
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Settings
from flowc.source import SourceFile

EXAMPLES = int(os.environ.get("FLOWC_EXAMPLES", "300"))
MANY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def read_one(text: str, name: str) -> tuple[Flow | None, tuple[Diagnostic, ...]]:
    reading = read(SourceFile("flow.py", text), lambda _path: None, Settings(), name)
    return (reading.flows[0] if reading.flows else None), reading.diagnostics


def comparable(shape: Graph) -> bool:
    """Whether a refused flow must have Metaflow's very values too: no circle, and no join that is reached outside of splits.

    In circles Metaflow cuts each path where it meets itself; a join outside of splits keeps what an earlier path wrote.
    """
    at = {name: number for number, name in enumerate(shape.order)}
    edges = [(name, target) for name in shape.order for target in shape.nodes[name].next if target in at]
    circle = any(at[target] <= at[name] for name, target in edges if not (name == target and shape.nodes[name].loops))
    return not circle and all(node.split_parents for node in shape.nodes.values() if node.type == "join" and node.in_funcs)


@MANY
@given(flows())
def test_right_flows_have_metaflows_graph_and_pass_its_linter(made: FlowText) -> None:
    """Every value of every step equals Metaflow's, and neither flowc nor Metaflow has anything against the flow."""
    with executed(made.text, made.name) as flow_class:
        expected, said = graph_of(flow_class), refusal(flow_class)
    flow, diagnostics = read_one(made.text, made.name)
    assert flow is not None, diagnostics
    shape = graph.build(flow)
    assert graph.as_json(shape, flow) == expected
    assert said == ""
    assert not has_errors([*diagnostics, *checks.run(flow, shape)])


@MANY
@given(wrong_flows())
def test_wrong_flows_are_refused_exactly_where_metaflows_linter_refuses(made: FlowText) -> None:
    """A flow with something changed is taken or refused as Metaflow takes or refuses it; where defined, the graphs are equal too."""
    expected: dict[str, Any] | None = None
    try:
        with executed(made.text, made.name) as flow_class:
            expected, said = graph_of(flow_class), refusal(flow_class)
    except Exception as error:  # noqa: BLE001 Metaflow may refuse while Python creates the class
        said = repr(error)
    flow, diagnostics = read_one(made.text, made.name)
    if flow is None:
        assert said, diagnostics
        return
    shape = graph.build(flow)
    found = [d for d in checks.run(flow, shape) if d.code.id.startswith("FC2")]
    assert has_errors(found) == bool(said), (said, [d.message for d in found])
    if expected is not None and comparable(shape):
        assert graph.as_json(shape, flow) == expected


@pytest.mark.parametrize("path", packaged_flows(), ids=lambda path: path.name)
def test_the_flows_in_the_metaflow_package_have_metaflows_graph(path: Any) -> None:
    """Tutorials and all other flows that the metaflow package ships: equal graphs, equal verdicts."""
    text = path.read_text()
    reading = read(
        SourceFile(path.name, text), lambda name: (path.parent / name).read_bytes() if (path.parent / name).is_file() else None, Settings()
    )
    assert reading.flows
    for flow in reading.flows:
        try:
            with executed(text, flow.name) as flow_class:
                expected, said = graph_of(flow_class), refusal(flow_class)
        except ImportError as error:
            pytest.skip(f"needs {error.name}")
        shape = graph.build(flow)
        assert graph.as_json(shape, flow) == expected
        assert has_errors([d for d in checks.run(flow, shape) if d.code.id.startswith("FC2")]) == bool(said)


def test_every_gang_decorator_of_metaflow_is_known() -> None:
    """The decorators that make a step parallel are those of Metaflow's core."""
    from metaflow.plugins import STEP_DECORATORS

    assert set(graph.GANGS) == {d.name for d in STEP_DECORATORS if getattr(d, "IS_PARALLEL", False)}
