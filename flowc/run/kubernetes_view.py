"""In: what watchers tell of a run's Jobs and Pods. Out: View: the run's tasks, and what happened to each, told once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowc.run.kubernetes_facts import Job, Object, Pod, outcome
from flowc.run.kubernetes_watch import ALL, GONE, Seen

Task = tuple[str, str, str]
"""Step, foreach path, round of a loop; the last two are texts, empty where there is none."""

STARTED, RETRIED, FINISHED, FAILED, WAITS = "started", "retried", "finished", "failed", "waits"


@dataclass(frozen=True, slots=True)
class Happened:
    """`attempt` counts from 0; `result` is what a finished task told; `why`, `pod` and `container` are those of a failure or a wait."""

    what: str
    task: Task
    attempt: int = 0
    result: Object | None = None
    why: str = ""
    pod: str = ""
    container: str = ""
    stuck: bool = False


def paths(group: Mapping[str, Any]) -> list[str]:
    """The foreach path of each index of a Job."""
    if "paths" in group:
        return list(group["paths"])
    base = group.get("base", "")
    return [f"{base}-{i}" if base else str(i) for i in range(group["width"])]


@dataclass(slots=True)
class View:
    """`needed`: whether the run needs what a step's tasks tell. Failures of Jobs before `generation` are history: the run was resumed.

    `lost` has the tasks that finished, with the moment since when what they told is missing; a pod's event may still bring it.
    """

    needed: Callable[[str], bool]
    generation: int = 0
    jobs: dict[str, Job] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    stuck: dict[str, Pod] = field(default_factory=dict)
    over: dict[Task, str] = field(default_factory=dict)
    results: dict[Task, Object] = field(default_factory=dict)
    lost: dict[Task, float] = field(default_factory=dict)
    _said: set[tuple[str, str]] = field(default_factory=set)
    _paths: dict[str, list[str]] = field(default_factory=dict)
    _unkept: dict[str, None] = field(default_factory=dict)
    _orphans: list[Job] = field(default_factory=list)
    _dropped: list[Task] = field(default_factory=list)
    _of: defaultdict[tuple[str, int], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, seen: Seen) -> list[Happened]:
        """What follows from news of a watcher. News that are told again, or that tell less than is known, change nothing."""
        known: dict[str, Any] = self.pods if seen.kind == "pods" else self.jobs
        if seen.what in (GONE, ALL):
            gone = [n for n in known if n in seen.value] if seen.what == GONE else [n for n in known if self._missing(seen, n)]
            for name in gone:
                self._forget(seen.kind, name)
        out: list[Happened] = []
        # a pod may be told of before its Job
        for name, item in seen.value.items() if seen.what != GONE else ():
            if isinstance(item, Pod):
                out += self._pod(item)
            else:
                out += self._job(name, item)
        return out

    def _missing(self, seen: Seen, name: str) -> bool:
        ours = seen.kind == "pods" or self.jobs[name].kind == seen.kind
        return ours and name not in seen.value

    def _forget(self, kind: str, name: str) -> None:
        if kind == "pods":
            pod = self.pods.pop(name)
            self.stuck.pop(name, None)
            self._of[pod.job, pod.index].pop(name, None)
            return
        job = self.jobs.pop(name)
        if not job.ended and not job.gave_up and len(job.done | job.failed) < self.width(job):
            self._orphans.append(job)

    # --- one thing that changed ---

    def task(self, job: Job, index: int) -> Task:
        if job.name not in self._paths:
            self._paths[job.name] = paths(job.group)
        return job.group["step"], self._paths[job.name][index], job.group.get("round", "")

    def width(self, job: Job) -> int:
        self.task(job, 0)
        return len(self._paths[job.name])

    def _job(self, name: str, job: Job) -> Iterator[Happened]:
        before = self.jobs.get(name)
        older = before is not None and before.uid == job.uid and (before.ended > job.ended or len(before.done) > len(job.done))
        if older or not job.group:
            return
        self.jobs[name] = job
        if job.ended and self.needed(job.group["step"]) and not job.results:
            self._unkept[name] = None
        if before is None:
            for pod in [p for p in self.pods.values() if p.job == name]:
                yield from self._pod(pod)
        same = before is not None and before.uid == job.uid
        for index in sorted(job.done - before.done if same and before else job.done):
            yield from self._done(job, index)
        if "tell" in job.group:
            return
        if job.group.get("generation", 0) < self.generation:
            if before is not None and job.ended == "failed" and not before.ended:
                self._dropped += [self.task(job, i) for i in range(self.width(job)) if i not in job.done and i not in before.failed]
            return
        if job.kind == "jobs" or job.gave_up:
            yield from self.fail(job)

    def fail(self, job: Job) -> Iterator[Happened]:
        """The tasks of the Job that failed: where it failed as a whole, all that are not done."""
        failed = set(job.failed)
        if job.ended == "failed" or job.gave_up:
            # the Job controller stops the others where one index failed for good, and lists as failed only those that did fail
            own = [p.index for p in self.pods.values() if p.job == job.name and p.code and not p.disrupted]
            failed = failed or set(own) - job.done or set(range(self.width(job))) - job.done
        for index in sorted(failed):
            yield from self._failed(job, index)

    def _pod(self, pod: Pod) -> Iterator[Happened]:
        self.pods[pod.name] = pod
        if pod.stuck:
            self.stuck[pod.name] = pod
        else:
            self.stuck.pop(pod.name, None)
        self._of[pod.job, pod.index][pod.name] = None
        job = self.jobs.get(pod.job)
        if job is None or pod.index >= self.width(job):
            return
        gang, task = job.kind == "jobsets", self.task(job, pod.index)
        if pod.phase == "Succeeded" and not gang:
            yield from self._done(job, pod.index)
        if task in self.over or "tell" in job.group:
            return
        subject = job.name if gang else pod.name
        if pod.phase == "Running" and self._first(STARTED, subject):
            yield Happened(STARTED, task, int(job.group.get("attempt", pod.attempt)))
        elif pod.phase == "Running" and pod.disrupted and self._first(WAITS, pod.name):
            yield Happened(WAITS, task, pod.attempt, why=f"its pod is being taken away: {pod.why}", pod=pod.name)
        elif pod.phase == "Failed" and not gang and not pod.stopped and pod.index not in job.failed and self._first(RETRIED, pod.name):
            yield Happened(RETRIED, task, pod.attempt, why=pod.why, pod=pod.name, container=pod.container)
        elif pod.why and pod.phase == "Pending" and self._first(WAITS + pod.why.partition(":")[0], pod.name):
            yield Happened(WAITS, task, pod.attempt, why=pod.why, pod=pod.name, stuck=pod.stuck)

    def _first(self, what: str, subject: str) -> bool:
        key = (what, subject)
        new = key not in self._said
        self._said.add(key)
        return new

    def _done(self, job: Job, index: int) -> Iterator[Happened]:
        task = self.task(job, index)
        if self.over.get(task) == FINISHED:
            return
        result = job.results.get(index)
        for name in self._of.get((job.name, index), ()):
            pod = self.pods[name]
            if result is None and pod.phase == "Succeeded":
                result = outcome(pod.message)
        if result is None and self.needed(task[0]):
            self.lost.setdefault(task, time.monotonic())
            return
        self.lost.pop(task, None)
        self.over[task] = FINISHED
        self.results[task] = result or {"splits": None, "case": None}
        yield Happened(FINISHED, task, result=self.results[task])

    def _failed(self, job: Job, index: int) -> Iterator[Happened]:
        task = self.task(job, index)
        if task in self.over:
            return
        self.over[task] = FAILED
        pods = [self.pods[name] for name in self._of.get((job.name, index), ())]
        last = max((p for p in pods if p.code), key=lambda p: p.attempt, default=None)
        why = job.gave_up or (last.why if last else "") or job.why
        if last is None:
            yield Happened(FAILED, task, why=why)
        else:
            yield Happened(FAILED, task, last.attempt, why=why, pod=last.name, container=last.container)

    # --- what is where ---

    def unfinished(self) -> list[Job]:
        """Jobs that still have something to do, oldest first (by name where that is equal)."""
        open_ = [job for job in self.jobs.values() if not job.ended and not job.deleting and not job.gave_up]
        return sorted(open_, key=lambda job: (job.created, job.name))

    def orphans(self) -> list[Job]:
        """Jobs that were deleted while they had something to do; each is told of once."""
        found, self._orphans = self._orphans, []
        return found

    def dropped(self) -> list[Task]:
        """Tasks that were under way in a Job from before the run was resumed, which then failed as a whole; each is told of once."""
        found, self._dropped = self._dropped, []
        return found

    def fresh_ends(self) -> Iterator[Job]:
        """Jobs that ended, whose results are needed, all known, and not yet noted on them; each is told of once."""
        for name in list(self._unkept):
            job = self.jobs.get(name)
            if job is None or all(self.task(job, index) in self.results for index in job.done):
                del self._unkept[name]
                if job is not None:
                    yield job

    def failed_gangs(self) -> list[Job]:
        """JobSets that failed and whose task is not over."""
        gangs = [job for job in self.jobs.values() if job.kind == "jobsets" and job.ended == "failed" and not job.gave_up]
        return [job for job in gangs if job.group.get("generation", 0) >= self.generation and self.task(job, 0) not in self.over]

    def started(self) -> set[Task]:
        """Tasks that are over, or in a Job that will bring them there."""
        found = set(self.over) | set(self.lost)
        for job in self.unfinished():
            if "tell" not in job.group:
                held = job.group.get("generation", 0) < self.generation
                found |= {self.task(job, i) for i in range(self.width(job)) if not (held and i in job.failed)}
        return found
