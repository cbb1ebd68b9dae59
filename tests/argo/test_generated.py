"""Generated flows through the whole compiler: artifacts or diagnostics for any source, and DAGs that run the flow's tasks in its order."""

from __future__ import annotations

import copy
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from argo.engine import imagine, play
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from strategies import FlowText, StepText, flows, renamed, wrong_flows

from flowc import compiler, data, output
from flowc.diagnostics import has_errors
from flowc.graph import Graph
from flowc.settings import ARGO_VERSIONS, Settings
from flowc.source import SourceFile

EXAMPLES = int(os.environ.get("FLOWC_EXAMPLES", "40"))
FIXTURES = Path(__file__).parents[1] / "fixtures"
RUNS = 6
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
SCHEMAS = {"WorkflowTemplate": "argo/{}.json", "CronWorkflow": "argo/{}.json", "ConfigMap": "kubernetes/1.33.json"}


def compiled(text: str, chosen: Settings | None = None) -> tuple[Graph | None, tuple[output.Artifact, ...]]:
    """The graph and the artifacts of the flow in a text; none of both where it has errors."""
    chosen = chosen or Settings()
    checked = compiler.check(SourceFile("flow.py", text), lambda _: None, chosen)
    if has_errors(list(checked.diagnostics)):
        return None, ()
    assert checked.flows, "no flow and no error"
    flow, graph = checked.flows[0]
    result = compiler.compile_flow(flow, graph, "argo", chosen)
    assert bool(result.artifacts) != has_errors(list(result.diagnostics))
    return (graph, result.artifacts) if result.artifacts else (None, ())


@st.composite
def mangled(draw: Any) -> str:
    """The text of a flow with pieces removed, doubled, moved, or replaced by other text."""
    text = draw(flows(budget=10)).text
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 60)))
        piece = draw(st.one_of(st.just(""), st.just(text[start:end] * 2), st.sampled_from(text.splitlines() or [""]), st.text(max_size=8)))
        text = text[:start] + piece + text[end:]
    return text


def settings_of_all_kinds() -> st.SearchStrategy[Settings]:
    return st.builds(
        Settings,
        argo_version=st.sampled_from(ARGO_VERSIONS),
        rbac=st.booleans(),
        install=st.booleans(),
        max_workers=st.sampled_from((None, 1, 100)),
        labels=st.sampled_from(({}, {"team": "n"})),
        environment=st.sampled_from(({}, {"A": "{{workflow.name}}", "y": "1e3"})),
        tags=st.sampled_from(((), ("a b", "x:y"))),
        title=st.one_of(st.none(), st.text(max_size=12)),
    )


@MANY
@given(st.one_of(flows().map(lambda made: made.text), wrong_flows().map(lambda made: made.text), mangled()), settings_of_all_kinds())
def test_any_source_gives_artifacts_or_diagnostics(text: str, chosen: Settings) -> None:
    """Nothing is raised, nothing is written beside an error, and what is written is what upstream's schemas and a YAML reader take."""
    graph, artifacts = compiled(text, chosen)
    assert (graph is None) == (not artifacts)
    read = list(yaml.safe_load_all(output.stream(artifacts)))
    assert read == [json.loads(json.dumps(artifact.object)) for artifact in artifacts]
    version = "4.0" if chosen.argo_version >= "4.0" else "3.7"
    for each in read:
        name = SCHEMAS.get(each["kind"], "kubernetes/1.33.json").format(version)
        Draft7Validator(json.loads(data.read(f"schemas/{name}"))).validate(each)


@MANY
@given(flows(budget=20), st.integers(0, 1 << 16))
def test_argo_runs_the_tasks_of_the_flow(made: FlowText, seed: int) -> None:
    """Over random choices and widths: the same tasks as Metaflow's scheduler starts, each after its parents and told to read theirs."""
    graph, artifacts = compiled(made.text)
    assert graph is not None
    chance = random.Random(seed)
    for _ in range(RUNS):
        play(artifacts[0].object, imagine(graph, chance))


