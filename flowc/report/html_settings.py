"""In: a Step, the Settings and where each comes from. Out: what counts for the step, each value with its origin, as rows for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc import config, merging
from flowc.deployment import overlays
from flowc.graph import GANGS
from flowc.ir import Dynamic, Value
from flowc.meaning import MERGED, plain
from flowc.option import HIDDEN, hidden
from flowc.report import printable
from flowc.settings import STEP_KINDS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowc.ir import Decorator, Flow, Parameter, Step
    from flowc.target import Target

UNITS = {"memory": "MB", "disk": "MB", "shared_memory": "MiB", "tmpfs_size": "MiB"}
ALWAYS = ("cpu", "memory", "image")
POD_TOPICS = ("What a pod runs", "Where artifacts are kept", "What pods get", "Step Functions and AWS Batch", "Kubernetes Jobs")
FLOW_DECORATORS = ("schedule", "trigger", "trigger_on_finish", "project", "exit_hook")
LONGEST = 400
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """`name` has `value`, as `origin` says; `common` is a default that hardly anybody asks for."""

    name: str
    value: str
    origin: str
    common: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading, those of interest first."""

    title: str
    rows: tuple[Row, ...]


def of_step(flow: Flow, step: Step, settings: Settings, told: Mapping[str, str], target: Target) -> list[Group]:
    """The groups of one step of a target that asks for pods as @kubernetes does, or for jobs as @batch does.

    `told`: origins by field of Settings. Overlays come last: what they patch is what counts.
    """
    kind = "kubernetes" if target.kubernetes else "batch"
    groups = [
        Group("Tries and time", tuple(_tries(step))),
        Group("Compute", tuple(sorted(_compute(step, kind, settings, told), key=lambda row: row.common))),
        Group("Environment", tuple(_environment(step, settings, told))),
        Group("Other decorators", tuple(_others(step.decorators))),
        Group("From the settings", tuple(_given(settings, told, POD_TOPICS))),
        Group("Overlays, laid over all that", tuple(_overlays(flow, step, settings, target))),
    ]
    return [group for group in groups if group.rows]


def of_flow(flow: Flow, settings: Settings, told: Mapping[str, str]) -> list[Group]:
    """The groups of the flow as a whole: parameters, configs, decorators, and every setting that something says."""
    groups = [
        Group("Parameters", tuple(_parameter(each) for each in flow.parameters)),
        Group("Configs", tuple(Row(c.name, _text(c.value and c.value.data), c.value.origin if c.value else "none") for c in flow.configs)),
        Group("Starts and endings", tuple(_others([d for d in flow.decorators if d.name in FLOW_DECORATORS]))),
        Group("Decorators", tuple(_others([d for d in flow.decorators if d.name not in FLOW_DECORATORS]))),
        Group("Settings", tuple(_given(settings, told, tuple(config.TOPICS)))),
    ]
    return [group for group in groups if group.rows]


def summary(step: Step, *, kubernetes: bool) -> str:
    """What sets the step apart, in a few words under its name: `8 cpu · 32 GB · 2 retries`."""
    asked = merging.kubernetes(step) if kubernetes else merging.batch(step)
    defaults = merging.KUBERNETES_DEFAULTS if kubernetes else merging.BATCH_RESOURCES
    words = []
    if str(asked["cpu"]) != defaults["cpu"]:
        words.append(f"{asked['cpu']} cpu")
    if str(asked["memory"]) != defaults["memory"]:
        words.append(_size(asked["memory"]))
    if merging.number(asked["gpu"] or 0):
        words.append(f"{asked['gpu']} gpu")
    found = merging.retries(step)
    if found.user:
        words.append(f"{found.user} {'retry' if found.user == 1 else 'retries'}")
    if found.total > found.user:
        words.append("catch")
    return " · ".join(words)


def _size(megabytes: Any) -> str:
    amount = merging.number(megabytes)
    if amount is None or amount < 1000:
        return f"{megabytes} MB"
    whole = amount / 1024 if amount % 1024 == 0 else amount / 1000
    return f"{whole:.3g} GB"


def _text(value: Any) -> str:
    """A value on one line; a long one is cut, and says so."""
    data = plain(value)
    text = data if isinstance(data, str) and data else "none" if data is None else json.dumps(data, ensure_ascii=False)
    shown = printable(text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}… ({len(shown) - LONGEST} more characters)"


def _place(decorator: Decorator, attribute: str = "") -> str:
    """`@retry, flow.py:27`; what the value came through is told too: `constant GPU of common.py`."""
    value = decorator.attributes.get(attribute)
    where = f"@{decorator.name}, {printable(decorator.span.path)}:{decorator.span.line}"
    if decorator.origin != "source":
        where = f"@{decorator.name}, {printable(decorator.origin)}"
    elif value is not None and value.origin not in ("literal", "expression"):
        where += f", {printable(value.origin)}"
    return where


