"""In: the plan, or the coordinator, and the overlays of Settings. Out: the same with the patches that are meant for its Jobs and pods.

The plan is patched Job by Job, since an overlay comes above what a step says itself, and then told as differences from a shared Job
again: what a hundred steps have alike stands in the plan once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment import gangs, jobs, overlays
from flowc.targets.kubernetes.jobs import MAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowc.diagnostics import Diagnostic
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.target import Overlaid

Object = dict[str, Any]

SCHEMA, JOBSETS = "kubernetes/1.33.json", "kubernetes/jobset.json"
POD = (
    "restartPolicy",
    "volumes.*",
    *(f"containers.*.{field}" for field in ("command", "args", "env.*", "envFrom.*", "volumeMounts.*")),
)
JOB = (
    *(f"spec.{field}" for field in ("completionMode", "completions", "parallelism", "podReplacementPolicy", "podFailurePolicy.rules.*")),
    *(f"spec.{field}" for field in ("backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes")),
    *(f"spec.template.spec.{field}" for field in POD),
)
KINDS: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "Job": JOB,
    "JobSet": gangs.FIXED,
    "CronJob": tuple(f"spec.jobTemplate.{field}" for field in JOB),
    "ConfigMap": ("data", "binaryData", "immutable"),
    "ServiceAccount": (),
    "Role": ("rules.*",),
    "RoleBinding": ("roleRef", "subjects.*"),
}
"""What the target writes and makes in a run, and of each what no overlay may change; pods are patched by the kind Pod."""


def plan(flow: Flow, settings: Settings, found: Mapping[str, Any]) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The plan changed, and what is wrong with the overlays. Hooks have those without `steps`."""
    if not any(each.kind in ("Pod", "Job", "JobSet") for each in settings.overlays.values()):
        return dict(found), []
    shared, problems = job(flow, settings, None, found["shared"], MAIN)

    def laid(step: str | None, own: Object) -> Object:
        before = jobs.whole(found, own)
        whole, more = job(flow, settings, step, before, MAIN)
        problems.extend(more)
        if whole == before and shared == found["shared"]:
            return own
        return whole if whole["kind"] == "JobSet" else difference(shared, whole)

    made = {step: laid(step, own) for step, own in found["jobs"].items()}
    hooks = [{**hook, "job": laid(None, hook["job"])} for hook in found.get("hooks", ())]
    return {**found, "shared": shared, "jobs": made, **({"hooks": hooks} if hooks else {})}, list(dict.fromkeys(problems))


def job(flow: Flow, settings: Settings, step: str | None, value: Mapping[str, Any], main: str) -> tuple[Object, list[Diagnostic]]:
    """A whole Job or JobSet: its pods with the overlays of kind Pod, then itself with those of its own kind."""
    problems: list[Diagnostic] = []

    def kept(result: Overlaid) -> Object:
        problems.extend(result.diagnostics)
        return result.value

    made = pods(value, lambda template: kept(overlays.pod(flow, settings, step, template, main)))
    gang = made["kind"] == "JobSet"
    made = kept(overlays.whole(flow, settings, made, JOBSETS if gang else SCHEMA, KINDS[made["kind"]], step))
    return made, problems


def cron_job(flow: Flow, settings: Settings, value: Mapping[str, Any]) -> tuple[Object, list[Diagnostic]]:
    """The CronJob, whose Jobs have had theirs."""
    result = overlays.whole(flow, settings, value, SCHEMA, KINDS["CronJob"])
    return result.value, list(result.diagnostics)


def pods(value: Mapping[str, Any], patched: Callable[[Object], Object]) -> Object:
    """A copy of a Job, CronJob or JobSet with other pod templates."""
    spec = dict(value["spec"])
    if value["kind"] == "JobSet":
        made = [pods({"kind": "Job", **each["template"]}, patched) for each in spec["replicatedJobs"]]
        for each in made:
            del each["kind"]
        spec["replicatedJobs"] = [{**each, "template": template} for each, template in zip(spec["replicatedJobs"], made, strict=True)]
    else:
        spec["template"] = patched(spec["template"])
    return {**value, "spec": spec}


def difference(shared: Object, whole: Object) -> Object:
    """What gives `whole` when it is laid over `shared`; the whole itself where it lacks something that `shared` has."""
    own: Object = _less(shared, whole)
    return own if _by_name(jobs.merged(shared, own)) == _by_name(whole) else whole


def _by_name(value: Any) -> Any:
    """Without the order of named things, which means nothing, unless a variable uses those before it: `$(X)`, which `$$(X)` is not."""
    if isinstance(value, dict):
        return {key: _by_name(item) for key, item in value.items()}
    key = jobs.merge_key(value, value)
    if key and not any("$(" in str(item.get("value", "")).replace("$$", "") for item in value):
        return {item[key]: _by_name(item) for item in value}
    return value


def _less(shared: Any, whole: Any) -> Any:
    if isinstance(shared, dict) and isinstance(whole, dict):
        return {
            key: _less(shared[key], value) if key in shared else value
            for key, value in whole.items()
            if key not in shared or shared[key] != value
        }
    key = jobs.merge_key(shared, whole)
    if key is None:
        return whole
    known = {item[key]: item for item in shared}
    return [_item(known.get(item[key]), item, key) for item in whole if known.get(item[key]) != item]


def _item(shared: Any, item: Object, key: str) -> Object:
    """An item of a list by name; a variable whole, as `jobs.merged` takes it."""
    return item if shared is None or {"value", "valueFrom"} & item.keys() else {key: item[key], **_less(shared, item)}
