"""In: a Flow, its Graph and Settings. Out: what runs it on AWS as one CloudFormation stack, or as files for Terraform and the AWS CLI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowc.deployment import batch
from flowc.deployment.batch import Definition, Hole, hole
from flowc.deployment.batch_code import archive as packed
from flowc.diagnostics import Diagnostic
from flowc.target import Document, Lowered, short_hash
from flowc.targets.step_functions import jobs, machine, names, overlaid, roles, schedules, stack_parameters, states, triggers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

ASL = "step-functions/asl.json#StateMachine"
STACK = "step-functions/cloudformation.json#Stack"
JOB = "step-functions/batch.json#JobDefinition"
OBJECT = "step-functions/object.json.j2"
# Maps of the user's own keys, which are no fields.
FREE = ("tags", "options")


def documents(flow: Flow, graph: Graph, settings: Settings) -> Lowered:
    """One stack, or (`format` = asl) the state machine, its job definitions, and the schedule or rule that starts it."""
    name = names.state_machine_name(flow, settings)
    made = overlaid.machine(flow, settings, machine.machine(flow, graph, settings))
    if settings.format == "asl":
        found = definitions(flow, graph, settings, packed(flow, settings))
        files = tuple(_files(flow, settings, name, made.value, found))
        return Lowered(files, (*made.diagnostics, *_problems(found)))
    stack = _Stack(flow, graph, settings, name)
    document = Document("step-functions/stack.yaml.j2", stack.values(made.value), STACK, f"{name}.stack.yaml")
    return Lowered((document,), (*made.diagnostics, *_problems(stack.definitions)))


def _problems(found: Mapping[str, Definition]) -> list[Diagnostic]:
    return [diagnostic for each in found.values() for diagnostic in each.diagnostics]


def definitions(flow: Flow, graph: Graph, settings: Settings, archive: str) -> dict[str, Definition]:
    """The job definitions, with holes for what the stack or Terraform knows. `archive` is the code, or a hole for it."""
    where = batch.Places(
        image=hole("Image") if settings.format != "asl" else settings.image,
        archive=archive,
        job_role=settings.batch_job_role or hole("JobRole"),
        execution_role=settings.batch_execution_role or hole("ExecutionRole"),
        root=hole("DatastoreRoot"),
        region=hole("Region"),
        log_group=hole("LogGroup"),
    )
    return jobs.definitions(flow, graph, settings, prefix=names.state_machine_name(flow, settings), where=where)


def _files(
    flow: Flow, settings: Settings, name: str, lowered: dict[str, Any], definitions: Mapping[str, Definition]
) -> Iterator[Document]:
    yield Document(OBJECT, {"object": lowered}, ASL, f"{name}.asl.json")
    for found in definitions.values():
        file = f"{name}.{found.logical}.json"
        yield Document(OBJECT, {"object": escaped(found.body)}, JOB, file)
    planned = schedules.expression(flow)
    if planned:
        target = {"Arn": hole("StateMachine"), "RoleArn": hole("StartRole"), "Input": triggers.NO_PARAMETERS}
        value = {"Name": schedule_name(name), **_schedule(planned, _state(settings), target)}
        yield Document(OBJECT, {"object": value}, "step-functions/cloudformation.json#AWS::Scheduler::Schedule", f"{name}.schedule.json")
    waiting = triggers.rule(flow, settings)
    if waiting:
        target = {"Id": "StateMachine", "Arn": hole("StateMachine"), "RoleArn": hole("StartRole"), **waiting["input"]}
        value = {"Name": schedule_name(name), "EventPattern": waiting["EventPattern"], "State": "ENABLED", "Targets": [target]}
        yield Document(OBJECT, {"object": value}, "step-functions/cloudformation.json#AWS::Events::Rule", f"{name}.rule.json")


def escaped(value: Any) -> Any:
    """The value with `${` and `%{` in the user's own texts doubled, as Terraform's templatefile wants it; holes stay."""
    if isinstance(value, Mapping):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    if not isinstance(value, str) or isinstance(value, Hole):
        return value
    return value.replace("${", "$${").replace("%{", "%%{")


def schedule_name(name: str) -> str:
    """The state machine's name as that of a schedule or rule, which has 64 characters at most."""
    return name if len(name) <= 64 else f"{name[:55]}-{short_hash(name)}"


def _schedule(planned: tuple[str, str], state: Any, target: Mapping[str, Any]) -> dict[str, Any]:
    line, zone = planned
    return {
        "ScheduleExpression": line,
        **({"ScheduleExpressionTimezone": zone} if zone else {}),
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": state,
        "Target": target,
    }


def _state(settings: Settings) -> str:
    return "DISABLED" if settings.suspend_schedule else "ENABLED"


