"""In: an Api and a Run. Out: Work: the run's groups of tasks as Jobs and JobSets: made once, given their share, heard of, given up."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flowc.run import kubernetes_facts as facts
from flowc.run.kubernetes_api import Api, ClusterError, FinalError, Object, RefusedError
from flowc.run.kubernetes_facts import GAVE_UP, RESULTS, ROOM, Job, Pod
from flowc.run.kubernetes_objects import Run, build, group_of, name, portions
from flowc.run.kubernetes_view import FAILED, RETRIED, WAITS, Happened, Task, View, paths
from flowc.run.kubernetes_watch import ALL, LOST, ONE, Seen, Watcher

JOBS_WORDS = ("MaxFailedIndexesExceeded", "FailedIndexes", "BackoffLimitExceeded", "PodFailurePolicy", "FailedJobs")
"""Reasons that a Job or JobSet has for its failure where a pod has the real one."""

QUEUE = "kueue.x-k8s.io/queue-name"
MISSING = 2.0
"""Seconds that a finished task's pod is waited for to tell its result, before the pod is looked for, and the task asked again."""
STUCK = 900.0
"""Seconds that a pod may wait for an image or for what its settings name before its task fails; $FLOWC_STUCK_SECONDS says otherwise."""
TELLS, AGAIN = 4, 20
"""How often a lost result is asked for, and how often a gang that the cluster took away, or a Job that someone deleted, is begun anew."""


