"""In: what the kubernetes target wrote for a flow, a run id. Out: the executor of a run that is led from this machine, outside the cluster.

A ConfigMap stands for the run: it has the plan and the parameters, and owns the code, the Jobs and the Lease, so that they go with it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flowc.run import jobs
from flowc.run.kubernetes import Kubernetes
from flowc.run.kubernetes_api import Api, FinalError, Object, RefusedError
from flowc.run.kubernetes_objects import Run

PLAN, PARAMETERS = "plan.json", "parameters.json"
WEEK = 7 * 24 * 3600
"""Seconds that a run's objects stay after its end, where no setting (job_ttl) says otherwise."""


def prepared(
    api: Api,
    objects: Iterable[Object],
    run_id: str,
    parameters: Mapping[str, str] | None,
    *,
    max_workers: int | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Kubernetes:
    """An executor whose run has what it needs in the cluster.

    `objects` are the documents of `--target kubernetes`; of these only the ConfigMaps are made. `parameters`: texts by name; None, of a
    run that is resumed, means those that it was started with. FinalError where the run id is taken (or, with `resume`, is not known).
    """
    maps = [item for item in objects if item["kind"] == "ConfigMap"]
    plan_text = next(item["data"][PLAN] for item in maps if PLAN in item["data"])
    name = jobs.name(run_id, "run")
    there = api.get("configmaps", name)
    if resume and there is None:
        raise FinalError(f"there is no run {run_id} in {api.namespace} to resume: its objects are gone, or are in another namespace")
    if there is not None and not resume:
        raise FinalError(f"the run id {run_id} is taken in {api.namespace}: choose another one, or resume that run (--resume {run_id})")
    if parameters is None:
        parameters = json.loads(there["data"][PARAMETERS]) if there else {}
    plan = json.loads(plan_text)
    data = {PLAN: plan_text, PARAMETERS: json.dumps(dict(parameters))}
    labels = {**plan["shared"]["metadata"].get("labels", {}), **Run(plan, run_id, api.namespace).labels}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data}
    made = _made(api, body, there)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"]}
    for item in maps:
        if PLAN not in item["data"]:
            _own(api, item, owner)
    return Kubernetes(api, plan, run_id, parameters, owner, max_workers, resume, say, stop or threading.Event())


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
