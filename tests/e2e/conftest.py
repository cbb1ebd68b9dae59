"""In: the cases that pytest selected. Out: fixtures that bring the cluster up and run all of them side by side, a few at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from e2e.cases import Case
from e2e.cluster import LOGS, Cluster, ready
from e2e.platforms import ON_CLUSTER, perform, place
from e2e.runs import Outcome, unmet
from xdist.scheduler import LoadFileScheduling

IN_FLIGHT = int(os.environ.get("FLOWC_E2E_IN_FLIGHT", "6"))
HERE = 2
"""Runs at a time whose tasks are processes of this machine."""
SLEEPERS = ("clock", "timeout-caught", "timeout-kills")
"""Cases that wait for a clock most of the time: they take nobody's turn."""
SHARED = ("test_argo.py", "test_graduation.py")
"""Files whose tests judge the runs of `started`."""
EARLY = (*SHARED, "test_gitops.py", "test_kubernetes.py", "test_restricted.py", "test_deploy.py", "test_overlays.py", "test_stepfunctions.py")
"""Files that wait for pods and jobs: they begin first, and what only works fills the time."""
Started = dict[tuple[str, str], "Future[Outcome]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--e2e-full", action="store_true", help="every case and every control, not the core set")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `full` waits for --e2e-full; what waits for the cluster comes first."""
    items.sort(key=lambda item: EARLY.index(item.path.name) if item.path.name in EARLY else len(EARLY))
    if not config.getoption("--e2e-full"):
        left = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


class ByFile(LoadFileScheduling):
    """A file is one worker's, since its fixtures are made once; files that share the runs are one worker's together."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return SHARED[0] if file.endswith(SHARED) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """With `-n`, files run side by side."""
    return ByFile(config, log)


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
def started(request: pytest.FixtureRequest) -> Iterator[Started]:
    """Every selected run of a case, at work: a task costs seconds, so they run side by side and each test waits for its own."""
    wanted: dict[tuple[str, str], Case] = {}
    for params in (item.callspec.params for item in request.session.items if hasattr(item, "callspec")):
        if isinstance(params.get("case"), Case):
            platform = params.get("platform") or {"flowc": "argo"}.get(params["engine"], params["engine"])
            wanted[params["case"].name, platform] = params["case"]
    platforms = {platform for _, platform in wanted}
    cluster = request.getfixturevalue("cluster") if platforms & {*ON_CLUSTER, "metaflow"} else None
    volume = bool(cluster and cluster.shared) and not request.config.getoption("--e2e-full")
    with place(platforms, cluster, volume=volume) as at:
        sleeping, awaited, working = pools = ThreadPoolExecutor(), ThreadPoolExecutor(IN_FLIGHT), ThreadPoolExecutor(HERE)

        def pool(case: str, platform: str) -> ThreadPoolExecutor:
            return sleeping if case in SLEEPERS else awaited if platform in (*ON_CLUSTER, "metaflow") else working

        able = [run for run in wanted if not (cluster and unmet(wanted[run], cluster))]
        yield {run: pool(*run).submit(perform, wanted[run], run[1], at) for run in able}
        for each in pools:
            each.shutdown(wait=False, cancel_futures=True)
