"""In: the values of the WorkflowTemplate and the overlays of kind Pod and JobSet. Out: the values with what these patches mean to Argo.

Argo makes the pods, so a patch of a pod becomes fields of templates, of templateDefaults or of the workflow, whichever reaches the pods
that are meant; what has no field becomes a `podSpecPatch`. Whether that gives the pods that the patch asks for is not believed but
computed, from both sides: where the fields do not, the whole patch goes into `podSpecPatch`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from flowc.deployment import gangs, overlays, strategic
from flowc.deployment.strategic import PatchError
from flowc.diagnostics import Diagnostic
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Overlay, Settings
from flowc.targets.argo.identifiers import argo_name
from flowc.targets.argo.pods_whole import INSTEAD, OF_ALL, OF_PRIORITY, PRIORITY, Object, Template, Workflow, shape_of_template

EXECUTORS = ("init", "wait")
"""Argo's own containers in the pod of a step; they are not in the manifest, and `wait` is not in the pod that creates a JobSet."""
EMPTY: tuple[Any, ...] = (None, [], {})


def laid(flow: Flow, graph: Graph, settings: Settings, values: Object) -> tuple[Object, list[Diagnostic]]:
    """The values changed, and what is wrong with the overlays."""
    found: list[Diagnostic] = []
    for step, each in zip(graph.order, values["steps"], strict=True):
        found += _gang(flow, settings, step, each)
    named = [(name, each) for name, each in settings.overlays.items() if each.kind == overlays.POD and overlays.meets(each, flow)]
    if named:
        workflow = _read(graph, values)
        workflow.claimed = tuple(_claimed(flow, settings))
        for name, overlay in named:
            after, problems = _one(flow, settings, name, overlay, workflow)
            found += problems
            workflow = workflow if problems else after
        _write(workflow, values)
    return values, found


def _claimed(flow: Flow, settings: Settings) -> Iterator[str]:
    """The volumes that overlays of the WorkflowTemplate bring, which are laid over it afterwards."""
    for _, each in overlays.meant(flow, settings, "WorkflowTemplate"):
        spec = each.patch.get("spec")
        if isinstance(spec, Mapping):
            yield from (str(volume.get("name")) for volume in _named(spec, "volumes"))
            abouts = (claim.get("metadata") for claim in _named(spec, "volumeClaimTemplates"))
            yield from (str(about.get("name")) for about in abouts if isinstance(about, Mapping))


def _gang(flow: Flow, settings: Settings, step: str, values: Object) -> Iterator[Diagnostic]:
    """The JobSet of a @parallel step: its pods are whole, so they are patched as they are."""
    if not values["resource"]:
        return
    manifest = copy.deepcopy(values["resource"]["manifest"])
    for job in manifest["spec"]["replicatedJobs"]:
        made = overlays.pod(flow, settings, step, job["template"]["spec"]["template"], argo_name(step))
        job["template"]["spec"]["template"] = made.value
        yield from made.diagnostics
    # where the width is an expression of Argo's, the schema wants a number
    widths = [job["replicas"] for job in manifest["spec"]["replicatedJobs"]]
    for job in manifest["spec"]["replicatedJobs"]:
        job["replicas"] = 1
    whole = overlays.whole(flow, settings, manifest, "kubernetes/jobset.json", gangs.FIXED, step)
    yield from whole.diagnostics
    for job, width in zip(whole.value["spec"]["replicatedJobs"], widths, strict=False):
        job["replicas"] = width
    values["resource"]["manifest"] = whole.value


# --- one overlay -----------------------------------------------------------------------------------------------------------


