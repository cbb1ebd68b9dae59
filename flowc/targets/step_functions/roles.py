"""In: what a stack's jobs, machine and schedule touch. Out: their IAM roles as CloudFormation resources, with no more than they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Expression = Any
"""Text, or a function of CloudFormation that becomes text."""
SAME_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
# Step Functions waits for a Batch job by this rule, which it makes and keeps itself.
BATCH_EVENTS = "StepFunctionsGetEventsForBatchJobsRule"
BOUNDARY = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}


def role(service: str, statements: Sequence[Mapping[str, Any]], *, confined: bool = True, managed: Expression = None) -> dict[str, Any]:
    """A role that a service of AWS takes. `confined`: only on behalf of this account, where the service says for whom it acts."""
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if confined:
        trust["Condition"] = SAME_ACCOUNT
    properties: dict[str, Any] = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    if managed is not None:
        properties["ManagedPolicyArns"] = managed
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    properties["Policies"] = [{"PolicyName": "flowc", "PolicyDocument": policy}]
    return {"Type": "AWS::IAM::Role", "Properties": {**properties, "PermissionsBoundary": BOUNDARY}}


def allow(actions: Sequence[str], resources: Sequence[Expression]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def arn(service: str, rest: str) -> dict[str, str]:
    """An ARN of this account and region, in whatever partition the stack is."""
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}"}


def bucket_arn(bucket: Expression, *keys: Expression) -> dict[str, Any]:
    """The ARN of a bucket, or of the objects below a prefix in it."""
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", bucket, *(part for key in keys for part in ("/", key))]]}


def jobs(bucket: Expression, keys: Sequence[Expression]) -> list[dict[str, Any]]:
    """What Metaflow does in a container with the objects of these keys (`*` at their ends)."""
    return [
        allow(["s3:GetObject", "s3:PutObject"], [bucket_arn(bucket, key) for key in keys]),
        # of the whole bucket: else S3 calls an object forbidden that is not there, and Metaflow takes that for an error
        allow(["s3:ListBucket"], [bucket_arn(bucket)]),
    ]


def execution(log_group: str) -> list[dict[str, Any]]:
    """What Fargate does before the container starts: pulls the image, opens the log."""
    pull = ["ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
    streams = {"Fn::Sub": f"${{{log_group}.Arn}}"}
    return [allow(pull, ["*"]), allow(["logs:CreateLogStream", "logs:PutLogEvents"], [streams])]


def machine(queues: Sequence[Expression], definitions: Sequence[str]) -> list[dict[str, Any]]:
    """What every state machine does: runs jobs and waits for them. Any revision, so that a run keeps the one with which it began."""
    those = [arn("batch", f"job-definition/{name}{revision}") for name in definitions for revision in ("", ":*")]
    return [
        allow(["batch:SubmitJob"], [*those, *queues]),
        # AWS has no resources for the first
        allow(["batch:DescribeJobs"], ["*"]),
        allow(["batch:TerminateJob"], [arn("batch", "job/*")]),
        allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], [arn("events", f"rule/{BATCH_EVENTS}")]),
        # Step Functions writes its log by these, for which AWS has no resources
        allow(LOG_DELIVERY, ["*"]),
    ]


LOG_DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)


def results(bucket: Expression, prefix: str) -> dict[str, Any]:
    """Reading what splitting and switching tasks left."""
    return allow(["s3:GetObject"], [bucket_arn(bucket, f"{prefix}/*")])


def children(name: str) -> list[dict[str, Any]]:
    """What a distributed Map does: starts executions of the machine's own, and looks after them."""
    return [
        allow(["states:StartExecution"], [arn("states", f"stateMachine:{name}")]),
        allow(["states:DescribeExecution", "states:StopExecution"], [arn("states", f"execution:{name}{tail}") for tail in (":*", "/*")]),
    ]


def events(bus: str) -> dict[str, Any]:
    return allow(["events:PutEvents"], [arn("events", f"event-bus/{bus}")])


def start(logical: str) -> list[dict[str, Any]]:
    """Starting the state machine."""
    return [allow(["states:StartExecution"], [{"Ref": logical}])]
