"""In: a Flow, its Graph and Settings. Out: the Job or JobSet of each step, which the coordinator instantiates in each run.

The plan holds `shared`, the Job that all steps have in common, and `jobs`: for each step what differs from it, or a whole JobSet where
the step is @parallel. `flowc.deployment.jobs.manifest(plan, step)` lays one over the other. What is then missing, only the run knows:

- `metadata.name`: `flowc.deployment.jobs.name(run, step, path, round)`, of a gang with the attempt too; `ownerReferences`;
- the width: `with_width`. A template has one index, of a JobSet one worker;
- labels of the run and of the group, on the Job and its pods: `with_labels`;
- environment: `with_env`. The arguments are fixed, and Kubernetes expands the `$(X)` in them:

      FLOWC_RUN_ID      always: `k8s-<run>`
      FLOWC_PATH        where the step stands in a foreach: `3-@` for the tasks `3-0`, `3-1`, ..., or `@` with FLOWC_PATHS;
                        of a gang its own path (unset at the top level)
      FLOWC_PATHS       a JSON list of whole paths, one an index, where the indexes are not those of one foreach in order
      FLOWC_ROUND       where the step loops
      FLOWC_PARAMETERS  of the first step: base64 of a JSON object, texts by name of the parameter; absent where all defaults count
      FLOWC_ATTEMPT     of a gang only: Jobs read it from the annotation that counts the failures of their index
      MF_WORLD_SIZE, MF_MASTER_ADDR  of a gang: its size; `<name>-control-0-0.<name>`

A Job is indexed; an index that fails is tried again up to all retries of the step, and fails the Job for good after that. A pod that the
cluster takes away (DisruptionTarget) is replaced without counting: the same attempt once more, which Metaflow overwrites unless it was
done, and then FLOWC_ONCE keeps the task from running twice. The result of a task (splits, case) is the pod's termination message.
With a queue (`kueue.x-k8s.io/queue-name`) the template is suspended, and Kueue, not the coordinator, resumes it. A JobSet has one
attempt: the next attempt is a new one. Containers are called `main`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc import merging, runtime
from flowc.deployment import gangs, names, pods, profile
from flowc.targets.kubernetes.names import base, label_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.deployment.code import Delivery
    from flowc.graph import Graph, Node
    from flowc.ir import Flow, Step
    from flowc.settings import Settings

MAIN = "main"
QUEUE = "kueue.x-k8s.io/queue-name"
FAILURES = "metadata.annotations['batch.kubernetes.io/job-index-failure-count']"
RESULT = "/dev/termination-log"
IGNORE_DISRUPTIONS = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}


def templates(flow: Flow, graph: Graph, settings: Settings, delivery: Delivery) -> dict[str, Any]:
    """`shared` and `jobs` of the plan."""
    common = shared(flow, settings, delivery)
    return {"shared": common, "jobs": {name: _template(flow, graph, graph.nodes[name], settings, delivery) for name in graph.order}}


def shared(flow: Flow, settings: Settings, delivery: Delivery) -> dict[str, Any]:
    """The Job of a step that asks for nothing."""
    spec = {
        "completionMode": "Indexed",
        "completions": 1,
        "parallelism": 1,
        "suspend": bool(settings.kueue_queue) or None,
        "backoffLimitPerIndex": 0,
        "maxFailedIndexes": 0,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": IGNORE_DISRUPTIONS,
        "ttlSecondsAfterFinished": settings.job_ttl,
        "template": {"metadata": _about(flow, settings), "spec": _pod(flow, settings, delivery)},
    }
    about = _about(flow, settings)
    about["labels"] |= {QUEUE: settings.kueue_queue} if settings.kueue_queue else {}
    place = {"namespace": settings.namespace} if settings.namespace else {}
    job = {name: value for name, value in spec.items() if value is not None}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {**place, **about}, "spec": job}


def identity(flow: Flow, settings: Settings) -> dict[str, str]:
    """Labels by which everything of one deployment is found."""
    return {
        "app.kubernetes.io/part-of": "metaflow",
        "app.kubernetes.io/managed-by": "flowc",
        "flowc/flow": base(flow, settings),
    }


def about_deployment(flow: Flow, settings: Settings) -> dict[str, str]:
    """Whose deployment of which flow this is, as Metaflow notes it."""
    found = {"metaflow/flow_name": flow.name, "metaflow/owner": settings.owner, "metaflow/user": "kubernetes"}
    within = names.project(flow, settings)
    if within:
        found["metaflow/project_name"] = within.name
        found["metaflow/branch_name"] = within.branch
        found["metaflow/project_flow_name"] = within.flow_name
    return found


def _about(flow: Flow, settings: Settings) -> dict[str, Any]:
    labels = {**settings.labels, "app.kubernetes.io/name": "metaflow-task", **identity(flow, settings)}
    return {"labels": labels, "annotations": {**settings.annotations, **about_deployment(flow, settings)}}


def _pod(flow: Flow, settings: Settings, delivery: Delivery) -> dict[str, Any]:
    container = {
        "name": MAIN,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", runtime.SCRIPT],
        "env": environment(flow, settings, own_attempt=True),
        "envFrom": pods.default_env_from(settings),
        "resources": pods.default_resources(),
        "securityContext": profile.of_container(settings),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(settings, delivery),
    }
    return pods.given(
        {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": merging.DEFAULT_TIME_LIMIT,
            "serviceAccountName": settings.service_account,
            "securityContext": profile.of_pod(settings),
            "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
            "volumes": _volumes(settings, delivery),
            "containers": [pods.given(container)],
        }
    )


def _volumes(settings: Settings, delivery: Delivery) -> list[Mapping[str, Any]]:
    claim = settings.datastore_claim
    shared = [{"name": "datastore", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    return [*profile.volumes(settings), *delivery.volumes, *shared]


def _mounts(settings: Settings, delivery: Delivery) -> list[Mapping[str, Any]]:
    root = settings.datastore_root if settings.datastore_claim else None
    return [*profile.mounts(settings), *delivery.mounts, *([{"name": "datastore", "mountPath": root}] if root else [])]


def environment(flow: Flow, settings: Settings, *, own_attempt: bool) -> list[dict[str, Any]]:
    """The variables of all steps, in one order. `own_attempt`: the attempt is the index's own count of failures."""
    plain = {
        **profile.environment(settings),
        **runtime.environment(flow, settings, name="kubernetes"),
        "METAFLOW_PRODUCTION_TOKEN": names.production_token(flow, settings),
        "METAFLOW_KUBERNETES_WORKLOAD": "1",
        "METAFLOW_RUNTIME_ENVIRONMENT": "kubernetes",
        "METAFLOW_FLOW_NAME": flow.name,
        "FLOWC_ONCE": "1",
    }
    found: list[dict[str, Any]] = [{"name": name, "value": pods.literal(value)} for name, value in plain.items()]
    fields = {**pods.FIELDS, **({"FLOWC_ATTEMPT": FAILURES} if own_attempt else {})}
    return found + [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]


