"""In: a step's place in its Graph, Flow and Settings. Out: the ASL states that run it, as plain dicts; `Next` is the machine's to add.

No state holds a null, which CloudFormation refuses in a template: results that nobody reads become `$.nothing`, which is `{}`.
The data of a state: `run`, the run's id; `path`, the foreach index path (inside a foreach); `round.n` (around a loop);
`outcome.is`, what the last splitting or switching task left (splits, case, indices).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment import batch
from flowc.deployment.names import production_token
from flowc.merging import DEFAULT_TIME_LIMIT, retries, timeout_seconds
from flowc.runtime import parameters_environment
from flowc.targets.step_functions import jobs, names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.graph import Graph, Node
    from flowc.ir import Flow
    from flowc.settings import Settings

SUBMIT = "arn:aws:states:::batch:submitJob.sync"
GET = "arn:aws:states:::aws-sdk:s3:getObject"
RUN = "States.Format('sfn-{}', $$.Execution.Name)"
"""Metaflow's id of the run. Inside a distributed Map the execution is another one, so the first state hands it down as `$.run`."""
NOTHING = {"ResultSelector": {}, "ResultPath": "$.nothing"}
STARTUP = 300
"""Seconds that a job may take beyond @timeout. Batch never tries a job again that it stopped itself, and it counts from the start of the
container: so @timeout in the pod, which @retry and @catch hear of, must come first, and Batch only ends what does not listen."""
# Batch takes 50 jobs a second from an account; what it refuses for another reason is refused again, within minutes.
THROTTLED = {
    "ErrorEquals": ["Batch.AWSBatchException", "Batch.ServerException", "Batch.TooManyRequestsException", "Batch.SdkClientException"],
    "IntervalSeconds": 2,
    "BackoffRate": 2,
    "MaxDelaySeconds": 60,
    "MaxAttempts": 10,
    "JitterStrategy": "FULL",
}
UNREACHED = {
    "ErrorEquals": ["States.TaskFailed"],
    "IntervalSeconds": 2,
    "BackoffRate": 2,
    "MaxAttempts": 5,
    "JitterStrategy": "FULL",
}
State = dict[str, Any]


def in_foreach(graph: Graph, node: Node) -> bool:
    """Whether a task of the step has an index path: a gang (num_parallel) is one job of the scope around it."""
    return any(not graph.nodes[s].parallel_foreach for s in node.scope)


def exits(node: Node) -> list[str]:
    """The distinct steps that a switch may go on to, itself left out, in the order of the cases."""
    return [n for n in dict.fromkeys(node.next) if n != node.name]


def asks(graph: Graph, name: str) -> bool:
    """Whether the machine must know what the task left: the width of its foreach, or which case it chose where there are several."""
    node = graph.nodes[name]
    if node.type == "foreach":
        return not node.parallel_foreach
    return node.type == "split-switch" and (node.loops or len(exits(node)) > 1)


# --- the job ---------------------------------------------------------------------------------------------------------


def job(flow: Flow, graph: Graph, settings: Settings, name: str, definition: str) -> State:
    """The Task that runs the step as a Batch job. What is static stands in the job definition; here is what this task alone has."""
    node, step = graph.nodes[name], flow.steps[name]
    overrides = {"Command": batch.command(flow, graph, name), "Environment": environment(flow, graph, settings, name)}
    parameters: State = {"JobName": names.job(flow, name), "JobDefinition": definition, "JobQueue": jobs.queue(flow, name)}
    if name == graph.start:
        parameters["Parameters"] = record(flow, settings)["Parameters"]
    if node.parallel_step:
        # `.sync` takes no NodeOverrides: the command stands in the job definition
        parameters["Parameters"] = {f"{parameter}.$": f"$.{parameter}" for parameter in batch.gang_parameters(graph, name).values()}
    else:
        parameters["ContainerOverrides"] = overrides
    if retries(step).total:
        parameters["RetryStrategy"] = {"Attempts": retries(step).total + 1}
    if timeout_seconds(step) != DEFAULT_TIME_LIMIT:
        parameters["Timeout"] = {"AttemptDurationSeconds": timeout_seconds(step) + STARTUP}
    result: State = {"ResultSelector": {"run.$": RUN, "nothing": {}}} if name == graph.start else NOTHING
    return {"Type": "Task", "Resource": SUBMIT, "Parameters": parameters, **result, "Retry": [THROTTLED]}


def environment(flow: Flow, graph: Graph, settings: Settings, name: str) -> list[State]:
    """What the job definition cannot know: the run, the place in it, where the outcome goes, and what started the execution."""
    node = graph.nodes[name]
    first = name == graph.start
    found = [_dynamic("FLOWC_RUN_ID", RUN if first else "$.run")]
    if in_foreach(graph, node):
        found.append(_dynamic("FLOWC_PATH", "$.path"))
    if node.loops:
        found.append(_dynamic("FLOWC_ROUND", "States.Format('{}', $.round.n)"))
    if asks(graph, name):
        bucket, prefix = results(flow, settings)
        found.append(_static("FLOWC_RESULT", f"s3://{bucket}/{prefix}"))
    if first:
        found += [_static(key, value) for key, value in parameters_environment(flow).items()]
        if flow.parameters:
            found.append(_dynamic("FLOWC_INPUT", "States.JsonToString($$.Execution.Input)"))
        found += record(flow, settings)["ContainerOverrides"]["Environment"]
    return found


