"""In: a cluster, a plan, a run id. Out: Kubernetes, the Executor whose groups are Jobs and JobSets, and whose memory is the cluster.

A task belongs to the Job that was made for its group under a name that run and group alone decide. Killed at any moment and started
again, a coordinator finds the Jobs, hears of what they did, and makes those that are missing. Needs nothing but the standard library and
the official client `kubernetes`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowc.run.executor import Fact, Failed, Finished, Group, Retried, Running, Task
from flowc.run.kubernetes_api import Api, ClusterError, Object
from flowc.run.kubernetes_hooks import run_hooks
from flowc.run.kubernetes_jobs import Work
from flowc.run.kubernetes_lease import Leadership
from flowc.run.kubernetes_objects import Run
from flowc.run.kubernetes_view import FAILED, FINISHED, RETRIED, STARTED, WAITS, Happened

ROUND = 20.0
"""Seconds that `events` waits for news at most."""


class DeposedError(ClusterError):
    """Another coordinator leads the run now; it will bring it to its end."""


class StoppedError(Exception):
    """`stop` was set. What runs, runs on; a coordinator that is started again goes on with it."""


@dataclass(slots=True)
class Kubernetes:
    """`say` gets lines about what a fact does not tell: pods that wait, another coordinator. `stop`, when set, ends all waiting.

    `resume`: what failed before is history and may be started again.
    """

    api: Api
    plan: Mapping[str, Any]
    run_id: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    owner: Object | None = None
    max_workers: int | None = None
    resume: bool = False
    say: Callable[[str], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    grouped: bool = True
    work: Work = field(init=False)
    lease: Leadership = field(init=False)

    def __post_init__(self) -> None:
        run = Run(self.plan, self.run_id, self.api.namespace, self.owner, self.parameters)
        self.work = Work(self.api, run, self.max_workers)
        me = f"{socket.gethostname()}-{os.getpid()}"
        self.lease = Leadership(self.api, run.lease, me, run.labels, self.owner)

    def recover(self) -> Iterable[Fact]:
        """Lead the run, maybe after another coordinator's end; then all that the cluster knows of it. See Executor."""
        if not self.lease.acquire(lambda holder: self.say(f"{holder} leads this run; waiting for its end"), self.stop):
            raise StoppedError
        happened = self.work.load(resume=self.resume)
        facts = [fact for each in happened if each.what != RETRIED and (fact := self._fact(each))]
        told = {fact.task for fact in facts if not isinstance(fact, Running)}
        under_way = (Task(step, path, int(turn) if turn else None) for step, path, turn in sorted(self.work.view.started()))
        return [*facts, *(Running(task) for task in under_way if task not in told)]

    def start(self, group: Group) -> None:
        """See Executor."""
        self._leading()
        turn = "" if group.round is None else str(group.round)
        self.work.launch(group.step, group.paths, turn, group.gang)

    def events(self) -> Iterable[Fact]:
        """See Executor. StoppedError where `stop` is set, DeposedError where another coordinator took the lead."""
        left = ROUND
        while left > 0:
            if self.stop.is_set():
                raise StoppedError
            self._leading()
            facts = [fact for happened in self.work.news(1.0) if (fact := self._fact(happened)) is not None]
            if facts:
                return facts
            left -= 1.0
        return []

    def cancel(self) -> Iterable[Fact]:
        """Pods are taken away, Jobs stay. See Executor."""
        self.work.halt()
        return [fact for happened in self.work.news(1.0) if (fact := self._fact(happened)) is not None]

    def hooks(self, on: str) -> None:
        """Run the exit hooks of a run that ended in "success" or "error"."""
        run_hooks(self.api, self.work.run, on, self.say, self.stop)

    def close(self) -> None:
        """Let another coordinator lead. What runs, runs on."""
        self.work.close()
        self.lease.release()

    def _leading(self) -> None:
        if self.lease.lost.is_set():
            raise DeposedError("another coordinator leads this run now")

    def _fact(self, happened: Happened) -> Fact | None:
        step, path, turn = happened.task
        task = Task(step, path, int(turn) if turn else None)
        if happened.what == STARTED:
            return Running(task, happened.attempt)
        if happened.what == FINISHED:
            told = happened.result or {}
            return Finished(task, told.get("splits"), told.get("case"))
        if happened.what == FAILED:
            happened = self.work.explained(happened)
            return Failed(task, happened.why or "it failed", self.work.log(happened), happened.attempt)
        if happened.what == RETRIED:
            return Retried(task, happened.attempt, happened.why, self.work.log(happened))
        assert happened.what == WAITS
        self.say(f"{task.id} waits: {happened.why}")
        return None
