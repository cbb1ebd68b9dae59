"""In: an object or a pod that a target made, and the overlays of Settings. Out: the object with the patches that are meant for it.

`pod` and `whole` are what targets call; they judge what a patch says, and that it leaves alone what the run needs. Whether the result
is valid is for the schema and the rules to say: the compiler then names the overlay that made it so (FC510).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from flowc import data
from flowc.deployment import overlay_contract as contract
from flowc.deployment import pod_fields, strategic
from flowc.deployment.samples import sample
from flowc.deployment.strategic import PatchError, Shape
from flowc.deployment.validate import violations
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.graph import GANGS
from flowc.ir import Flow
from flowc.option import did_you_mean
from flowc.settings import Overlay, Settings
from flowc.source import Span
from flowc.target import Overlaid

KUBERNETES = "kubernetes/1.33.json"
POD = "Pod"
_SHOWN = 5
Object = dict[str, Any]
Patch = tuple[str, Overlay, Mapping[str, Any]]
Guard = tuple[Code, Callable[[Object, Object], str]]
"""What may be wrong with an object after a patch, as the end of a sentence; it gets the object before, and after."""


def _example(settings: Overlay, line: int = 0) -> Example:
    return Example({"flow.py": sample()}, line=line, target="argo", settings={"overlays": {"mine": settings}})


_FINE = Overlay(POD, {"spec": {"priorityClassName": "high"}})
INVALID = Code(
    "FC510",
    "an overlay that makes an object invalid",
    "What comes of an overlay is judged like all output: by the schema of its kind, and by the rules of its engine. Without this overlay, "
    "or with those before it alone, the objects are valid.",
    bad=_example(Overlay(POD, {"spec": {"priorityClassNam": "high"}}), line=4),
    good=_example(_FINE),
)
BROKEN = Code(
    "FC511",
    "an overlay that changes what the run needs",
    "Names by which objects find each other, the command of a step, the variables of flowc and Metaflow, the volume with the code: with "
    "other ones nothing would run. What is not flowc's own may be changed in any way.",
    bad=_example(Overlay(POD, {"spec": {"containers": [{"name": "main", "command": ["sh"]}]}}), line=4),
    good=_example(Overlay(POD, {"spec": {"containers": [{"name": "main", "env": [{"name": "MINE", "value": "1"}]}]}})),
)
UNKNOWN = Code(
    "FC512",
    "an overlay of a kind that nothing has",
    "An overlay names `Pod` or the kind of an object that a target writes. Kinds that only another target writes are passed over.",
    bad=_example(Overlay("WorkflowTemplat", {"spec": {"podGC": {"strategy": "OnPodSuccess"}}}), line=4),
    good=_example(Overlay("WorkflowTemplate", {"spec": {"podGC": {"strategy": "OnPodSuccess"}}})),
)
NOWHERE = Code(
    "FC513",
    "an overlay of a step that the flow does not have",
    "The overlay names this flow and a step by their names, so it is meant for that step; there must be one, and one with an object of "
    "that kind: a `@parallel` step has a JobSet and no Job, any other one no JobSet. A glob (`train*`), or an overlay for all flows, "
    "may pass a flow over; `flowc compile` of a repository says where one matches nothing at all.",
    bad=_example(Overlay(POD, _FINE.patch, flows=("Hello",), steps=("strat",)), line=4),
    good=_example(Overlay(POD, _FINE.patch, flows=("Hello",), steps=("start",))),
)
UNMERGEABLE = Code(
    "FC514",
    "a patch that cannot be merged",
    "Lists of named things merge by their key (containers and volumes by `name`, mounts by `mountPath`), so each item has it; "
    "`$patch` is `delete` or `replace`.",
    bad=_example(Overlay(POD, {"spec": {"volumes": [{"emptyDir": {}}]}}), line=4),
    good=_example(Overlay(POD, {"spec": {"volumes": [{"name": "scratch", "emptyDir": {}}]}})),
)
OWN = (INVALID, BROKEN, UNKNOWN, NOWHERE, UNMERGEABLE)
"""Codes that name the overlay themselves."""


def meant(flow: Flow, settings: Settings, kind: str, step: str | None = None) -> list[tuple[str, Overlay]]:
    """The overlays for what a flow has of a kind, by name, in their order. `step`: whose it is; None: no step's (a hook, a coordinator)."""
    return [(name, each) for name, each in settings.overlays.items() if each.kind == kind and reaches(each, flow.name, step)]