# --- one step ------------------------------------------------------------------------------------------------------------


def _template(flow: Flow, graph: Graph, node: Node, settings: Settings, delivery: Delivery) -> dict[str, Any]:
    step = flow.steps[node.name]
    return _gang(flow, graph, step, settings, delivery) if node.parallel_step else _job(flow, graph, node, step, settings)


def _of_step(step: Step) -> dict[str, Any]:
    """Labels and annotations of the step's Job and pods; the user's win, as in Metaflow."""
    asked = merging.kubernetes(step)
    labels = {"flowc/step": label_value(step.name), **pods.labels(asked)}
    return {"labels": labels, "annotations": {"metaflow/step_name": step.name, **(asked["annotations"] or {})}}


def _job(flow: Flow, graph: Graph, node: Node, step: Step, settings: Settings) -> dict[str, Any]:
    """What the step's Job has of its own."""
    asked = merging.kubernetes(step)
    deadline = merging.timeout_seconds(step)
    container = {
        "name": MAIN,
        "image": asked["image"] if asked["image"] != settings.image else None,
        "imagePullPolicy": asked["image_pull_policy"] if asked["image_pull_policy"] != settings.image_pull_policy else None,
        "command": [asked["executable"], runtime.SCRIPT] if asked["executable"] else None,
        "args": arguments(graph, node, step),
        "env": [*pods.environment(step, expands=False), *_of_start(flow, graph, node), *_result(node)],
        "envFrom": pods.env_from(step, settings) if pods.secrets(asked) else None,
        "ports": pods.ports(asked),
        "resources": pods.resources(step) if pods.resources(step) != pods.default_resources() else None,
        "securityContext": pods.security_context(asked),
        "volumeMounts": pods.mounts(asked),
    }
    pull_secrets = [*settings.image_pull_secrets, *pods.names(asked["image_pull_secrets"])]
    pod = {
        "activeDeadlineSeconds": deadline if deadline != merging.DEFAULT_TIME_LIMIT else None,
        "serviceAccountName": asked["service_account"] if asked["service_account"] != settings.service_account else None,
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(pull_secrets)] if asked["image_pull_secrets"] else None,
        "nodeSelector": asked["node_selector"],
        "tolerations": pods.tolerations(asked),
        "volumes": pods.volumes(asked),
        "containers": [pods.given(container)],
    }
    total = merging.retries(step).total
    retried = {"backoffLimitPerIndex": total} if total else {}
    return {"metadata": _of_step(step), "spec": {**retried, "template": {"metadata": _of_step(step), "spec": pods.given(pod)}}}


