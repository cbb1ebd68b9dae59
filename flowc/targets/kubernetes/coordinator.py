"""In: a Flow, its Settings, the plan. Out: the coordinator: its files, its pod, the Job or CronJob that runs it, and what it may do."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from flowc import data
from flowc.deployment import pods, profile, schedule
from flowc.target import short_hash
from flowc.targets.kubernetes import overlaid
from flowc.targets.kubernetes.jobs import about_deployment, identity
from flowc.targets.kubernetes.names import account, base

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowc.diagnostics import Diagnostic
    from flowc.ir import Flow
    from flowc.settings import Settings

MAIN, PLAN = "coordinator", "plan.json"
JOB, CRON_JOB = ({"apiVersion": "batch/v1", "kind": kind} for kind in ("Job", "CronJob"))
FIRST = "run/incluster.py"
# What the tests run with; a pod installs it where the image lacks it.
CLIENT = "kubernetes==37.0.1"
IMPORTS = re.compile(r"^\s*from flowc\.(\w+)(?:\.(\w+))? import (.+)$", re.MULTILINE)
JOB_NAME = "metadata.labels['batch.kubernetes.io/job-name']"
FIELDS = {"FLOWC_RUN": JOB_NAME, "FLOWC_NAMESPACE": "metadata.namespace", "FLOWC_POD": "metadata.name"}
# The exit codes with which another try would end alike: the run failed, wrong usage, a bug.
FINAL = [1, 2, 3]
# A pod that is killed, or cannot reach the API server for minutes, is followed by another, which goes on with the run.
RESTARTS = 50
# A run that could not start on time may still start within the hour.
STARTING_DEADLINE = 3540
HISTORY = 10
WIDTH = 120
# Argo CD and Flux remove what a commit no longer holds; a run that is under way still needs these. They are no drift either.
KEEP = {
    "argocd.argoproj.io/sync-options": "Prune=false",
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
POLICY = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"containerName": MAIN, "operator": "In", "values": FINAL}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
}


def library() -> dict[str, str]:
    """The coordinator's files by path below its PYTHONPATH: all modules of flowc that the first one needs, and theirs."""
    found: dict[str, str] = {"flowc/__init__.py": ""}
    open_ = ["run/__init__.py", "deployment/__init__.py", FIRST]
    while open_:
        path = open_.pop()
        if f"flowc/{path}" not in found:
            text = data.own(path)
            found[f"flowc/{path}"] = text
            open_ += _imported(text)
    return dict(sorted(found.items()))


def _imported(text: str) -> list[str]:
    """`from flowc.run.x import y` and `from flowc.run import x, y as z`, each on one line."""
    found = []
    for package, module, names in IMPORTS.findall(text):
        modules = [module] if module else [name.split()[0] for name in names.split(",")]
        found += [f"{package}/{name}.py" for name in modules]
    return found


def config_map(flow: Flow, settings: Settings, plan: Mapping[str, Any]) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The name and data of the ConfigMap with the plan and the library, and the volume that mounts it."""
    files = library()
    keys = {path: path.replace("/", ".") for path in files}
    held = {PLAN: readable(plan) + "\n", **{keys[path]: text for path, text in files.items()}}
    name = f"{base(flow, settings)}-plan-{short_hash(json.dumps(held))}"
    items = [{"key": PLAN, "path": PLAN}, *({"key": keys[path], "path": f"lib/{path}"} for path in files)]
    return name, held, {"name": "flowc", "configMap": {"name": name, "items": items}}


def readable(value: Any, indent: str = "") -> str:
    """JSON in which what fits on a line stands on one: people review it, and a change touches few lines."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + len(indent) <= WIDTH or not value or not isinstance(value, (dict, list)):
        return flat
    deeper = indent + " "
    if isinstance(value, list):
        return "[\n" + ",\n".join(deeper + readable(item, deeper) for item in value) + f"\n{indent}]"
    pairs = (f"{deeper}{json.dumps(key, ensure_ascii=False)}: {readable(item, deeper)}" for key, item in value.items())
    return "{\n" + ",\n".join(pairs) + f"\n{indent}}}"