def reaches(overlay: Overlay, flow: str, step: str | None) -> bool:
    """Whether its globs match that flow and that step; without `steps` it is for all there is, with them for steps alone."""
    here = not overlay.flows or any(fnmatchcase(flow, glob) for glob in overlay.flows)
    return here and (not overlay.steps or (step is not None and any(fnmatchcase(step, glob) for glob in overlay.steps)))


def meets(overlay: Overlay, flow: Flow) -> bool:
    """Whether it is for anything in the flow."""
    return any(reaches(overlay, flow.name, step) for step in (None, *flow.steps))


def pod(flow: Flow, settings: Settings, step: str | None, template: Mapping[str, Any], main: str = "main") -> Overlaid:
    """A whole pod template (`metadata`, `spec`) with the overlays of kind Pod; `main` is the name of the container that runs the task.

    Containers of that name in a patch are called `main`, whatever the target calls them.
    """

    def kept(before: Object, after: Object) -> str:
        return contract.of_pod(before, after, main, settings)

    def valid(before: Object, after: Object) -> str:
        known = {*pod_fields.refused(before)}  # what a decorator brought is not the overlay's
        new = next((problem for problem in pod_fields.refused(after) if problem not in known), "")
        return contract.refused(after) or (f"gives no valid object: {new}" if new else "")

    found = [(name, each, named_main(each.patch, main)) for name, each in meant(flow, settings, POD, step)]
    shape = shape_of_pod()
    schema = _schema(f"{KUBERNETES}#io.k8s.api.core.v1.PodTemplateSpec", shape)
    return _laid(flow, found, template, shape, schema, (BROKEN, kept), (INVALID, valid))


def _schema(schema: str, shape: Shape | None = None) -> Guard:
    """That an object fits its schema; `shape`, the same, knows the fields that a misspelt one may mean."""

    def problem(_before: Object, after: Object) -> str:
        plain = json.loads(json.dumps(after))  # a text may be a Hole, which is more than the judge knows
        wrong = violations(schema, plain)[:_SHOWN]
        found = "; ".join(f"{path or 'the whole'}: {what}{_meant(shape, path, what)}" for path, what in wrong)
        return f"gives no valid object: {found}" if found else ""

    return INVALID, problem


def _meant(shape: Shape | None, path: str, what: str) -> str:
    """`; did you mean X?` of a field that there is not."""
    unexpected = re.search(r"\('([^']+)' was unexpected\)", what)
    if shape is None or unexpected is None:
        return ""
    for part in re.findall(r"[^.\[\]]+", path):
        shape = shape.items if part.isdigit() else shape.field(part)
    return did_you_mean(unexpected[1], shape.fields)


def whole(
    flow: Flow,
    settings: Settings,
    value: Mapping[str, Any],
    schema: str,
    fixed: Sequence[str] = (),
    step: str | None = None,
) -> Overlaid:
    """An object that says its `kind`, with the overlays of that kind. `schema`: its file below schemas/; `fixed`: paths to leave alone."""
    kind = str(value.get("kind"))
    found = [(name, each, each.patch) for name, each in meant(flow, settings, kind, step)]
    if not found:
        return Overlaid(dict(value))

    shape = shape_of(schema, kind)
    kept: Guard = (BROKEN, lambda before, after: contract.of_object(before, after, fixed))
    return _laid(flow, found, value, shape, _schema(schema, shape), kept)


def plain(
    flow: Flow,
    settings: Settings,
    kind: str,
    value: Mapping[str, Any],
    fixed: Sequence[str] = (),
    step: str | None = None,
    *,
    schema: str = "",
) -> Overlaid:
    """An object that is none of Kubernetes', with the overlays of that kind as JSON merge patches.

    `schema`: where it is judged here and now, `step-functions/asl.json#StateMachine`.
    """
    found = [(name, each, each.patch) for name, each in meant(flow, settings, kind, step)]
    guards: list[Guard] = [_schema(schema)] if schema else []
    guards.append((BROKEN, lambda before, after: contract.changed(before, after, fixed)))
    return _laid(flow, found, value, None, *guards)


def shape_of(schema: str, kind: str) -> Shape:
    """How the objects of a kind merge."""
    loaded = data.schema(schema)
    return Shape(loaded["definitions"], loaded["kinds"].get(kind, {}))


def shape_of_pod(part: str = "PodTemplateSpec") -> Shape:
    """How pod templates merge, or a part of them (PodSpec, Container)."""
    return Shape(data.schema(KUBERNETES)["definitions"], {"$ref": f"#/definitions/io.k8s.api.core.v1.{part}"})


