"""In: a Flow. Out: what @trigger and @trigger_on_finish refuse (FC329 to FC334)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowc.checks.attributes import problem, shown
from flowc.checks.example import END, START_END, example
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.ir import Decorator, Flow

_EVENT_HELP = 'Write the event\'s name, or a dict such as {"name": "data_ready", "parameters": {"table": "table"}}.'
_FLOW_HELP = (
    'Write "FooFlow", "project.branch.FooFlow", or a dict such as {"name": "FooFlow", "project": "fraud", "project_branch": "prod"}.'
)


def _on(decorator: str, *, error: bool = False) -> Example:
    name = decorator.split("(", 1)[0].lstrip("@")
    return example(START_END + END, imports=name, above=f"{decorator}{'  # error' if error else ''}\n")


ONE_OF_EVENTS = Code(
    "FC329",
    "@trigger without one of event and events",
    "`event` names one event to wait for, `events` several, all of which must arrive. Exactly one of the two must be given.",
    bad=_on('@trigger(event="a", events=["b"])', error=True),
    good=_on('@trigger(events=["a", "b"])'),
)
EVENT_FORM = Code(
    "FC330",
    "event in no known form",
    "An event is its name, or a dict with `name` and `parameters`; `events` is a list of such.",
    bad=_on('@trigger(event={"event": "data_ready"})', error=True),
    good=_on('@trigger(event={"name": "data_ready"})'),
)
MAPPING_FORM = Code(
    "FC331",
    "event parameters in no known form",
    "`parameters` maps the flow's parameters to fields of the event: a dict of strings, or a list of names and of pairs.",
    bad=_on('@trigger(event={"name": "data_ready", "parameters": {"table": 1}})', error=True),
    good=example(
        'table = Parameter("table", default="t")\n' + START_END + END,
        imports="Parameter, trigger",
        above='@trigger(event={"name": "data_ready", "parameters": {"table": "table"}})\n',
    ),
)
EVENT_TWICE = Code(
    "FC332",
    "event named twice",
    "The flow starts when all of its events have arrived; an event is waited for once.",
    bad=_on('@trigger(events=["a", "a"])', error=True),
    good=_on('@trigger(events=["a", "b"])'),
)
ONE_OF_FLOWS = Code(
    "FC333",
    "@trigger_on_finish without one of flow and flows",
    "`flow` names one flow to wait for, `flows` several. Exactly one of the two must be given.",
    bad=_on('@trigger_on_finish(flow="Load", flows=["Clean"])', error=True),
    good=_on('@trigger_on_finish(flows=["Load", "Clean"])'),
)
FLOW_FORM = Code(
    "FC334",
    "upstream flow in no known form",
    "A flow to wait for is its name, its full name `project.branch.Flow`, or a dict with `name`, `project` and `project_branch`.",
    bad=_on('@trigger_on_finish(flow="fraud.Load")', error=True),
    good=_on('@trigger_on_finish(flow="fraud.prod.Load")'),
)


def check(flow: Flow) -> list[Diagnostic]:
    """The flow's @trigger and @trigger_on_finish."""
    found: list[Diagnostic] = []
    for decorator in flow.decorators:
        if decorator.unread:
            # which of its attributes are given is told by the diagnostic of the one that could not be read
            continue
        if decorator.name == "trigger":
            found += _trigger(decorator)
        elif decorator.name == "trigger_on_finish":
            found += _on_finish(decorator)
    return found


def _one_of(code: Code, decorator: Decorator, one: str, many: str) -> list[Diagnostic]:
    if bool(decorator.get(one)) != bool(decorator.get(many)):
        return []
    both = "both" if decorator.get(one) else "neither"
    message = f"@{decorator.name} has {both} {one} {'and' if both == 'both' else 'nor'} {many}"
    return [Diagnostic(code, message, decorator.span, help=f"Give {one} or {many}.")]


