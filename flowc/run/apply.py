"""In: a cluster, the objects of a deployment. Out: the objects applied there (or what applying would do), and those of before removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from flowc.run.kubernetes_api import Api, Object, RefusedError

MANAGER = "flowc"
DEPLOYMENT = "flowc/deployment"
"""Label of all that `flowc apply` applied for one flow and target. It is put on here, not by the compiler: nobody else has to know it."""
KEPT = "argocd.argoproj.io/sync-options"
"""Annotation of what a run that is under way may need: `Prune=false`."""
APPLY = "application/apply-patch+yaml"
# The order in which kinds are made; those left out come after these, in the order of the stream. What starts something comes last.
FIRST = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "Secret", "ConfigMap", "PersistentVolumeClaim", "WorkflowTemplate")
LAST = ("CronWorkflow", "Sensor", "CronJob", "Job")
# What flowc ever emits, so that what it no longer emits is looked for.
EMITTED = (
    ("v1", "ServiceAccount"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("v1", "ConfigMap"),
    ("argoproj.io/v1alpha1", "WorkflowTemplate"),
    ("argoproj.io/v1alpha1", "CronWorkflow"),
    ("argoproj.io/v1alpha1", "Sensor"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
)
SERVERS_OWN = ("managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened, or would, to one object: created, configured, unchanged, deleted, kept, or refused (`why` says why)."""

    kind: str
    name: str
    namespace: str
    what: str
    why: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

    @property
    def failed(self) -> bool:
        return self.what == "refused"

    def __str__(self) -> str:
        shown = f"{self.kind} {self.name} {self.what}"
        return f"{shown}: {self.why}" if self.why else shown


@dataclass(slots=True)
class Cluster:
    """An Api, and which addresses the kinds of objects have there."""

    api: Api
    known: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=dict)

    def resource(self, version: str, kind: str) -> tuple[str, bool] | None:
        """The plural by which objects of a kind are addressed and whether they stand in namespaces; None where there is no such kind."""
        if version not in self.known:
            root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
            try:
                listed = self.api.call("GET", root)["resources"]
            except RefusedError as error:
                if error.status != 404:
                    raise
                listed = []
            self.known[version] = {item["kind"]: (item["name"], item["namespaced"]) for item in listed if "/" not in item["name"]}
        return self.known[version].get(kind)

    def address(self, version: str, kind: str, namespace: str, name: str = "") -> str | None:
        """The path of an object, or of all objects of the kind in the namespace."""
        found = self.resource(version, kind)
        if found is None:
            return None
        plural, namespaced = found
        place = f"/namespaces/{quote(namespace)}" if namespaced else ""
        root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        return f"{root}{place}/{plural}" + (f"/{quote(name)}" if name else "")

    def namespace_of(self, value: Mapping[str, Any]) -> str:
        return str(value["metadata"].get("namespace") or self.api.namespace)

    def get(self, path: str) -> Object | None:
        try:
            return self.api.call("GET", path)
        except RefusedError as error:
            if error.status != 404:
                raise
            return None


def deployment(target: str, name: str) -> str:
    """The value of the label DEPLOYMENT."""
    text = f"{target}.{name}"
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", text):
        return text
    import hashlib

    return f"{target}.{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def ordered(objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As they can be made one after the other: what others refer to first."""
    ranks = {kind: rank for rank, kind in enumerate(FIRST)} | {kind: len(FIRST) + 1 + rank for rank, kind in enumerate(LAST)}
    return sorted(objects, key=lambda value: ranks.get(str(value["kind"]), len(FIRST)))


def labelled(value: Mapping[str, Any], label: str) -> Object:
    """The object with the label of its deployment."""
    metadata = value["metadata"]
    return {**value, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), DEPLOYMENT: label}}}


def shown(value: Mapping[str, Any] | None) -> Object | None:
    """The object without what the server keeps about it: what people compare."""
    if value is None:
        return None
    metadata = {key: item for key, item in value["metadata"].items() if key not in SERVERS_OWN}
    kept = {key: item for key, item in value.items() if key != "status"}
    plain: Object = _without_nulls({**kept, "metadata": metadata})
    return plain


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


# --- applying ------------------------------------------------------------------------------------------------------------