def _one(flow: Flow, settings: Settings, name: str, overlay: Overlay, workflow: Workflow) -> tuple[Workflow, list[Diagnostic]]:
    """The workflow after it, first by fields, else by `podSpecPatch` alone."""
    alone = {name: overlay}
    wanted: dict[str, Object] = {}
    for template in workflow.templates:
        patch = _patch(overlay, flow, template)
        one = Overlay(overlay.kind, patch, place=overlay.place) if patch else None
        result = overlays.pod(flow, _only(settings, alone, one), template.step, workflow.pod(template))
        if result.diagnostics:
            return workflow, list(result.diagnostics)
        wanted[template.name] = result.value
    problem = "asks for what no field of Argo gives to these pods alone; patch the WorkflowTemplate instead"
    for by_fields in (True, False):
        after = copy.deepcopy(workflow)
        try:
            _apply(after, overlay, flow, by_fields=by_fields)
            if all(_same(after.pod(template), wanted[template.name]) for template in after.templates):
                return after, []
        except PatchError as error:
            problem = f"cannot be merged: {error}"
    return workflow, [overlays.told(flow, name, overlay, overlays.UNMERGEABLE, problem)]


def _only(settings: Settings, alone: Mapping[str, Overlay], one: Overlay | None) -> Settings:
    return replace(settings, overlays=dict.fromkeys(alone, one) if one else {})


def _patch(overlay: Overlay, flow: Flow, template: Template) -> Object:
    """What an overlay says of the pods of a template. Of the pod that creates a JobSet, which is Argo's own, only what every pod has."""
    if not overlays.reaches(overlay, flow.name, template.step):
        return {}
    patch = dict(overlay.patch)
    if template.container is not None or not isinstance(patch.get("spec"), Mapping):
        return patch
    spec = {key: value for key, value in patch["spec"].items() if key not in ("containers", "initContainers")}
    for each in _named(patch["spec"], "containers"):
        if each.get("name") == "main" and "securityContext" in each:
            spec["containers"] = [{"name": "main", "securityContext": each["securityContext"]}]
    first = [each for each in _named(patch["spec"], "initContainers") if each.get("name") == "init"]
    spec |= {"initContainers": first} if first else {}
    return {**patch, "spec": spec}


def _apply(workflow: Workflow, overlay: Overlay, flow: Flow, *, by_fields: bool) -> None:
    everyone = not overlay.steps
    reached = [(each, patch) for each in workflow.templates if (patch := _patch(overlay, flow, each))]
    ready = strategic.with_nulls(overlay.patch)
    about, spec = ready.get("metadata"), ready.get("spec")
    if about:
        _about(workflow, [template for template, _ in reached], about, everyone=everyone)
    native = by_fields and isinstance(spec, Mapping) and not strategic.has_directives(spec)
    for template, patch in reached:
        own = strategic.with_nulls(patch).get("spec")
        if strategic.has_directives(own):
            own = strategic.grounded(workflow.pod(template)["spec"], own, overlays.shape_of_pod("PodSpec"))
        if own:
            rest = _fields(workflow, template, own, everyone=everyone) if native else own
            if rest:
                before = template.fields.get("podSpecPatch", workflow.defaults.get("podSpecPatch"))
                template.fields["podSpecPatch"] = _both(before, rest)
    if native and everyone:
        _shared(workflow, spec)
    _hoist(workflow)


def _about(workflow: Workflow, reached: list[Template], about: Object, *, everyone: bool) -> None:
    shape = shape_of_template().field("metadata")
    for template in reached:
        own = template.fields.get("metadata", {})
        template.fields["metadata"] = strategic.merged(own, _within(own, about) if everyone else about, shape)
        if not template.fields["metadata"]:
            del template.fields["metadata"]
    if everyone:
        workflow.pod_metadata = strategic.merged(workflow.pod_metadata, _within(workflow.pod_metadata, about), shape)
        workflow.defaults["metadata"] = strategic.merged(workflow.defaults.get("metadata", {}), about, shape)


