"""In: calls of AWS Batch, S3 and CloudWatch Logs, which may fail. Out: their answers after bounded retries, or an AwsError."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowc.run.executor import ExecutorError

DESCRIBED = 100
"""Jobs that DescribeJobs takes at once."""

THROTTLED = frozenset(
    "Throttling ThrottlingException ThrottledException TooManyRequestsException RequestLimitExceeded RequestThrottled SlowDown"
    " ConditionalRequestConflict".split()
)
ABSENT = frozenset(("NoSuchKey", "404", "NotFound", "ResourceNotFoundException"))


class AwsError(ExecutorError):
    """AWS refused a call, or could not be reached for as long as calls are repeated; the message stands alone."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Unsure(Exception):
    """A call may have been carried out, or not: its answer was lost."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How calls are repeated: `tries` times, after a random part of a wait that doubles from `base` to `most` seconds."""

    tries: int = 12
    base: float = 0.5
    most: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.time

    def rest(self, tried: int) -> None:
        self.sleep(self.chance() * min(self.most, self.base * 2.0**tried))


def verdict(error: Exception) -> str:
    """`refused` for good, `later` where the call was not carried out and may be repeated, `unsure` where it may have been."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        answer = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if answer.get("Error", {}).get("Code") in THROTTLED or status == 429:
            return "later"
        return "unsure" if status >= 500 else "refused"
    if isinstance(error, (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError)):
        return "later"
    return "unsure" if isinstance(error, exceptions.HTTPClientError) else "refused"


def _code(error: Exception) -> str:
    return str((getattr(error, "response", None) or {}).get("Error", {}).get("Code", ""))


@dataclass(frozen=True, slots=True)
class Aws:
    """The calls that a run makes, on boto3 clients that repeat nothing by themselves. All may raise AwsError."""

    batch: Any
    s3: Any
    logs: Any
    pace: Pace = Pace()

    def ask(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """The answer of a call that does no harm when it is carried out twice."""
        return self._repeated(call, arguments, ("later", "unsure"))

    def _repeated(self, call: Callable[..., Any], arguments: Mapping[str, Any], again: Sequence[str], until: float | None = None) -> Any:
        """`until` is on the clock: from then on the call is not sent, and the answer is None."""
        from botocore import exceptions

        tried = 0
        while until is None or self.pace.clock() < until:
            try:
                return call(**arguments)
            except (exceptions.BotoCoreError, exceptions.ClientError) as error:
                judged, tried = verdict(error), tried + 1
                if judged not in again or tried >= self.pace.tries:
                    if judged == "unsure" and judged not in again:
                        raise Unsure(str(error)) from error
                    raise AwsError(f"AWS: {error}" + (f" (tried {tried} times)" if tried > 1 else ""), _code(error)) from error
            self.pace.rest(tried)
        return None

    # --- Batch ---

    def submit(self, until: float, **job: Any) -> str | None:
        """The id of a new job, None where AWS was throttling `until` then. Unsure where AWS may have taken it: it is not sent again."""
        answer = self._repeated(self.batch.submit_job, job, ("later",), until)
        return None if answer is None else str(answer["jobId"])

    def describe(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What Batch knows of these jobs, by id; jobs that it has forgotten are left out."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), DESCRIBED):
            answer = self.ask(self.batch.describe_jobs, jobs=list(ids[start : start + DESCRIBED]))
            found.update((job["jobId"], job) for job in answer["jobs"])
        return found

    def named(self, queue: str, name: str) -> list[str]:
        """The ids of the queue's jobs of that name, the oldest first. AWS lists seven days, and a new job after some seconds."""
        pages = self._pages(self.batch.list_jobs, "jobSummaryList", jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])
        listed = [job for job in pages if job["jobName"] == name and ":" not in job["jobId"]]
        return [job["jobId"] for job in sorted(listed, key=lambda job: (job.get("createdAt", 0), job["jobId"]))]

    def children(self, array: str, status: str) -> Iterator[int]:
        """The indices of an array job's children that have the status."""
        for job in self._pages(self.batch.list_jobs, "jobSummaryList", arrayJobId=array, jobStatus=status):
            yield int(job.get("arrayProperties", {}).get("index", job["jobId"].rpartition(":")[2]))

    def terminate(self, job: str, reason: str) -> None:
        """End a job, and an array job's children with it; one that has ended stays as it is."""
        self.ask(self.batch.terminate_job, jobId=job, reason=reason)

    def definition(self, wanted: Mapping[str, Any]) -> str:
        """The ARN of the active job definition of that name, registered where there is none: names are made of the content's hash."""
        name = wanted["jobDefinitionName"]
        pages = self._pages(self.batch.describe_job_definitions, "jobDefinitions", jobDefinitionName=name, status="ACTIVE")
        known = sorted((d["revision"], d["jobDefinitionArn"]) for d in pages)
        return str(known[-1][1] if known else self.ask(self.batch.register_job_definition, **wanted)["jobDefinitionArn"])

    def _pages(self, call: Callable[..., Any], member: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        page: dict[str, str] = {}
        while True:
            answer = self.ask(call, **arguments, **page)
            yield from answer[member]
            if not answer.get("nextToken"):
                return
            page = {"nextToken": answer["nextToken"]}

    # --- S3 ---

    def read(self, bucket: str, key: str) -> bytes | None:
        """The object's content, None where there is none."""
        try:
            return bytes(self.ask(self._get, Bucket=bucket, Key=key))
        except AwsError as error:
            if error.code in ABSENT:
                return None
            raise

    def _get(self, **place: str) -> Any:
        return self.s3.get_object(**place)["Body"].read()

    def write(self, bucket: str, key: str, body: bytes) -> None:
        self.ask(self.s3.put_object, Bucket=bucket, Key=key, Body=body)

    def claim(self, bucket: str, key: str, body: bytes) -> bool:
        """Whether the object is ours: written now where there was none, or by a call whose answer was lost. `body` is only ours."""
        try:
            self.ask(self.s3.put_object, Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
        except AwsError as error:
            if error.code != "PreconditionFailed":
                raise
            return self.read(bucket, key) == body
        return True

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """The keys of all objects below the prefix."""
        found: list[str] = []
        page: dict[str, str] = {}
        while True:
            answer = self.ask(self.s3.list_objects_v2, Bucket=bucket, Prefix=prefix, **page)
            found += [entry["Key"] for entry in answer.get("Contents", [])]
            if not answer.get("IsTruncated"):
                return found
            page = {"ContinuationToken": answer["NextContinuationToken"]}

    # --- CloudWatch Logs ---

    def said(self, group: str, stream: str, lines: int) -> str:
        """The last lines of a log stream; empty where it cannot be read, which must not hide why the job failed."""
        try:
            answer = self.ask(self.logs.get_log_events, logGroupName=group, logStreamName=stream, limit=lines, startFromHead=False)
        except AwsError:
            return ""
        return "\n".join(event["message"].rstrip("\n") for event in answer["events"])


def connect(region: str | None = None, profile: str | None = None) -> Aws:
    """Clients for the account and region of the environment. ModuleNotFoundError without boto3; AwsError where no region is known."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    # botocore would repeat a SubmitJob whose answer was lost, and start the job twice
    once = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=10, read_timeout=60)
    try:
        session = boto3.session.Session(region_name=region, profile_name=profile)
        return Aws(*(session.client(service, config=once) for service in ("batch", "s3", "logs")))
    except BotoCoreError as error:
        raise AwsError(f"AWS: {error}") from error
