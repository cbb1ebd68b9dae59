"""Facts about patches: they merge as Kubernetes merges them, which the real kubectl says, and what they cannot say is told."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from overlays.kubectl import patched
from real_kubectl import needs_kubectl

from flowc.deployment.overlays import shape_of, shape_of_pod
from flowc.deployment.strategic import PatchError, grounded, has_directives, merged, simple, with_nulls

JOB = shape_of("kubernetes/1.33.json", "Job")


def job(**spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]
    pod = {"restartPolicy": "Never", "containers": containers, **spec}
    about = {"name": "a", "labels": {"x": "1", "y": "2"}, "finalizers": ["a/b", "c/d"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": {"backoffLimit": 3, "template": {"spec": pod}}}


def of_pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a map merges": (job(), {"metadata": {"labels": {"y": "3", "z": "4"}}}),
    "a null deletes": (job(), {"metadata": {"labels": {"y": None}}, "spec": {"backoffLimit": None}}),
    "a null of nothing is nothing": (job(), of_pod(priorityClassName=None, securityContext={"runAsUser": None, "fsGroup": 5})),
    "items merge by name": (job(), of_pod(containers=[{"name": "main", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}])),
    "a new item comes first": (job(), of_pod(containers=[{"name": "side", "image": "s"}])),
    "an item is deleted": (job(), of_pod(containers=[{"name": "main", "env": [{"name": "A", "$patch": "delete"}]}])),
    "a list is replaced": (job(), of_pod(containers=[{"name": "main", "env": [{"$patch": "replace"}, {"name": "Z", "value": "1"}]}])),
    "a map is replaced": (job(nodeSelector={"a": "b"}), of_pod(nodeSelector={"$patch": "replace", "c": "d"})),
    "a map is emptied": (job(nodeSelector={"a": "b"}), of_pod(nodeSelector={"$patch": "delete"})),
    "tolerations are atomic": (job(tolerations=[{"key": "a"}]), of_pod(tolerations=[{"key": "b", "operator": "Exists"}])),
    "a primitive list merges": (job(), {"metadata": {"finalizers": ["e/f", "a/b"]}}),
    "from a primitive list": (job(), {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"], "finalizers": ["e/f"]}}),
    "keys are retained": (
        job(volumes=[{"name": "v", "emptyDir": {"medium": "Memory"}}]),
        of_pod(volumes=[{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]),
    ),
    "mounts by path": (
        job(containers=[{"name": "main", "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]}]),
        of_pod(containers=[{"name": "main", "volumeMounts": [{"mountPath": "/b", "name": "w", "readOnly": True}]}]),
    ),
    "ports by number": (
        job(containers=[{"name": "main", "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}]}]),
        of_pod(containers=[{"name": "main", "ports": [{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 82}]}]),
    ),
    "commands are atomic": (job(containers=[{"name": "main", "command": ["a", "b"]}]), of_pod(containers=[{"name": "main", "command": ["c"]}])),
    "directives in what is new vanish": (job(), of_pod(affinity={"nodeAffinity": {"$patch": "delete"}}, volumes=[{"name": "a", "emptyDir": {}}])),
}


@needs_kubectl
@pytest.mark.parametrize("name", CASES)
def test_as_kubectl(name: str) -> None:
    """Every rule of the merge gives what kubectl gives, and changes neither object nor patch."""
    value, patch = CASES[name]
    before = copy.deepcopy((value, patch))
    found = merged(value, patch, JOB)
    assert (value, patch) == before
    assert _bare(found) == _bare(patched(value, patch))


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (of_pod(volumes=[{"emptyDir": {}}]), "an item of spec.template.spec.volumes has no `name`, by which the list merges"),
        (of_pod(nodeSelector={"$patch": "remove"}), "spec.template.spec.nodeSelector.$patch is 'remove'; there are 'delete' and 'replace'"),
        (of_pod(**{"$setElementOrder/containers": [{"name": "main"}]}), "spec.template.spec.$setElementOrder/containers is not taken"),
        (of_pod(volumes=[{"name": "v", "$retainKeys": ["name"], "emptyDir": {}}]), "spec.template.spec.volumes[v].$retainKeys leaves out emptyDir"),
        ({"metadata": {"finalizers": ["a", {"b": "c"}]}}, "metadata.finalizers has items of several kinds"),
    ],
)
def test_refused(patch: dict[str, Any], message: str) -> None:
    """What no merge takes is told with its place."""
    value = job(nodeSelector={"a": "b"}, volumes=[{"name": "v", "hostPath": {"path": "/"}}])
    with pytest.raises(PatchError) as error:
        merged(value, patch, JOB)
    assert str(error.value).startswith(message)


def _bare(value: Any) -> Any:
    """Without what kubectl's Go types write or leave out for nothing said: empty maps and lists, `status`, `creationTimestamp`."""
    if isinstance(value, dict):
        kept = {key: _bare(item) for key, item in value.items() if key not in ("status", "creationTimestamp")}
        return {key: item for key, item in kept.items() if item not in ({}, [], None, "")}
    return [_bare(item) for item in value] if isinstance(value, list) else value


