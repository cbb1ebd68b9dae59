"""In: a @parallel Step and what all pods share. Out: the JobSet that runs it: a control pod, and workers that find it by its host name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.deployment import pods, profile
from flowc.merging import kubernetes, timeout_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.ir import Step
    from flowc.settings import Settings

JOB_INDEX = "metadata.annotations['jobset.sigs.k8s.io/job-index']"
FROM_FIELDS = {
    "MF_WORKER_REPLICA_INDEX": JOB_INDEX,
    "JOBSET_RESTART_ATTEMPT": "metadata.annotations['jobset.sigs.k8s.io/restart-attempt']",
    "METAFLOW_KUBERNETES_JOBSET_NAME": "metadata.annotations['jobset.sigs.k8s.io/jobset-name']",
}
FIXED = (
    "spec.network",
    "spec.successPolicy",
    "spec.failurePolicy.maxRestarts",
    *(f"spec.replicatedJobs.*.{field}" for field in ("name", "replicas")),
    *(f"spec.replicatedJobs.*.template.spec.{field}" for field in ("backoffLimit", "completions", "parallelism")),
    *(f"spec.replicatedJobs.*.template.spec.template.spec.containers.*.{field}" for field in ("name", "command", "args")),
)
"""What of a JobSet no overlay may change."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the pods of all steps have."""

    command: Sequence[str]
    env: Sequence[Mapping[str, Any]]
    volumes: Sequence[Mapping[str, Any]] = ()
    mounts: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Gang:
    """What sets one gang apart, as numbers and names or as an engine's expressions for them.

    `name` of the JobSet, how many `workers` beside the control pod, `size` of both together, `container` the name of the container.
    """

    name: str
    workers: int | str
    size: str
    container: str

    @property
    def address(self) -> str:
        """The host name of the control pod."""
        return f"{self.name}-control-0-0.{self.name}"


def jobset(step: Step, settings: Settings, args: Sequence[str], shared: Shared, about: Mapping[str, Any], gang: Gang) -> dict[str, Any]:
    """The JobSet. It never starts anew by itself: attempts are the engine's, each a new JobSet. `about`: labels and annotations."""
    roles: tuple[tuple[str, int | str], ...] = (("control", 1), ("worker", gang.workers))
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": gang.name, **about},
        "spec": {
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "successPolicy": {"operator": "All"},
            "failurePolicy": {"maxRestarts": 0},
            "replicatedJobs": [_job(role, replicas, step, settings, args, shared, about, gang) for role, replicas in roles],
        },
    }


def _job(
    role: str,
    replicas: int | str,
    step: Step,
    settings: Settings,
    args: Sequence[str],
    shared: Shared,
    about: Mapping[str, Any],
    gang: Gang,
) -> dict[str, Any]:
    asked = kubernetes(step)
    pull_secrets = [*settings.image_pull_secrets, *pods.names(asked["image_pull_secrets"])]
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": timeout_seconds(step),
        "serviceAccountName": asked["service_account"] or settings.service_account,
        "securityContext": profile.of_pod(settings),
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(pull_secrets)],
        "nodeSelector": asked["node_selector"],
        "tolerations": pods.tolerations(asked),
        "volumes": [*shared.volumes, *pods.volumes(asked)],
        "containers": [_container(role, step, settings, args, shared, gang)],
    }
    template = {"metadata": about, "spec": pods.given(pod)}
    job = {"backoffLimit": 0, "completions": 1, "parallelism": 1, "template": template}
    return {"name": role, "replicas": replicas, "template": {"spec": job}}


def _container(role: str, step: Step, settings: Settings, args: Sequence[str], shared: Shared, gang: Gang) -> dict[str, Any]:
    asked = kubernetes(step)
    return pods.given(
        {
            "name": gang.container,
            "image": asked["image"] or settings.image,
            "imagePullPolicy": asked["image_pull_policy"] or settings.image_pull_policy,
            "command": [asked["executable"], *shared.command[1:]] if asked["executable"] else list(shared.command),
            "args": list(args),
            "env": _environment(role, step, asked, shared, gang),
            "envFrom": pods.env_from(step, settings),
            "ports": pods.ports(asked),
            "resources": pods.resources(step),
            "securityContext": profile.of_container(settings, asked),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": list({each["mountPath"]: each for each in [*shared.mounts, *pods.mounts(asked)]}.values()),
        }
    )


def _environment(role: str, step: Step, asked: Mapping[str, Any], shared: Shared, gang: Gang) -> list[dict[str, Any]]:
    """The shared variables, the step's own (which replace them), and those by which the nodes find each other."""
    port = {"MF_MASTER_PORT": str(int(asked["port"]))} if asked["port"] else {}
    texts = {"MF_MASTER_ADDR": gang.address, **port, "MF_WORLD_SIZE": gang.size}
    texts |= {"UBF_CONTEXT": "ubf_control", "MF_CONTROL_INDEX": "0"} if role == "control" else {"UBF_CONTEXT": "ubf_task"}
    found = {entry["name"]: dict(entry) for entry in [*shared.env, *pods.environment(step)]}
    found |= {name: {"name": name, "value": value} for name, value in texts.items()}
    found |= {name: {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FROM_FIELDS.items()}
    return list(found.values())
