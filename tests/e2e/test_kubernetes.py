"""In: a real cluster. Out: proof that runs on plain Kubernetes outlast killed coordinators, evicted pods and rivals: each task once, artifacts right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from e2e import laptop
from e2e.cases import SHARED_STORE, Case
from e2e.cluster import LABEL, LOGS, NAMESPACE, SESSION, Cluster, CommandFailed
from e2e.judging import fault
from e2e.kubernetes_runs import apply, artifacts, ended, led_inside, plain, run_id_of
from e2e.laptop import FLOWS
from e2e.runs import LIMIT, Outcome

pytestmark = pytest.mark.e2e
RELAY = Case("relay", "relay")
INDEX = "batch.kubernetes.io/job-completion-index"
KILLER = Path(__file__).with_name("killing.py")
TASKS = 5
Point = tuple[int, str]


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    made = LOGS / "kubernetes" / request.node.name.replace("[", "-").rstrip("]")
    made.mkdir(parents=True, exist_ok=True)
    return made


def within(what: str, look: Callable[[], Any], seconds: float = 300) -> Any:
    """What `look` gives once it gives something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise CommandFailed(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.5)
    return found


def pods_of(run_id: str, cluster: Cluster) -> list[dict[str, Any]]:
    """The pods of a run's tasks."""
    return list(cluster.get("pods", "-l", f"flowc/run={run_id}")["items"])


def judged(case: Case, run_id: str, phase: str, said: str, cluster: Cluster, folder: Path, *, volume: bool = False) -> None:
    """The run ended as on a laptop, and of each index of each Job one pod succeeded."""
    (folder / "story.txt").write_text(said)
    outcome = Outcome(phase, {}, artifacts(case.flow, run_id, cluster, folder, volume=volume), said[-6000:])
    assert (found := fault(case, outcome)) == "", found
    done = [pod for pod in pods_of(run_id, cluster) if pod["status"]["phase"] == "Succeeded"]
    places = [(pod["metadata"]["annotations"]["metaflow/step_name"], pod["metadata"]["labels"][INDEX]) for pod in done]
    assert len(places) == len(set(places)) == sum(len(tasks) for tasks in outcome.artifacts.values()), places


def led(run_id: str, cluster: Cluster, at: Point = (0, "before"), *, seconds: int = 2) -> tuple[int, str]:
    """Exit code (-9 where it was killed) and output of `flowc run --on kubernetes` of the relay."""
    env = {**plain(), "KUBECONFIG": cluster.env["KUBECONFIG"], "FLOWC_LEASE_SECONDS": str(seconds)}
    own = ["--isolated", "--on", "kubernetes", "-O", f"namespace={NAMESPACE}", "--run-id", run_id, "--label", f"{LABEL}={SESSION}"]
    command = [sys.executable, str(KILLER), str(at[0]), at[1], "run", str(FLOWS / "relay.py"), *own]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT, check=False)
    return done.returncode, done.stdout + done.stderr


def fresh() -> str:
    return f"k8s-relay-{os.urandom(4).hex()}"


def killed(at: Point, cluster: Cluster, folder: Path) -> None:
    """A coordinator dies at that call, the next one ends the run."""
    run_id = fresh()
    code, first = led(run_id, cluster, at)
    assert code in (-9, 0), first
    code, second = led(run_id, cluster) if code else (0, "")
    assert code == 0, first + second
    own = folder / f"{at[0]}-{at[1]}"
    own.mkdir(exist_ok=True)
    judged(RELAY, run_id, "Succeeded", f"{first}\n##### next coordinator\n{second}", cluster, own)


def test_coordinators_are_killed(cluster: Cluster, folder: Path, request: pytest.FixtureRequest) -> None:
    """kill -9 of `flowc run` at its calls to the API server (all of them with --e2e-full): the next one goes on, no task runs twice."""
    points: list[Point] = [(8, "after"), (10, "before")]
    if request.config.getoption("--e2e-full"):
        code, said = led(fresh(), cluster)
        assert code == 0, said
        calls = int(said.rsplit("calls: ", 1)[1])
        points = [(n, when) for n in range(1, calls + 1) for when in ("before", "after")]
    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(killed, at, cluster, folder) for at in points]:
            future.result()


