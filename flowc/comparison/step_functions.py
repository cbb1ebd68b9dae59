"""In: a state machine, and flowc's job definitions beside it. Out: a Reading of what they mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowc.comparison import tasks
from flowc.comparison.conditions import ALWAYS
from flowc.comparison.pods import quantity
from flowc.comparison.records import UNKNOWN, Reading, rows, table, without_nulls
from flowc.comparison.step_functions_states import SUBMIT, Machine
from flowc.ir import Value
from flowc.meaning import plain
from flowc.targets.step_functions.states import STARTUP

if TYPE_CHECKING:
    from flowc.comparison.tasks import Task
    from flowc.ir import Flow

PLACE = re.compile(r"\$\{\w+\}")
DEFINED = (
    "Images that no `--with batch` names, roles, shared memory, swap, volumes, devices and log options: Metaflow registers them in job "
    "definitions, of which its output has the names only."
)
DECLARED = "Parameters without a default: Metaflow's output does not name them."
PLANNED = "The schedule: Metaflow's state machine does not say it; it is a rule of EventBridge."
DEPLOYED = (
    "The queue, {queue} in Metaflow's output, and the region: flowc's state machine takes them when it is deployed, or from `batch-queue`."
)
STARTING = "Time limits: flowc gives each attempt {seconds} s more, in which Batch brings up the container."
THROTTLED = "Throttled submissions of jobs are tried again by both, by flowc after more kinds of errors."
ANNOUNCED = "flowc's state machine tells EventBridge that it has succeeded, so that flows with @trigger_on_finish can start."
JOB = ("JobName", "JobDefinition", "Parameters", "ShareIdentifier", "SchedulingPriorityOverride")
KINDS = ("Task", "Map", "Parallel", "Choice", "Pass", "Succeed", "Fail")
DEFAULT_TIMEOUT = 432_000


def read(machine: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> Reading:
    """What a state machine means; `definitions` are the job definitions by the places `${...}` that name them, none for Metaflow's."""
    reading = Reading()
    whole = without_nulls(dict(machine))
    order = Machine(lambda state: _step_of(state, definitions), reading)
    order.read(whole, ALWAYS, ())
    reading.flow["timeout_seconds"] = whole.get("TimeoutSeconds")
    for step, state in order.states.items():
        _job(step, state, definitions, reading)
    for step, state in order.maps.items():
        config = table(table(state.get("ItemProcessor") or state.get("Iterator")).get("ProcessorConfig"))
        over = {"max_concurrency": state.get("MaxConcurrency"), "map": str(config.get("Mode", "INLINE")).lower()}
        if step in reading.steps:
            reading.steps[step].update(over)
    for name, state in order.others.items():
        _between(name, state, reading)
    known = ("StartAt", "States", "Comment", "TimeoutSeconds", "Version")
    reading.leave({key: value for key, value in whole.items() if key not in known}, "")
    return reading


def read_flowc(objects: Sequence[Any], flow: Flow) -> Reading:
    """What flowc's objects mean: a state machine, job definitions; defaults of parameters are read from the flow, as its jobs do."""
    machine = next(each for each in objects if isinstance(each, Mapping) and "States" in each)
    definitions = {name: each for each in objects if isinstance(each, Mapping) and (name := each.get("jobDefinitionName"))}
    reading = read(machine, definitions)
    for parameter in flow.parameters:
        if isinstance(parameter.default, Value) and parameter.default.data is not None:
            reading.parameters[parameter.name] = {"default": plain(parameter.default.data)}
    others = [each for each in objects if each is not machine and not (isinstance(each, Mapping) and "jobDefinitionName" in each)]
    reading.flow["objects"] = [
        f"schedule {json.dumps(each.get('ScheduleExpression'))}"
        for each in others
        if isinstance(each, Mapping) and "ScheduleExpression" in each
    ]
    return reading


# --- one state ---------------------------------------------------------------------------------------------------------


