"""Generated flows as state machines: the tasks of the flow, in the orders of the flow and no others; names, references and sizes."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argo.engine import imagine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stepfunctions.machine_engine import Failed, bodies, gangs, play
from strategies import FlowText, flows

from flowc import compiler
from flowc.diagnostics import has_errors
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Settings
from flowc.source import SourceFile
from flowc.targets.step_functions import machine

EXAMPLES = int(os.environ.get("FLOWC_EXAMPLES", "40"))
FIXTURES = Path(__file__).parents[1] / "fixtures"
RUNS = 6
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def read(text: str, chosen: Settings | None = None) -> tuple[Flow, Graph]:
    checked = compiler.check(SourceFile("flow.py", text), lambda _: None, chosen or Settings())
    assert not has_errors(list(checked.diagnostics)), checked.diagnostics
    return checked.flows[0]


def machine_of(text: str, chosen: Settings | None = None) -> tuple[Graph, dict[str, Any]]:
    flow, graph = read(text, chosen)
    return graph, machine.machine(flow, graph, chosen or Settings())


@MANY
@given(flows(budget=20), st.integers(0, 1 << 16), st.booleans(), st.sampled_from((None, 1, 100)))
def test_the_machine_runs_the_tasks_of_the_flow(made: FlowText, seed: int, distributed: bool, workers: int | None) -> None:
    """Over random choices and widths: each task that Metaflow starts, with its parents to read, waits for its ancestors and for nobody else."""
    flow, graph = read(made.text)
    found = machine.machine(flow, graph, Settings(use_distributed_map=distributed, max_workers=workers))
    chance, several = random.Random(seed), gangs(flow, graph)
    for _ in range(RUNS):
        play(found, imagine(graph, chance), several)


@MANY
@given(flows(budget=24))
def test_names_and_sizes(made: FlowText) -> None:
    """No two states of a machine share a name, all can be reached, `substitutions` names every ${...}, and overrides stay far below their limit."""
    flow, graph = read(made.text)
    found = machine.machine(flow, graph, Settings())
    names = [name for body in bodies(found) for name in body["States"]]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 80 for name in names)
    for body in bodies(found):
        assert set(body["States"]) == _reached(body)
    text = json.dumps(found)
    assert ": null" not in text
    assert {part.partition("}")[0] for part in text.split("${")[1:]} == set(machine.substitutions(flow, graph, Settings()))
    jobs = [s["Parameters"] for body in bodies(found) for s in body["States"].values() if "JobName" in s.get("Parameters", {})]
    assert len(jobs) == len(graph.order)
    assert max(len(json.dumps(job["ContainerOverrides"])) for job in jobs if "ContainerOverrides" in job) < 4000


def _reached(body: dict[str, Any]) -> set[str]:
    found, waiting = set(), [body["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            state = body["States"][name]
            waiting += [state[key] for key in ("Next", "Default") if key in state]
            waiting += [rule["Next"] for key in ("Choices", "Catch") for rule in state.get(key, [])]
    return found


# --- the engine sees what is wrong -------------------------------------------------------------------------------------


def breaks(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The machine with a branch left out, a case or a next state exchanged, or a field of the data not handed down."""
    for number, body in enumerate(bodies(found)):
        for name, state in body["States"].items():
            for what, change in _changes(state, list(body["States"])):
                broken = copy.deepcopy(found)
                change(list(bodies(broken))[number]["States"][name])
                yield f"{name}: {what}", broken


def _changes(state: dict[str, Any], names: list[str]) -> Iterator[tuple[str, Any]]:
    for other in names:
        if "Next" in state and other != state["Next"]:
            yield f"to {other}", lambda s, other=other: s.update(Next=other)
    for place in range(len(state.get("Branches", []))):
        yield f"without branch {place}", lambda s, place=place: s["Branches"].pop(place)
    for place in range(len(state.get("Choices", []))):
        yield f"without case {place}", lambda s, place=place: s["Choices"].pop(place)
    for key in ("run.$", "path.$"):
        if "ItemSelector" in state:
            yield f"without {key}", lambda s, key=key: s["ItemSelector"].pop(key)
        if key in state.get("Parameters", {}).get("Parameters", {}):
            yield f"without {key}", lambda s, key=key: s["Parameters"]["Parameters"].pop(key)
    overrides = state.get("Parameters", {}).get("ContainerOverrides", {})
    for place, item in enumerate(overrides.get("Environment", [])):
        if item["Name"] in ("FLOWC_RUN_ID", "FLOWC_PATH", "FLOWC_ROUND", "FLOWC_RESULT"):
            yield f"without {item['Name']}", lambda s, place=place: s["Parameters"]["ContainerOverrides"]["Environment"].pop(place)


@pytest.mark.parametrize("case", ["branches", "nested_foreach", "switch_skips", "loop_in_foreach", "gang"])
def test_the_engine_finds_every_broken_edge(case: str) -> None:
    """Each field that orders or places tasks, left out or turned around in the machine of a fixture, fails some run."""
    flow, graph = read((FIXTURES / case / "flow.py").read_text(encoding="utf-8"))
    found, several = machine.machine(flow, graph, Settings()), gangs(flow, graph)
    runs = [imagine(graph, random.Random(seed)) for seed in range(30)]
    for run in runs:
        play(found, run, several)
    missed = [name for name, broken in breaks(found) if not any(_fails(broken, run, several) for run in runs)]
    assert missed == []


def _fails(found: dict[str, Any], run: Any, several: dict[str, Any]) -> bool:
    try:
        play(found, run, several, left=1000)
    except (AssertionError, KeyError, Failed):
        return True
    return False
