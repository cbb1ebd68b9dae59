"""In: a Flow, its Graph and Settings. Out: what Jobs of Kubernetes cannot carry of it (FC4), or the documents to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flowc import plan
from flowc.deployment import code, hooks, names, pods_check, schedule, scopes
from flowc.diagnostics import Diagnostic
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Settings
from flowc.target import Document, Lowered
from flowc.targets.kubernetes import coordinator, endings, jobs, losses
from flowc.targets.kubernetes.names import base

SCHEMA = "kubernetes/1.33.json"
IN_THE_JOBS = ("arguments", "environment", "timeout_seconds", "backoff_minutes")


def check(flow: Flow, graph: Graph, settings: Settings) -> Sequence[Diagnostic]:
    """FC4: what of the flow a cluster without Argo cannot carry, and which settings it lacks."""
    return [
        *names.check(flow, settings),
        *schedule.check(flow),
        *hooks.check(flow),
        *losses.check(flow, settings),
        *pods_check.check(flow, settings, "Kubernetes"),
        *scopes.check(flow, graph),
        *code.check(flow, settings),
    ]


def lower(flow: Flow, graph: Graph, settings: Settings) -> Lowered:
    """The documents of a flow that passed `check`: rights, code, plan, and last the coordinator, which needs the others.

    Names of files do not follow the hashes in the objects' names, so that a folder holds one content of a flow and never an old Job.
    """
    return Lowered(tuple(_documents(flow, graph, settings)))


def _documents(flow: Flow, graph: Graph, settings: Settings) -> Iterator[Document]:
    name = base(flow, settings)
    delivery = code.deliver(flow, name, settings, mounted=True, expands=False)
    gangs = any(node.parallel_step for node in graph.nodes.values())
    for kind, fields in coordinator.access(flow, settings, gangs=gangs):
        right = {"kind": kind, "fields_of_kind": fields}
        yield Document("kubernetes/rbac.yaml.j2", right, SCHEMA, f"{fields['metadata']['name']}.{kind.lower()}.yaml")
    whole = _plan(flow, graph, settings) | jobs.templates(flow, graph, settings, delivery) | endings.templates(flow, graph, settings)
    held, data, volume = coordinator.config_map(flow, settings, whole)
    for part, content, texts in (("code", delivery.config_map, delivery.data), ("plan", held, data)):
        values: dict[str, Any] = {"metadata": coordinator.about(flow, settings, content or "", keep=True), "data": texts}
        yield Document("kubernetes/configmap.yaml.j2", values, SCHEMA, f"{name}-{part}.configmap.yaml")
    job = coordinator.job(flow, settings, volume)
    yield Document("kubernetes/coordinator.yaml.j2", job, SCHEMA, f"{name}.{job['kind'].lower()}.yaml")


def _plan(flow: Flow, graph: Graph, settings: Settings) -> dict[str, Any]:
    """Without what the Jobs say already."""
    found = plan.plan(flow, graph, settings)
    steps = {name: {k: v for k, v in step.items() if k not in IN_THE_JOBS} for name, step in found["steps"].items()}
    return {**found, "steps": steps}