def named_main(patch: Mapping[str, Any], main: str) -> Mapping[str, Any]:
    """The patch of a pod with its container `main` under the name that the target has for it."""
    spec = patch.get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    if main == "main" or not isinstance(containers, (list, tuple)):
        return patch
    renamed = [{**each, "name": main} if isinstance(each, Mapping) and each.get("name") == "main" else each for each in containers]
    return {**patch, "spec": {**patch["spec"], "containers": renamed}}


def _laid(flow: Flow, found: Iterable[Patch], value: Mapping[str, Any], shape: Shape | None, *guards: Guard) -> Overlaid:
    """Each patch that can be merged and passes all guards, in their order; without a shape as JSON merge patches."""
    made, diagnostics = dict(value), []
    for name, overlay, patch in found:
        try:
            ready = strategic.with_nulls(patch)
            ready = ready if shape is None else strategic.grounded(made, ready, shape)
            after = strategic.simple(made, ready) if shape is None else strategic.merged(made, ready, shape)
        except PatchError as error:
            diagnostics.append(told(flow, name, overlay, UNMERGEABLE, f"cannot be merged: {error}"))
            continue
        problems = ((code, guard(made, after)) for code, guard in guards)
        code, problem = next((each for each in problems if each[1]), (None, ""))
        if code is not None:
            diagnostics.append(told(flow, name, overlay, code, problem))
        else:
            made = after
    return Overlaid(made, tuple(diagnostics))


def told(flow: Flow, name: str, overlay: Overlay, code: Code, message: str, help: str = "") -> Diagnostic:  # noqa: A002 - the field's name
    """A diagnostic about an overlay, at its place in the settings."""
    remedies = {INVALID: "mend the patch", BROKEN: "leave that out of the patch", UNMERGEABLE: "docs/overlays.md says how patches merge"}
    return Diagnostic(code, f"overlay `{name}` {message}", span_of(flow, overlay), help=help or remedies.get(code, ""))


def invalid(flow: Flow, name: str, overlay: Overlay, found: Diagnostic) -> Diagnostic:
    """FC510: what a rule says of the objects with the overlay, and not of those without."""
    return told(flow, name, overlay, INVALID, f"gives no valid object: {found.message} ({found.code.id})", found.help)


def span_of(flow: Flow, overlay: Overlay) -> Span:
    """Where the overlay stands in the settings; the flow, where that is not known."""
    path, _, line = overlay.place.rpartition(":")
    return Span(path, int(line), 1, int(line), 1) if path and line.isdigit() else flow.span


def check(flow: Flow, settings: Settings, kinds: Iterable[str], others: Callable[[], Iterable[str]]) -> list[Diagnostic]:
    """FC512 and FC513, of a flow and a target that writes `kinds`; `others()` gives the kinds of all targets."""
    found, known = [], set(kinds)
    for name, each in settings.overlays.items():
        if each.kind not in known and each.kind not in (every := set(others())):
            help_ = did_you_mean(each.kind, every).removeprefix("; ") or f"there are {', '.join(sorted(every))}"
            found.append(told(flow, name, each, UNKNOWN, f"is of the kind {each.kind}, which no target writes", help_))
        exact = [step for step in each.steps if not set("*?[") & set(step) and step not in flow.steps]
        if exact and flow.name in each.flows:
            help_ = did_you_mean(exact[0], flow.steps).removeprefix("; ") or f"its steps are {', '.join(flow.steps)}"
            found.append(told(flow, name, each, NOWHERE, f"names the step {exact[0]}, which {flow.name} does not have", help_))
        found += _without(flow, name, each, known)
    return found


def _without(flow: Flow, name: str, overlay: Overlay, kinds: Container[str]) -> Iterator[Diagnostic]:
    """FC513 of a step, named exactly as its flow is, that runs as the other one of Job and JobSet, so that nothing would be patched."""
    if overlay.kind not in ("Job", "JobSet") or overlay.kind not in kinds or flow.name not in overlay.flows:
        return
    for step in (flow.steps[each] for each in overlay.steps if each in flow.steps):
        gang = any(decorator.name in GANGS for decorator in step.decorators)
        if gang and overlay.kind == "Job":
            message = f"names the step {step.name}, which has no Job but a JobSet, since it is @parallel"
            yield told(flow, name, overlay, NOWHERE, message, "make the overlay one of the kind JobSet, or leave out the step")
        elif not gang and overlay.kind == "JobSet":
            message = f"names the step {step.name}, which has no JobSet, since it is not @parallel"
            help_ = "make the overlay one of the kind Job, or leave out the step" if "Job" in kinds else "name a @parallel step"
            yield told(flow, name, overlay, NOWHERE, message, help_)
