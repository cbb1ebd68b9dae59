"""In: a Flow, its Graph and Settings. Out: what Jobs of Kubernetes cannot carry of it (FC4), or the documents to write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowc import plan
from flowc.deployment import code, hooks, names, pods_check, schedule, scopes
from flowc.diagnostics import Diagnostic
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Settings
from flowc.target import Document, Lowered
from flowc.targets.kubernetes import coordinator, endings, jobs, losses, overlaid
from flowc.targets.kubernetes.names import base
from flowc.targets.kubernetes.overlaid import SCHEMA

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
    delivery = code.deliver(flow, base(flow, settings), settings, mounted=True, expands=False)
    whole = _plan(flow, graph, settings) | jobs.templates(flow, graph, settings, delivery) | endings.templates(flow, graph, settings)
    whole, problems = overlaid.plan(flow, settings, whole)
    held, data, volume = coordinator.config_map(flow, settings, whole)
    job, more = coordinator.job(flow, settings, volume)
    if problems or more:
        return Lowered((), tuple(dict.fromkeys([*problems, *more])))
    config_maps = [("code", delivery.config_map, delivery.data), ("plan", held, data)]
    return Lowered(tuple(_documents(flow, graph, settings, config_maps, job)))


def _documents(
    flow: Flow, graph: Graph, settings: Settings, config_maps: Sequence[tuple[str, str | None, Mapping[str, str]]], job: Mapping[str, Any]
) -> Iterator[Document]:
    name = base(flow, settings)
    gangs = any(node.parallel_step for node in graph.nodes.values())
    for kind, fields in coordinator.access(flow, settings, gangs=gangs):
        right = {"kind": kind, "fields_of_kind": fields}
        yield Document("kubernetes/rbac.yaml.j2", right, SCHEMA, f"{fields['metadata']['name']}.{kind.lower()}.yaml")
    for part, content, texts in config_maps:
        values: dict[str, Any] = {"metadata": coordinator.about(flow, settings, content or "", keep=True), "data": texts}
        yield Document("kubernetes/configmap.yaml.j2", values, SCHEMA, f"{name}-{part}.configmap.yaml")
    yield Document("kubernetes/coordinator.yaml.j2", job, SCHEMA, f"{name}.{job['kind'].lower()}.yaml", overlaid=True)


def _plan(flow: Flow, graph: Graph, settings: Settings) -> dict[str, Any]:
    """Without what the Jobs say already."""
    found = plan.plan(flow, graph, settings)
    steps = {name: {k: v for k, v in step.items() if k not in IN_THE_JOBS} for name, step in found["steps"].items()}
    return {**found, "steps": steps}
