"""In: the objects of a flow for Argo Workflows, a WorkflowTemplate among them, of Metaflow or flowc. Out: a Reading of what they mean."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowc.comparison import pods
from flowc.comparison.argo_dag import Order
from flowc.comparison.argo_hooks import read_hooks
from flowc.comparison.records import UNKNOWN, Reading, merged, rows, table, without_nulls

if TYPE_CHECKING:
    from flowc.comparison.tasks import Task

SERVERS_OWN = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
"""Fields that an API server adds to what was applied."""
PLACEHOLDER = "__PLACEHOLDER_PRODUCTION_TOKEN__"
EVENT = "auto-set by metaflow. safe to ignore."
BOOKKEEPING = re.compile(
    r"metaflow/(owner|user|flow_name|deployment_timestamp|run_id|dag|parameters|cron|tags|triggers|sensor_name|sensor_namespace"
    r"|notify_on_(error|success)|production_token|project_name|branch_name|project_flow_name)|workflows\.argoproj\.io/(title|description)"
    r"|kubectl\.kubernetes\.io/last-applied-configuration"
)
OWN_LABELS = re.compile(r"app\.kubernetes\.io/(part-of|name)|flowc/deployment")
JOBSET = {
    "action": "create",
    "setOwnerReference": True,
    "successCondition": "status.terminalState == Completed",
    "failureCondition": "status.terminalState == Failed",
}
OF_GANG = ("setHostnameAsFQDN", "subdomain", "restartPolicy", "terminationGracePeriodSeconds", "dnsPolicy")
OF_PODS = ("serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations")
"""Fields of the workflow that its pods take, where they are compared."""
OUTPUTS = (
    "task-id", "num-splits", "split-cardinality", "switch-step", "num-parallel", "task-id-entropy", "splits", "case",
)  # fmt: skip


def read(objects: Sequence[Mapping[str, Any]]) -> Reading:
    """What the objects mean together. KeyError where no WorkflowTemplate is among them."""
    reading = Reading()
    by_kind: dict[str, dict[str, Any]] = {}
    for each in objects:
        by_kind.setdefault(str(each.get("kind")), without_nulls(dict(each)))
    template = by_kind["WorkflowTemplate"]
    spec = table(template.pop("spec", None))
    template.pop("kind")
    template.pop("apiVersion", None)
    template.pop("status", None)
    _identity(table(template.pop("metadata", None)), reading)
    _whole(spec, reading)
    _schedule(by_kind, reading)
    templates = {str(each.get("name")): each for each in rows(spec.pop("templates", None))}
    _templates(spec, templates, reading)
    reading.leave(template, "")
    known = ("templateDefaults", "volumes", "podMetadata", "entrypoint", *OF_PODS)
    reading.leave({key: value for key, value in spec.items() if key not in known}, "spec")
    return reading


# --- the whole -----------------------------------------------------------------------------------------------------------------


def _identity(metadata: dict[str, Any], reading: Reading) -> None:
    """Name, place, project, title, and what annotations say of parameters, schedule and events."""
    for key in SERVERS_OWN:
        metadata.pop(key, None)
    notes = table(metadata.pop("annotations", None))
    titled = "workflows.argoproj.io/title" in notes
    token, owner = notes.get("metaflow/production_token"), notes.get("metaflow/owner")
    reading.flow |= {
        "name": metadata.pop("name", None),
        "namespace": metadata.pop("namespace", None),
        "flow": notes.get("metaflow/flow_name"),
        "project": notes.get("metaflow/project_name"),
        "branch": notes.get("metaflow/branch_name"),
        "production_token": UNKNOWN if token == PLACEHOLDER else token,
        # older Metaflow wrote neither
        "title": notes["workflows.argoproj.io/title"] if titled else UNKNOWN,
        "description": (str(notes.get("workflows.argoproj.io/description", "")).strip() or None) if titled else UNKNOWN,
        "triggers": sorted(str(each.get("name")) for each in rows(_json(notes.get("metaflow/triggers")))),
        "labels": {k: v for k, v in table(metadata.pop("labels", None)).items() if not OWN_LABELS.fullmatch(k)},
        "annotations": {k: v for k, v in notes.items() if not BOOKKEEPING.fullmatch(k)},
    }
    if owner:
        reading.by_design[f"owner {owner}"] = None
    cron = _json(notes.get("metaflow/cron"))
    reading.flow["schedule"] = f"{cron.get('schedule')} {cron.get('tz') or ''}".strip() if isinstance(cron, dict) and cron else None
    declared = _json(notes.get("metaflow/parameters"))
    for each in table(declared).values():
        known = {"type": each.get("type"), "required": each.get("is_required")}
        reading.parameters.setdefault(str(each.get("name")), {}).update(known)
    reading.leave(metadata, "metadata")


def _whole(spec: dict[str, Any], reading: Reading) -> None:
    """Limits of the run, its parameters, and labels and annotations of runs."""
    reading.flow |= {
        "max_workers": spec.pop("parallelism", None),
        "timeout_seconds": spec.pop("activeDeadlineSeconds", None),
        "priority": spec.pop("priority", None),
    }
    arguments = table(spec.pop("arguments", None))
    for each in rows(arguments.pop("parameters", None)):
        if each.get("description") == EVENT:
            continue
        name = str(each.pop("name", None))
        facts = {"default": _default(each.pop("value", None)), "description": each.pop("description", None)}
        reading.parameters.setdefault(name, {}).update(facts)
        reading.leave(each, f"spec.arguments[{name}]")
    reading.leave(arguments, "spec.arguments")
    runs = table(spec.pop("workflowMetadata", None))
    reading.flow["labels_of_runs"] = {k: v for k, v in table(runs.pop("labels", None)).items() if not OWN_LABELS.fullmatch(k)}
    reading.flow["annotations_of_runs"] = {k: v for k, v in table(runs.pop("annotations", None)).items() if not BOOKKEEPING.fullmatch(k)}
    reading.leave(runs, "spec.workflowMetadata")
    if spec.get("hooks") == {}:
        spec.pop("hooks")


def _schedule(by_kind: Mapping[str, Mapping[str, Any]], reading: Reading) -> None:
    """The schedule where an object has it; Metaflow's output says it in an annotation only."""
    cron = table(by_kind.get("CronWorkflow", {}).get("spec"))
    if cron:
        lines = cron.get("schedules") or [cron.get("schedule")]
        reading.flow["schedule"] = f"{'; '.join(map(str, lines))} {cron.get('timezone') or ''}".strip()
    reading.flow["schedule_suspended"] = bool(cron.get("suspend"))
    beside = {kind: table(each.get("metadata")).get("name") for kind, each in by_kind.items() if kind in ("CronWorkflow", "Sensor")}
    reading.flow["objects"] = [f"{kind} {name}" for kind, name in beside.items()]