def _definition(parameters: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The job definition that a state names: `${JobDefinitionTrain}` is registered as `Flow-train`."""
    place = str(parameters.get("JobDefinition")).strip("${}")
    return next((body for name, body in definitions.items() if _logical(name) == place.lower()), {})


def _logical(name: str) -> str:
    """The place that names a job definition, from the name that it has in AWS."""
    _, _, step = name.partition("-")
    return "jobdefinition" + re.sub(r"[^A-Za-z0-9]", "", step).lower()


def _task_of(
    parameters: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]
) -> tuple[Task | None, dict[str, Any], dict[str, Any]]:
    """The task, its variables, and the container of its job definition."""
    body = _definition(parameters, definitions)
    node = rows(table(body.get("nodeProperties")).get("nodeRangeProperties"))
    container = table(body.get("containerProperties")) or table(node[0].get("container") if node else None)
    overrides = table(parameters.get("ContainerOverrides"))
    env: dict[str, Any] = {str(each.get("name")): each.get("value") for each in rows(container.get("environment"))}
    env |= {str(each.get("Name")): each.get("Value", each.get("Value.$")) for each in rows(overrides.get("Environment"))}
    command = overrides.get("Command") or container.get("command") or []
    return tasks.task([str(word) for word in command], [], env, "as the deployment says"), env, container


def _parameters(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a task is given: `Parameters` in JSONPath, `Arguments` in JSONata."""
    return table(state.get("Parameters") or state.get("Arguments"))


def _step_of(state: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> str | None:
    if state.get("Resource") != SUBMIT or state.get("Type") != "Task":
        return None
    ran, _, _ = _task_of(_parameters(state), definitions)
    if ran is None or "--hook=" in ran.unread:
        return None
    return ran.step


def _job(step: str, state: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]], reading: Reading) -> None:
    """The facts of a step's job."""
    path, parameters = f"states.{step}", dict(_parameters(state))
    ran, env, container = _task_of(parameters, definitions)
    assert ran is not None, "a state is a step's by its task"
    overrides = dict(table(parameters.pop("ContainerOverrides", None)))
    overrides.pop("Command", None)
    overrides.pop("Environment", None)
    asked = {str(each.get("type")): each.get("value") for each in rows(container.get("resourceRequirements"))}
    asked |= {str(each.get("Type")): each.get("Value") for each in rows(overrides.pop("ResourceRequirements", None))}
    facts = {**ran.facts, "env": {name: value for name, value in ran.known.items() if name != "AWS_DEFAULT_REGION"}}
    image = facts.pop("image_of_with")
    facts["image"] = container.get("image") or image or UNKNOWN
    limit = table(parameters.pop("Timeout", None)).get("AttemptDurationSeconds", DEFAULT_TIMEOUT)
    starting = STARTUP if ran.dialect == "flowc" and limit != DEFAULT_TIMEOUT else 0
    queue = str(parameters.pop("JobQueue", None))
    facts |= {
        "cpu": quantity("cpu", asked.pop("VCPU", None)),
        "memory": f"{asked.pop('MEMORY', None)} MB",
        "resources": {name: value for name, value in asked.items() if value not in ("0", 0)},
        "retries": int(table(parameters.pop("RetryStrategy", None)).get("Attempts", 1)) - 1,
        "timeout_seconds": limit - starting,
        "queue": UNKNOWN if PLACE.fullmatch(queue) else queue.rpartition("job-queue/")[2],
        "tags_of_jobs": table(parameters.pop("Tags", None)),
    }
    reading.steps[step].update(facts)
    _about(ran, env, queue, bool(starting), reading)
    reading.leave(ran.unread, f"{path}.command")
    reading.leave(overrides, f"{path}.ContainerOverrides")
    reading.leave({key: value for key, value in parameters.items() if key not in (*JOB, "PropagateTags")}, path)
    throttled = [each for each in rows(state.get("Retry")) if all(str(error).startswith("Batch.") for error in each.get("ErrorEquals", ()))]
    reading.leave([each for each in rows(state.get("Retry")) if each not in throttled], f"{path}.Retry")
    known = ("Type", "Resource", "Parameters", "Arguments", "Retry", "Next", "End", "OutputPath", "ResultPath", "ResultSelector", "Comment")
    reading.leave({key: value for key, value in state.items() if key not in known}, path)


def _about(ran: Task, env: Mapping[str, Any], queue: str, starting: bool, reading: Reading) -> None:
    """Facts of the whole that each job says, and what differs by design or is said by one side only."""
    reading.flow.setdefault("flow", env.get("METAFLOW_FLOW_NAME") or env.get("FLOWC_CLASS"))
    if "SFN_STATE_MACHINE" in env:
        reading.flow.setdefault("name", env["SFN_STATE_MACHINE"])
    if ran.token:
        reading.flow.setdefault("production_token", ran.token)
    for name, value in table(_json(env.get("METAFLOW_DEFAULT_PARAMETERS"))).items():
        reading.parameters[name] = {"default": value}
    reading.note(ran.dialect, ran.code)
    if ran.owner:
        reading.by_design.setdefault(f"owner {ran.owner}")
    reading.by_design[THROTTLED] = None
    if starting:
        reading.by_design[STARTING.format(seconds=STARTUP)] = None
    if ran.dialect == "metaflow":
        reading.absent[DEFINED] = None
        reading.absent[DECLARED] = None
        reading.absent[PLANNED] = None
        reading.absent[DEPLOYED.format(queue=queue)] = None


def _between(name: str, state: Mapping[str, Any], reading: Reading) -> None:
    """What states between steps do beside leading on."""
    resource = str(state.get("Resource", ""))
    if resource == SUBMIT:
        command = table(_parameters(state).get("ContainerOverrides")).get("Command") or []
        if "--hook" in command:
            after = next(i for i, word in enumerate(command) if "FLOWC_ARCHIVE" in word)
            reading.hooks[name] = {"function": command[after + 1]}
        else:
            reading.leave("a job that is no step's", f"states.{name}")
    elif resource.endswith(":putEvents") or "putEvents" in resource:
        reading.by_design[ANNOUNCED] = None
    elif (resource and not resource.endswith((":getItem", ":getObject", ":updateItem"))) or state.get("Type") not in KINDS:
        reading.leave(resource or str(state.get("Type")), f"states.{name}")


def _json(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return None
