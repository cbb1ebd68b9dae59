"""In: `flowc run --on kubernetes`. Out: a Platform (see job.py): the executor of a run that is led from this machine, outside the cluster.

A ConfigMap stands for the run: it has the plan and the parameters, and owns the code, the Jobs and the Lease, so that they go with it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.deployment import jobs
from flowc.run.kubernetes import Kubernetes
from flowc.run.kubernetes_api import Api, ClusterError, FinalError, Object, RefusedError, connect
from flowc.run.kubernetes_objects import Run
from flowc.run.kubernetes_view import FAILED

if TYPE_CHECKING:
    from flowc.diagnostics import Diagnostic
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.run.job import Job
    from flowc.settings import Settings

PREFIX = "k8s"
OPTIONS: Mapping[str, str] = {"context": "a context of the kubeconfig", "namespace": "where the Jobs are made"}
PLAN, PARAMETERS = "plan.json", "parameters.json"
WEEK = 7 * 24 * 3600
"""Seconds that a run's objects stay after its end, where no setting (job_ttl) says otherwise."""


def check(flow: Flow, graph: Graph, settings: Settings) -> list[Diagnostic]:
    """What plain Kubernetes cannot carry of the flow."""
    from flowc import target

    return list(target.load("kubernetes").check(flow, graph, settings))


def executor(job: Job) -> Laptop:
    """The executor of a run in the cluster and namespace of the kubeconfig's context, or of those that the options name.

    UsageError where there is no cluster, or the run cannot be begun there as asked.
    """
    from flowc.compiler import compile_flow
    from flowc.run.job import UsageError

    compiled = compile_flow(job.flow, job.graph, "kubernetes", job.settings)
    if not compiled.artifacts:
        raise UsageError("; ".join(found.message for found in compiled.diagnostics if found.severity.value == "error"))
    try:
        api = connect(job.option("namespace") or job.settings.namespace, job.option("context") or None)
        objects = [dict(made.object) for made in compiled.artifacts]
        return prepared(api, objects, job.run, job.parameters, max_workers=job.max_workers, resume=job.resume, say=_say)
    except ClusterError as error:
        raise UsageError(str(error)) from error


def _say(text: str) -> None:
    print(f"flowc: {text}", file=sys.stderr)


@dataclass(slots=True)
class Laptop(Kubernetes):
    """What ends with the process that leads."""

    def end(self, succeeded: bool) -> None:
        """The exit hooks and the objects' time to live where the run has ended; where it was interrupted, only the lease is given back."""
        try:
            if succeeded or FAILED in self.work.view.over.values():
                self.hooks("success" if succeeded else "error")
                finish(self)
        finally:
            self.close()


def prepared(
    api: Api,
    objects: Iterable[Object],
    run_id: str,
    parameters: Mapping[str, str],
    *,
    max_workers: int | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Laptop:
    """An executor whose run has what it needs in the cluster. A run of the id that is there goes on.

    `objects` are the documents of `--target kubernetes`; of these only the ConfigMaps are made. `parameters`: texts by name; where there
    are none, those that the run was begun with count. FinalError where the id is another flow's (or, with `resume`, is not known).
    """
    maps = [item for item in objects if item["kind"] == "ConfigMap"]
    plan_text = next(item["data"][PLAN] for item in maps if PLAN in item["data"])
    name = jobs.name(run_id, "run")
    there = api.get("configmaps", name)
    if resume and there is None:
        raise FinalError(f"there is no run {run_id} in {api.namespace} to resume: its objects are gone, or are in another namespace")
    plan = json.loads(plan_text)
    if there is not None and (other := json.loads(there["data"][PLAN])["flow"]) != plan["flow"]:
        raise FinalError(f"the run id {run_id} is taken in {api.namespace}, by a run of {other}: choose another one")
    if there is not None:
        parameters = parameters or json.loads(there["data"][PARAMETERS])
    data = {PLAN: plan_text, PARAMETERS: json.dumps(dict(parameters))}
    labels = {**plan["shared"]["metadata"].get("labels", {}), **Run(plan, run_id, api.namespace).labels}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data}
    made = _made(api, body, there)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"]}
    for item in maps:
        if PLAN not in item["data"]:
            _own(api, item, owner)
    return Laptop(api, plan, run_id, parameters, owner, max_workers, resume, say)


def _made(api: Api, body: Object, there: Object | None) -> Object:
    """The run's ConfigMap; that of an earlier try whose answer was lost is this one's too."""
    name = body["metadata"]["name"]
    if there is not None:
        return api.patch("configmaps", name, {"data": body["data"], "metadata": {"ownerReferences": None}})
    try:
        return api.create("configmaps", body)
    except RefusedError as error:
        found = api.get("configmaps", name) if error.reason == "AlreadyExists" else None
        if found is None or found["data"] != body["data"]:
            raise
        return found


def _own(api: Api, item: Mapping[str, Any], owner: Object) -> None:
    """A ConfigMap of code, named by its content: made, or where runs own it already, owned by this one too. An applied one stays free."""
    name, place = item["metadata"]["name"], {"namespace": api.namespace, "ownerReferences": [owner]}
    body = {**item, "metadata": {**item["metadata"], **place}}
    for _ in range(20):
        found = api.get("configmaps", name)
        owners = found["metadata"].get("ownerReferences", []) if found else []
        if found and "deletionTimestamp" not in found["metadata"]:
            if not owners or any(known["uid"] == owner["uid"] for known in owners):
                return
            found["metadata"]["ownerReferences"] = [*owners, owner]
        try:
            if found is None:
                api.create("configmaps", body)
            elif "deletionTimestamp" not in found["metadata"]:
                api.replace("configmaps", found)
        except RefusedError as error:
            if error.status not in (404, 409):
                raise
        if found:
            api.sleep(0.2)
    raise FinalError(f"the ConfigMap {name} is changed by others all the time")


def finish(executor: Kubernetes) -> None:
    """After the run's end: the cluster removes its objects when they have stood for a week, or as long as the setting job_ttl says."""
    seconds = executor.plan["shared"]["spec"].get("ttlSecondsAfterFinished", WEEK)
    last = executor.work.expire(seconds)
    if last is not None and executor.owner is not None:
        # a ConfigMap has no end of its own: it goes with the Job that ended last, and takes the others along
        api_version = "batch/v1" if last.kind == "jobs" else "jobset.x-k8s.io/v1alpha2"
        kind = "Job" if last.kind == "jobs" else "JobSet"
        reference = {"apiVersion": api_version, "kind": kind, "name": last.name, "uid": last.uid}
        executor.api.patch("configmaps", executor.owner["name"], {"metadata": {"ownerReferences": [reference]}})