def _trigger(decorator: Decorator) -> list[Diagnostic]:
    if wrong := _one_of(ONE_OF_EVENTS, decorator, "event", "events"):
        return wrong
    single = bool(decorator.get("event"))
    where = "event" if single else "events"
    events = [decorator.get("event")] if single else decorator.get("events")
    if not isinstance(events, list):
        return [
            problem(
                EVENT_FORM, decorator, where, f"@trigger events is {shown(events)}, not a list", 'Write a list, such as events=["a", "b"].'
            )
        ]
    found = []
    names: list[Any] = []
    for event in events:
        if isinstance(event, str):
            names.append(event)
        elif not isinstance(event, Mapping):
            found.append(
                problem(EVENT_FORM, decorator, where, f"@trigger event {shown(event)} is neither a string nor a dict", _EVENT_HELP)
            )
        elif "name" not in event:
            found.append(problem(EVENT_FORM, decorator, where, f"@trigger event {shown(event)} has no name", _EVENT_HELP))
        else:
            names.append(event["name"])
            found += _mapping(decorator, where, event)
    twice = list(dict.fromkeys(n for n in names if isinstance(n, str) and names.count(n) > 1))
    found += [
        problem(EVENT_TWICE, decorator, where, f"@trigger names the event {n} more than once", "Name each event once.") for n in twice
    ]
    return found


def _mapping(decorator: Decorator, where: str, event: Mapping[str, Any]) -> list[Diagnostic]:
    """`parameters` of an event. A pair is a tuple in the flow's text, and a list in the IR."""
    parameters = event.get("parameters", {})
    if isinstance(parameters, Mapping):
        fits = all(isinstance(key, str) and isinstance(value, str) for key, value in parameters.items())
    elif isinstance(parameters, list):
        fits = all(isinstance(p, str) or (isinstance(p, list) and len(p) == 2 and all(isinstance(x, str) for x in p)) for p in parameters)
    else:
        # Metaflow takes anything else for no parameters at all
        fits = parameters is None
    if fits:
        return []
    message = f"parameters of event {shown(event['name'])} are neither a dict of strings nor a list of names and pairs"
    return [problem(MAPPING_FORM, decorator, where, message, 'Write {"flow_parameter": "event_field"}.')]


def _on_finish(decorator: Decorator) -> list[Diagnostic]:
    if wrong := _one_of(ONE_OF_FLOWS, decorator, "flow", "flows"):
        return wrong
    single = bool(decorator.get("flow"))
    where = "flow" if single else "flows"
    flows = [decorator.get("flow")] if single else decorator.get("flows")
    if not isinstance(flows, list):
        return [
            problem(
                FLOW_FORM,
                decorator,
                where,
                f"@trigger_on_finish flows is {shown(flows)}, not a list",
                'Write a list, such as flows=["A", "B"].',
            )
        ]
    return [
        problem(FLOW_FORM, decorator, where, f"@trigger_on_finish {where} {shown(flow)} {reason}", _FLOW_HELP)
        for flow in flows
        if (reason := _flow_problem(flow))
    ]


def _flow_problem(flow: Any) -> str:
    """What Metaflow says against an upstream flow; "" where it takes it."""
    name = flow
    if isinstance(flow, Mapping):
        name = flow.get("name")
        if not isinstance(name, str) or "." in name:
            return "has no name that is a plain flow name"
        wrong = [key for key in ("project", "project_branch") if key in flow and not isinstance(flow[key], str)]
        if wrong:
            return f"has a {wrong[0]} that is no string"
    elif not isinstance(flow, str):
        return "is neither a string nor a dict"
    if name.count(".") == 1:
        return "is neither a flow's name nor a full name, project.branch.Flow"
    return (
        ""
        if re.match(r"^[A-Za-z0-9_]+$", name.rsplit(".", 1)[-1])
        else "has other characters than letters, digits and underscores in the flow's name"
    )