def _shared(workflow: Workflow, spec: Mapping[str, Any]) -> None:
    """What a patch of all pods says once, for the workflow or the defaults of templates."""
    for key, value in spec.items():
        if key in (*INSTEAD, *OF_ALL, "hostAliases", "volumes"):
            _lay(workflow.spec, key, value)
        elif key == PRIORITY:
            workflow.spec[OF_PRIORITY] = value
        elif key == "activeDeadlineSeconds":
            workflow.defaults[key] = value
        elif key == "containers":
            for each in _named(spec, key):
                if each.get("name") == "main":
                    _lay(workflow.defaults, "container", _nameless(each))


def _fields(workflow: Workflow, template: Template, spec: Mapping[str, Any], *, everyone: bool) -> Object:
    """Lay a patch over the fields of one template, as far as `_shared` does not say it for all; what has no field is returned."""
    rest: Object = {}
    shared = {each["name"] for each in workflow.spec.get("volumes", ())}
    for key, value in spec.items():
        if key in (*INSTEAD, PRIORITY, "activeDeadlineSeconds"):
            general = workflow.spec.get(OF_PRIORITY if key == PRIORITY else key) if key != "activeDeadlineSeconds" else None
            if not everyone and key not in template.fields and general is not None:
                template.fields[key] = general
            if not everyone or key in template.fields:
                _lay(template.fields, key, value)
        elif key == "volumes" and not everyone:
            mine = [each for each in value if each.get("name") not in shared]
            _lay(template.fields, key, mine)
            rest |= {key: theirs} if (theirs := [each for each in value if each not in mine]) else {}
        elif key == "hostAliases" and not everyone:
            _lay(template.fields, key, value)
        elif key == "containers":
            _containers(template, _named(spec, key), rest, everyone=everyone)
        elif key == "initContainers" and template.container is not None:
            _split(template.fields, "initContainers", _named(spec, key), rest, key)
        elif not (everyone and key in (*OF_ALL, "volumes", "hostAliases")):
            rest[key] = value
    return rest


def _containers(template: Template, patches: list[Object], rest: Object, *, everyone: bool) -> None:
    main = next((each for each in patches if each.get("name") == "main"), None)
    if main is not None and template.container is not None:
        own = template.container
        shape = shape_of_template().field("container")
        template.container = strategic.merged(own, _within(own, _nameless(main), shape) if everyone else _nameless(main), shape)
    elif main is not None:
        rest["containers"] = [main]
    if template.container is not None:
        _split(template.fields, "sidecars", [each for each in patches if each is not main], rest, "containers")


def _split(fields: Object, key: str, patches: list[Object], rest: Object, of_pod: str) -> None:
    """Containers beside `main`: Argo's own by `podSpecPatch`, others in their field."""
    mine = [each for each in patches if each.get("name") not in EXECUTORS]
    if mine:
        _lay(fields, key, mine)
    if len(mine) < len(patches):
        rest[of_pod] = [*rest.get(of_pod, ()), *(each for each in patches if each.get("name") in EXECUTORS)]


def _hoist(workflow: Workflow) -> None:
    """A `podSpecPatch` that all templates have stands once, in their defaults."""
    found = {template.fields.get("podSpecPatch", workflow.defaults.get("podSpecPatch")) for template in workflow.templates}
    if len(found) == 1 and None not in found:
        workflow.defaults["podSpecPatch"] = found.pop()
        for template in workflow.templates:
            template.fields.pop("podSpecPatch", None)


# --- patches -----------------------------------------------------------------------------------------------------------------


def _lay(holder: Object, key: str, value: Any) -> None:
    """A field of a patch into the fields of a template or the workflow, which merge as those of a pod."""
    shape = overlays.shape_of_pod("Container") if key == "container" else overlays.shape_of_pod("PodSpec").field(key)
    if key == "sidecars":
        shape = overlays.shape_of_pod("PodSpec").field("containers")
    made = strategic.laid(holder.get(key), value, shape, key)
    holder.pop(key, None) if made in (None, []) else holder.__setitem__(key, made)


