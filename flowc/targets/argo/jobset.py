"""In: a @parallel Step and what all pods share. Out: the `resource` with which Argo runs it as a JobSet: one control pod, and workers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.deployment import pods
from flowc.merging import kubernetes
from flowc.targets.argo import step_pod
from flowc.targets.argo.identifiers import argo_name
from flowc.targets.argo.metadata import pod_metadata
from flowc.targets.argo.retries import attempt, deadline, retry_strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.ir import Flow, Step
    from flowc.settings import Settings

# Unique for each attempt of each task; short, since Kubernetes makes host names of it.
NAME = "js-{{=sprig.trunc(12, sprig.sha256sum(pod.name))}}"
NUM_PARALLEL = "{{inputs.parameters.num-parallel}}"
WORKERS = "{{=asInt(inputs.parameters['num-parallel']) - 1}}"
CONTROL_ADDRESS = f"{NAME}-control-0-0.{NAME}"
JOB_INDEX = "metadata.annotations['jobset.sigs.k8s.io/job-index']"
FROM_FIELDS = {
    "MF_WORKER_REPLICA_INDEX": JOB_INDEX,
    "JOBSET_RESTART_ATTEMPT": "metadata.annotations['jobset.sigs.k8s.io/restart-attempt']",
    "METAFLOW_KUBERNETES_JOBSET_NAME": "metadata.annotations['jobset.sigs.k8s.io/jobset-name']",
}
SUCCESS, FAILURE = "status.terminalState == Completed", "status.terminalState == Failed"


@dataclass(frozen=True, slots=True)
class Shared:
    """What the pods of all steps have, which Argo does not give to pods that are not its own."""

    command: Sequence[str]
    env: Sequence[Mapping[str, Any]]
    volumes: Sequence[Mapping[str, Any]] = ()
    mounts: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Gang:
    """The step's template: `resource`, and fields beside it."""

    resource: Mapping[str, Any]
    template: Mapping[str, Any]


def gang(step: Step, flow: Flow, settings: Settings, args: Sequence[str], shared: Shared) -> Gang:
    """The template of a @parallel step. It takes the input parameter `num-parallel`, the number of pods.

    The JobSet belongs to the workflow, which fails with it and takes it along when deleted. Attempts are Argo's: each is a new JobSet.
    """
    about = _metadata(step, flow, settings)
    jobs = [_job("control", 1, step, settings, args, shared, about), _job("worker", WORKERS, step, settings, args, shared, about)]
    manifest = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": NAME, **about},
        "spec": {
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "successPolicy": {"operator": "All"},
            "failurePolicy": {"maxRestarts": 0},
            "replicatedJobs": jobs,
        },
    }
    resource = {
        "action": "create",
        "setOwnerReference": True,
        "successCondition": SUCCESS,
        "failureCondition": FAILURE,
        "manifest": _text(manifest),
    }
    account = step_pod.pod(step, settings).template.get("serviceAccountName")
    fields = {"retryStrategy": retry_strategy(step), "serviceAccountName": account}
    return Gang(resource, {name: value for name, value in fields.items() if value})


def _text(manifest: Mapping[str, Any]) -> str:
    """The manifest as JSON that is still JSON when Argo has filled it in: numbers stand bare, and texts of any kind bring their quotes."""
    text = json.dumps(manifest, indent=1)
    text = text.replace(f'"{WORKERS}"', WORKERS)
    return re.sub(r'"\{\{workflow\.parameters\.([-\w]+)\}\}"', r"{{=toJson(workflow.parameters['\1'])}}", text)


def _metadata(step: Step, flow: Flow, settings: Settings) -> dict[str, Any]:
    """Labels and annotations of the JobSet and its pods. As in Metaflow, the user's do not replace the platform's here."""
    asked, shared = kubernetes(step), pod_metadata(flow, settings)
    of_step = {"metaflow/step_name": step.name, "metaflow/attempt": attempt(step)}
    return {
        "labels": {**pods.labels(asked), **shared["labels"], "metaflow/argo-workflows-name": "{{workflow.name}}"},
        "annotations": {**(asked["annotations"] or {}), **shared["annotations"], **of_step},
    }


def _job(
    role: str, replicas: int | str, step: Step, settings: Settings, args: Sequence[str], shared: Shared, about: Mapping[str, Any]
) -> dict[str, Any]:
    asked = kubernetes(step)
    pull_secrets = [*settings.image_pull_secrets, *pods.names(asked["image_pull_secrets"])]
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": deadline(step),
        "serviceAccountName": asked["service_account"] or settings.service_account,
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(pull_secrets)],
        "nodeSelector": asked["node_selector"],
        "tolerations": pods.tolerations(asked),
        "volumes": [*shared.volumes, *pods.volumes(asked)],
        "containers": [_container(role, step, settings, args, shared)],
    }
    template = {"metadata": about, "spec": pods.given(pod)}
    job = {"backoffLimit": 0, "completions": 1, "parallelism": 1, "template": template}
    return {"name": role, "replicas": replicas, "template": {"spec": job}}


def _container(role: str, step: Step, settings: Settings, args: Sequence[str], shared: Shared) -> dict[str, Any]:
    asked = kubernetes(step)
    return pods.given(
        {
            "name": argo_name(step.name),
            "image": asked["image"] or settings.image,
            "imagePullPolicy": asked["image_pull_policy"] or settings.image_pull_policy,
            "command": [asked["executable"], *shared.command[1:]] if asked["executable"] else list(shared.command),
            "args": list(args),
            "env": _environment(role, step, asked, shared),
            "envFrom": pods.env_from(step, settings),
            "ports": pods.ports(asked),
            "resources": pods.resources(step),
            "securityContext": pods.security_context(asked),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [*shared.mounts, *pods.mounts(asked)],
        }
    )


def _environment(role: str, step: Step, asked: Mapping[str, Any], shared: Shared) -> list[dict[str, Any]]:
    """The shared variables, the step's own (which replace them), and those by which the nodes find each other."""
    port = {"MF_MASTER_PORT": str(int(asked["port"]))} if asked["port"] else {}
    texts = {"MF_MASTER_ADDR": CONTROL_ADDRESS, **port, "MF_WORLD_SIZE": NUM_PARALLEL}
    texts |= {"UBF_CONTEXT": "ubf_control", "MF_CONTROL_INDEX": "0"} if role == "control" else {"UBF_CONTEXT": "ubf_task"}
    found = {entry["name"]: dict(entry) for entry in [*shared.env, *pods.environment(step)]}
    found |= {name: {"name": name, "value": value} for name, value in texts.items()}
    found |= {name: {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FROM_FIELDS.items()}
    return list(found.values())
