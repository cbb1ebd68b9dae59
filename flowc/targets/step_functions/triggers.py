"""In: @trigger and @trigger_on_finish of a Flow. Out: the events of EventBridge that start it, and the one that says that it has ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowc.deployment.events import check_triggers, events
from flowc.deployment.names import project
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example

if TYPE_CHECKING:
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

SOURCE, DETAIL_TYPE, BUS = "metaflow", "Metaflow Event", "default"
"""What flowc's rules wait for: an event of this source and type whose detail is `{"name": ..., "payload": {...}}`, on the default bus."""

NO_PARAMETERS = json.dumps({"Parameters": "{}"})
"""The input of an execution that gives no parameter, as Metaflow's own schedules have it."""

SEVERAL = Code(
    "FC477",
    "a flow that waits for several events",
    "Metaflow starts the flow once all of the events have come. A rule of EventBridge starts it at each of them and remembers none.",
    bad=Example({"flow.py": sample("trigger", "@trigger(events=['a', 'b'])")}, line=4, target="step-functions"),
    good=Example({"flow.py": sample("trigger", "@trigger(event='a')")}, target="step-functions"),
)
MOST = 100
"""Fields of an event that a rule can hand over; their names and the parameters' have 8,192 characters at most."""
MOST_TEXT = 8_192


def _many(count: int) -> str:
    return "; ".join(f"p{number} = Parameter('p{number}', default='')" for number in range(count))


TOO_MANY = Code(
    "FC479",
    "an event that fills more parameters than a rule can",
    "A rule of EventBridge takes 100 fields from an event, and 8,192 characters for the input that it makes of them.",
    bad=Example({"flow.py": sample("Parameter, trigger", "@trigger(event='a')", body=_many(MOST + 1))}, line=4, target="step-functions"),
    good=Example({"flow.py": sample("Parameter, trigger", "@trigger(event='a')", body=_many(2))}, target="step-functions"),
)


def check(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """What is wrong with the triggers, and what a rule of EventBridge could not do."""
    found = check_triggers(flow, settings)
    decorator = flow.decorator("trigger") or flow.decorator("trigger_on_finish")
    waiting = events(flow, settings)
    if decorator and len(waiting) > 1:
        many = "events" if decorator.name == "trigger" else "flows"
        text = f"`{flow.name}` waits for {len(waiting)} {many}, and EventBridge cannot wait for all of them"
        remedy = "wait for the last of them; or let a small flow for each write what came, and start this one when all is there"
        found.append(Diagnostic(SEVERAL, text, decorator.span_of(many), help=remedy))
    transformer = (rule(flow, settings) or {"input": {}})["input"].get("InputTransformer")
    count = len(transformer["InputPathsMap"]) if transformer else 0
    if decorator and transformer and (count > MOST or len(transformer["InputTemplate"]) > MOST_TEXT):
        text = f"an event fills {count} parameters of `{flow.name}`, and a rule can fill {MOST}, with short names"
        remedy = "map fewer; one JSON parameter (`type=JSONType`) may hold many values"
        found.append(Diagnostic(TOO_MANY, text, decorator.span, help=remedy))
    return found


def rule(flow: Flow, settings: Settings) -> dict[str, Any] | None:
    """`EventPattern` and the input of the target of the rule that starts the flow; None for a flow without a trigger.

    The input is `{"Input": text}` or `{"InputTransformer": {...}}`. A payload must have each field that fills a parameter.
    """
    waiting = events(flow, settings)
    if not waiting:
        return None
    event = waiting[0]
    pattern = {"source": [SOURCE], "detail-type": [DETAIL_TYPE], "detail": {"name": [event.name]}}
    if not event.parameters:
        return {"EventPattern": pattern, "input": {"Input": NO_PARAMETERS}}
    paths = {f"p{number}": f"$.detail.payload.{field}" for number, field in enumerate(event.parameters.values())}
    filled = ", ".join(f"{json.dumps(name)}: <p{number}>" for number, name in enumerate(event.parameters))
    transformer = {"InputPathsMap": paths, "InputTemplate": f'{{"Parameters": {{{filled}}}}}'}
    return {"EventPattern": pattern, "input": {"InputTransformer": transformer}}


def end_name(flow: Flow, settings: Settings) -> str:
    """The name of the event at the end of a run: Metaflow's `metaflow.Flow.end`, or `metaflow.project.branch.Flow.end`."""
    within = project(flow, settings)
    return ".".join(["metaflow", *([within.name, within.branch] if within else []), flow.name, "end"])


def announcement(flow: Flow, graph: Graph, settings: Settings) -> dict[str, Any] | None:
    """The last state of a machine, still without `Next` and `End`: it tells that the run `$.run` has succeeded. None: nobody is told.

    Its role may put events on the default bus.
    """
    if not settings.auto_emit_events:
        return None
    within = project(flow, settings)
    last = graph.end or "end"
    payload: dict[str, Any] = {"flow_name": flow.name, "run_id.$": "$.run", "step_name": last, "task_id": last}
    payload["pathspec.$"] = f"States.Format('{flow.name}/{{}}/{last}/{last}', $.run)"
    if within:
        payload |= {"project_name": within.name, "branch_name": within.branch}
    payload["auto-generated-by-metaflow"] = True
    entry = {"Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": {"name": end_name(flow, settings), "payload": payload}}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Parameters": {"Entries": [entry]},
        "ResultSelector": {},
        "ResultPath": "$.nothing",
        "Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 2, "BackoffRate": 2, "MaxAttempts": 5}],
    }
