"""In: objects to apply, and those of their names that flowc never applied. Out: what an apply would leave of these, or they, taken over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowc.run.apply import MANAGER, Cluster, Outcome, apply
from flowc.run.kubernetes_api import Object, RefusedError

KINDS = ("WorkflowTemplate", "CronWorkflow", "Sensor")
"""What Metaflow deploys under the names of flowc. What others add to another kind (the role of a service account) is theirs, and stays."""
NOTHING: tuple[Any, ...] = (None, "", {}, [])


@dataclass(frozen=True, slots=True)
class Foreign:
    """An object in the cluster that `flowc apply` never applied. `left`: fields that it has and the wanted one does not set."""

    kind: str
    name: str
    namespace: str
    path: str
    object: Mapping[str, Any]
    left: tuple[str, ...]

    def __str__(self) -> str:
        several = f" and {len(self.left) - 4} more" if len(self.left) > 4 else ""
        spared = " --cascade=orphan" if self.kind == "CronWorkflow" else ""  # else the runs that it started go with it
        return (
            f"{self.kind} {self.name} was not made by `flowc apply`, which would leave what it has and the flow does not set: "
            f"{', '.join(self.left[:4])}{several}; take it over whole with --replace, or delete it: "
            f"kubectl -n {self.namespace} delete {self.kind.lower()} {self.name}{spared}"
        )


def foreign(cluster: Cluster, wanted: Iterable[Mapping[str, Any]]) -> list[Foreign]:
    """Those objects of KINDS that others made. What may not be read is passed over: the apply will tell."""
    found = []
    for value in (each for each in wanted if each["kind"] in KINDS):
        kind, name, namespace = str(value["kind"]), str(value["metadata"]["name"]), cluster.namespace_of(value)
        path = cluster.address(str(value["apiVersion"]), kind, namespace, name)
        try:
            before = None if path is None else cluster.get(path)
        except RefusedError:
            continue
        if path is not None and before is not None and not _applied(before):
            left = tuple(sorted(_left(before.get("spec", {}), value["spec"], ("spec",)), key=lambda field: field.count(".")))
            found.append(Foreign(kind, name, namespace, path, before, left))
    return found


def _applied(value: Mapping[str, Any]) -> bool:
    managers = value["metadata"].get("managedFields", ())
    return any(entry.get("manager") == MANAGER and entry.get("operation") == "Apply" for entry in managers)


def _left(before: Mapping[str, Any], wanted: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """The fields that only the first has; a list counts as one value, since the server replaces it whole."""
    for key, item in before.items():
        if isinstance(item, dict) and isinstance(wanted.get(key), dict):
            yield from _left(item, wanted[key], (*path, key))
        elif key not in wanted and item not in NOTHING:
            yield ".".join((*path, key))


def applied(
    cluster: Cluster, objects: Iterable[Mapping[str, Any]], taken: Iterable[Foreign], *, dry_run: bool, force: bool
) -> Iterator[Outcome]:
    """As `apply`, but those that are `taken` end with the `spec` that was compiled and no more, whoever set what of it before.

    They are neither deleted nor made anew, so the runs that a CronWorkflow owns go on.
    """
    by_key = {(each.kind, each.namespace, each.name): each for each in taken}
    for value in objects:
        one = by_key.get((str(value["kind"]), cluster.namespace_of(value), str(value["metadata"]["name"])))
        if one is None:
            yield from apply(cluster, [value], dry_run=dry_run, force=force)
            continue
        try:
            if not dry_run:
                _own(cluster, one)
        except RefusedError as error:
            yield Outcome(one.kind, one.name, one.namespace, "refused", str(error))
            continue
        for outcome in apply(cluster, [value], dry_run=dry_run, force=True):
            yield _foretold(outcome, value, one) if dry_run else outcome


def _foretold(outcome: Outcome, value: Mapping[str, Any], one: Foreign) -> Outcome:
    """The outcome of a dry run, for which nobody owned the rest, as the apply will make it."""
    if outcome.after is None:
        return outcome
    after = {**outcome.after, "spec": _both(outcome.after["spec"], value["spec"])}
    return replace(outcome, after=after, what="configured" if one.left else outcome.what)


def _both(after: Mapping[str, Any], wanted: Mapping[str, Any]) -> Object:
    """What of the first stays where fields that are not wanted go."""
    kept = {key: item for key, item in after.items() if key in wanted}
    deep = {key: _both(item, wanted[key]) for key, item in kept.items() if isinstance(item, dict) and isinstance(wanted[key], dict)}
    return kept | deep


def _own(cluster: Cluster, one: Foreign) -> None:
    """Note in the object that flowc applied all of its `spec`: the next apply removes what of it flowc no longer sets.

    So Kubernetes itself moves objects to server-side apply. RefusedError where the object has changed since it was read.
    """
    metadata = one.object["metadata"]
    entries: list[Object] = []
    spec: Object = {}
    for entry in metadata.get("managedFields", ()):
        fields = dict(entry.get("fieldsV1", {}))
        if not entry.get("subresource"):
            spec = _merged(spec, fields.pop("f:spec", {}))
        entries += [{**entry, "fieldsV1": fields}] if fields else []
    own = {"manager": MANAGER, "operation": "Apply", "apiVersion": one.object["apiVersion"], "fieldsType": "FieldsV1"}
    managed = [*entries, {**own, "fieldsV1": {"f:spec": spec}}]
    body = {"metadata": {"managedFields": managed, "resourceVersion": metadata["resourceVersion"]}}
    cluster.api.call("PATCH", one.path, {"fieldManager": MANAGER}, body, "application/merge-patch+json")


def _merged(one: Mapping[str, Any], two: Mapping[str, Any]) -> Object:
    return {key: _merged(one.get(key, {}), two.get(key, {})) for key in [*one, *(key for key in two if key not in one)]}
