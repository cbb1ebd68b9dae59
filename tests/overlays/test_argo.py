"""Facts about overlays on Argo: which fields carry them, that all pods meant have them and no others, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from overlays.making import compiled, main, objects, pod, refused
from overlays.test_strategic import _pods

from flowc.settings import Overlay


def spec(overlays: dict[str, Overlay]) -> dict[str, Any]:
    found: dict[str, Any] = objects(overlays)["WorkflowTemplate"]["spec"]
    return found


def templates(overlays: dict[str, Overlay]) -> dict[str, Any]:
    return {each["name"]: each for each in spec(overlays)["templates"]}


def of(step: str, overlay: Overlay) -> dict[str, Overlay]:
    return {"mine": replace(overlay, steps=(step,))}


def gang(overlays: dict[str, Overlay]) -> dict[str, Any]:
    text = templates(overlays)["train"]["resource"]["manifest"]
    found: dict[str, Any] = json.loads(re.sub(r"\{\{=.*?\}\}(?=[,}\s])", "0", text))
    return found


PLAIN: dict[str, Overlay] = {}


def test_nothing_changes_without() -> None:
    """No overlay, and one whose globs match nothing, give the same bytes."""
    bare = compiled({}).artifacts
    assert compiled({"mine": replace(pod(priorityClassName="high"), flows=("Other*",))}).artifacts == bare
    assert compiled({"mine": Overlay("Pod", {})}).artifacts == bare


def test_all_pods_have_it_once() -> None:
    """What all pods have stands at the workflow or in templateDefaults; a step's own of the same field is patched too."""
    overlay = pod(priorityClassName="high", tolerations=[{"key": "gpu"}], nodeSelector={"zone": "a"}, terminationGracePeriodSeconds=5)
    found = spec({"mine": overlay})
    assert (found["podPriorityClassName"], found["tolerations"], found["nodeSelector"]) == ("high", [{"key": "gpu"}], {"zone": "a"})
    assert json.loads(found["templateDefaults"]["podSpecPatch"]) == {"terminationGracePeriodSeconds": 5}
    steps = {each["name"]: each for each in found["templates"]}
    assert steps["start"]["tolerations"] == [{"key": "gpu"}]
    assert steps["start"]["nodeSelector"] == {"disk": "ssd", "zone": "a"}
    assert "tolerations" not in steps["end"]


def test_one_step() -> None:
    """A step's overlay is in its template alone, whole where a template's field stands in for the workflow's."""
    found = spec({"all": pod(nodeSelector={"zone": "a"}), **of("end", pod(nodeSelector={"pool": "b"}))})
    steps = {each["name"]: each for each in found["templates"]}
    assert steps["end"]["nodeSelector"] == {"zone": "a", "pool": "b"}
    assert found["nodeSelector"] == {"zone": "a"}
    assert "nodeSelector" not in steps["join"]


def test_the_later_wins() -> None:
    """Overlays are laid in their order, whatever carries them."""
    one, all_ = replace(main(image="one:1"), steps=("end",)), main(image="all:1")
    assert templates({"one": one, "all": all_})["end"]["container"]["image"] == "all:1"
    assert templates({"all": all_, "one": one})["end"]["container"]["image"] == "one:1"


def test_volumes_and_variables() -> None:
    """Entries merge by name with those of all steps; a volume of flowc's own may be of another size, and stays where it is."""
    overlay = pod(
        volumes=[{"name": "scratch", "emptyDir": {}}, {"name": "out", "emptyDir": {"sizeLimit": "1Gi"}}],
        containers=[{"name": "main", "env": [{"name": "A", "value": "1"}], "volumeMounts": [{"name": "scratch", "mountPath": "/s"}]}],
    )
    everyone = spec({"mine": overlay})
    assert [each["name"] for each in everyone["volumes"]].count("out") == 1
    assert {"name": "out", "emptyDir": {"sizeLimit": "1Gi"}} in everyone["volumes"]
    assert {"name": "A", "value": "1"} in everyone["templateDefaults"]["container"]["env"]
    alone = templates(of("end", overlay))["end"]
    assert alone["volumes"] == [{"name": "scratch", "emptyDir": {}}]
    assert json.loads(alone["podSpecPatch"])["volumes"] == [{"name": "out", "emptyDir": {"sizeLimit": "1Gi"}}]


