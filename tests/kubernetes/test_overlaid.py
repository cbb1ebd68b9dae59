"""Facts about overlays of plain Kubernetes: they reach every Job and pod that a run makes, and no more of the plan is told than must be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from kubernetes_objects import Object, manifest, objects, one, plan_of, pod, result

from flowc.deployment import jobs
from flowc.deployment.samples import sample
from flowc.deployment.validate import violations
from flowc.run.kubernetes_objects import Run, build, group_of
from flowc.settings import Overlay
from flowc.targets.kubernetes.overlaid import difference

FLOW = """from metaflow import FlowSpec, exit_hook, kubernetes, parallel, schedule, step


def tell():
    pass


@exit_hook(on_success=[tell])
class Big(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=3)

    @parallel
    @step
    def train(self):
        self.next(self.join)

    @kubernetes(node_selector={"disk": "ssd"}, labels={"team": "a"})
    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
SCHEDULED = sample("schedule", "@schedule(hourly=True)")


def over(kind: str, patch: Any, **more: Any) -> dict[str, Overlay]:
    return {"mine": Overlay(kind, patch, **more)}


def hook(plan: Object) -> Object:
    return dict(jobs.whole(plan, plan["hooks"][0]["job"]))


def every_pod(text: str, **settings: Any) -> dict[str, Object]:
    """The pods' specs by whose they are, as the cluster gets them."""
    made = objects(text, **settings)
    plan, leading = plan_of(made), made[-1]
    started = leading["spec"]["jobTemplate"] if leading["kind"] == "CronJob" else leading
    found = {"coordinator": started["spec"]["template"]["spec"]}
    found |= {step: pod(jobs.manifest(plan, step))["spec"] for step in plan["jobs"]}
    return {**found, **({"hook": pod(hook(plan))["spec"]} if "hooks" in plan else {})}


def test_every_pod() -> None:
    """An overlay of all pods is in those of steps, of both sides of a gang, of hooks and of the coordinator, above what steps ask for."""
    patch = {"spec": {"priorityClassName": "high", "nodeSelector": {"disk": "any", "zone": "b"}}}
    found = every_pod(FLOW, overlays=over("Pod", patch))
    assert sorted(found) == ["coordinator", "end", "hook", "join", "start", "train"]
    assert all((spec["priorityClassName"], spec["nodeSelector"]) == ("high", {"disk": "any", "zone": "b"}) for spec in found.values())
    gang = manifest(FLOW, "train", overlays=over("Pod", patch))
    assert [each["spec"]["priorityClassName"] for each in jobs.pods(gang)] == ["high", "high"]


def test_one_step() -> None:
    """An overlay of a step is in no other pod, and what the step says beside it stays."""
    patch = {"spec": {"nodeSelector": {"zone": "b"}, "containers": [{"name": "main", "resources": {"limits": {"cpu": "2"}}}]}}
    found = every_pod(FLOW, overlays=over("Pod", patch, steps=("jo*",)))
    assert {name: spec.get("nodeSelector") for name, spec in found.items() if "nodeSelector" in spec} == {"join": {"disk": "ssd", "zone": "b"}}
    assert found["join"]["containers"][0]["resources"]["limits"] == {"cpu": "2"}
    assert found["join"]["containers"][0]["args"] == every_pod(FLOW)["join"]["containers"][0]["args"]