def about(flow: Flow, settings: Settings, name: str, *, keep: bool = False) -> dict[str, Any]:
    """`metadata` of an object."""
    labels = {**settings.labels, "app.kubernetes.io/name": "metaflow-flow", **identity(flow, settings)}
    notes = {**settings.annotations, **about_deployment(flow, settings), **(KEEP if keep else {})}
    place = {"namespace": settings.namespace} if settings.namespace else {}
    return {"name": name, **place, "labels": labels, "annotations": notes}


def job(flow: Flow, settings: Settings, volume: Mapping[str, Any]) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The Job, or the CronJob where the flow has a @schedule: `kind`, `metadata`, `spec`; and what is wrong with the overlays.

    A Job is named by its content: what is applied once more unchanged starts nothing, what changed starts a run of its own.
    """
    labels = {**settings.labels, "app.kubernetes.io/name": "metaflow-run", **identity(flow, settings)}
    inner = {"labels": labels, "annotations": {**settings.annotations, **about_deployment(flow, settings)}}
    spec: dict[str, Any] = {
        "backoffLimit": RESTARTS,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": POLICY,
        "template": {"metadata": inner, "spec": _pod(flow, settings, volume)},
    }
    planned = schedule.schedule(flow)
    if planned is None:
        metadata = about(flow, settings, base(flow, settings), keep=True)
        made, problems = overlaid.job(flow, settings, None, {**JOB, "metadata": metadata, "spec": spec}, MAIN)
        made["metadata"]["name"] += f"-{short_hash(json.dumps(made['spec'], sort_keys=True))}"
        return made, problems
    line, zone = planned
    passing = {} if settings.job_ttl is None else {"ttlSecondsAfterFinished": settings.job_ttl}
    cron = {
        "schedule": line,
        **({"timeZone": zone} if zone else {}),
        "suspend": settings.suspend_schedule,
        "concurrencyPolicy": "Allow",
        "startingDeadlineSeconds": STARTING_DEADLINE,
        "successfulJobsHistoryLimit": HISTORY,
        "failedJobsHistoryLimit": HISTORY,
    }
    started, problems = overlaid.job(flow, settings, None, {**JOB, "metadata": inner, "spec": {**passing, **spec}}, MAIN)
    cron["jobTemplate"] = {"metadata": started["metadata"], "spec": started["spec"]}
    made, more = overlaid.cron_job(flow, settings, {**CRON_JOB, "metadata": about(flow, settings, base(flow, settings)), "spec": cron})
    return made, [*problems, *more]


def _pod(flow: Flow, settings: Settings, volume: Mapping[str, Any]) -> dict[str, Any]:
    """It needs no rights on its node, and no file of its own but in /tmp."""
    plain = {
        "PYTHONPATH": "/flowc/lib",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",  # noqa: S108 - a volume of the pod's own
        **({"FLOWC_INSTALL": json.dumps([CLIENT])} if settings.install else {}),
        **settings.environment,
    }
    env: list[dict[str, Any]] = [{"name": name, "value": pods.literal(value)} for name, value in plain.items()]
    env += [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FIELDS.items()]
    container = {
        "name": MAIN,
        "image": settings.coordinator_image or settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "-m", "flowc.run.incluster", f"/flowc/{PLAN}"],
        "env": env,
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "securityContext": dict(profile.CONTAINER),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "flowc", "mountPath": "/flowc", "readOnly": True}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    return pods.given(
        {
            "restartPolicy": "Never",
            "serviceAccountName": account(flow, settings),
            "securityContext": {"seccompProfile": profile.POD["seccompProfile"], **profile.of_pod(settings)},
            "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
            "volumes": [volume, {"name": "tmp", "emptyDir": {}}],
            "containers": [pods.given(container)],
        }
    )


def access(flow: Flow, settings: Settings, *, gangs: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and fields of the ServiceAccount, Role and RoleBinding: what the coordinator does, and nothing else."""
    name = account(flow, settings)
    every = ["create", "get", "list", "watch", "patch", "delete"]
    allowed: list[dict[str, Any]] = [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": every},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "update"]},
    ]
    if gangs:
        allowed.append({"apiGroups": ["jobset.x-k8s.io"], "resources": ["jobsets"], "verbs": every})
    metadata = about(flow, settings, name)
    subject = {"kind": "ServiceAccount", "name": name, **({"namespace": settings.namespace} if settings.namespace else {})}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    yield "ServiceAccount", {"metadata": metadata}
    yield "Role", {"metadata": metadata, "rules": allowed}
    yield "RoleBinding", {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