class _Stack:
    """Makes the stack of one flow."""

    def __init__(self, flow: Flow, graph: Graph, settings: Settings, name: str) -> None:
        self.flow, self.graph, self.settings, self.name = flow, graph, settings, name
        self.root = stack_parameters.root(settings)
        self.definitions = definitions(flow, graph, settings, hole("Archive"))
        self.bucket, self.prefix = states.results(flow, settings)
        self.bucket = self.root.bucket if self.bucket.startswith("${") else self.bucket

    def known(self) -> dict[str, Any]:
        """What stands in the place of each hole."""
        return {
            "Archive": {"Fn::FindInMap": ["Code", "Flow", "Archive"]},
            "Bucket": self.root.bucket,
            "DatastoreRoot": self.root.text,
            "ExecutionRole": {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
            "Image": {"Ref": "Image"},
            "JobQueue": {"Ref": "JobQueue"},
            "JobRole": {"Fn::GetAtt": ["JobRole", "Arn"]},
            "LogGroup": {"Ref": "LogGroup"},
            "Region": {"Ref": "AWS::Region"},
            **{logical: {"Ref": logical} for logical in self.definitions},
        }

    def values(self, lowered: dict[str, Any]) -> dict[str, Any]:
        """The values of templates/step-functions/stack.yaml.j2."""
        known = self.known()
        bodies = {logical: found.body for logical, found in self.definitions.items()}
        used = {name for body in bodies.values() for name in holes(body)}
        substituted = machine.substitutions(self.flow, self.graph, self.settings)
        planned, waiting = schedules.expression(self.flow), triggers.rule(self.flow, self.settings)
        return {
            "description": description(self.flow, self.settings),
            "name": self.name,
            "parameters": stack_parameters.parameters(self.settings, used | set(substituted), planned is not None),
            "archive": packed(self.flow, self.settings),
            "machine": lowered,
            "substitutions": {name: known[name] for name in substituted},
            "definitions": {logical: resource(body, known) for logical, body in bodies.items()},
            "roles": self.roles(lowered, used),
            "log_group": f"/aws/vendedlogs/flowc/{self.name}",
            "make_bucket": self.settings.stack_bucket and not self.settings.datastore_root,
            "schedule": _schedule(planned, {"Ref": "ScheduleState"}, self._target({"Input": triggers.NO_PARAMETERS})) if planned else None,
            "rule": {**waiting, "target": self._target({"Id": "StateMachine", **waiting["input"]})} if waiting else None,
        }

    def _target(self, more: Mapping[str, Any]) -> dict[str, Any]:
        return {"Arn": {"Ref": "StateMachine"}, "RoleArn": {"Fn::GetAtt": ["StartRole", "Arn"]}, **more}

    def roles(self, lowered: dict[str, Any], used: set[str]) -> dict[str, Any]:
        """The roles by logical name; of jobs and Fargate only where nobody else names one."""
        found: dict[str, Any] = {}
        if "JobRole" in used:
            managed = {"Fn::If": ["HasJobPolicies", {"Ref": "JobPolicyArns"}, {"Ref": "AWS::NoValue"}]}
            keys = [*self.root.keys, *([] if self.root.given else [f"{self.prefix}/*"])]
            found["JobRole"] = roles.role("ecs-tasks.amazonaws.com", roles.jobs(self.root.bucket, keys), managed=managed)
        if "ExecutionRole" in used:
            found["ExecutionRole"] = roles.role("ecs-tasks.amazonaws.com", roles.execution("LogGroup"))
        found["StateMachineRole"] = roles.role("states.amazonaws.com", self._machine(lowered))
        starters = [("scheduler", schedules.expression(self.flow)), ("events", triggers.rule(self.flow, self.settings))]
        for service, wanted in starters:
            if wanted:
                found["StartRole"] = roles.role(f"{service}.amazonaws.com", roles.start("StateMachine"), confined=service == "scheduler")
        return found

    def _machine(self, lowered: dict[str, Any]) -> list[dict[str, Any]]:
        text = json.dumps(lowered)
        queues = {jobs.queue(self.flow, name) for name in self.graph.order}
        statements = roles.machine(
            [stack_parameters.queue_arn(queue) for queue in sorted(queues)],
            [found.body["jobDefinitionName"] for found in self.definitions.values()],
        )
        if ':aws-sdk:s3:getObject"' in text:
            statements.append(roles.results(self.bucket, self.prefix))
        if '"DISTRIBUTED"' in text:
            statements += roles.children(self.name)
        if ':events:putEvents"' in text:
            statements.append(roles.events(triggers.BUS))
        return statements


def description(flow: Flow, settings: Settings) -> str:
    """What the stack is, in the 1,024 bytes that CloudFormation takes."""
    text = settings.description or f"Metaflow flow {flow.name} on AWS Step Functions and AWS Batch"
    return text.encode()[:1024].decode(errors="ignore")


def holes(value: Any) -> Iterator[str]:
    """The names of all holes in a value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from holes(item)
    elif isinstance(value, Hole):
        yield value.name


def resource(body: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A job definition as the properties of AWS::Batch::JobDefinition: its fields begin with capitals, and its holes are filled."""
    return {key[:1].upper() + key[1:]: _filled(item, known, key in FREE) for key, item in body.items()}


def _filled(value: Any, known: Mapping[str, Any], free: bool) -> Any:
    if isinstance(value, Hole):
        return known[value.name]
    if isinstance(value, list):
        return [_filled(item, known, free) for item in value]
    if isinstance(value, Mapping):
        return {key: _filled(item, known, False) for key, item in value.items()} if free else resource(value, known)
    return value