def test_main_is_the_coordinators_container_too() -> None:
    """A patch of the container main is one of the coordinator's, whatever it is called."""
    patch = {"spec": {"containers": [{"name": "main", "env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}]}]}}
    (container,) = every_pod(sample(), overlays=over("Pod", patch))["coordinator"]["containers"]
    assert container["name"] == "coordinator"
    assert {"name": "HTTPS_PROXY", "value": "http://proxy"} in container["env"]


def test_another_flow() -> None:
    """An overlay for other flows changes no byte."""
    assert objects(FLOW, overlays=over("Pod", {"spec": {"priorityClassName": "high"}}, flows=("Small*",))) == objects(FLOW)


@pytest.mark.parametrize(
    ("kind", "patch", "where"),
    [
        ("Job", {"metadata": {"labels": {"queue": "q"}}, "spec": {"activeDeadlineSeconds": 600}}, ["coordinator", "end", "hook", "join", "start"]),
        ("JobSet", {"metadata": {"labels": {"queue": "q"}}, "spec": {"activeDeadlineSeconds": 600}}, []),
    ],
)
def test_jobs(kind: str, patch: Any, where: list[str]) -> None:
    """An overlay of Jobs is in each Job, one of JobSets in each gang, at run time too."""
    if kind == "JobSet":
        patch = {"metadata": patch["metadata"]}
    made = objects(FLOW, overlays=over(kind, patch))
    plan = plan_of(made)
    found = {"coordinator": made[-1], "hook": hook(plan), **{step: jobs.manifest(plan, step) for step in plan["jobs"]}}
    marked = sorted(name for name, job in found.items() if job["metadata"].get("labels", {}).get("queue") == "q")
    assert marked == (where or ["train"])
    assert all(found[name]["spec"]["activeDeadlineSeconds"] == 600 for name in where)
    built = build(Run(plan, "k8s-1", "here"), group_of("end", [""], ""), [""], 1)
    assert ("queue" in built["metadata"]["labels"]) == ("end" in where)


def test_cron_job() -> None:
    """A CronJob has its own overlays, and those of Jobs in the Jobs that it makes."""
    overlays = over("CronJob", {"spec": {"concurrencyPolicy": "Forbid"}}) | {"jobs": Overlay("Job", {"spec": {"ttlSecondsAfterFinished": 60}})}
    cron = one(objects(SCHEDULED, overlays=overlays), "CronJob")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert cron["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 60


def test_a_changed_coordinator_is_another_run() -> None:
    """The Job is named by what it does, overlays counted: else Kubernetes would refuse to change it."""
    names = {one(objects(sample(), overlays=each), "Job")["metadata"]["name"] for each in ({}, over("Pod", {"spec": {"priorityClassName": "x"}}))}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("kind", "patch", "code"),
    [
        ("Pod", {"spec": {"containers": [{"name": "main", "args": ["x"]}]}}, "FC511"),
        ("Pod", {"spec": {"priorityClassNam": "high"}}, "FC510"),
        ("Job", {"spec": {"completionMode": "NonIndexed"}}, "FC511"),
        ("Job", {"spec": {"backoffLimitPerIndex": 7}}, "FC511"),
        ("Job", {"spec": {"template": {"spec": {"containers": [{"name": "main", "command": ["sh"]}]}}}}, "FC511"),
        ("Job", {"spec": {"activeDeadline": 1}}, "FC510"),
        ("JobSet", {"spec": {"network": {"enableDNSHostnames": False}}}, "FC511"),
        ("JobSet", {"spec": {"queue": "x"}}, "FC510"),
        ("ConfigMap", {"data": {"plan.json": "{}"}}, "FC511"),
        ("CronJo", {"spec": {}}, "FC512"),
    ],
)
def test_refused(kind: str, patch: Any, code: str) -> None:
    """What the run needs stays as it is, what comes out is valid, and the overlay is named."""
    made, said = result(FLOW, overlays=over(kind, patch))
    assert made == []
    assert {each.code.id for each in said} == {code}
    assert all("`mine`" in each.message for each in said)


def test_what_steps_share_is_told_once() -> None:
    """An overlay of all pods costs the plan one copy, not one a step."""
    patch = {"spec": {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]}}
    text = one(objects(FLOW, overlays=over("Pod", patch)), "ConfigMap")["data"]["plan.json"]
    assert text.count("NoSchedule") == 3  # what Jobs share, and both sides of the gang


@pytest.mark.parametrize(("value", "whole"), [("1", False), ("$(FLOWC_RUN_ID)", True), ("$$(date)", False)])
def test_a_variable_of_many_steps(value: str, whole: bool) -> None:
    """A variable of named steps is told as a difference, so that a long flow fits a ConfigMap; where order counts, the Job is told whole."""
    patch = {"spec": {"containers": [{"name": "main", "env": [{"name": "MINE", "value": value}]}]}}
    plan = plan_of(objects(FLOW, overlays=over("Pod", patch, steps=("end",))))
    assert ("kind" in plan["jobs"]["end"]) == whole
    assert {"name": "MINE", "value": value} in pod(jobs.manifest(plan, "end"))["spec"]["containers"][0]["env"]


VALUES = st.sampled_from(["a", "b", 1])
ITEMS = st.lists(st.fixed_dictionaries({"name": st.sampled_from("xyz"), "value": VALUES}), unique_by=lambda item: item["name"], min_size=1)
OBJECTS = st.recursive(VALUES | ITEMS, lambda inner: st.dictionaries(st.sampled_from("klmn"), inner, max_size=3), max_leaves=8)


@hypothesis_settings(deadline=None)
@given(shared=st.dictionaries(st.sampled_from("klmn"), OBJECTS), whole=st.dictionaries(st.sampled_from("klmn"), OBJECTS))
def test_a_difference_gives_the_whole_again(shared: Object, whole: Object) -> None:
    """Of any two objects: laid over the shared one, the difference is the other, but for the order of named things."""
    own = difference(shared, whole)
    again = own if own == whole else jobs.merged(shared, own)
    assert sorted_deep(again) == sorted_deep(whole)


def sorted_deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: sorted_deep(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return sorted((sorted_deep(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def test_what_is_made_is_valid() -> None:
    """Jobs and JobSets with overlays are what Kubernetes takes."""
    plan = plan_of(objects(FLOW, profile="restricted", overlays=over("Pod", {"spec": {"priorityClassName": "high"}})))
    for step in plan["jobs"]:
        job = jobs.manifest(plan, step)
        job["metadata"]["name"] = "x"
        assert violations("kubernetes/jobset.json" if job["kind"] == "JobSet" else "kubernetes/1.33.json", job) == []