def apply(cluster: Cluster, objects: Iterable[Mapping[str, Any]], *, dry_run: bool, force: bool = False) -> Iterator[Outcome]:
    """Server-side apply, one object after the other, as the field manager `flowc`; an answer of no is an outcome, not an error.

    `force`: take fields that another manager owns. With `dry_run` the server does all but store; an object in a namespace that is
    not there is refused then too.
    """
    for value in objects:
        version, kind, name = str(value["apiVersion"]), str(value["kind"]), str(value["metadata"]["name"])
        namespace = cluster.namespace_of(value)
        path = cluster.address(version, kind, namespace, name)
        if path is None:
            why = f"the cluster knows no {kind} of {version}{_missing(version)}"
            yield Outcome(kind, name, namespace, "refused", why)
            continue
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "true" if force else "false"}
        try:
            before = cluster.get(path)
            after = cluster.api.call("PATCH", path, query | ({"dryRun": "All"} if dry_run else {}), dict(value), APPLY)
        except RefusedError as error:
            yield Outcome(kind, name, namespace, "refused", _why(error))
            continue
        old, new = shown(before), shown(after)
        what = "created" if old is None else "unchanged" if old == new else "configured"
        yield Outcome(kind, name, namespace, what, before=old, after=new)


def _missing(version: str) -> str:
    return "; is Argo installed?" if version.startswith("argoproj.io/") else ""


def _why(error: RefusedError) -> str:
    """What the server says; of a conflict whose fields these are, and what can be done."""
    if error.status == 409 and "conflict" in str(error):
        return f"{error}; another manager set these fields: give them up there, or take them with --force-conflicts"
    if error.status == 422 and "immutable" in str(error):
        return f"{error}; delete the object first"
    return str(error)


# --- removing ------------------------------------------------------------------------------------------------------------


def found(cluster: Cluster, label: str, namespaces: Iterable[str], more: Iterable[tuple[str, str]] = ()) -> list[Object]:
    """Everything that carries the deployment's label in the namespaces, of the kinds that flowc emits and `more`."""
    kinds = dict.fromkeys([*EMITTED, *more])
    out: list[Object] = []
    for namespace in dict.fromkeys(namespaces):
        for version, kind in kinds:
            path = cluster.address(version, kind, namespace)
            if path is None:
                continue
            query = {"labelSelector": f"{DEPLOYMENT}={label}"}
            out += [{**item, "apiVersion": version, "kind": kind} for item in cluster.api.call("GET", path, query)["items"]]
    return out


def remove(
    cluster: Cluster, objects: Sequence[Mapping[str, Any]], *, dry_run: bool, spare: bool, current: Iterable[str] = ()
) -> Iterator[Outcome]:
    """Delete with all that they own. `spare`: what a run may need (see KEPT) stays while such a run is under way.

    `current`: names of Jobs that need none of these objects, since they came with objects of their own.
    """
    busy: dict[tuple[str, str], bool] = {}
    for value in reversed(ordered(objects)):
        kind, metadata = str(value["kind"]), value["metadata"]
        name, namespace = str(metadata["name"]), cluster.namespace_of(value)
        if spare and "Prune=false" in metadata.get("annotations", {}).get(KEPT, ""):
            place = (namespace, str(metadata["labels"][DEPLOYMENT]))
            if place not in busy:
                busy[place] = running(cluster, *place, frozenset(current))
            if not _ended(value) if kind == "Job" else busy[place]:
                yield Outcome(kind, name, namespace, "kept", "a run that is under way may need it")
                continue
        path = cluster.address(str(value["apiVersion"]), kind, namespace, name)
        body: Object = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
        try:
            cluster.api.call("DELETE", str(path), {"dryRun": "All"} if dry_run else {}, body)
        except RefusedError as error:
            if error.status != 404:
                yield Outcome(kind, name, namespace, "refused", str(error))
                continue
        yield Outcome(kind, name, namespace, "deleted", before=shown(value))


def running(cluster: Cluster, namespace: str, label: str, current: frozenset[str]) -> bool:
    """Whether a run of the deployment, but those in `current`, is under way: a Workflow, or a coordinator's Job, that has not ended."""
    _, _, name = label.partition(".")
    selectors = (
        ("argoproj.io/v1alpha1", "Workflow", f"workflows.argoproj.io/workflow-template={name},workflows.argoproj.io/completed!=true"),
        ("batch/v1", "Job", f"app.kubernetes.io/name=metaflow-run,flowc/flow={name.replace('.', '-')}"),
        ("batch/v1", "Job", f"{DEPLOYMENT}={label}"),
    )
    for version, kind, selector in selectors:
        path = cluster.address(version, kind, namespace)
        items = [] if path is None else cluster.api.call("GET", path, {"labelSelector": selector})["items"]
        if any(kind == "Workflow" or not (_ended(item) or item["metadata"]["name"] in current) for item in items):
            return True
    return False


def _ended(job: Mapping[str, Any]) -> bool:
    return any(
        condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
        for condition in job.get("status", {}).get("conditions", ())
    )