def arguments(graph: Graph, node: Node, step: Step) -> list[str]:
    """The arguments of the bootstrap, the same in every run."""
    return runtime.arguments(
        graph,
        node.name,
        path="$(FLOWC_PATH)" if (node.scope[:-1] if node.parallel_step else node.scope) else None,
        attempt="$(FLOWC_ATTEMPT)",
        user_retries=merging.retries(step).user,
        round="$(FLOWC_ROUND)" if node.loops else None,
    )


def _of_start(flow: Flow, graph: Graph, node: Node) -> list[dict[str, Any]]:
    if node.name != graph.start:
        return []
    return [{"name": name, "value": pods.literal(value)} for name, value in runtime.parameters_environment(flow).items()]


def _result(node: Node) -> list[dict[str, Any]]:
    """Where the coordinator has to know how wide the step splits or what it chose."""
    return [{"name": "FLOWC_RESULT", "value": RESULT}] if node.type in ("foreach", "split-switch") else []


def _gang(flow: Flow, graph: Graph, step: Step, settings: Settings, delivery: Delivery) -> dict[str, Any]:
    """The whole JobSet."""
    node = graph.nodes[step.name]
    own, every = _of_step(step), _about(flow, settings)
    about = {part: {**every[part], **own[part]} for part in ("labels", "annotations")}
    volumes, mounts = _volumes(settings, delivery), _mounts(settings, delivery)
    env = [*environment(flow, settings, own_attempt=False), *_result(node)]
    pods_have = gangs.Shared(["python", runtime.SCRIPT], env, volumes, mounts)
    made = gangs.jobset(step, settings, arguments(graph, node, step), pods_have, about, gangs.Gang("gang", 1, "2", MAIN))
    place = {"namespace": settings.namespace} if settings.namespace else {}
    queue = {QUEUE: settings.kueue_queue} if settings.kueue_queue else {}
    made["metadata"] = {**place, "labels": {**about["labels"], **queue}, "annotations": about["annotations"]}
    made["spec"] |= {"suspend": True} if queue else {}
    made["spec"] |= {"ttlSecondsAfterFinished": settings.job_ttl} if settings.job_ttl is not None else {}
    return made