# --- generated -------------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d"])
DIRECTIVES = st.sampled_from([{}, {}, {}, {"$patch": "delete"}])


def _named(values: st.SearchStrategy[dict[str, Any]], key: str, *, patch: bool, least: int = 0) -> st.SearchStrategy[list[dict[str, Any]]]:
    made = st.builds(lambda name, value, directive: {key: name, **value, **directive}, NAMES, values, DIRECTIVES if patch else st.just({}))
    return st.lists(made, min_size=least, max_size=3, unique_by=lambda item: item[key])


def _map(values: st.SearchStrategy[Any], *, patch: bool) -> st.SearchStrategy[dict[str, Any]]:
    some = st.dictionaries(NAMES, st.one_of(values, st.none()) if patch else values, max_size=3)
    return st.one_of(some, some.map(lambda found: {**found, "$patch": "replace"})) if patch else some


def _some(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _pods(*, patch: bool) -> st.SearchStrategy[dict[str, Any]]:
    env = _named(_some({"value": NAMES}), "name", patch=patch)
    mounts = _named(st.fixed_dictionaries({"name": NAMES}), "mountPath", patch=patch)
    resources = _some({"limits": _map(NAMES.map(lambda _: "1"), patch=patch)})
    container = _some({"image": NAMES, "args": st.lists(NAMES, max_size=2), "env": env, "volumeMounts": mounts, "resources": resources})
    tolerations = st.lists(st.fixed_dictionaries({"key": NAMES}, optional={"value": NAMES}), max_size=2)
    volume = st.sampled_from([{"emptyDir": {"medium": "Memory"}}, {"configMap": {"name": "x", "optional": True}}])
    spec = {
        "containers": _named(container, "name", patch=patch, least=0 if patch else 1),
        "nodeSelector": _map(NAMES, patch=patch),
        "tolerations": tolerations,
        "priorityClassName": st.one_of(NAMES, st.none()) if patch else NAMES,
        "volumes": _named(volume, "name", patch=patch),
        "imagePullSecrets": _named(st.just({}), "name", patch=patch),
    }
    about = _some({"labels": _map(NAMES, patch=patch), "finalizers": st.lists(NAMES, max_size=3, unique=True)})
    return st.builds(lambda meta, pod: {"metadata": meta, "spec": {"template": {"spec": pod}}}, about, _some(spec))


def _directs_what_it_adds(value: dict[str, Any], patch: dict[str, Any]) -> bool:
    """Whether it deletes or replaces in a container that it adds: kubectl adds the directive too, and obeys when the patch comes again."""
    here, new = (each["spec"]["template"]["spec"].get("containers", []) for each in (value, patch))
    added = [container for container in new if container["name"] not in {each["name"] for each in here}]
    return "$patch" in str([[field for key, field in container.items() if key != "$patch"] for container in added])


@needs_kubectl
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(_pods(patch=False), _pods(patch=True))
def test_generated_as_kubectl(value: dict[str, Any], patch: dict[str, Any]) -> None:
    """Any patch of any pod gives what kubectl gives."""
    assume(not _directs_what_it_adds(value, patch))
    value = {"apiVersion": "batch/v1", "kind": "Job", **value, "metadata": {"name": "x", **value["metadata"]}}
    judged = patched(value, patch)
    assume(judged is not None)
    assert _bare(merged(value, patch, JOB)) == _bare(judged)


@given(_pods(patch=False), _pods(patch=True))
def test_twice_is_once(value: dict[str, Any], patch: dict[str, Any]) -> None:
    """A patch that was laid over an object changes it no more."""
    once = merged(value, patch, JOB)
    assert json.dumps(merged(once, patch, JOB), sort_keys=True) == json.dumps(once, sort_keys=True)


@given(_pods(patch=False), _pods(patch=True))
def test_nothing_of_a_patch_is_left(value: dict[str, Any], patch: dict[str, Any]) -> None:
    """What comes of a merge has no directive and no null."""
    assert not has_directives(merged(value, patch, JOB))


# --- the schemas -----------------------------------------------------------------------------------------------------------


def test_keys_are_upstreams() -> None:
    """Merge keys come from Kubernetes' own API, in all schemas alike; of a JobSet, which has none, from its list types."""
    wanted = {"containers": "name", "volumes": "name", "imagePullSecrets": "name", "hostAliases": "ip", "topologySpreadConstraints": "topologyKey"}
    spec = shape_of_pod("PodSpec")
    assert {field: spec.field(field).merge_key for field in wanted} == wanted
    assert not spec.field("tolerations").merges
    assert shape_of("kubernetes/jobset.json", "JobSet").field("spec").field("replicatedJobs").merge_key == "name"
    assert shape_of("argo/4.0.json", "WorkflowTemplate").field("spec").field("templates").merge_key == "name"
    fields = ("env", "envFrom", "ports", "volumeMounts", "volumeDevices", "args")
    container = [shape_of_pod("Container"), shape_of("argo/3.7.json", "WorkflowTemplate").field("spec").field("templateDefaults").field("container")]
    assert [container[0].field(name).merge_key for name in fields] == [container[1].field(name).merge_key for name in fields]


# --- what is none of Kubernetes' ---------------------------------------------------------------------------------------------


def test_json_merge_patch() -> None:
    """RFC 7386 where there are no keys: maps merge, all else is replaced, and `$patch` says what TOML has no null for."""
    value = {"a": 1, "b": {"c": [1, 2], "d": "e"}, "f": {"g": 1}}
    patch = with_nulls({"a": {"$patch": "delete"}, "b": {"c": [3]}, "f": {"$patch": "replace", "h": 2}, "i": {"j": {"k": 1}}})
    assert simple(value, patch) == {"b": {"c": [3], "d": "e"}, "f": {"h": 2}, "i": {"j": {"k": 1}}}


def test_no_null_in_toml() -> None:
    """`{"$patch" = "delete"}` takes away a field of any kind; an item of a list it deletes by its key."""
    patch = with_nulls({"spec": {"backoffLimit": {"$patch": "delete"}, **of_pod(containers=[{"name": "main", "$patch": "delete"}])["spec"]}})
    found = merged(job(), patch, JOB)
    assert "backoffLimit" not in found["spec"]
    assert found["spec"]["template"]["spec"]["containers"] == []


def test_nothing_to_replace() -> None:
    """A map that is to be replaced and is not there becomes what the patch says, where kubectl would drop it; else nothing is other."""
    patch = of_pod(
        nodeSelector={"$patch": "replace", "c": "d"},
        dnsConfig={"$patch": "replace", "options": [{"name": "x"}]},
        containers=[{"name": "main", "resources": {"$patch": "replace", "limits": {"$patch": "replace", "cpu": "1"}}}],
        volumes=[{"$patch": "replace"}, {"name": "v", "emptyDir": {}}],
    )
    pod = merged(job(nodeSelector={"a": "b"}), grounded(job(nodeSelector={"a": "b"}), patch, JOB), JOB)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"c": "d"}
    assert pod["dnsConfig"] == {"options": [{"name": "x"}]}
    assert pod["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert pod["volumes"] == [{"name": "v", "emptyDir": {}}]


@pytest.mark.parametrize("patch", [{"a": [{"$patch": "delete", "name": "x"}]}, {"a": [[{"b": {"$retainKeys": []}}]]}])
def test_directives_in_lists_that_do_not_merge(patch: dict[str, Any]) -> None:
    """A JSON merge patch replaces a list, so what a directive in it asks for is refused, not dropped."""
    with pytest.raises(PatchError, match="is not taken in a list, which is replaced whole"):
        simple({"a": [{"name": "x"}]}, patch)
