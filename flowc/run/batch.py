"""In: groups of tasks to start. Out: facts about them: jobs of AWS Batch, array jobs for the tasks of a foreach, results from S3.

All that is known of a run is in the ledger and the results on S3, and in Batch, so any number of coordinators may follow one another.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowc.run.batch_api import Aws, AwsError
from flowc.run.batch_check import check as check  # noqa: PLC0414 - part of the Platform that this module is
from flowc.run.batch_jobs import Piece, Setup, hook_request, piece_of, pieces, request
from flowc.run.batch_ledger import Ledger
from flowc.run.executor import Executor, Fact, Failed, Finished, Group, Retried, Running, Task, result

if TYPE_CHECKING:
    from flowc.run.job import Job as Wanted

PREFIX = "batch"
OPTIONS = {"region": "the region of AWS", "profile": "a profile of AWS's own settings", "settle": "seconds until AWS lists a new job"}

ENDED = ("SUCCEEDED", "FAILED")
STOPPED = "flowc: the run was ended"
LINES = 60
KILLED = (None, 137, 143)
"""Exit codes of containers that were ended from outside, or never began."""


@dataclass(slots=True)
class Job:
    """A job that is watched. `told`: the indices (0 of a single job) whose end was told; `attempts` that failed so far."""

    id: str
    piece: Piece
    told: set[int] = field(default_factory=set)
    attempts: int = 0
    seen: tuple[int, int] = (0, 0)

    @property
    def array(self) -> bool:
        return len(self.piece.paths) > 1

    def child(self, index: int) -> str:
        return f"{self.id}:{index}" if self.array else f"{self.id}#0" if self.piece.gang else self.id


class BatchExecutor:
    """See executor.Executor. `resume`: tasks that failed are told of as if they had never been started.

    Batch has no watch, so jobs are asked for: after `quick` seconds, and half as long again each time that nothing happened, up to `slow`.
    """

    grouped = True

    def __init__(self, aws: Aws, setup: Setup, ledger: Ledger, *, resume: bool = False, quick: float = 1, slow: float = 15) -> None:
        self.aws, self.setup, self.ledger, self.resume = aws, setup, ledger, resume
        self.quick, self.slow = quick, slow
        self._jobs: dict[str, Job] = {}
        self._launches: dict[Task, int] = {}
        self._earlier: dict[Task, int] = {}
        self._stopped: set[Task] = set()
        self._backlog: deque[Piece] = deque()
        self._latest, self._failed = 0, False

    # --- the protocol ---

    def recover(self) -> Iterable[Fact]:
        """Every task in the ledger, the last job for it: finished where it left a result, else as Batch has it."""
        latest: dict[Task, tuple[int, Job, int]] = {}
        spare: list[str] = []
        for noted in (noted for noted in self.ledger.known() if noted.about):
            piece, launch = piece_of(noted.about), int(noted.what.rsplit("/", 1)[-1].partition("-")[0])
            job = Job(noted.jobs[0], piece)
            spare += noted.jobs[1:]
            self._latest = max(self._latest, launch)
            for index, task in enumerate(piece.tasks()):
                if launch >= latest.get(task, (0,))[0]:
                    latest[task] = (launch, job, index)
                self._launches[task] = max(self._launches.get(task, 0), launch + 1)
        for doubled in spare:
            self.aws.terminate(doubled, STOPPED)
        finished = self._finished()
        jobs = {job.id: job for _, job, _ in latest.values()}
        known = self.aws.describe(list(jobs))
        facts: list[Fact] = []
        for task, (_, job, index) in latest.items():
            if self.setup.result_id(task) in finished:
                job.told.add(index)
                facts.append(self._success(task))
            elif job.id in known:
                facts.append(Running(task))
        self._jobs.update((name, job) for name, job in jobs.items() if name in known and len(job.told) < len(job.piece.paths))
        return self._corrected(facts)

    def _corrected(self, facts: list[Fact]) -> list[Fact]:
        """Facts from the ledger, with what Batch says already of jobs that ended, instead of that they run."""
        ended = [fact for fact in self._look() if not isinstance(fact, Retried)]
        if self.resume:
            lost = {fact.task for fact in ended if isinstance(fact, Failed)}
            facts = [fact for fact in facts if fact.task not in lost]
            ended = [fact for fact in ended if fact.task not in lost]
        news = {fact.task: fact for fact in ended}
        return [news.get(fact.task, fact) for fact in facts if fact.task not in self._stopped]

    def start(self, group: Group) -> None:
        """See Executor. A task whose earlier jobs all ended in vain (the run is resumed) gets a new job."""
        for piece in pieces(group, self.setup):
            earlier = max(self._earlier.get(task, 0) for task in piece.tasks())
            self._backlog.append(replace(piece, earlier=earlier))
        self._submit()

    def _submit(self) -> None:
        """Submit what waits, as far as the limit of tasks that run at once allows."""
        limit = self.setup.limit
        while self._backlog:
            piece = self._backlog[0]
            running = sum(len(job.piece.paths) - len(job.told) for job in self._jobs.values())
            if limit is not None and running and running + len(piece.paths) > limit:
                return
            launch = max(self._launches.get(task, 0) for task in piece.tasks())
            self._latest = max(self._latest, launch)
            name = self.ledger.submit(piece.name(launch), piece.about(), request(piece, self.setup))
            self._jobs[name] = Job(name, piece)
            self._backlog.popleft()

    def events(self) -> Iterable[Fact]:
        """See Executor."""
        pause, end = self.quick, self.aws.pace.clock() + 60
        while True:
            facts = self._look()
            if facts or not self._jobs or self.aws.pace.clock() > end:
                return facts
            # two coordinators, or many runs, shall not ask in step
            self.aws.pace.sleep(pause * (0.75 + self.aws.pace.chance() / 2))
            pause = min(pause * 1.5, self.slow)

    def cancel(self) -> Iterable[Fact]:
        """See Executor: every job is terminated, those that wait as well; waits two minutes at most until they have ended."""
        self._backlog.clear()
        for job in self._jobs.values():
            self.aws.terminate(job.id, STOPPED)
        end, facts = self.aws.pace.clock() + 120, []
        while True:
            facts += [fact for fact in self._look() if isinstance(fact, Finished)]
            if not self._jobs or self.aws.pace.clock() > end:
                return facts
            self.aws.pace.sleep(self.quick)

    def end(self, succeeded: bool) -> None:
        """The exit hooks of a run that has ended: jobs in the container of the first step. One that fails changes nothing but is told."""
        if not succeeded and not self._failed:
            return
        for function in [function for function, wants in self.setup.hooks if wants == succeeded]:
            what = f"exit hook/{function}/{'success' if succeeded else 'error'}/{self._latest}-hook"
            name = self.ledger.submit(what, {}, hook_request(function, self.setup))
            while (detail := self.aws.describe([name]).get(name, {"status": ""}))["status"] not in ENDED:
                self.aws.pace.sleep(self.quick)
            if detail["status"] == "FAILED":
                print(f"flowc: exit hook {function} failed: {_reason(detail.get('container', {}), detail)}", file=sys.stderr)

    # --- what Batch says ---

    def _look(self) -> list[Fact]:
        """What is new of the jobs that are watched; those that ended are watched no more."""
        facts: list[Fact] = []
        for name, detail in self.aws.describe(list(self._jobs)).items():
            job = self._jobs[name]
            facts += self._children(job, detail) if job.array else self._single(job, detail)
            if detail["status"] in ENDED:
                del self._jobs[name]
        self._submit()
        return facts

    def _single(self, job: Job, detail: Mapping[str, Any]) -> Iterator[Fact]:
        (task,) = job.piece.tasks()
        ended = detail["status"] in ENDED
        attempts = detail.get("attempts", [])
        failed = attempts[: len(attempts) - 1] if ended else [a for a in attempts if a.get("stoppedAt")]
        for number in range(job.attempts, len(failed)):
            container = failed[number].get("container", {})
            yield Retried(task, job.piece.earlier + number, _reason(container, {}), self._log(job, 0, container))
        job.attempts = max(job.attempts, len(failed))
        if ended and 0 not in job.told:
            job.told.add(0)
            yield from self._end(job, 0, detail)

    def _children(self, job: Job, detail: Mapping[str, Any]) -> Iterator[Fact]:
        """An array job tells only how many children ended; which, is asked when that has grown."""
        counts = detail.get("arrayProperties", {}).get("statusSummary", {})
        seen = (int(counts.get("SUCCEEDED", 0)), int(counts.get("FAILED", 0)))
        for number, status in enumerate(ENDED):
            if seen[number] > job.seen[number] or detail["status"] in ENDED:
                fresh = sorted(set(self.aws.children(job.id, status)) - job.told)
                job.told.update(fresh)
                details = self.aws.describe([job.child(index) for index in fresh]) if status == "FAILED" else {}
                for index in fresh:
                    yield from self._end(job, index, details.get(job.child(index), {"status": status}), _ended_by_us(detail))
        job.seen = seen

    def _end(self, job: Job, index: int, detail: Mapping[str, Any], by_us: bool = False) -> Iterator[Fact]:
        """A task's job has ended. One that told its result has run, whatever became of its container after that."""
        task = job.piece.tasks()[index]
        if detail["status"] == "SUCCEEDED" or self._has_result(task):
            yield self._success(task)
            return
        attempts = detail.get("attempts", [])
        container = attempts[-1].get("container", {}) if attempts else detail.get("container", {})
        last = job.piece.earlier + max(len(attempts) - 1, 0)
        if _ended_by_us(detail) or (by_us and container.get("exitCode") in KILLED):
            self._stopped.add(task)
            self._earlier[task] = last
        else:
            self._earlier[task] = last + 1
            self._failed = True
            yield Failed(task, _reason(container, detail), self._log(job, index, container), last)

    def _log(self, job: Job, index: int, container: Mapping[str, Any]) -> str:
        stream = container.get("logStreamName")
        if job.piece.gang:
            node = self.aws.describe([job.child(index)]).get(job.child(index), {})
            stream = node.get("container", {}).get("logStreamName") or stream
        return self.aws.said(self.setup.kinds[job.piece.step].log_group, stream, LINES) if stream else ""

    # --- results ---

    def _finished(self) -> set[str]:
        """The ids of all tasks that left a result."""
        start = f"{self.setup.results}/"
        return {key[len(start) : -len(".json")] for key in self.aws.keys(self.setup.bucket, start) if key.endswith(".json")}

    def _has_result(self, task: Task) -> bool:
        return self._result(task) is not None

    def _result(self, task: Task) -> bytes | None:
        return self.aws.read(self.setup.bucket, f"{self.setup.results}/{self.setup.result_id(task)}.json")

    def _success(self, task: Task) -> Finished:
        """The fact, with what the coordinator has to know of the result."""
        if self.setup.plan["steps"][task.step]["told"] is None:
            return Finished(task)
        body = self._result(task)
        if body is None:
            place = f"s3://{self.setup.bucket}/{self.setup.results}/{self.setup.result_id(task)}.json"
            raise AwsError(f"the job of {task.id} succeeded, but its result {place} is not there")
        return result(task, json.loads(body))


def _ended_by_us(detail: Mapping[str, Any]) -> bool:
    return detail.get("statusReason") == STOPPED


def _reason(container: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    """Why an attempt ended, in the words of AWS; the exit code where there is one."""
    said = container.get("reason") or detail.get("statusReason") or ""
    code = container.get("exitCode")
    return ", ".join(part for part in (f"exit code {code}" if code is not None else "", said) if part) or "no reason given"


def executor(wanted: Wanted) -> Executor:
    """See job.Platform. The credentials are those that boto3 finds."""
    from flowc.run import batch_setup

    return batch_setup.executor(wanted)