@pytest.mark.full
def test_two_coordinators(cluster: Cluster, folder: Path) -> None:
    """Two of one run at once: one leads, the other waits, both end well, each task runs once."""
    run_id = fresh()
    with ThreadPoolExecutor(2) as pool:
        ends = [future.result() for future in [pool.submit(led, run_id, cluster, seconds=15) for _ in range(2)]]
    said = "\n##### the other\n".join(text for _, text in ends)
    assert [code for code, _ in ends] == [0, 0], said
    judged(RELAY, run_id, "Succeeded", said, cluster, folder)


@pytest.fixture
def inside(cluster: Cluster, folder: Path) -> dict[str, Any]:
    """The relay's file, applied: its coordinator's Job."""
    return apply("relay", f"e2e-{folder.name[5:30].replace('_', '-')}", cluster, folder, *store(cluster))


def store(cluster: Cluster) -> tuple[str, ...]:
    """Flags for the cluster's shared volume, where it has one: it costs pods less than S3."""
    return SHARED_STORE if cluster.shared else ()


def working(run_id: str, cluster: Cluster) -> list[dict[str, Any]]:
    """The pods that run the body of the foreach now."""
    pods = [pod for pod in pods_of(run_id, cluster) if pod["metadata"]["annotations"]["metaflow/step_name"] == "work"]
    return [pod for pod in pods if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]


def test_the_coordinators_pod_is_deleted(inside: dict[str, Any], cluster: Cluster, folder: Path) -> None:
    """At its first Job and amid the foreach the coordinator's pod is deleted without grace: its Job's next pod goes on with the same run."""
    run_id, name = run_id_of(inside), inside["metadata"]["name"]
    moments: dict[str, Callable[[], Any]] = {
        "the first Job": lambda: cluster.get("jobs", "-l", f"flowc/run={run_id}")["items"],
        "work": lambda: working(run_id, cluster),
    }
    for moment, look in moments.items():
        within(moment, look)
        alive = within("a coordinator", lambda: _leading(name, cluster))
        cluster.kubectl("delete", "pod", *alive, "--grace-period=0", "--force")
        within("the next pod", lambda gone=alive: _follows(name, gone, cluster))
    phase, _, said = led_inside(inside, cluster)
    judged(RELAY, run_id, phase, said, cluster, folder, volume=bool(cluster.shared))


def _leading(job: str, cluster: Cluster) -> list[str]:
    pods = cluster.get("pods", "-l", f"batch.kubernetes.io/job-name={job}")["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]


def _follows(job: str, gone: list[str], cluster: Cluster) -> bool:
    pods = cluster.get("pods", "-l", f"batch.kubernetes.io/job-name={job}")["items"]
    return any(pod["metadata"]["name"] not in gone and pod["status"]["phase"] in ("Running", "Succeeded") for pod in pods)


@pytest.mark.full
def test_a_pod_is_evicted(inside: dict[str, Any], cluster: Cluster, folder: Path) -> None:
    """An evicted task runs again although it has no retries, and the run ends as if nothing had been."""
    run_id = run_id_of(inside)
    pod = within("work", lambda: working(run_id, cluster))[0]["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    place = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    cluster.kubectl("create", "--raw", place, "-f", "-", text=json.dumps(eviction))
    phase, _, said = led_inside(inside, cluster)
    judged(RELAY, run_id, phase, said, cluster, folder, volume=bool(cluster.shared))


def test_a_schedule_fires(cluster: Cluster, folder: Path) -> None:
    """What a CronJob starts is a run of its own each time, with the end of a laptop's."""
    case = Case("clock", "clock", scheduled=True)
    cron = apply("clock", "e2e-clock", cluster, folder, *store(cluster), suspend=True)["metadata"]["name"]
    runs = [f"{cron[:40]}-{n}" for n in (1, 2)]
    for name in runs:
        cluster.kubectl("create", "job", name, f"--from=cronjob/{cron}")
    for name in runs:
        phase, run_id, said = led_inside(cluster.get("job", name), cluster)
        assert ended(cluster.get("job", name)) == "Complete", said
        judged(case, run_id, phase, said, cluster, folder, volume=bool(cluster.shared))


def test_the_truth_is_known() -> None:
    """The relay has as many tasks on a laptop as the tests here count."""
    truth = laptop.truth("relay", "RelayFlow", {})
    assert sum(len(tasks) for tasks in truth["artifacts"].values()) == TASKS
