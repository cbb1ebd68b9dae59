"""In: Settings, and what a stack refers to. Out: its parameters, and what is made of them: the root of the datastore, ARNs of queues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.targets.step_functions.roles import Expression, arn

if TYPE_CHECKING:
    from collections.abc import Collection

    from flowc.settings import Settings

DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)
"""How long CloudWatch Logs can keep a log, of what its API lists."""


@dataclass(frozen=True, slots=True)
class Root:
    """The datastore: its `s3://bucket/prefix`, bucket, and the keys below it. `given`: the settings name it."""

    text: Expression
    bucket: Expression
    keys: tuple[Expression, ...]
    given: bool


def root(settings: Settings) -> Root:
    """What the settings say, else bucket (the stack's own where it makes one) and prefix by parameters."""
    if settings.datastore_root:
        bucket, _, prefix = settings.datastore_root.removeprefix("s3://").partition("/")
        key = f"{prefix.rstrip('/')}/*" if prefix.strip("/") else "*"
        return Root(settings.datastore_root, bucket, (key,), given=True)
    name = "DatastoreBucket" if settings.stack_bucket else "Bucket"
    text = {"Fn::Sub": f"s3://${{{name}}}/${{DatastorePrefix}}"}
    return Root(text, {"Ref": name}, ({"Fn::Sub": "${DatastorePrefix}/*"},), given=False)


def parameters(settings: Settings, used: Collection[str], planned: bool) -> dict[str, dict[str, Any]]:
    """The stack's parameters in the order of people's interest; only those that something refers to. `used`: the holes there are."""
    found: dict[str, dict[str, Any]] = {}
    if "JobQueue" in used:
        queue = {"Type": "String", "Description": "Job queue of AWS Batch, by name or ARN", "MinLength": 1}
        found["JobQueue"] = {**queue, **({"Default": settings.batch_queue} if settings.batch_queue else {})}
    if not settings.datastore_root:
        if not settings.stack_bucket:
            found["Bucket"] = {"Type": "String", "Description": "Bucket of Metaflow's datastore", "MinLength": 3}
        prefix = {"Type": "String", "Description": "Where in the bucket the datastore is", "Default": "metaflow"}
        found["DatastorePrefix"] = {**prefix, "AllowedPattern": "[A-Za-z0-9!_.*()=+-]+(/[A-Za-z0-9!_.*()=+-]+)*"}
    if "Image" in used:
        found["Image"] = {"Type": "String", "Description": "Image of steps that name none", "Default": settings.image}
    if planned:
        states = ["ENABLED", "DISABLED"]
        described = "Whether the schedule starts runs"
        first = states[settings.suspend_schedule]
        found["ScheduleState"] = {"Type": "String", "Description": described, "Default": first, "AllowedValues": states}
    if "JobRole" in used:
        described = "ARNs of policies that the jobs have beyond the datastore, by commas"
        found["JobPolicyArns"] = {"Type": "CommaDelimitedList", "Description": described, "Default": ""}
    boundary = "ARN of the permissions boundary of all roles, if there must be one"
    found["PermissionsBoundary"] = {"Type": "String", "Description": boundary, "Default": ""}
    kept = {"Type": "Number", "Description": "Days that logs are kept", "Default": 90}
    found["LogRetentionDays"] = {**kept, "AllowedValues": list(DAYS)}
    return found


def queue_arn(queue: str) -> Expression:
    """The ARN of a job queue: one that @batch names, or that of the parameter, by name or ARN."""
    if queue.startswith("arn:"):
        return queue
    if not queue.startswith("${"):
        return arn("batch", f"job-queue/{queue}")
    # behind the first slash of `NAME/NAME` is NAME, as behind that of `arn:...:job-queue/NAME/arn:...`
    twice = {"Fn::Join": ["/", [{"Ref": "JobQueue"}, {"Ref": "JobQueue"}]]}
    name = {"Fn::Select": [1, {"Fn::Split": ["/", twice]}]}
    return {"Fn::Sub": [arn("batch", "job-queue/${Queue}")["Fn::Sub"], {"Queue": name}]}