def numbered(made: FlowText, letter: str, backwards: bool) -> FlowText:
    """The flow with its steps called by a letter and a number; start and end keep their names."""
    names = [step.name for step in made.steps if step.name not in ("start", "end")]
    numbers = range(10, 10 + len(names))
    new = {name: f"{letter}{number}" for name, number in zip(names, reversed(numbers) if backwards else numbers, strict=True)}
    steps: list[StepText] = renamed(list(made.steps), new)
    return FlowText(tuple(steps), made.name, made.imports, made.bases, made.members)


def structure(artifacts: tuple[output.Artifact, ...], new: dict[str, str]) -> Any:
    """The objects without the code, with other step names, and what is in the order of names (parents) in one order."""
    pattern = re.compile(r"\b[kq]\d\d\b")

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key not in ("artifacts", "data", "configMap")}
        if isinstance(value, list):
            return [plain(item) for item in value]
        if not isinstance(value, str):
            return value
        text = re.sub(r"-code-[0-9a-f]{8}", "", value)
        found = pattern.search(text) is not None
        return sorted(re.split(r"[\s,=()|&]+", pattern.sub(lambda match: new.get(match[0], match[0]), text))) if found else text

    return [plain(artifact.object) for artifact in artifacts]


@MANY
@given(flows(budget=16))
def test_names_of_steps_decide_nothing(made: FlowText) -> None:
    """A flow with other step names, in another order of the alphabet, compiles to the same objects under those names."""
    one, other = numbered(made, "k", backwards=False), numbered(made, "q", backwards=True)
    new = {b.name: a.name for a, b in zip(one.steps, other.steps, strict=True)}
    (_, first), (_, second) = compiled(one.text), compiled(other.text)
    ours, theirs = structure(first, {}), structure(second, new)
    for objects in (ours, theirs):
        for each in objects:
            for template in each.get("spec", {}).get("templates", []):
                # gates of one step stand in the order of its parents' names
                template.get("dag", {}).get("tasks", []).sort(key=lambda task: str(task["name"]))
    assert ours == theirs


# --- the engine sees what is wrong -------------------------------------------------------------------------------------


def breaks(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The template with one field that says what waits for what removed, or turned around."""
    for number, each in enumerate(template["spec"]["templates"]):
        for place, task in enumerate(each.get("dag", {}).get("tasks", [])):
            for key in ("depends", "when", "arguments", "withSequence"):
                # a gate that opens too often is harmless where every other way leads to the same step
                if key in task and not (key == "when" and "-To-" in task["name"]):
                    broken = copy.deepcopy(template)
                    del broken["spec"]["templates"][number]["dag"]["tasks"][place][key]
                    yield f"{each['name']}/{task['name']} without {key}", broken
            # the other way round is no break: Argo waits for all that is named, and where nothing fails all of it succeeds
            if "||" in task.get("depends", ""):
                broken = copy.deepcopy(template)
                broken["spec"]["templates"][number]["dag"]["tasks"][place]["depends"] = task["depends"].replace("||", "&&")
                yield f"{each['name']}/{task['name']} with &&", broken


@pytest.mark.parametrize("case", ["branches", "nested_foreach", "switch_skips", "loop_in_foreach", "gang"])
def test_the_engine_finds_every_broken_edge(case: str) -> None:
    """Each field that orders tasks, left out or turned around in the output of a fixture, fails some run."""
    graph, artifacts = compiled((FIXTURES / case / "flow.py").read_text(encoding="utf-8"))
    assert graph is not None
    template = json.loads(json.dumps(artifacts[0].object))
    runs = [imagine(graph, random.Random(seed)) for seed in range(40)]
    for run in runs:
        play(template, run)
    missed = [name for name, broken in breaks(template) if not any(_fails(broken, run) for run in runs)]
    assert missed == []


def _fails(template: dict[str, Any], run: Any) -> bool:
    try:
        play(template, run)
    except (AssertionError, KeyError):
        return True
    return False
