"""In: a flow, a World. Out: Stage: a FakeCluster whose pods are the World's tasks, and coordinators that may be killed at any call."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from run.fake_kubernetes import FAILURES, INDEX, Ended, FakeCluster, Object
from run.world import World, reference

from flowc import frontend, graph
from flowc.compiler import compile_flow
from flowc.run.coordinator import Coordinator, lead
from flowc.run.executor import Task
from flowc.run.kubernetes import Kubernetes
from flowc.run.kubernetes_api import Api
from flowc.settings import Settings
from flowc.source import SourceFile

RUN = "k8s-chaos"


def compiled(text: str) -> Object:
    """The plan with its Job templates, as it stands in the ConfigMap that `flowc compile` writes."""
    settings = Settings()
    (flow,) = frontend.read(SourceFile("flow.py", text), lambda _: None, settings).flows
    made = compile_flow(flow, graph.build(flow), "kubernetes", settings)
    assert not made.diagnostics, made.diagnostics
    (held,) = [a.object["data"]["plan.json"] for a in made.artifacts if "plan.json" in a.object.get("data", {})]
    return dict(json.loads(held))


class Killed(BaseException):
    """kill -9."""


@dataclass
class Deadly:
    """An HTTP pool that dies before or after its n-th request; from then on nothing leaves this process. Watches and renewals do not count."""

    pool: Any
    at: int = 0
    after: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    dead: bool = False

    def request(self, method: str, url: str, **more: Any) -> Any:
        counts = "watch=true" not in url and threading.current_thread() is threading.main_thread()
        if self.dead:
            raise Killed if counts else ConnectionError("killed")
        if counts:
            self.calls.append((method, url))
        due = counts and len(self.calls) == self.at
        if due and not self.after:
            self.dead = True
            raise Killed
        answer = self.pool.request(method, url, **more)
        if due:
            answer.data  # noqa: B018 - it was carried out
            self.dead = True
            raise Killed
        return answer


@dataclass
class Stage:
    """`ran`: how often user code began, by task; `echoes`: pods that came for a task that had run; `early`: tasks that ran before their inputs.

    `attempts`: the number of each try, as the pod had it. `flaky` fail once, `evicted` are taken once by the cluster, by task id.
    """

    plan: Object
    world: World
    flaky: frozenset[str] = frozenset()
    evicted: frozenset[str] = frozenset()
    ran: Counter[str] = field(default_factory=Counter)
    echoes: Counter[str] = field(default_factory=Counter)
    early: set[str] = field(default_factory=set)
    done: set[Task] = field(default_factory=set)
    attempts: dict[str, list[int]] = field(default_factory=dict)
    cluster: FakeCluster = field(init=False)

    def __post_init__(self) -> None:
        self.expected = reference(self.world)
        self.cluster = FakeCluster(self._work)

    def _work(self, pod: Object) -> Ended:
        container = pod["spec"]["containers"][0]
        env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        assert env["FLOWC_RUN_ID"] == RUN
        task = Task(container["args"][0], _path(env, pod), int(env["FLOWC_ROUND"]) if "FLOWC_ROUND" in env else None)
        said = next(text for text in container["args"] if text.startswith("--attempt=")).partition("=")[2]
        own = pod["metadata"]["annotations"].get(FAILURES) or env.get("FLOWC_ATTEMPT") or 0
        attempt = int(said if said.isdigit() else own)
        result = self.world.outcome(task)
        message = json.dumps({"splits": result.splits, "case": result.case}) if "FLOWC_RESULT" in env else ""
        if task in self.done:
            self.echoes[task.id] += 1
            return Ended(0, message)
        if "--tell" in container["args"]:
            return Ended(1)
        self.ran[task.id] += 1
        self.attempts.setdefault(task.id, []).append(attempt)
        if not self.expected.get(task, {task}) <= self.done:
            self.early.add(task.id)
        if task.id in self.evicted and self.ran[task.id] == 1:
            return Ended(137, evicted=True)
        if task.id in self.world.fails or (task.id in self.flaky and attempt == 0):
            return Ended(1, "Traceback: no JSON")
        self.done.add(task)
        return Ended(0, message)

    def coordinator(self, at: int = 0, *, after: bool = False, **more: Any) -> tuple[Kubernetes, Deadly]:
        """An executor of the run, killed at its call number `at` (0: never)."""
        from kubernetes import client

        settings = client.Configuration()
        settings.host = self.cluster.url
        connected = client.ApiClient(settings)
        pool = Deadly(connected.rest_client.pool_manager, at, after)
        connected.rest_client.pool_manager = pool
        return Kubernetes(Api(connected, "ns", lambda seconds: time.sleep(min(seconds, 0.02))), self.plan, RUN, **more), pool

    def led(self, at: int = 0, *, after: bool = False, seconds: float = 40, **more: Any) -> tuple[Coordinator | None, list[tuple[str, str]]]:
        """One coordinator's life: None where it was killed, and the calls that it made. StoppedError where it does not end in time."""
        executor, pool = self.coordinator(at, after=after, **more)
        limit = threading.Timer(seconds, executor.stop.set)
        limit.daemon = True
        limit.start()
        try:
            return lead(self.plan, executor), pool.calls
        except Killed:
            # what a dead process holds runs out; that this is waited for is proven elsewhere
            with self.cluster.changed:
                self.cluster.objects.get("leases", {}).clear()
            return None, pool.calls
        finally:
            limit.cancel()
            pool.dead = True
            executor.work.close()
            executor.lease.ended.set()

    def judge(self, run: Coordinator | None) -> None:
        """The run is whole: every task of the flow ran, after its inputs, once (beside tries that failed or were evicted)."""
        assert run is not None
        assert run.finished
        again = Counter(self.flaky | self.evicted)
        assert self.ran - again == Counter({task.id: 1 for task in self.expected})
        assert self.early == set()


def _path(env: dict[str, str], pod: Object) -> str:
    path = env.get("FLOWC_PATH", "")
    if "@" in path:
        index = pod["metadata"]["labels"][INDEX]
        return str(json.loads(env["FLOWC_PATHS"])[int(index)]) if "FLOWC_PATHS" in env else path.replace("@", index)
    return path