def test_claims_of_each_run() -> None:
    """A pod may mount what an overlay of the workflow claims anew for each run."""
    claim = {"metadata": {"name": "work"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    claims = Overlay("WorkflowTemplate", {"spec": {"volumeClaimTemplates": [claim]}})
    found = spec({"claims": claims, **of("end", main(volumeMounts=[{"name": "work", "mountPath": "/work"}]))})
    assert found["volumeClaimTemplates"] == [claim]
    (end,) = [each for each in found["templates"] if each["name"] == "end"]
    assert end["container"]["volumeMounts"] == [{"name": "work", "mountPath": "/work"}]


def test_containers_beside() -> None:
    """More containers are sidecars; Argo's own are reached by podSpecPatch."""
    more = [{"name": "proxy", "image": "p:1"}, {"name": "wait", "resources": {"limits": {"cpu": "1"}}}]
    found = templates(of("end", pod(containers=more, initContainers=[{"name": "first", "image": "f:1"}])))["end"]
    assert found["sidecars"] == [{"name": "proxy", "image": "p:1"}]
    assert found["initContainers"] == [{"name": "first", "image": "f:1"}]
    assert json.loads(found["podSpecPatch"])["containers"] == [{"name": "wait", "resources": {"limits": {"cpu": "1"}}}]


def test_directives() -> None:
    """What only takes away becomes podSpecPatch, where null deletes."""
    overlay = pod(tolerations={"$patch": "delete"}, activeDeadlineSeconds={"$patch": "delete"})
    assert json.loads(templates(of("start", overlay))["start"]["podSpecPatch"]) == {"tolerations": None, "activeDeadlineSeconds": None}


def test_a_map_that_is_replaced_everywhere() -> None:
    """Pods that have no such map have that of the patch too, by podSpecPatch without a directive, which Argo would take for nothing."""
    found = spec({"mine": pod(nodeSelector={"$patch": "replace", "pool": "small"})})
    patches = {each["name"]: json.loads(each["podSpecPatch"])["nodeSelector"] for each in found["templates"] if "podSpecPatch" in each}
    assert patches["start"] == {"$patch": "replace", "pool": "small"}
    assert patches["end"] == {"pool": "small"}


def test_hooks_are_pods() -> None:
    """An overlay without steps reaches the pods of exit hooks, one with steps does not, not even by `*`."""
    hook = "hook-error-told"
    assert spec({"mine": Overlay("Pod", {"metadata": {"labels": {"team": "a"}}})})["templateDefaults"]["metadata"]["labels"] == {"team": "a"}
    found = templates(of("*", Overlay("Pod", {"metadata": {"labels": {"team": "a"}}})))
    (name,) = [each for each in found if "told" in each]
    assert "team" not in json.dumps(found[name]), hook
    assert found["end"]["metadata"]["labels"]["team"] == "a"


def test_gangs() -> None:
    """The pods of a JobSet are patched whole, by `main` too; the pod that makes it has what all have, but no sidecars and no image."""
    everywhere = pod(priorityClassName="high", containers=[{"name": "main", "image": "i:2"}, {"name": "proxy", "image": "p:1"}])
    jobset = gang({"mine": everywhere, "set": Overlay("JobSet", {"metadata": {"labels": {"queue": "q"}}})})
    assert jobset["metadata"]["labels"]["queue"] == "q"
    for job in jobset["spec"]["replicatedJobs"]:
        one = job["template"]["spec"]["template"]["spec"]
        assert one["priorityClassName"] == "high"
        assert {each["name"]: each["image"] for each in one["containers"]} == {"train": "i:2", "proxy": "p:1"}
    maker = templates({"mine": everywhere})["train"]
    assert not {"sidecars", "container"} & maker.keys()
    assert "high" not in json.dumps(templates(of("train", pod(priorityClassName="high")))["train"].get("podSpecPatch", ""))


def test_other_objects() -> None:
    """Objects are patched by their kind, and only those of that kind."""
    overlays = {
        "cron": Overlay("CronWorkflow", {"spec": {"suspend": True, "concurrencyPolicy": "Forbid"}}),
        "account": Overlay("ServiceAccount", {"metadata": {"annotations": {"role": "x"}}}),
        "role": Overlay("ConfigMap", {"metadata": {"labels": {"a": "b"}}}),
    }
    found = objects(overlays, rbac=True)
    assert found["CronWorkflow"]["spec"]["suspend"] is True
    assert found["ServiceAccount"]["metadata"]["annotations"] == {"role": "x"}
    assert found["ConfigMap"]["metadata"]["labels"] == {"a": "b"}
    bare = objects({}, rbac=True)
    assert {kind for kind in bare if bare[kind] != found[kind]} == {"CronWorkflow", "ServiceAccount", "ConfigMap"}


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (main(command=["sh"]), "changes `command` of the container main"),
        (main(args=["x"]), "changes `args` of the container main"),
        (main(env=[{"name": "FLOWC_RUN_ID", "value": "x"}]), "changes the variable FLOWC_RUN_ID"),
        (main(env=[{"name": "FLOWC_RUN_ID", "$patch": "delete"}]), "changes the variable FLOWC_RUN_ID"),
        (main(env=[{"$patch": "replace"}]), "changes the variable FLOWC_RUN_ID"),
        (main(envFrom=[]), "drops or changes the source of variables"),
        (main(volumeMounts=[{"mountPath": "/mnt/out", "$patch": "delete"}]), "drops or changes the mount /mnt/out"),
        (pod(volumes=[{"name": "flowc", "$patch": "delete"}]), "removes or changes the volume flowc"),
        (pod(containers=[{"name": "main", "$patch": "delete"}]), "removes the container main"),
        (pod(restartPolicy="Always"), "changes spec.restartPolicy"),
        (Overlay("Pod", {"metadata": {"name": "mine"}}), "sets metadata.name of a pod"),
        (Overlay("Pod", {"metadata": {"annotations": {"metaflow/step_name": "x"}}}), "changes the annotation metaflow/step_name"),
        (Overlay("Pod", {"metadata": {"labels": {"$patch": "replace"}}}), "changes the label app.kubernetes.io/name"),
        (Overlay("WorkflowTemplate", {"metadata": {"name": "x"}}), "changes metadata.name"),
        (Overlay("WorkflowTemplate", {"metadata": {"namespace": "x"}}), "sets metadata.namespace"),
        (Overlay("WorkflowTemplate", {"spec": {"templates": [{"name": "end", "$patch": "delete"}]}}), "removes spec.templates[end].name"),
        (Overlay("WorkflowTemplate", {"spec": {"templates": [{"name": "Flow", "dag": {"tasks": [{"name": "end", "template": "x"}]}}]}}), "changes spec.templates[Flow].dag"),
        (Overlay("CronWorkflow", {"spec": {"workflowSpec": {"workflowTemplateRef": {"name": "x"}}}}), "changes spec.workflowSpec"),
        (Overlay("ConfigMap", {"data": {"x": "y"}}), "changes data"),
        (Overlay("Role", {"rules": []}), "removes rules"),
        (Overlay("JobSet", {"spec": {"replicatedJobs": [{"name": "worker", "replicas": 9}]}}), "changes spec.replicatedJobs[worker].replicas"),
    ],
)
def test_what_the_run_needs(overlay: Overlay, message: str) -> None:
    """A patch of what the run needs is refused, and says which field."""
    found = refused({"mine": overlay}, rbac=True)
    assert found
    assert all(each.startswith("FC511 overlay `mine` ") for each in found)
    assert any(message in each for each in found)


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (pod(priorityClassNam="high"), "'priorityClassNam' was unexpected); did you mean 'priorityClassName'?"),
        (pod(priorityClassName="Very High"), "spec.priorityClassName is `Very High`, which is no name of Kubernetes"),
        (pod(tolerations=[{"key": 5}]), "is not of type \"string\""),
        (pod(tolerations="all"), "is not of type \"array\""),
        (pod(containers={"name": "main"}), "is not of type \"array\""),
        (Overlay("Pod", {"spec": "x"}), "is not of type \"object\""),
        (main(volumeMounts=[{"name": "nothing", "mountPath": "/n"}]), "mounts the volume nothing, which the pod does not have"),
        (main(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]), "with both value and valueFrom"),
        (main(volumeMounts=[{"name": "out", "mountPath": "/o"}], env=[{"name": "A", "value": "{{workflow.nme}}"}]), "refers to workflow.nme"),
        (Overlay("Pod", {"metadata": {"labels": {"team": "data science"}}}), "the label `team` cannot have the value `data science`"),
        (Overlay("WorkflowTemplate", {"spec": {"podGc": {}}}), "'podGc' was unexpected); did you mean 'podGC'?"),
        (Overlay("CronWorkflow", {"spec": {"schedules": ["never"]}}), "the schedule 'never'"),
        (Overlay("JobSet", {"spec": {"suspended": True}}), "'suspended' was unexpected"),
    ],
)
def test_what_is_not_valid(overlay: Overlay, message: str) -> None:
    """What makes an object invalid is told as the overlay's mistake, never as a bug of flowc; the last of several is named by its line."""
    fine = main(env=[{"name": "FINE", "value": "1"}])
    made = compiled({"fine": fine, "mine": replace(overlay, place="conf/flowc.toml:12"), "later": fine})
    assert made.artifacts == ()
    assert {(each.code.id, each.span.path, each.span.line) for each in made.diagnostics if each.span} == {("FC510", "conf/flowc.toml", 12)}
    assert all(each.message.startswith("overlay `mine`") and each.help for each in made.diagnostics)
    assert message in made.diagnostics[0].message


