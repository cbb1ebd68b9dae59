"""In: a proven Flow, its Graph and Settings. Out: the values of templates/argo/workflowtemplate.yaml.j2: one WorkflowTemplate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowc import merging, runtime
from flowc.deployment import events, gangs, names, parameters, pods, profile
from flowc.deployment.code import Delivery
from flowc.graph import Graph, Node
from flowc.ir import Flow, Step
from flowc.settings import Settings
from flowc.targets.argo import dag, hooks, jobset, metadata, retries, step_pod
from flowc.targets.argo.identifiers import argo_name

OUT = "/mnt/out"
# The files in which Metaflow's own `argo_workflows_internal` decorator leaves what Argo has to know after a step.
SPLITS = {"name": "splits", "valueFrom": {"path": f"{OUT}/split_cardinality"}}
CASE = {"name": "case", "valueFrom": {"path": f"{OUT}/switch_step"}}
NUM_PARALLEL = {"name": "num-parallel", "valueFrom": {"path": f"{OUT}/num_parallel"}}
RUN_ID = "argo-{{workflow.name}}"


def values(flow: Flow, graph: Graph, settings: Settings, delivery: Delivery) -> dict[str, Any]:
    """What the template needs; every value is JSON."""
    about = metadata.template_metadata(flow, graph, settings)
    ending = hooks.hooks(flow, graph, settings)
    return {
        "name": about.pop("name"),
        "metadata": about,
        "entrypoint": dag.ENTRY,
        "spec": _spec(names.workflow_name(flow, settings), settings, delivery, ending.on_exit),
        "arguments": parameters.arguments(flow) + events.event_parameters(flow, settings),
        "workflow_metadata": metadata.workflow_metadata(flow, settings),
        "pod_metadata": metadata.pod_metadata(flow, settings),
        "defaults": _defaults(settings, delivery),
        "container": {
            "image": settings.image,
            "command": ["python", runtime.SCRIPT],
            "fields": _container(settings, delivery),
            "env": _environment(flow, settings),
        },
        "dags": [_dag(found) for found in dag.dags(graph)],
        "loops": [_loop(loop) for loop in dag.loops(graph)],
        "gates": dag.has_gates(graph),
        "steps": [_step(flow, graph, graph.nodes[name], settings, delivery) for name in graph.order],
        "extras": list(ending.templates),
    }


def _given(**fields: Any) -> dict[str, Any]:
    return pods.given(fields)


def _spec(name: str, settings: Settings, delivery: Delivery, on_exit: str | None) -> dict[str, Any]:
    """The fields of the workflow as a whole."""
    return _given(
        serviceAccountName=settings.service_account or (name if settings.rbac else None),
        onExit=on_exit,
        parallelism=settings.max_workers,
        priority=settings.workflow_priority,
        activeDeadlineSeconds=settings.workflow_timeout,
        imagePullSecrets=[{"name": name} for name in settings.image_pull_secrets],
        securityContext=profile.of_pod(settings),
        volumes=_volumes(settings, delivery),
    )


def _defaults(settings: Settings, delivery: Delivery) -> dict[str, Any]:
    inputs = _given(artifacts=list(delivery.artifacts))
    return _given(
        metadata=step_pod.default_metadata(),
        activeDeadlineSeconds=retries.DEFAULT_DEADLINE,
        inputs=inputs,
        podSpecPatch=step_pod.pod_spec_patch(settings),
    )


def _container(settings: Settings, delivery: Delivery) -> dict[str, Any]:
    """What the containers of all steps share, beside image, command and environment."""
    return _given(
        imagePullPolicy=settings.image_pull_policy,
        envFrom=pods.default_env_from(settings),
        resources=pods.default_resources(),
        securityContext=profile.of_container(settings),
        terminationMessagePolicy="FallbackToLogsOnError",
        volumeMounts=_mounts(settings, delivery),
    )


def _volumes(settings: Settings, delivery: Delivery) -> list[Mapping[str, Any]]:
    claim = settings.datastore_claim
    shared = [{"name": "datastore", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    return [{"name": "out", "emptyDir": {}}, *profile.volumes(settings), *delivery.volumes, *shared]


def _mounts(settings: Settings, delivery: Delivery) -> list[Mapping[str, Any]]:
    shared = [{"name": "datastore", "mountPath": settings.datastore_root}] if settings.datastore_claim and settings.datastore_root else []
    return [{"name": "out", "mountPath": OUT}, *profile.mounts(settings), *delivery.mounts, *shared]


def _environment(flow: Flow, settings: Settings) -> list[dict[str, Any]]:
    """The variables of all steps, in one order."""
    emit = f"--with=argo_workflows_internal:auto-emit-argo-events={int(settings.auto_emit_events)}"
    plain = {
        "FLOWC_RUN_ID": RUN_ID,
        **profile.environment(settings),
        **runtime.environment(flow, settings, top=[emit]),
        "METAFLOW_PRODUCTION_TOKEN": names.production_token(flow, settings),
        "METAFLOW_KUBERNETES_WORKLOAD": "1",
        "METAFLOW_RUNTIME_ENVIRONMENT": "kubernetes",
        "METAFLOW_FLOW_NAME": flow.name,
        "ARGO_WORKFLOW_TEMPLATE": names.workflow_name(flow, settings),
        "ARGO_WORKFLOW_NAME": "{{workflow.name}}",
        "ARGO_WORKFLOW_NAMESPACE": "{{workflow.namespace}}",
    }
    found: list[dict[str, Any]] = [{"name": name, "value": pods.literal(value)} for name, value in plain.items()]
    found += [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in pods.FIELDS.items()]
    return found + events.event_environment(flow, settings)


def _dag(found: dag.Dag) -> dict[str, Any]:
    tasks = [
        {
            "name": task.name,
            "template": task.template,
            "depends": task.depends,
            "when": task.when,
            "count": task.count,
            "arguments": _pairs(task.arguments),
        }
        for task in found.tasks
    ]
    return {"name": found.name, "inputs": [{"name": name} for name in found.inputs], "tasks": tasks}


def _pairs(arguments: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in arguments]


def _loop(loop: dag.Loop) -> dict[str, Any]:
    """A round, then the loop again while the step chose itself: Argo's `steps` template that calls itself."""
    passed = tuple((name, f"{{{{inputs.parameters.{name}}}}}") for name in loop.inputs)
    # Only the outputs of what surely ran are read: those of a skipped step differ between versions of Argo.
    case = "steps.round.outputs.parameters.case"
    last = f"{case} != '{loop.step}' ? {case} : steps.again.outputs.parameters.case"
    return {
        "name": loop.name,
        "template": loop.template,
        "inputs": [{"name": name} for name in (*loop.inputs, "round")],
        "outputs": [{"name": "case", "valueFrom": {"expression": last}}] if loop.exits else [],
        "round": _pairs((*passed, ("round", dag.ROUND))),
        "again": _pairs((*passed, ("round", "{{=asInt(inputs.parameters.round) + 1}}"))),
        "when": f"'{{{{{case}}}}}' == '{loop.step}'",
    }