def _within(own: Any, patch: Any, shape: strategic.Shape | None = None) -> Any:
    """The part of a patch about what is there already: what a template says itself counts above the defaults that get the whole patch."""
    found = {}
    for key, value in patch.items():
        if key not in own:
            continue
        inner = shape.field(key) if shape else None
        if isinstance(value, Mapping) and isinstance(own[key], Mapping):
            found[key] = _within(own[key], value, inner)
        elif inner is not None and inner.merges and inner.merge_key:
            known = {each.get(inner.merge_key) for each in own[key]}
            found[key] = [each for each in value if each.get(inner.merge_key) in known]
        else:
            found[key] = value
    return found


def _both(before: str | None, patch: Object) -> str:
    """Two patches as the text of one."""
    known: Object = json.loads(before) if before else {}
    clash = next((key for key in patch if key in known), None)
    if clash is None:
        return _text({**known, **patch})
    if strategic.has_directives(patch) or strategic.has_directives(known):
        raise PatchError(f"another overlay patches spec.{clash} of the same pods, and one of both has `$patch`; write them as one")
    return _text(strategic.merged(known, patch, overlays.shape_of_pod("PodSpec")))


def _text(patch: Object) -> str:
    """Compact JSON. Argo's own tags in a patch are expanded, as they are in fields."""
    return json.dumps(patch, separators=(",", ":"), ensure_ascii=False)


def _named(spec: Mapping[str, Any], key: str) -> list[Object]:
    """The items of a patch's list, as far as it is one: the schema says what is wrong with the rest."""
    found = spec.get(key)
    return [dict(each) for each in found if isinstance(each, Mapping)] if isinstance(found, (list, tuple)) else []


def _nameless(container: Mapping[str, Any]) -> Object:
    return {key: value for key, value in container.items() if key != "name"}


def _same(one: Any, other: Any) -> bool:
    """Whether two pods are alike; the order of named things means nothing, nor does what is empty."""
    if one == other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(_same(one.get(key), other.get(key)) for key in {*one, *other})
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return all(map(_same, sorted(one, key=_spelled), sorted(other, key=_spelled))) if _are_named(one) else False
    return one in EMPTY and other in EMPTY


def _are_named(items: list[Any]) -> bool:
    return all(isinstance(item, Mapping) for item in items)


def _spelled(item: Any) -> str:
    return json.dumps(item, sort_keys=True)


# --- the values of the template ------------------------------------------------------------------------------------------------


def _read(graph: Graph, values: Object) -> Workflow:
    shared = values["container"]
    container = {"image": shared["image"], "command": shared["command"], **shared["fields"], "env": shared["env"]}
    defaults = {**values["defaults"], "container": container}
    found = Workflow(copy.deepcopy(values["spec"]), values["pod_metadata"], copy.deepcopy(defaults))
    for step, each in zip(graph.order, values["steps"], strict=True):
        own = None if each["resource"] else {**each["container"], "args": each["args"]}
        found.templates.append(Template(each["name"], None if each["resource"] else step, dict(each["fields"]), own))
    for extra in values["extras"]:
        if "container" in extra:
            fields = {key: value for key, value in extra.items() if key not in ("name", "container")}
            found.templates.append(Template(extra["name"], None, fields, dict(extra["container"])))
    return found


def _write(workflow: Workflow, values: Object) -> None:
    container = dict(workflow.defaults.pop("container"))
    values["container"] = {"image": container.pop("image"), "command": container.pop("command"), "env": container.pop("env")}
    values["container"]["fields"] = container
    values |= {"spec": workflow.spec, "defaults": workflow.defaults, "pod_metadata": workflow.pod_metadata}
    made = {template.name: template for template in workflow.templates}
    for each in values["steps"]:
        template = made[each["name"]]
        each["fields"] = template.fields
        if template.container is not None:
            each["args"] = template.container.pop("args")
            each["container"] = template.container
    for number, extra in enumerate(values["extras"]):
        if extra["name"] in made:
            template = made[extra["name"]]
            values["extras"][number] = {"name": template.name, **template.fields, "container": template.container}
