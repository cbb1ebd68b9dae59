"""In: the cases of cases.py. Out: proof that what flowc compiled ends on Argo as `python flow.py run` ends on a laptop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from e2e.cases import CASES, Case
from e2e.cluster import Cluster
from e2e.runs import Outcome, unmet


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" not in metafunc.fixturenames:
        return
    full = metafunc.config.getoption("--e2e-full", default=False)
    chosen = [(case, "flowc") for case in CASES if full or case.core]
    chosen += [(case, "metaflow") for case in CASES if case.control and (full or case.name in ("branches", "nested"))]
    metafunc.parametrize(("case", "engine"), chosen, ids=[f"{engine}-{case.name}" for case, engine in chosen])


def without(artifacts: dict[str, list[dict[str, Any]]], names: tuple[str, ...]) -> dict[str, list[str]]:
    """Artifacts per step as sorted texts, those named left out."""
    kept = {step: [{k: v for k, v in task.items() if k not in names} for task in tasks] for step, tasks in artifacts.items()}
    return {step: sorted(json.dumps(task, sort_keys=True) for task in tasks) for step, tasks in kept.items()}


def judge_artifacts(case: Case, outcome: Outcome, on_laptop: Callable[[Case], dict[str, Any]]) -> None:
    if isinstance(case.artifacts, str):
        truth = on_laptop(case)
        assert truth["phase"] == case.phase, truth["log"]
        assert without(outcome.artifacts, case.differ) == without(truth["artifacts"], case.differ), outcome.story
        return
    for step, expected in case.artifacts.items():
        tasks = outcome.artifacts.get(step, [])
        assert tasks, f"{step} stored nothing\n{outcome.story}"
        for task in tasks:
            assert {name: task.get(name) for name in expected} == dict(expected), outcome.story


@pytest.mark.e2e
def test_ends_as_on_a_laptop(case: Case, engine: str, started: dict[Any, Any], on_laptop: Callable[[Case], dict[str, Any]], cluster: Cluster) -> None:
    """The workflow's phase, its nodes and the artifacts of all its tasks are those that the flow has on a laptop."""
    if missing := unmet(case, cluster):
        pytest.skip(missing)
    outcome: Outcome = started[case.name, engine].result()
    assert outcome.phase == case.phase, outcome.story
    judge_artifacts(case, outcome, on_laptop)
    if engine == "flowc":
        for part, phase in case.nodes.items():
            assert phase in [p for name, p in outcome.nodes.items() if part in name], outcome.story