def record(flow: Flow, settings: Settings) -> State:
    """What Metaflow's `step-functions` commands and Deployer read in the first state: whose deployment this is."""
    owner, token = settings.owner, production_token(flow, settings)
    whose = {"METAFLOW_OWNER": owner, "METAFLOW_PRODUCTION_TOKEN": token, "SFN_STATE_MACHINE": names.state_machine_name(flow, settings)}
    return {
        "Parameters": {"metaflow.owner": owner, "metaflow.production_token": token},
        "ContainerOverrides": {"Environment": [_static(key, value) for key, value in whose.items()]},
    }


def _static(name: str, value: str) -> State:
    return {"Name": name, "Value": value}


def _dynamic(name: str, path: str) -> State:
    return {"Name": name, "Value.$": path}


# --- what it left ----------------------------------------------------------------------------------------------------


def results(flow: Flow, settings: Settings) -> tuple[str, str]:
    """Bucket and prefix of the objects in which splitting and switching tasks leave their outcome: beside the datastore."""
    bucket, _, prefix = (settings.datastore_root or "").removeprefix("s3://").partition("/")
    return bucket or "${Bucket}", "/".join(filter(None, (prefix.strip("/"), "flowc", flow.name)))


def outcome(flow: Flow, graph: Graph, settings: Settings, name: str) -> State:
    """The Task that brings what the step's task left into `$.outcome.is`."""
    node = graph.nodes[name]
    bucket, prefix = results(flow, settings)
    pattern, values = f"{{}}/{name}", ["$.run"]
    if in_foreach(graph, node):
        pattern, values = pattern + "-{}", [*values, "$.path"]
    if node.loops:
        pattern, values = pattern + "-r{}", [*values, "$.round.n"]
    key = f"States.Format({literal(f'{prefix}/')[:-1]}{pattern}.json', {', '.join(values)})"
    return {
        "Type": "Task",
        "Resource": GET,
        "Parameters": {"Bucket": bucket, "Key.$": key},
        "ResultSelector": {"is.$": "States.StringToJson($.Body)"},
        "ResultPath": "$.outcome",
        "Retry": [UNREACHED],
    }


def literal(text: str) -> str:
    """The text as a string of an intrinsic function."""
    return "'" + "".join("\\" + c if c in "'{}\\" else c for c in text) + "'"


def choice(node: Node, after: Mapping[str, str]) -> State:
    """Goes where the task went: `after` has the state for each step that the switch names."""
    rules = [{"Variable": "$.outcome.is.case", "StringEquals": target, "Next": state} for target, state in after.items()]
    return {"Type": "Choice", "Choices": rules, "Default": names.state(node.name, "no case")}


def no_case(node: Node) -> State:
    """Metaflow fails a task whose condition has no case; this names the step, should a task ever say that it went elsewhere."""
    text = f"The step {node.name} went on to {{}}, and its cases are {', '.join(dict.fromkeys(node.next))}."
    return {"Type": "Fail", "Error": "flowc.NoCase", "CausePath": f"States.Format('{text}', $.outcome.is.case)"}


def round_zero() -> State:
    return {"Type": "Pass", "Result": {"n": 0}, "ResultPath": "$.round"}


def next_round() -> State:
    return {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.round.n, 1)"}, "ResultPath": "$.round"}


def branch_end() -> State:
    """Ends a branch of a Parallel or an item of a Map where a Choice leads to its join."""
    return {"Type": "Succeed", "OutputPath": "$.nothing"}


# --- what runs side by side ------------------------------------------------------------------------------------------


def parallel(branches: Sequence[State]) -> State:
    return {"Type": "Parallel", "Branches": list(branches), **NOTHING}


def fan_out(graph: Graph, settings: Settings, node: Node, processor: State) -> State:
    """The Map over the indices of a foreach."""
    inside = in_foreach(graph, node)
    path = "States.Format('{}-{}', $.path, $$.Map.Item.Value)" if inside else "States.Format('{}', $$.Map.Item.Value)"
    mode: State = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"} if distributed(graph, settings, node) else {"Mode": "INLINE"}
    return {
        "Type": "Map",
        "ItemsPath": "$.outcome.is.indices",
        "ItemSelector": {"run.$": "$.run", "path.$": path},
        **({"MaxConcurrency": settings.max_workers} if settings.max_workers else {}),
        "ItemProcessor": {"ProcessorConfig": mode, **processor},
        "ResultSelector": {},
        "ResultPath": "$.outcome",
    }


def distributed(graph: Graph, settings: Settings, node: Node) -> bool:
    """Whether the foreach is a distributed Map: see docs/decisions/0011."""
    depth = sum(not graph.nodes[s].parallel_foreach for s in node.scope)
    return settings.use_distributed_map and (settings.max_workers or DISTRIBUTED_WIDTH) ** depth <= OPEN_MAP_RUNS


DISTRIBUTED_WIDTH = 10_000
OPEN_MAP_RUNS = 1_000

