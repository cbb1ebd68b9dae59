"""In: @trigger and @trigger_on_finish of a Flow. Out: the events that start it, and what its workflow needs to receive them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowc.deployment.attributes import no_effect
from flowc.deployment.names import Project, project
from flowc.deployment.samples import sample
from flowc.deployment.schedule import CronError, to_cron, zone_problems
from flowc.diagnostics import Code, Diagnostic, Example

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.ir import Decorator, Flow
    from flowc.settings import Settings
    from flowc.source import Span

DESCRIPTION = "auto-set by metaflow. safe to ignore."
CONFIGURED = {"events_event": "event", "events_event_source": "webhook", "events_service_account": "events"}


def _example(above: str, line: int = 0, body: str = "", imports: str = "trigger", **settings: object) -> Example:
    return Example({"flow.py": sample(imports, above, body=body)}, line=line, target="argo", settings={**CONFIGURED, **settings})


BOTH = Code(
    "FC425",
    "both kinds of trigger",
    "A flow waits for events (@trigger) or for other flows (@trigger_on_finish). Metaflow's Argo deployments take one kind.",
    bad=_example("@trigger(event='a')\n@trigger_on_finish(flow='B')", line=4, imports="trigger, trigger_on_finish"),
    good=_example("@trigger_on_finish(flow='B')", imports="trigger_on_finish"),
)
MALFORMED = Code(
    "FC426",
    "a trigger that no Sensor can be made of",
    "A Sensor waits for each event once. Projects and branches of flows have letters, digits and `_`, `.`, `@`, `+`, `-`; options are a "
    "`reset_at` with a cron line.",
    bad=_example("@trigger_on_finish(flows=['A', 'A'])", line=4, imports="trigger_on_finish"),
    good=_example("@trigger_on_finish(flows=['A', 'B'])", imports="trigger_on_finish"),
)
BAD_EVENT = Code(
    "FC427",
    "the name of an event or payload field that Argo Events cannot match",
    "Names stand in the filters of a Sensor: an event's has letters, digits, `_`, `-` and `.`; a payload field's letters, digits and `_`.",
    bad=_example("@trigger(event='new data')", line=4),
    good=_example("@trigger(event='new-data')"),
)
BAD_MAPPING = Code(
    "FC428",
    "an event that fills a parameter wrongly",
    "An event's parameters map a parameter of the flow to a field of the payload. It must exist, and only one event may fill it.",
    bad=_example("@trigger(event={'name': 'a', 'parameters': ['n']})", line=4),
    good=_example("@trigger(event={'name': 'a', 'parameters': ['n']})", body="n = Parameter('n', default=1)", imports="Parameter, trigger"),
)
HALF_PROJECT = Code(
    "FC429",
    "a project without a branch, or a branch without a project",
    "The end of a flow in a project is announced under project and branch. With half of them, the event would never come.",
    bad=_example("@trigger_on_finish(flow={'name': 'B', 'project': 'ads'})", line=4, imports="trigger_on_finish"),
    good=_example("@trigger_on_finish(flow='ads.prod.B')", imports="trigger_on_finish"),
)
NOT_CONFIGURED = Code(
    "FC430",
    "events that the cluster is not known to have",
    "A Sensor names the event source, its event and a service account that may submit workflows: facts of the cluster's Argo Events.",
    bad=Example({"flow.py": sample("trigger", "@trigger(event='a')")}, line=4, target="argo"),
    good=_example("@trigger(event='a')"),
)


@dataclass(frozen=True, slots=True)
class Event:
    """An event to wait for. `parameters` maps the flow's parameters to payload fields, `filters` payload fields to values they must have.

    `type` is `event` for @trigger and `run` for @trigger_on_finish.
    """

    name: str
    type: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The name as a parameter of the workflow and a dependency of the Sensor, made as Metaflow makes it."""
        digest = hashlib.sha1(self.name.encode(), usedforsecurity=False).digest()
        return re.sub(r"[.@+-]", "", self.name) + "_" + base64.b32encode(digest).decode()[:4].lower()


class MalformedError(ValueError):
    """Why a trigger cannot be read; the text is the diagnostic's message."""


def events(flow: Flow, settings: Settings) -> list[Event]:
    """The events that start the flow, in the order written."""
    return _read(flow, settings)[0]


def reset(flow: Flow) -> tuple[str, str | None] | None:
    """When a Sensor that waits for several events forgets those it has seen: a cron line and a time zone."""
    decorator = flow.decorator("trigger") or flow.decorator("trigger_on_finish")
    options = decorator.get("options") if decorator else None
    at = options.get("reset_at") if isinstance(options, dict) else None
    return (to_cron(str(at["cron"])), at.get("timezone")) if isinstance(at, dict) and at.get("cron") else None


