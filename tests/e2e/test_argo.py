"""In: the cases of cases.py. Out: proof that what flowc compiled ends on Argo as `python flow.py run` ends on a laptop."""

from __future__ import annotations

from typing import Any

import pytest
from e2e.cases import CASES, Case
from e2e.cluster import Cluster
from e2e.judging import fault
from e2e.runs import Outcome, unmet


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" not in metafunc.fixturenames:
        return
    full = metafunc.config.getoption("--e2e-full", default=False)
    chosen = [(case, "flowc") for case in CASES if full or case.core]
    chosen += [(case, "metaflow") for case in CASES if case.control and (full or case.name == "params")]
    metafunc.parametrize(("case", "engine"), chosen, ids=[f"{engine}-{case.name}" for case, engine in chosen])


@pytest.mark.e2e
def test_ends_as_on_a_laptop(case: Case, engine: str, started: dict[Any, Any], cluster: Cluster) -> None:
    """The workflow's phase, its nodes and the artifacts of all its tasks are those that the flow has on a laptop."""
    if missing := unmet(case, cluster):
        pytest.skip(missing)
    outcome: Outcome = started[case.name, "argo" if engine == "flowc" else engine].result()
    assert (found := fault(case, outcome)) == "", found
    if engine == "flowc":
        for part, phase in case.nodes.items():
            assert phase in [p for name, p in outcome.nodes.items() if part in name], outcome.story
