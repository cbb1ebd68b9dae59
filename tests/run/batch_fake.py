"""In: what a container does, and which call fails how. Out: World, an AWS Batch with S3 and logs in this process, as slow to list a job as the real one."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from flowc.run.batch_api import Aws, Pace

FAULTS = ("throttled", "lost", "lost before", "killed before", "killed after", "asleep")
"""What may happen to a call: `lost` is its answer, `asleep` is the coordinator, right after it."""


class Killed(BaseException):
    """The coordinator is gone, as by kill -9: no handler of an Exception runs."""


@dataclass
class Task:
    """One container: a job, or a child of an array job. `fate` is its exit code once it ran."""

    job: Job
    index: int | None
    fate: int | None = None
    attempts: int = 0
    fates: list[int] = field(default_factory=list)


@dataclass
class Job:
    id: str
    request: Mapping[str, Any]
    created: float
    tasks: list[Task] = field(default_factory=list)
    stopped: str = ""


@dataclass
class World:
    """`work` is what a container does: it is given the Task and returns an exit code. A job runs when `takes` seconds have passed; it is listed
    `hidden` seconds after it was submitted. `slow`: step -> seconds instead of `takes`. `faults`: number of a call -> one of FAULTS; calls are counted over all clients.
    """

    work: Callable[[Task], int]
    takes: float = 2.0
    hidden: float = 20.0
    faults: dict[int, str] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    now: float = 1_000_000.0
    calls: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, Job] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    definitions: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def aws(self) -> Aws:
        """What `batch_api.connect` gives, on this world and its clock."""
        clients = Client(self, "batch"), Client(self, "s3"), Client(self, "logs")
        return Aws(*clients, pace=Pace(sleep=self.sleep, chance=lambda: 0.5, clock=lambda: self.now))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    # --- containers ---

    def live(self) -> None:
        """Let every job that is due run."""
        for job in self.jobs.values():
            takes = self.slow.get(job.request.get("tags", {}).get("flowc/step", ""), self.takes)
            if self.now < job.created + takes or job.stopped:
                continue
            allowed = int(job.request.get("retryStrategy", {}).get("attempts", 1))
            for task in job.tasks:
                while task.fate is None or (task.fate != 0 and task.attempts < allowed):
                    task.attempts += 1
                    task.fate = self.work(task)
                    task.fates.append(task.fate)

    def status(self, task: Task) -> str:
        if task.fate is not None:
            return "FAILED" if task.fate else "SUCCEEDED"
        return "FAILED" if task.job.stopped else "RUNNABLE"

    def shown(self, job: Job, task: Task) -> dict[str, Any]:
        """A job, or a child of an array job, as DescribeJobs shows it."""
        name = job.id if task.index is None else f"{job.id}:{task.index}"
        attempts = [{"container": {"exitCode": fate, "logStreamName": f"log/{name}"}} for fate in task.fates]
        container = {"logStreamName": f"log/{name}", "exitCode": task.fate} if task.attempts else {}
        return {"jobId": name, "jobName": job.request["jobName"], "status": self.status(task), "attempts": attempts, "container": container} | (
            {"statusReason": job.stopped} if job.stopped else {}
        )

    # --- the calls ---

    def submit_job(self, **request: Any) -> Any:
        job = Job(f"job-{len(self.jobs)}", request, self.now)
        size = request.get("arrayProperties", {}).get("size")
        assert size is None or 2 <= size <= 10_000
        job.tasks = [Task(job, index) for index in (range(size) if size else [None])]
        self.jobs[job.id] = job
        return {"jobId": job.id, "jobName": request["jobName"]}

    def describe_jobs(self, jobs: list[str]) -> Any:
        self.live()
        assert len(jobs) <= 100
        return {"jobs": list(self._described(jobs))}

    def _described(self, ids: list[str]) -> Iterator[dict[str, Any]]:
        for name in ids:
            parent, _, index = name.partition(":")
            job = self.jobs.get(parent)
            if job is None:
                continue
            if index or job.tasks[0].index is None:
                yield self.shown(job, job.tasks[int(index or 0)])
                continue
            counts = Counter(self.status(task) for task in job.tasks)
            state = "PENDING" if counts["RUNNABLE"] else "FAILED" if counts["FAILED"] else "SUCCEEDED"
            array = {"size": len(job.tasks), "statusSummary": dict(counts)}
            yield {"jobId": job.id, "jobName": job.request["jobName"], "status": state, "arrayProperties": array, "attempts": []}

    def list_jobs(self, nextToken: str = "0", **asked: Any) -> Any:  # noqa: N803 - boto3's name
        self.live()
        if "arrayJobId" in asked:
            job = self.jobs[asked["arrayJobId"]]
            found = [{"jobId": f"{job.id}:{t.index}", "arrayProperties": {"index": t.index}} for t in job.tasks if self.status(t) == asked["jobStatus"]]
        else:
            (name,) = asked["filters"][0]["values"]
            listed = [job for job in self.jobs.values() if job.request["jobName"] == name and self.now >= job.created + self.hidden]
            found = [{"jobId": job.id, "jobName": name, "createdAt": int(job.created * 1000)} for job in listed]
        start = int(nextToken)
        more = {"nextToken": str(start + 100)} if start + 100 < len(found) else {}
        return {"jobSummaryList": found[start : start + 100], **more}

    def terminate_job(self, jobId: str, reason: str) -> Any:  # noqa: N803 - boto3's name
        job = self.jobs[jobId]
        if any(task.fate is None for task in job.tasks):
            job.stopped = reason
        return {}

    def describe_job_definitions(self, jobDefinitionName: str, status: str) -> Any:  # noqa: N803 - boto3's name
        assert status == "ACTIVE"
        known = jobDefinitionName in self.definitions
        return {"jobDefinitions": [{"revision": 1, "jobDefinitionArn": f"arn:{jobDefinitionName}:1"}] if known else []}

    def register_job_definition(self, **wanted: Any) -> Any:
        self.definitions[wanted["jobDefinitionName"]] = wanted
        return {"jobDefinitionArn": f"arn:{wanted['jobDefinitionName']}:1"}

    def get_object(self, Bucket: str, Key: str) -> Any:  # noqa: N803 - boto3's names
        if (body := self.objects.get(f"{Bucket}/{Key}")) is None:
            raise refused("NoSuchKey", 404)
        return {"Body": io.BytesIO(body)}

    def put_object(self, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str = "") -> Any:  # noqa: N803 - boto3's names
        if IfNoneMatch == "*" and f"{Bucket}/{Key}" in self.objects:
            raise refused("PreconditionFailed", 412)
        self.objects[f"{Bucket}/{Key}"] = Body
        return {}

    def list_objects_v2(self, Bucket: str, Prefix: str) -> Any:  # noqa: N803 - boto3's names
        place = f"{Bucket}/"
        keys = sorted(key.removeprefix(place) for key in self.objects if key.startswith(place + Prefix))
        return {"Contents": [{"Key": key} for key in keys], "IsTruncated": False}

    def get_log_events(self, **asked: Any) -> Any:
        return {"events": [{"message": f"last words in {asked['logStreamName']}\n"}]}


@dataclass(frozen=True)
class Client:
    """A boto3 client of the world, whose calls fail as the world's `faults` say."""

    world: World
    service: str
    meta: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(region_name="eu-west-1"))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        carried_out: Callable[..., Any] = getattr(self.world, name)

        def call(**arguments: Any) -> Any:
            world = self.world
            world.calls[name] += 1
            world.now += 0.01
            fault = world.faults.get(world.calls.total(), "")
            if fault == "killed before":
                raise Killed
            if fault == "throttled":
                raise refused("TooManyRequestsException", 429)
            if fault == "lost before":
                raise ReadTimeoutError(endpoint_url=self.service)
            try:
                return carried_out(**arguments)
            finally:
                if fault == "killed after":
                    raise Killed
                if fault == "lost":
                    raise ReadTimeoutError(endpoint_url=self.service)
                if fault == "asleep":
                    world.now += 100

        return call


def refused(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Call")
