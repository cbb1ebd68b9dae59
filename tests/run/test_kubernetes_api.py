"""In: an API server that fails in all the ways it may. Out: proof that calls and watches outlast them, or fail with words."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from run.fake_kubernetes import Ended, FakeCluster, Fault

from flowc.run.kubernetes_api import Api, ClusterError, RefusedError, connect
from flowc.run.kubernetes_lease import Leadership
from flowc.run.kubernetes_watch import ALL, GONE, LOST, ONE, Seen, Watcher


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    monkeypatch.setattr("flowc.run.kubernetes_api.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("flowc.run.kubernetes_api.LONGEST_PAUSE", 0.05)
    fake = FakeCluster(lambda _: Ended())
    yield fake
    fake.close()


def api_of(cluster: FakeCluster, slept: list[float] | None = None) -> Api:
    client = pytest.importorskip("kubernetes.client")
    settings = client.Configuration()
    settings.host = cluster.url
    naps: list[float] = [] if slept is None else slept
    return Api(client.ApiClient(settings), "ns", naps.append)


def named(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "data": {}}


@pytest.mark.parametrize("fault", [Fault(429, retry_after="7"), Fault(500), Fault(503), Fault(), Fault(502, late=True), Fault(late=True)])
def test_calls_outlast_what_passes(cluster: FakeCluster, fault: Fault) -> None:
    """429 (with its Retry-After), 5xx and dropped connections are tried again; a try that was carried out shows as AlreadyExists."""
    slept: list[float] = []
    cluster.fault = lambda n, *_: fault if n in (1, 2) else None
    api = api_of(cluster, slept)
    if fault.late:
        with pytest.raises(RefusedError) as caught:
            api.create("configmaps", named("a"))
        assert caught.value.reason == "AlreadyExists"
    else:
        assert api.create("configmaps", named("a"))["metadata"]["name"] == "a"
    assert len(cluster.items("configmaps")) == 1
    assert len(slept) == (1 if fault.late else 2)
    assert all(nap == 7.0 for nap in slept) or not fault.retry_after


def test_what_stays_refused_is_said(cluster: FakeCluster) -> None:
    """An answer of no is not tried again, and has Kubernetes' words."""
    cluster.fault = lambda n, *_: Fault(403) if n == 1 else None
    with pytest.raises(RefusedError, match="as asked"):
        api_of(cluster).create("configmaps", named("a"))
    assert len(cluster.requests) == 1
    assert api_of(cluster).get("configmaps", "missing") is None
    api_of(cluster).delete("configmaps", "missing")


def test_an_api_server_that_stays_away(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """After PATIENCE the call fails, and the message names the call and the last answer."""
    monkeypatch.setattr("flowc.run.kubernetes_api.PATIENCE", 0.5)
    cluster.fault = lambda *_: Fault(503)
    with pytest.raises(ClusterError, match=r"did not answer GET .*/configmaps/a .*503"):
        api_of(cluster).get("configmaps", "a")


def followed(told: queue.SimpleQueue[Seen], until: set[str]) -> set[str]:
    """The names that a reader of the queue knows once they are `until`, or after a while."""
    known: set[str] = set()
    end = time.monotonic() + 120
    while known != until and time.monotonic() < end:
        try:
            seen = told.get(timeout=0.2)
        except queue.Empty:
            continue
        assert seen.what != LOST, seen.value
        known = {ALL: set(), ONE: known, GONE: known}[seen.what] | (set() if seen.what == GONE else set(seen.value))
        if seen.what == GONE:
            known -= set(seen.value)
    return known


@pytest.mark.parametrize("fault", [Fault(), Fault(410), Fault(late=True), Fault(410, late=True), Fault(429, retry_after="0")])
def test_a_watch_misses_nothing(cluster: FakeCluster, fault: Fault) -> None:
    """Whatever ends the first six streams or lists (410 before or amid them, a lost connection, 429), all that is there is told, once it is there."""
    watches = iter(range(1000))
    cluster.fault = lambda _n, method, path: fault if method == "GET" and path.endswith("configmaps") and next(watches) < 6 else None
    told: queue.SimpleQueue[Seen] = queue.SimpleQueue()
    api = api_of(cluster)
    api.create("configmaps", named("early", run="r"))
    watcher = Watcher(api, "configmaps", "run=r", lambda o: o["metadata"]["uid"], told)
    watcher.start()
    for n in range(12):
        api.create("configmaps", named(f"n{n}", run="r"))
        api.create("configmaps", named(f"other{n}", run="other"))
        time.sleep(0.02)
    for n in range(5):
        api.delete("configmaps", f"n{n}")
    assert followed(told, {"early", *(f"n{n}" for n in range(5, 12))}) == {"early", *(f"n{n}" for n in range(5, 12))}
    watcher.stop()


def test_a_watch_that_is_forbidden_says_so(cluster: FakeCluster) -> None:
    """A refusal is told to who waits, it does not end in silence."""
    cluster.fault = lambda *_: Fault(403)
    told: queue.SimpleQueue[Seen] = queue.SimpleQueue()
    Watcher(api_of(cluster), "jobs", "run=r", str, told).start()
    seen = told.get(timeout=10)
    assert (seen.what, seen.value.status) == (LOST, 403)


def leader(api: Api, me: str) -> Leadership:
    return Leadership(api, "lead", me, {"run": "r"}, duration=3.0)


def test_one_leads_and_the_next_takes_over(cluster: FakeCluster) -> None:
    """A second coordinator waits while the first renews, leads at once after its release, and after its death when the lease ran out."""
    api, stop, told = api_of(cluster), threading.Event(), queue.SimpleQueue()
    first, second, third = (leader(api, name) for name in ("one", "two", "three"))
    assert first.acquire(lambda _: None, stop)
    waiting = threading.Thread(target=second.acquire, args=(told.put, stop), daemon=True)
    waiting.start()
    assert told.get(timeout=10) == "one"
    time.sleep(4.5)
    assert waiting.is_alive()
    first.release()
    waiting.join(10)
    assert cluster.find("leases", "lead")["spec"]["holderIdentity"] == "two"
    second.ended.set()  # dies
    assert third.acquire(told.put, stop)
    assert cluster.find("leases", "lead")["spec"]["leaseTransitions"] == 3
    assert not second.lost.is_set()
    third.release()


def test_a_leader_that_was_deposed_knows_it(cluster: FakeCluster) -> None:
    """Who finds another's name in the lease has lost it."""
    api = api_of(cluster)
    first = leader(api, "one")
    assert first.acquire(lambda _: None, threading.Event())
    api.patch("leases", "lead", {"spec": {"holderIdentity": "other"}})
    assert first.lost.wait(10)


def test_no_cluster_is_said(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a kubeconfig and outside a pod the error says what is missing."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="no cluster to run on"):
        connect()