def _default(text: Any) -> Any:
    """A parameter's default. The value of one of type JSON is a text in Metaflow, in older Metaflow the data itself."""
    value = _json(text)
    data = _json(value)
    return data if isinstance(data, (dict, list)) else value


def _json(text: Any) -> Any:
    """The data of a JSON text; a text that is none stands for itself."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        # older Metaflow put a JSON text into single quotes
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text


# --- the steps -----------------------------------------------------------------------------------------------------------------


def _templates(spec: dict[str, Any], templates: dict[str, dict[str, Any]], reading: Reading) -> None:
    defaults = dict(table(spec.get("templateDefaults")))
    steps: dict[str, str] = {}
    for name, template in templates.items():
        if "container" not in template and "resource" not in template:
            continue
        whole = merged({**defaults, "container": table(defaults.get("container"))}, template)
        found = _pod_step(whole, spec, reading) if "container" in template else _gang_step(whole, spec, reading)
        if found is not None:
            steps[name] = found
    order = Order(templates, steps, reading, set(steps))
    entry = str(spec.get("entrypoint"))
    if entry in templates:
        order.read(entry)
    seen = order.seen | read_hooks(spec, templates, defaults, reading)
    for name, template in templates.items():
        if name not in seen:
            reading.leave(template, f"spec.templates[{name}]")


def _pod_step(template: dict[str, Any], spec: Mapping[str, Any], reading: Reading) -> str | None:
    """Note the facts of a step that is a pod; None for a pod that is no step."""
    notes = table(table(template.get("metadata")).get("annotations"))
    step = notes.get("metaflow/step_name")
    if step is None or str(step).startswith("_hook_"):
        return None
    path = f"steps.{step}"
    template = copy.deepcopy(template)
    for each in rows(table(template.pop("outputs", None)).get("parameters")):
        if each.get("name") not in OUTPUTS:
            reading.leave(each, f"{path}.outputs")
    inputs = table(template.pop("inputs", None))
    artifacts = [each for each in rows(inputs.pop("artifacts", None)) if not str(each.get("path")).startswith(pods.CODE)]
    reading.leave(artifacts, f"{path}.inputs.artifacts")
    template.pop("name", None)
    if template.get("failFast") is True:
        template.pop("failFast")
    volumes = [*rows(template.pop("volumes", None)), *rows(spec.get("volumes"))]
    ran, facts = pods.container(template.pop("container"), volumes, reading, f"{path}.container")
    facts |= {"loops": None, "gang": None, **pods.retries(template), **pods.placement(template, spec)}
    patch = _json(template.pop("podSpecPatch", None))
    secrets = patch.pop("imagePullSecrets", None) if isinstance(patch, dict) else None
    if secrets:
        facts["image_pull_secrets"] = sorted(str(each.get("name")) for each in rows(secrets))
    reading.leave(patch, f"{path}.podSpecPatch")
    reading.leave(template, path)
    _known(ran, path, reading)
    reading.steps[str(step)] = facts
    return str(step)


def _known(ran: Task | None, path: str, reading: Reading) -> None:
    """What a command that neither compiler writes leaves unknown; else how pods start, which differs by design."""
    if ran is None:
        reading.leave("a command that is neither Metaflow's nor flowc's", f"{path}.container.command")
    else:
        reading.note(ran.dialect, ran.code)


def _gang_step(template: dict[str, Any], spec: Mapping[str, Any], reading: Reading) -> str | None:
    """Note the facts of a step that is a JobSet: those of its control pod, and where its workers differ, theirs."""
    import yaml

    resource = dict(table(template.pop("resource")))
    text = re.sub(r"(?<=: )\{\{[^{}\n]*\}\}(?=\s*[,}\n]|$)", "'(asked)'", str(resource.pop("manifest", "")))
    try:
        manifest = without_nulls(yaml.safe_load(text))
    except yaml.YAMLError:
        manifest = {}
    jobs = {str(each.get("name")): each for each in rows(table(manifest.get("spec")).get("replicatedJobs"))}
    found: dict[str, dict[str, Any]] = {}
    step = ""
    for part, job in jobs.items():
        about = table(table(table(job.get("template")).get("spec")).get("template"))
        step = str(table(table(about.get("metadata")).get("annotations")).get("metaflow/step_name"))
        found[part] = _pod_of_gang(step, part, about, spec, reading)
    if not step or "control" not in found:
        return None
    control, worker = found["control"], found.get("worker", {})
    differing = {key: value for key, value in worker.items() if control.get(key) != value}
    account = template.pop("serviceAccountName", None)
    facts = {
        **control,
        **pods.retries(template),
        "loops": None,
        "gang": True,
        "workers": {key: str(value) for key, value in differing.items()},
    }
    facts["service_account"] = facts["service_account"] or account
    reading.leave({key: value for key, value in resource.items() if JOBSET.get(key) != value}, f"steps.{step}.resource")
    known = ("inputs", "outputs", "name", "metadata", "activeDeadlineSeconds", "container", "failFast", "setOwnerReference")
    reading.leave({key: value for key, value in template.items() if key not in known}, f"steps.{step}")
    reading.steps[step] = facts
    return step


def _pod_of_gang(step: str, part: str, about: dict[str, Any], spec: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    pod = {
        **table(about.get("spec")),
        "metadata": {key: value for key, value in table(about.get("metadata")).items() if key != "namespace"},
    }
    path = f"steps.{step}.{part}"
    for key in OF_GANG:
        pod.pop(key, None)
    containers = rows(pod.pop("containers", None))
    ran, facts = pods.container(containers[0] if containers else {}, rows(pod.pop("volumes", None)), reading, f"{path}.container")
    reading.leave(containers[1:], f"{path}.containers")
    facts |= pods.placement(pod, {"serviceAccountName": spec.get("serviceAccountName")})
    reading.leave(pod, path)
    _known(ran, path, reading)
    return facts
