"""In: a Flow, its Graph and Settings. Out: what Argo cannot carry of it (FC4), or the documents to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flowc.deployment import code, events, names, parameters, pods_check, schedule, scopes
from flowc.diagnostics import Diagnostic
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Settings
from flowc.target import Document, Lowered
from flowc.targets.argo import cron_workflow, events_sensor, hooks, jobset, settings_text, workflow

RBAC = "rbac.authorization.k8s.io/v1"
KUBERNETES = "kubernetes/1.33.json"
# Argo CD and Flux remove what a commit no longer holds; runs that are under way still mount this code. It is no drift either.
KEEP = {
    "argocd.argoproj.io/sync-options": "Prune=false",
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}


def check(flow: Flow, graph: Graph, settings: Settings) -> Sequence[Diagnostic]:
    """FC4: what of the flow Argo cannot carry, and which settings it lacks."""
    return [
        *names.check(flow, settings),
        *settings_text.check(flow, settings),
        *parameters.check(flow),
        *schedule.check(flow),
        *events.check(flow, settings),
        *hooks.check(flow, settings),
        *pods_check.check(flow, settings),
        *scopes.check(flow, graph),
        *code.check(flow, settings),
    ]


def lower(flow: Flow, graph: Graph, settings: Settings) -> Lowered:
    """The documents of a flow that passed `check`, the WorkflowTemplate first."""
    name = names.workflow_name(flow, settings)
    schema = "argo/4.0.json" if settings.argo_version >= "4.0" else "argo/3.7.json"
    delivery = code.deliver(flow, name, settings, mounted=has_gang(graph))
    template = workflow.values(flow, graph, settings, delivery)
    if settings.overlays:
        from flowc.targets.argo import overlaid  # who has none need not wait for it

        template, problems = overlaid.laid(flow, graph, settings, template)
        if problems:
            return Lowered((), tuple(problems))
    for step in template["steps"]:
        if step["resource"]:
            step["resource"]["manifest"] = jobset.text(step["resource"]["manifest"])
    documents = [Document("argo/workflowtemplate.yaml.j2", template, schema, f"{name}.workflowtemplate.yaml")]
    if delivery.config_map:
        about = {**_about(delivery.config_map, settings), "annotations": KEEP}
        values = {"metadata": about, "data": delivery.data}
        documents.append(Document("argo/configmap.yaml.j2", values, KUBERNETES, f"{delivery.config_map}.configmap.yaml"))
    planned = cron_workflow.cron_workflow(flow, settings)
    if planned:
        documents.append(Document("argo/cronworkflow.yaml.j2", planned, schema, f"{name}.cronworkflow.yaml"))
    waiting = events_sensor.sensor(flow, settings)
    if waiting:
        documents.append(Document("argo/sensor.yaml.j2", waiting, "argo/sensor.json", f"{waiting['metadata']['name']}.sensor.yaml"))
    if settings.rbac:
        documents += _rbac(name, graph, settings)
    return Lowered(tuple(documents))


def has_gang(graph: Graph) -> bool:
    """Whether some step runs as a JobSet."""
    return any(node.parallel_step for node in graph.nodes.values())


def _about(name: str, settings: Settings) -> dict[str, Any]:
    return {"name": name, **({"namespace": settings.namespace} if settings.namespace else {})}


def _rbac(name: str, graph: Graph, settings: Settings) -> Iterator[Document]:
    """A service account for the pods, with the least that they need."""
    account = settings.service_account or name
    rules = [{"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}]
    if has_gang(graph):
        rules.append({"apiGroups": ["jobset.x-k8s.io"], "resources": ["jobsets"], "verbs": ["create", "get"]})
    subject = {"kind": "ServiceAccount", **_about(account, settings)}
    objects: list[tuple[str, str, dict[str, Any]]] = [
        ("v1", "ServiceAccount", {}),
        (RBAC, "Role", {"rules": rules}),
        (RBAC, "RoleBinding", {"roleRef": {"apiGroup": RBAC.partition("/")[0], "kind": "Role", "name": account}, "subjects": [subject]}),
    ]
    for api, kind, rest in objects:
        values = {"api": api, "kind": kind, "metadata": _about(account, settings), "rest": rest}
        yield Document("argo/rbac.yaml.j2", values, KUBERNETES, f"{account}.{kind.lower()}.yaml")
