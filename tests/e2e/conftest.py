"""In: the cases that pytest selected. Out: fixtures that bring the cluster up and run all of them side by side, a few at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from e2e import laptop
from e2e.cases import Case
from e2e.cluster import LOGS, Cluster, ready
from e2e.runs import Outcome, class_name, perform, unmet

IN_FLIGHT = int(os.environ.get("FLOWC_E2E_IN_FLIGHT", "6"))
Started = dict[tuple[str, str], "Future[Outcome]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--e2e-full", action="store_true", help="every case and every control, not the core set")


def pytest_exception_interact(node: pytest.Item, report: pytest.TestReport) -> None:
    """A failure can be read at once, not only when all runs have ended."""
    LOGS.mkdir(exist_ok=True)
    with (LOGS / "failures.txt").open("a", encoding="utf-8") as log:
        log.write(f"##### {node.name}\n{report.longreprtext}\n")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that is up and has the settings that flows need; what the cases made on it is removed at the end."""
    found = ready()
    yield found
    found.sweep()


@pytest.fixture(scope="session")
def started(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Started]:
    """Every selected case, at work: a pod costs seconds, so they run side by side and each test waits for its own."""
    wanted = [item.callspec.params for item in request.session.items if hasattr(item, "callspec") and "engine" in item.callspec.params]
    pool = ThreadPoolExecutor(IN_FLIGHT)
    running: Started = {}
    for params in wanted:
        case, engine = params["case"], params["engine"]
        if unmet(case, cluster):
            continue
        folder = LOGS / cluster.argo_version / f"{engine}-{case.name}"
        running[case.name, engine] = pool.submit(perform, case, engine, cluster, folder)
    yield running
    pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture(scope="session")
def on_laptop(pytestconfig: pytest.Config) -> Callable[[Case], dict[str, Any]]:
    """The same flow's run on this machine; remembered by pytest's cache until the flow changes."""

    def truth(case: Case) -> dict[str, Any]:
        parameters = dict(case.parameters)
        name = f"flowc/e2e-laptop/{laptop.key(case.flow, parameters)}"
        known = pytestconfig.cache.get(name, None)
        if known is None:
            known = laptop.run(case.flow, class_name(case.flow), parameters)
            pytestconfig.cache.set(name, known)
        return dict(known)

    return truth