def _step(flow: Flow, graph: Graph, node: Node, settings: Settings, delivery: Delivery) -> dict[str, Any]:
    """The template of a step: what it takes and gives, its arguments, and what sets its pod apart."""
    step = flow.steps[node.name]
    inputs = _inputs(graph, node)
    if node.parallel_step:
        shared = gangs.Shared(
            command=["python", runtime.SCRIPT],
            env=_environment(flow, settings),
            volumes=_volumes(settings, delivery),
            mounts=_mounts(settings, delivery),
        )
        gang = jobset.gang(step, flow, settings, _arguments(graph, step, node), shared)
        return {"name": argo_name(node.name), "fields": {**inputs, **gang.template}, "resource": gang.resource}
    pod = step_pod.pod(step, settings)
    container = dict(pod.container)
    if node.name == graph.start:
        container["env"] = [*container.get("env", []), *_parameters(flow)]
    return {
        "name": argo_name(node.name),
        "fields": {**inputs, **_given(outputs=_given(parameters=_outputs(node))), **pod.template},
        "args": _arguments(graph, step, node),
        "container": _given(**container),
        "resource": None,
    }


def _inputs(graph: Graph, node: Node) -> dict[str, Any]:
    needed = {"path": dag.in_foreach(graph, node), "round": node.loops, "num-parallel": node.parallel_step}
    return _given(inputs=_given(parameters=[{"name": name} for name, wanted in needed.items() if wanted]))


def _arguments(graph: Graph, step: Step, node: Node) -> list[str]:
    found = merging.retries(step)
    return runtime.arguments(
        graph,
        node.name,
        path=dag.PATH if dag.in_foreach(graph, node) else None,
        attempt="{{retries}}" if found.total else None,
        user_retries=found.user,
        round=dag.ROUND if node.loops else None,
    )


def _outputs(node: Node) -> list[Mapping[str, Any]]:
    if node.type == "foreach":
        return [NUM_PARALLEL] if node.parallel_foreach else [SPLITS]
    return [CASE] if node.type == "split-switch" and (node.loops or len(dag.exits(node)) > 1) else []


def _parameters(flow: Flow) -> list[dict[str, Any]]:
    """The submitted values, for the first step: base64 of JSON, since a value may hold anything, Argo's own tags included."""
    if not flow.parameters:
        return []
    pairs = ", ".join(f"'{p.name}': workflow.parameters['{p.name}']" for p in flow.parameters)
    declared = [{"name": name, "value": pods.literal(value)} for name, value in runtime.parameters_environment(flow).items()]
    return [{"name": "FLOWC_PARAMETERS", "value": f"{{{{=toBase64(toJson({{{pairs} }}))}}}}"}, *declared]