@dataclass(slots=True)
class Work:
    """`at_once`: how many pods the run may have at a time, None for no limit. `load` comes first; then `launch` and `news` in any order.

    Nothing is kept here that the cluster does not have too, so that another Work of the same run goes on where this one was killed.
    """

    api: Api
    run: Run
    at_once: int | None = None
    told: queue.SimpleQueue[Seen] = field(default_factory=queue.SimpleQueue)
    watchers: list[Watcher] = field(default_factory=list)
    view: View = field(init=False)
    stuck: dict[tuple[str, int], float] = field(default_factory=dict)
    anew: dict[str, int] = field(default_factory=dict)
    earlier: dict[Task, int] = field(default_factory=dict)
    looked: float = 0.0
    halted: bool = False

    def __post_init__(self) -> None:
        needed = {name for name, step in self.run.plan["steps"].items() if step["told"]}
        self.view = View(needed.__contains__)

    @property
    def kinds(self) -> list[str]:
        gangs = any(job.get("kind") == "JobSet" for job in self.run.plan["jobs"].values())
        return ["jobs", "pods", *(["jobsets"] if gangs else [])]

    def load(self, *, resume: bool = False) -> list[Happened]:
        """What happened so far, from the cluster. With `resume` what failed is history: it may be launched again."""
        slims: dict[str, Any] = {"jobs": facts.job, "pods": facts.pod, "jobsets": facts.job}
        self.watchers = [Watcher(self.api, kind, self.run.selector, slims[kind], self.told) for kind in self.kinds]
        for watcher in self.watchers:
            watcher.start()
        first: dict[str, Seen] = {}
        rest: list[Seen] = []
        while len(first) < len(self.watchers):
            seen = self._checked(self.told.get())
            rest += [] if seen.what == ALL else [seen]
            first.update({seen.kind: seen} if seen.what == ALL else {})
        jobs = [job for kind in ("jobs", "jobsets") if kind in first for job in first[kind].value.values() if job.group]
        failed = [job.group.get("generation", 0) for job in jobs if job.failed or job.ended == "failed" or job.gave_up]
        newest = max((job.group.get("generation", 0) for job in jobs), default=0)
        self.view.generation = max(newest, 1 + max(failed)) if resume and failed else newest
        happened = [h for seen in [*(first[kind] for kind in self.kinds), *rest] for h in self.view.take(seen)]
        self.earlier = self._failures()
        self.halted = any(h.what == FAILED for h in happened)
        return [*happened, *self._settle()]

    def _checked(self, seen: Seen) -> Seen:
        if seen.what != LOST:
            return seen
        if seen.kind == "jobsets" and isinstance(seen.value, RefusedError) and seen.value.status == 404:
            raise FinalError("@parallel steps need JobSet (https://jobset.sigs.k8s.io), and the cluster has none") from seen.value
        raise seen.value

    # --- launching ---

    def launch(self, step: str, tasks: Sequence[str], turn: str = "", size: int = 0) -> None:
        """Jobs for the tasks of a step at these paths that are not under way; `size`: how many nodes a gang has, 0 else."""
        started = self.view.started()
        alike: dict[int, list[str]] = {}
        for path in tasks:
            if (step, path, turn) not in started:
                alike.setdefault(self.earlier.get((step, path, turn), 0), []).append(path)
        for earlier, wanted in alike.items():
            more = {"generation": self.view.generation, "size": size, "earlier": earlier}
            group = group_of(step, wanted, turn, **more)
            whole = "base" in group or size
            for part in [wanted] if whole else portions(wanted):
                self._create(group_of(step, part, turn, **more))

    def _failures(self) -> dict[Task, int]:
        """How many attempts failed of each task before the run was resumed, at most."""
        found: dict[Task, int] = {}
        for job in self.view.jobs.values():
            if job.group.get("generation", 0) < self.view.generation and (job.ended == "failed" or job.failed or job.gave_up):
                tries = job.group.get("earlier", 0) + self._tries(job)
                for index in range(self.view.width(job)):
                    task = self.view.task(job, index)
                    if index not in job.done:
                        found[task] = max(found.get(task, 0), tries)
        return found

    def _tries(self, job: Job) -> int:
        """How often a Job tries a task: a gang's once, one of a resumed run's too."""
        once = job.kind == "jobsets" or "earlier" in job.group
        return 1 + int(job.group.get("attempt", 0) if once else self.run.plan["steps"][job.group["step"]]["retries"])

    def _create(self, group: Object) -> None:
        wanted = group.get("size") or len(paths(group))
        now = self._portion(wanted, self._left(self.view.unfinished()), gang="size" in group)
        made = build(self.run, group, paths(group), now)
        kind = "jobsets" if made["kind"] == "JobSet" else "jobs"
        while True:
            try:
                there = self.api.create(kind, made)
                break
            except RefusedError as error:
                if error.reason != "AlreadyExists":
                    # a quota may have room again later
                    wrong = ClusterError if error.status == 403 and "quota" in str(error) else FinalError
                    raise wrong(f"the step {group['step']} cannot be started: {error}") from error
                found = self.api.get(kind, made["metadata"]["name"])
            if found and "deletionTimestamp" not in found["metadata"]:
                there = self._ours(found, group)
                break
            self.api.sleep(1.0)
        job = facts.job(there)
        for happened in self.view.take(Seen(kind, ONE, {job.name: job})):
            self.told.put(Seen("", "", happened))

    def _ours(self, found: Object, group: Object) -> Object:
        """A Job of the name, made by an earlier try of this or another coordinator; never one of another run."""
        job = facts.job(found)
        if job.group != group or any(job.labels.get(key) != value for key, value in self.run.labels.items()):
            raise FinalError(f"{job.name} exists in {self.api.namespace}, and is not of the run {self.run.run_id}: choose another run id")
        return found

    def _left(self, open_: Sequence[Job]) -> int | None:
        """How many more pods the run may have now, None for any number."""
        return None if self.at_once is None else self.at_once - sum(self._used(job) for job in open_)

    def _portion(self, wanted: int, left: int | None, *, gang: bool) -> int:
        """How many pods of those wanted there is room for; a gang gets all or none, one that is too big for the limit runs alone."""
        if self.halted or left is None or self.at_once is None:
            return 0 if self.halted else wanted
        if gang:
            return wanted if left >= min(wanted, self.at_once) else 0
        return max(0, min(wanted, left))

    def _used(self, job: Job) -> int:
        if job.kind == "jobsets":
            return 0 if job.suspended else int(job.group["size"])
        return min(job.parallelism, self.view.width(job) - len(job.done | job.failed))

    def _share(self) -> None:
        """Give what is free to the groups that wait for it, oldest first. Kueue, where it rules, decides beyond that."""
        open_ = [] if self.halted else self.view.unfinished()
        left = self._left(open_)
        for job in open_:
            gang = job.kind == "jobsets"
            if gang and (not job.suspended or QUEUE in job.labels):
                continue
            now = 0 if gang else self._used(job)
            wanted = int(job.group["size"]) if gang else self.view.width(job) - len(job.done | job.failed)
            more = self._portion(wanted - now, left, gang=gang)
            if more:
                left = None if left is None else left - more
                spec: Object = {"suspend": False} if gang else {"parallelism": now + more}
                self._patch(job, {"spec": spec}, replace(job, suspended=not gang and job.suspended, parallelism=now + more))

    def _patch(self, job: Job, change: Object, after: Job) -> None:
        """Patch; one that is gone meanwhile is heard of as gone."""
        try:
            self.api.patch(job.kind, job.name, change)
        except RefusedError as error:
            if error.status not in (404, 409):
                raise
        else:
            if job.name in self.view.jobs:
                self.view.jobs[job.name] = after

    # --- hearing ---

    def news(self, seconds: float) -> list[Happened]:
        """What happened since, after at most about so many seconds."""
        out: list[Happened] = []
        end = time.monotonic() + seconds
        while True:
            try:
                seen = self.told.get(timeout=max(0.0, min(end - time.monotonic(), 1.0)) if not out else 0.0)
            except queue.Empty:
                out += self._settle()
                if out or time.monotonic() >= end:
                    return out
                continue
            out += [seen.value] if isinstance(seen.value, Happened) else self.view.take(self._checked(seen))

    def _settle(self) -> list[Happened]:
        """What has to be done about what was heard."""
        self._begin_anew()
        self._remember()
        out = [*self._lost(), *self._gangs(), *self._waiting()]
        self._share()
        return out

    def _begin_anew(self) -> None:
        """What someone deleted while it had tasks to run, and tasks that were killed with a Job that had failed before the resumption."""
        for job in self.view.orphans():
            self.anew[job.name] = self.anew.get(job.name, 0) + 1
            if self.anew[job.name] > AGAIN:
                raise FinalError(f"the {job.kind} {job.name} was deleted {AGAIN} times")
            self._create(dict(job.group))
        for step, path, turn in self.view.dropped():
            gang = next((job.group["size"] for job in self.view.jobs.values() if job.group["step"] == step and "size" in job.group), 0)
            self.launch(step, [path], turn, gang)

    def _remember(self) -> None:
        """Results go into the Job's own annotation when it has ended, since pods may vanish."""
        for job in list(self.view.fresh_ends()):
            known = {i: self.view.results[t] for i in job.done if (t := self.view.task(job, i)) in self.view.results}
            text = facts.pack(known)
            if known and len(text) < ROOM:
                self._patch(job, {"metadata": {"annotations": {RESULTS: text}}}, replace(job, results=known))

    def _lost(self) -> Iterator[Happened]:
        """Look for the pods of tasks whose results are missing; ask the tasks again where those are gone."""
        due = {task for task, since in self.view.lost.items() if time.monotonic() - since > MISSING}
        if not due or time.monotonic() - self.looked < MISSING:
            return
        self.looked = time.monotonic()
        try:
            for page in self.api.pages("pods", self.run.selector):
                pods = {item["metadata"]["name"]: facts.pod(item) for item in page["items"]}
                yield from self.view.take(Seen("pods", ONE, pods))
        except RefusedError as error:
            if error.status != 410:
                raise
            return  # the list grew too old between two pages; the next look begins anew
        groups: dict[tuple[str, str], list[str]] = {}
        for step, path, turn in sorted(due & set(self.view.lost)):
            groups.setdefault((step, turn), []).append(path)
        for (step, turn), wanted in groups.items():
            yield from self._ask(step, turn, wanted)

    def _ask(self, step: str, turn: str, wanted: list[str]) -> Iterator[Happened]:
        asking: dict[Task, Job] = {}
        for job in self.view.jobs.values():
            if "tell" in job.group and job.group["step"] == step:
                for index in range(self.view.width(job)):
                    task = self.view.task(job, index)
                    if task not in asking or asking[task].group["tell"] < job.group["tell"]:
                        asking[task] = job
        open_, tries = [], 1
        for path in wanted:
            last = asking.get((step, path, turn))
            if last is None or last.ended or last.gave_up:
                open_.append(path)
                tries = max(tries, 1 + (0 if last is None else last.group["tell"]))
        if tries > TELLS:
            for path in open_:
                self.view.lost.pop((step, path, turn), None)
                self.view.over[step, path, turn] = FAILED
                yield Happened(FAILED, (step, path, turn), why=f"it finished, but {TELLS} pods that should tell how were lost")
        else:
            for part in portions(open_) if open_ else ():
                self._create(group_of(step, part, turn, tell=tries))

    def _gangs(self) -> Iterator[Happened]:
        """A gang is tried again as a whole, by a JobSet of its own; not counted where the cluster took one of its pods."""
        for job in self.view.failed_gangs():
            group, again = dict(job.group), job.group.get("again", 0)
            taken = any(pod.disrupted for pod in self.view.pods.values() if pod.job == job.name) and again < AGAIN
            retries = self.run.plan["steps"][group["step"]]["retries"]
            attempt = group.get("attempt", 0)
            same = {**group, "again": again + 1}
            next_ = {key: value for key, value in group.items() if key != "again"} | {"attempt": attempt + 1}
            # whose pods are gone meanwhile is not judged anew
            if any(name(self.run, following) in self.view.jobs for following in (same, next_)):
                continue
            if self.halted or (not taken and attempt >= retries):
                yield from self.view.fail(job)
                continue
            yield Happened(RETRIED, self.view.task(job, 0), attempt, why=job.why)
            self._create(same if taken else next_)

    def _waiting(self) -> Iterator[Happened]:
        """A pod that waits for an image or a Secret that is not there fails in the end; one that no node has room for may wait."""
        limit = float(os.environ.get("FLOWC_STUCK_SECONDS") or STUCK)
        now = {(pod.job, pod.index): pod for pod in self.view.stuck.values() if pod.job in self.view.jobs}
        self.stuck = {key: self.stuck.get(key, time.monotonic()) for key in now}
        for key, since in self.stuck.items():
            job, pod = self.view.jobs[key[0]], now[key]
            if time.monotonic() - since > limit and not job.ended and not job.gave_up:
                why = f"{pod.why} (for {limit:.0f} s)"
                self._patch(job, {"metadata": {"annotations": {GAVE_UP: why}}, **self._stop(job)}, replace(job, gave_up=why))
                yield from self.view.fail(replace(job, gave_up=why))

    # --- ending ---

    def _stop(self, job: Job) -> Object:
        return {"spec": {"suspend": True} if job.kind == "jobsets" else {"parallelism": 0}}

    def halt(self) -> None:
        """Take the pods of all that runs away; the Jobs stay, and go on where the run is resumed."""
        self.halted = True
        for job in self.view.unfinished():
            stopped = job.suspended if job.kind == "jobsets" else job.parallelism == 0
            if not stopped:
                self._patch(job, self._stop(job), replace(job, parallelism=0, suspended=job.suspended or job.kind == "jobsets"))

    def expire(self, seconds: int) -> Job | None:
        """Have the cluster remove the run's Jobs so many seconds after their ends; the youngest of them that ended."""
        ended = sorted((job for job in self.view.jobs.values() if job.ended), key=lambda job: (job.created, job.name))
        for job in ended:
            self._patch(job, {"spec": {"ttlSecondsAfterFinished": seconds}}, job)
        return ended[-1] if ended else None

    def close(self) -> None:
        for watcher in self.watchers:
            watcher.stop()

    def explained(self, happened: Happened) -> Happened:
        """A failure in the words of its pod, also where those of its Job came first: the two are watched apart."""
        if happened.pod or happened.why.partition(":")[0] not in JOBS_WORDS:
            return happened
        items = (item for page in self.api.pages("pods", self.run.selector) for item in page["items"])
        found = [pod for pod in map(facts.pod, items) if pod.code and pod.job in self.view.jobs]
        mine = [pod for pod in found if self.view.task(self.view.jobs[pod.job], pod.index) == happened.task]
        last = max(mine, key=lambda pod: pod.attempt, default=None)
        if last is None:
            return happened
        return replace(happened, attempt=last.attempt, why=last.why or happened.why, pod=last.name, container=last.container)

    def log(self, happened: Happened, lines: int = 60) -> str:
        """The end of what the pod of a failure said, empty where it is gone."""
        return self.api.log(happened.pod, happened.container or "main", lines) if happened.pod else ""


__all__ = ["WAITS", "Happened", "Pod", "Work"]