def _tries(step: Step) -> Iterator[Row]:
    found = merging.retries(step)
    default = "Metaflow's default"
    retry = next((d for d in step.decorators if d.name == "retry" and merging.whole(d.get("times", 3), 3) == found.user), None)
    last = next((d for d in reversed(step.decorators) if d.name == "retry"), None)
    yield Row("retries", str(found.user), _place(retry, "times") if retry else default)
    if last is not None:
        yield Row("minutes between retries", str(found.backoff_minutes), _place(last, "minutes_between_retries"))
    catch = step.decorator("catch")
    if catch is not None:
        yield Row("tries left for @catch", str(found.total - found.user), _place(catch))
    timeout = step.decorator("timeout")
    yield Row("timeout", _duration(merging.timeout_seconds(step)), _place(timeout) if timeout else default)


def _duration(seconds: int) -> str:
    parts = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
    words = []
    for length, unit in parts:
        count, seconds = divmod(seconds, length)
        if count:
            words.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return " ".join(words) or "0 seconds"


def _compute(step: Step, kind: str, settings: Settings, told: Mapping[str, str]) -> Iterator[Row]:
    """Every attribute of the merged @kubernetes or @batch."""
    merged = merging.kubernetes(step) if kind == "kubernetes" else merging.batch(step)
    fallback = {"image": "image", "image_pull_policy": "image_pull_policy", "service_account": "service_account", "queue": "batch_queue"}
    for name, value in merged.items():
        source = _giver(step, kind, name, value)
        if source is None and name in fallback and value is None:
            field = fallback[name]
            set_to = getattr(settings, field)
            yield Row(name, _text(set_to), told.get(field, "default of flowc"), set_to is None)
        else:
            unit = UNITS.get(name) if merging.number(value) is not None else None
            text = f"{_text(value)} {unit}" if unit else _text(value)
            origin = _place(source, name) if source else "Metaflow's default"
            yield Row(name, text, origin, source is None and name not in ALWAYS)


def _giver(step: Step, kind: str, name: str, value: Any) -> Decorator | None:
    """The decorator that the merged value comes from: of two the one that says that much."""
    names = (name, "trainium") if name == "inferentia" else (name,)
    givers = [d for d in step.decorators if d.name in (kind, "resources") and any(each in d.attributes for each in names)]
    givers.sort(key=lambda d: d.name != kind)
    for decorator in givers:
        given = decorator.get(name, value)
        if given == value or merging.number_text(given) == str(value):
            return decorator
    # what Metaflow made of it (a selector written as text) is still that decorator's; a default that is larger is not
    return None if name in ("cpu", "memory", "disk") or not givers else givers[0]


def _environment(step: Step, settings: Settings, told: Mapping[str, str]) -> Iterator[Row]:
    decorator = step.decorator("environment")
    own = (decorator.get("vars") or {}) if decorator else {}
    if decorator is not None and isinstance(own, Mapping):
        for name, value in own.items():
            yield Row(printable(str(name)), _text(value), _place(decorator, "vars"))
    for name, value in settings.environment.items():
        if name not in own:
            yield Row(printable(name), _text(value), told.get("environment", "setting"))


def _others(decorators: Sequence[Decorator]) -> Iterator[Row]:
    for decorator in decorators:
        if decorator.name not in MERGED:
            attributes = ", ".join(f"{name}={_text(value.data)}" for name, value in sorted(decorator.attributes.items()))
            yield Row(f"@{decorator.name}", attributes or "as it is", _place(decorator).partition(", ")[2])


def _given(settings: Settings, told: Mapping[str, str], topics: tuple[str, ...]) -> Iterator[Row]:
    """The settings under these headings that something says."""
    for topic in topics:
        for option in config.TOPICS.get(topic, ()):
            if option.field in told and option.field != "environment":
                value = getattr(settings, option.field)
                text = HIDDEN if hidden(option, value) else _folder(value) if option.kind == "folder" else _text(value)
                yield Row(option.key, text, printable(told[option.field]))


def _overlays(flow: Flow, step: Step, settings: Settings, target: Target) -> Iterator[Row]:
    """The patches that reach what the target makes for the step alone."""
    gang = any(decorator.name in GANGS for decorator in step.decorators)
    for kind in STEP_KINDS:
        if kind in target.kinds and (gang or kind != "JobSet"):
            for name, overlay in overlays.meant(flow, settings, kind, step.name):
                yield Row(f"{printable(name)} ({kind})", _text(overlay.patch), printable(overlay.place) or "setting")


def _folder(texts: Mapping[str, str]) -> str:
    return ", ".join(printable(path) for path in texts)


def _parameter(parameter: Parameter) -> Row:
    default = parameter.default
    if isinstance(default, Value):
        text = _text(default.data)
    else:
        text = "known in the pod only" if isinstance(default, Dynamic) else "required" if parameter.required else "no default"
    words = [parameter.type, f"default {text}" if isinstance(default, Value) else text]
    words += [printable(" ".join(parameter.help.split()))] if parameter.help else []
    return Row(printable(parameter.name), " · ".join(words), f"{printable(parameter.span.path)}:{parameter.span.line}")