def event_parameters(flow: Flow, settings: Settings) -> list[dict[str, Any]]:
    """The parameters of the workflow in which a Sensor hands over the payloads."""
    return [{"name": event.id, "value": "null", "description": DESCRIPTION} for event in events(flow, settings)]


def event_environment(flow: Flow, settings: Settings) -> list[dict[str, Any]]:
    """The environment by which Metaflow's `current.trigger` finds the payloads."""
    return [
        {"name": f"METAFLOW_ARGO_EVENT_PAYLOAD_{event.type}_{event.id}", "value": f"{{{{workflow.parameters.{event.id}}}}}"}
        for event in events(flow, settings)
    ]


def check(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """What Metaflow refuses in triggers, and what a Sensor could not do."""
    decorator = flow.decorator("trigger") or flow.decorator("trigger_on_finish")
    if decorator is None:
        return []
    missing = [name for name in CONFIGURED if not getattr(settings, name)]
    found = check_triggers(flow, settings)
    if settings.events_namespace and not settings.namespace:
        missing.append("namespace")
    if missing:
        text = f"@{decorator.name} needs to know the cluster's Argo Events: {', '.join(missing).replace('_', '-')}"
        found.append(Diagnostic(NOT_CONFIGURED, text, decorator.span, help="set them as flags or in [tool.flowc]"))
    return found


def check_triggers(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """What is wrong with the triggers themselves, wherever they wait."""
    decorator = flow.decorator("trigger") or flow.decorator("trigger_on_finish")
    return _read(flow, settings)[1] + _check_options(decorator) if decorator else []


def _check_options(decorator: Decorator) -> list[Diagnostic]:
    options = decorator.get("options") or {}
    if not isinstance(options, dict) or not isinstance(options.get("reset_at", {}), dict):
        return [_malformed(decorator, "options of @trigger are {'reset_at': {'cron': ..., 'timezone': ...}}", decorator.span_of("options"))]
    at = options.get("reset_at", {})
    unknown = [f"options[{name!r}]" for name in options if name != "reset_at"]
    unknown += [f"options['reset_at'][{name!r}]" for name in at if name not in ("cron", "timezone")]
    found = [no_effect(f"{name} of @{decorator.name}", decorator.span_of("options")) for name in unknown]
    try:
        to_cron(str(at.get("cron") or "@daily"))
    except CronError as error:
        found.append(_malformed(decorator, f"the reset schedule `{at.get('cron')}` cannot be kept: {error}", decorator.span_of("options")))
    return found + zone_problems(at.get("timezone"), decorator, "options")


def _malformed(decorator: Decorator, text: str, span: Span) -> Diagnostic:
    example = "@trigger(event='name')" if decorator.name == "trigger" else "@trigger_on_finish(flow='Flow')"
    return Diagnostic(MALFORMED, text, span, help=f"write it like `{example}`")


def _read(flow: Flow, settings: Settings) -> tuple[list[Event], list[Diagnostic]]:
    trigger, on_finish = flow.decorator("trigger"), flow.decorator("trigger_on_finish")
    decorator = trigger or on_finish
    if decorator is None:
        return [], []
    if trigger and on_finish:
        text = f"`{flow.name}` has both @trigger and @trigger_on_finish"
        return [], [Diagnostic(BOTH, text, trigger.span, help="keep one of them")]
    many, one = ("events", "event") if trigger else ("flows", "flow")
    span = decorator.span_of(many if decorator.get(many) else one)
    try:
        items = _items(decorator, one, many)
        within = project(flow, settings)
        found = [_event(item, within) if trigger else _run(item) for item in items]
    except MalformedError as error:
        return [], [_malformed(decorator, str(error), span)]
    complete, problems = _filled(found, flow, span) if trigger else _placed(found, within, span)
    if len({event.name for event in complete}) != len(complete):
        problems.append(_malformed(decorator, f"@{decorator.name} names one of its {many} twice", span))
    return complete, problems


def _items(decorator: Decorator, one: str, many: str) -> list[Any]:
    single, several = decorator.get(one), decorator.get(many)
    if single and several:
        raise MalformedError(f"@{decorator.name} has both {one} and {many}")
    if several and not isinstance(several, list):
        raise MalformedError(f"{many} of @{decorator.name} is no list")
    if not single and not several:
        raise MalformedError(f"@{decorator.name} names no {one}")
    return [single] if single else list(several)


def _event(item: Any, within: Project | None) -> Event:
    if not isinstance(item, dict) or "namespaced_event_name" in item:
        return Event(_event_name(item, within), "event")
    if "name" not in item:
        raise MalformedError("an event of @trigger has no name")
    return Event(_event_name(item["name"], within), "event", _mapping(item.get("parameters") or {}))


def _event_name(name: Any, within: Project | None) -> str:
    """A name as it is, or what Metaflow's `namespaced_event_name(...)` stands for in the flow's project."""
    if isinstance(name, dict) and isinstance(name.get("namespaced_event_name"), str):
        place = [re.sub(r"[^a-zA-Z0-9_.-]", "", part) for part in (within.name, within.branch)] if within else []
        return ".".join(["mfns", *place, name["namespaced_event_name"]])
    if not isinstance(name, str):
        raise MalformedError("the name of an event of @trigger is no string")
    return name


def _mapping(parameters: Any) -> dict[str, str]:
    if isinstance(parameters, list):
        pairs = [(item, item) if isinstance(item, str) else item for item in parameters]
        if any(not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in pairs):
            raise MalformedError("parameters of an event are no list of names and (parameter, field) pairs")
        parameters = dict(pairs)
    if not isinstance(parameters, dict) or not all(isinstance(text, str) for pair in parameters.items() for text in pair):
        raise MalformedError("parameters of an event map no names to names")
    return parameters


def _filled(found: list[Event], flow: Flow, span: Span) -> tuple[list[Event], list[Diagnostic]]:
    """Events with their mappings checked, by the parameters' real names. A lone event without a mapping fills all parameters."""
    real = {parameter.name.lower(): parameter.name for parameter in flow.parameters}
    problems: list[Diagnostic] = []
    seen: set[str] = set()
    filled = []
    for event in found:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", event.name):
            remedy = "use letters, digits, `_`, `-` and `.`"
            problems.append(Diagnostic(BAD_EVENT, f"`{event.name}` is no name for an event", span, help=remedy))
        for name, payload in event.parameters.items():
            if not re.fullmatch(r"[A-Za-z0-9_]+", payload):
                text = f"`{payload}` is no payload field that the event `{event.name}` can have"
                problems.append(Diagnostic(BAD_EVENT, text, span, help="use letters, digits and `_`"))
            if name.lower() not in real:
                text = f"the event `{event.name}` fills a parameter `{name}`, which the flow does not have"
                problems.append(Diagnostic(BAD_MAPPING, text, span, help="name a Parameter of the flow"))
            elif name.lower() in seen:
                text = f"two events fill the parameter `{name}`"
                problems.append(Diagnostic(BAD_MAPPING, text, span, help="let one event fill it"))
            seen.add(name.lower())
        filled.append(replace(event, parameters={real.get(n.lower(), n): p for n, p in event.parameters.items()}))
    if len(filled) == 1 and not filled[0].parameters:
        filled = [replace(filled[0], parameters={name: lower for lower, name in real.items()})]
    return filled, problems


def _run(item: Any) -> Event:
    """The flow to wait for as an Event that `_placed` completes: name is the flow, filters hold what is said of its project."""
    if isinstance(item, dict):
        name, stated = item.get("name"), {"project_name": item.get("project"), "branch_name": item.get("project_branch")}
        if not isinstance(name, str) or "." in name:
            raise MalformedError("a flow of @trigger_on_finish has no name, or one with dots")
        if any(part is not None and not isinstance(part, str) for part in stated.values()):
            raise MalformedError(f"project and project_branch of `{name}` are no strings")
        parts = {key: part for key, part in stated.items() if part}
    elif isinstance(item, str):
        name, parts = item, {}
        if item.count(".") >= 2:
            parts["project_name"], tail = item.split(".", 1)
            parts["branch_name"], name = tail.rsplit(".", 1)
    else:
        raise MalformedError("a flow of @trigger_on_finish is neither a name nor a dict")
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise MalformedError(f"`{name}` is no flow that @trigger_on_finish can wait for: it takes `Flow` or `project.branch.Flow`")
    if any(not re.fullmatch(r"[A-Za-z0-9_.@+-]+", part) for part in parts.values()):
        raise MalformedError(f"project or branch of `{name}` has characters that no project has")
    return Event(name, "run", filters=parts)


def _placed(found: list[Event], within: Project | None, span: Span) -> tuple[list[Event], list[Diagnostic]]:
    """The events that the ends of flows in their projects send, the flow's own project by default."""
    problems, placed = [], []
    for event in found:
        name = event.filters.get("project_name") or (within.name if within else None)
        branch = event.filters.get("branch_name") or (within.branch if within else None)
        if bool(name) != bool(branch):
            text = f"`{event.name}` is to be waited for in a project without a branch, or a branch without a project"
            remedy = "give both project and project_branch, or put the flow under @project"
            problems.append(Diagnostic(HALF_PROJECT, text, span, help=remedy))
        full = ".".join(part for part in ("metaflow", name, branch, event.name, "end") if part)
        filters = {"auto-generated-by-metaflow": "True"}
        filters |= {key: part for key, part in (("project_name", name), ("branch_name", branch)) if part}
        placed.append(Event(full, "run", filters=filters))
    return placed, problems