def test_kinds() -> None:
    """A kind of another target is passed over; one of none is an error with the nearest."""
    assert compiled({"mine": Overlay("JobDefinition", {"x": "y"})}).artifacts == compiled({}).artifacts
    assert refused({"mine": Overlay("Pods", {})}) == ["FC512 overlay `mine` is of the kind Pods, which no target writes"]


def test_steps_by_name() -> None:
    """A step that is named exactly, of a flow that is named exactly, must be there; a glob or another flow's may be not."""
    patch = pod(priorityClassName="high")
    assert refused({"mine": replace(patch, flows=("Wide",), steps=("trian",))}) == ["FC513 overlay `mine` names the step trian, which Wide does not have"]
    assert compiled({"mine": replace(patch, flows=("W*",), steps=("trian",))}).artifacts
    assert compiled({"mine": replace(patch, flows=("Wide",), steps=("trian*",))}).artifacts


@pytest.mark.parametrize(
    ("target", "kind", "step", "problem"),
    [
        ("argo", "JobSet", "start", "names the step start, which has no JobSet, since it is not @parallel"),
        ("kubernetes", "JobSet", "start", "names the step start, which has no JobSet, since it is not @parallel"),
        ("kubernetes", "Job", "train", "names the step train, which has no Job but a JobSet, since it is @parallel"),
        ("argo", "Job", "train", ""),  # argo writes no Job at all
        ("argo", "JobSet", "train", ""),
        ("kubernetes", "JobSet", "train", ""),
        ("kubernetes", "Job", "start", ""),
        ("kubernetes", "Pod", "train", ""),
    ],
)
def test_steps_without_that_kind(target: str, kind: str, step: str, problem: str) -> None:
    """A step that is named exactly has an object of that kind, or it is told which one it has; globs and other flows' steps stay quiet."""
    mine = Overlay(kind, {"metadata": {"labels": {"team": "ours"}}}, flows=("Wide",), steps=(step,))
    assert refused({"mine": mine}, target) == ([f"FC513 overlay `mine` {problem}"] if problem else [])
    for quiet in (replace(mine, steps=(f"{step}*",)), replace(mine, flows=("W*",)), replace(mine, flows=())):
        assert refused({"mine": quiet}, target) == []


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(_pods(patch=True))
def test_any_patch_has_a_carrier(patch: dict[str, Any]) -> None:
    """Whatever a patch says of pods, of all or of one step's, Argo's fields or podSpecPatch say it, or it is refused for what it says."""
    inner = {"metadata": patch["metadata"], "spec": patch["spec"]["template"]["spec"]}
    for steps in ((), ("start",)):
        made = compiled({"mine": Overlay("Pod", inner, steps=steps)})
        assert made.artifacts or {each.code.id for each in made.diagnostics} <= {"FC510", "FC511"}
