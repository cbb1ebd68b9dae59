"""flowc's arrivals and conditional steps against runs of Metaflow's scheduler, simulated over all choices of a flow's switches."""

from __future__ import annotations

import itertools
import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("metaflow")

from oracle.metaflow_flows import executed
from oracle.runtime import Path, Task, simulate
from strategies import FlowText, flows

from flowc import graph
from flowc.frontend import read
from flowc.graph import Graph
from flowc.settings import Settings
from flowc.source import SourceFile

EXAMPLES = int(os.environ.get("FLOWC_EXAMPLES", "300"))
MOST_RUNS = 64


def scope_runs(shape: Graph, name: str, ran: dict[Task, list[str]]) -> set[Path]:
    """The index paths of the runs of a step's scope: one at the top, one for each task of a foreach's items."""
    scope = shape.nodes[name].scope
    if not scope:
        return {()}
    bodies = shape.nodes[scope[-1]].next
    return {path for step, path in ran if step in bodies and len(path) == len(scope)}


def arrives(shape: Graph, name: str, path: Path, ran: dict[Task, list[str]]) -> bool:
    """Whether the arrivals of a step say that it runs at this index path."""

    def came(before: str) -> bool:
        if shape.nodes[before].type == "foreach":
            return name in ran.get((before, path[:-1]), ())
        inner = [p for step, p in ran if step == before and p[: len(path)] == path and len(p) == len(shape.nodes[before].scope)]
        return any(name in ran[before, p] for p in inner)

    return all(any(came(before) for before in group) for group in shape.arrivals(name))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(flows(budget=18), st.integers(0, 1 << 16))
def test_arrivals_and_conditional_say_what_metaflows_scheduler_does(made: FlowText, seed: int) -> None:
    """In every run a step's arrivals hold exactly where it runs; a step is conditional exactly when some run of its scope leaves it out."""
    shape = graph.build(read(SourceFile("flow.py", made.text), lambda _path: None, Settings(), made.name).flows[0])
    with executed(made.text, made.name) as flow_class:
        metaflow_graph = flow_class._graph
    cases = {n.name: [t for t in dict.fromkeys(n.out_funcs) if t != n.name] for n in metaflow_graph if n.type == "split-switch"}
    chance = random.Random(seed)
    left_out: set[str] = set()
    runs = list(itertools.islice(itertools.product(*cases.values()), MOST_RUNS + 1))
    for choices in runs:
        chosen = dict(zip(cases, choices, strict=True))
        left_out |= one_run(shape, metaflow_graph, chosen, chance)
    assert left_out <= shape.skippable
    if len(runs) <= MOST_RUNS:
        assert left_out == shape.skippable


def one_run(shape: Graph, metaflow_graph: Any, chosen: dict[str, str], chance: random.Random) -> set[str]:
    """Simulate one run, hold it against the arrivals, and give the steps that some run of their scope left out."""
    ran = simulate(metaflow_graph, chosen.__getitem__, lambda: chance.randint(1, 2))
    assert (metaflow_graph.end_step, ()) in ran
    left_out = set()
    for name in shape.order:
        for path in scope_runs(shape, name, ran):
            here = (name, path) in ran
            assert arrives(shape, name, path, ran) == here, (name, path, chosen)
            if not here:
                left_out.add(name)
    return left_out
