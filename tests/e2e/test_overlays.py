"""In: a flow and overlays of its pods, workflow and JobSet. Out: proof that what they say is in the real objects, and that the flow runs."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e import runs
from e2e.cases import Case
from e2e.cluster import LABEL, LOGS, SESSION, Cluster, run
from e2e.laptop import FLOWS

from flowc.targets.argo.pods_whole import Template, Workflow

pytestmark = pytest.mark.e2e
CLASS = f"flowc-overlaid-{SESSION.partition('-')[0]}"
CASE = Case("overlaid", "overlaid")
SETTINGS = f"""
rbac = true

[overlays.everywhere]
kind = "Pod"
[overlays.everywhere.patch.metadata]
labels = {{ cost-center = "4711" }}
annotations = {{ "example.com/note" = "all" }}
[overlays.everywhere.patch.spec]
priorityClassName = "{CLASS}"
tolerations = [{{ key = "gpu", operator = "Exists" }}]
terminationGracePeriodSeconds = 7
volumes = [{{ name = "scratch", emptyDir = {{ sizeLimit = "64Mi" }} }}]
containers = [{{ name = "main", volumeMounts = [{{ name = "scratch", mountPath = "/scratch" }}] }}]

[overlays.start]
kind = "Pod"
steps = ["start"]
[overlays.start.patch.metadata]
annotations = {{ "example.com/note" = "start" }}
[overlays.start.patch.spec]
tolerations = [{{ key = "big", operator = "Exists" }}]
[[overlays.start.patch.spec.containers]]
name = "main"
env = [{{ name = "COLOUR", value = "green" }}]
[[overlays.start.patch.spec.containers]]
name = "wait"
resources = {{ limits = {{ memory = "200Mi" }} }}

[overlays.less]
kind = "Pod"
steps = ["end"]
patch.spec.tolerations = {{ "$patch" = "delete" }}
patch.spec.containers = [{{ name = "beside", image = "python:3.11", command = ["python", "-c", "import time; time.sleep(600)"] }}]

[overlays.gang]
kind = "Pod"
steps = ["tr*"]
patch.spec.containers = [{{ name = "main", env = [{{ name = "COLOUR", value = "blue" }}] }}]

[overlays.queue]
kind = "JobSet"
patch.metadata.labels = {{ "example.com/queue" = "night" }}

[overlays.cleaning]
kind = "WorkflowTemplate"
[overlays.cleaning.patch.spec]
ttlStrategy = {{ secondsAfterCompletion = 3600 }}
podGC = {{ strategy = "OnPodCompletion", deleteDelayDuration = "30m" }}

[overlays.account]
kind = "ServiceAccount"
patch.metadata.annotations = {{ "example.com/role" = "reader" }}
"""


@pytest.fixture(scope="module")
def apart(cluster: Cluster) -> Iterator[Cluster]:
    """A namespace of its own and a priority class."""
    own = dataclasses.replace(cluster, namespace=CLASS)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CLASS, "labels": {LABEL: SESSION, "flowc/overcommit": "true"}}}
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": CLASS}, "value": 7}
    listed = {"apiVersion": "v1", "kind": "List", "items": [namespace, priority]}
    run(["kubectl", "apply", "-f", "-"], env=own.env, text=json.dumps(listed))
    own.prepare()
    yield own
    run(["kubectl", "delete", f"priorityclass/{CLASS}", f"namespace/{CLASS}", "--wait=false"], env=own.env)


@pytest.fixture(scope="module")
def ended(apart: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The workflow after its end, its pods by step, and the other objects."""
    folder = tmp_path_factory.mktemp("overlaid")
    shutil.copy(FLOWS / "overlaid.py", folder)
    (folder / "flowc.toml").write_text(SETTINGS)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    command = [*runs.flowc_command(), "compile", "overlaid.py", "--target", "argo", "--argo-version", apart.argo_minor]
    manifest = run(command, env=env, cwd=folder)
    template = runs.deploy(manifest, apart, LOGS / apart.argo_version / "flowc-overlaid")
    name = runs.submit(CASE, template, apart)
    workflow = runs.finish(name, apart)
    pods = apart.get("pods")["items"]
    steps: dict[str, Any] = {}
    for pod in pods:
        step = pod["metadata"]["annotations"].get("metaflow/step_name")
        steps.setdefault(step or "the pod that makes the JobSet", pod)
    return {
        "manifest": next(each for each in yaml.safe_load_all(manifest) if each["kind"] == "WorkflowTemplate"),
        "workflow": workflow,
        "story": "" if workflow["status"]["phase"] == "Succeeded" else runs.story(name, apart),
        "steps": steps,
        "pods": pods,
        "jobsets": apart.get("jobsets")["items"],
        "account": apart.get("serviceaccount", template),
        "artifacts": runs.stored(CASE, "flowc", name, apart, folder),
    }


def main(pod: dict[str, Any], name: str = "main") -> dict[str, Any]:
    return next(each for each in pod["spec"]["containers"] if each["name"] == name)


def test_the_flow_runs(ended: dict[str, Any]) -> None:
    """With all overlays the flow ends as it should, and what its tasks saw is what was patched."""
    assert ended["workflow"]["status"]["phase"] == "Succeeded", ended["story"]
    text = json.dumps(ended["artifacts"])
    assert "green" in text
    assert text.count("blue") >= 2
    assert "red" not in text


def test_every_pod(ended: dict[str, Any]) -> None:
    """An overlay without steps is in every pod, those of the JobSet and the one that makes it too."""
    assert len(ended["pods"]) == 6  # start, join, end, the creator of the JobSet, two of the gang
    for pod in ended["pods"]:
        assert pod["metadata"]["labels"]["cost-center"] == "4711"
        assert pod["spec"]["priorityClassName"] == CLASS
        assert pod["spec"]["priority"] == 7
        assert pod["spec"]["terminationGracePeriodSeconds"] == 7
        assert "example.com/note" in pod["metadata"]["annotations"]


def test_one_step(ended: dict[str, Any]) -> None:
    """An overlay of a step is in its pod alone; a list without a key is replaced, one with a key is merged; Argo's container is reached."""
    start, join = ended["steps"]["start"], ended["steps"]["join"]
    keys = [{each.get("key") for each in pod["spec"]["tolerations"]} for pod in (start, join)]
    assert "big" in keys[0]
    assert "gpu" not in keys[0]
    assert "gpu" in keys[1]
    assert start["metadata"]["annotations"]["example.com/note"] == "start"
    assert join["metadata"]["annotations"]["example.com/note"] == "all"
    limits = [main(pod, "wait").get("resources", {}).get("limits", {}).get("memory") for pod in (start, join)]
    assert limits[0] == "200Mi"
    assert limits[1] != "200Mi"
    for pod in (start, join):
        (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "scratch"]
        assert volume["emptyDir"]["sizeLimit"] == "64Mi"
        assert "/scratch" in [each["mountPath"] for each in main(pod)["volumeMounts"]]


def test_what_is_taken_away_and_what_is_beside(ended: dict[str, Any]) -> None:
    """`$patch` takes away what all pods have; a container beside the task is there, and ends with it."""
    end = ended["steps"]["end"]
    assert "gpu" not in {each.get("key") for each in end["spec"].get("tolerations", ())}
    assert main(end, "beside")["image"] == "python:3.11"
    assert all("terminated" in each["state"] for each in end["status"]["containerStatuses"])


def test_other_objects(ended: dict[str, Any]) -> None:
    """Patches of the workflow, the JobSet and the service account are in them; the cleaning of pods is told to Argo's controller."""
    spec = ended["workflow"]["status"]["storedWorkflowTemplateSpec"]
    assert spec["ttlStrategy"] == {"secondsAfterCompletion": 3600}
    assert spec["podGC"] == {"strategy": "OnPodCompletion", "deleteDelayDuration": "30m"}
    assert ended["steps"]["start"]["metadata"]["annotations"]["workflows.argoproj.io/pod-gc-strategy"].startswith("OnPodCompletion/30m")
    assert ended["jobsets"][0]["metadata"]["labels"]["example.com/queue"] == "night"
    assert ended["account"]["metadata"]["annotations"]["example.com/role"] == "reader"


@pytest.mark.parametrize("step", ["start", "join", "end"])
def test_the_computed_pod_is_the_real_one(ended: dict[str, Any], step: str) -> None:
    """What flowc computes of a template's pod, by which it chooses the fields that carry a patch, is what Argo's controller makes."""
    spec = ended["manifest"]["spec"]
    (template,) = [each for each in spec["templates"] if each["name"] == step]
    fields = {key: value for key, value in template.items() if key not in ("name", "container", "inputs", "outputs")}
    computed = Workflow(spec, spec["podMetadata"], spec["templateDefaults"]).pod(Template(step, step, fields, template["container"]))
    mounted = {mount["name"] for each in computed["spec"]["containers"] for mount in each.get("volumeMounts", ())}
    computed["spec"]["volumes"] = [each for each in computed["spec"]["volumes"] if each["name"] in mounted]
    computed["spec"].pop("activeDeadlineSeconds")  # Argo counts from the start of the step
    for each in computed["spec"]["containers"]:
        each.pop("command", None)  # Argo's emissary stands before it
        each.get("resources", {}).pop("requests", None)  # the cluster of the tests asks for less, so that much fits in
    assert list(_lacking(computed, ended["steps"][step])) == []


def _lacking(computed: Any, real: Any, path: str = "") -> Iterator[str]:
    """Where the real object does not have what was computed; Argo's tags stand for any text."""
    if isinstance(computed, dict):
        for key, value in computed.items():
            yield from _lacking(value, real.get(key) if isinstance(real, dict) else None, f"{path}.{key}")
    elif isinstance(computed, list) and computed and all(isinstance(each, dict) and "name" in each for each in computed):
        there = {each["name"]: each for each in real or ()}
        for each in computed:
            yield from _lacking(each, there.get(each["name"]), f"{path}[{each['name']}]")
    elif isinstance(computed, list):
        yield from (f"{path}: {each}" for each in computed if each not in (real or ()) and "{{" not in str(each))
    elif computed != real and "{{" not in str(computed):
        yield f"{path}: {computed!r}, but {real!r}"


def test_linted_as_compiled(tmp_path: Path) -> None:
    """The manifest names the class once for the workflow, not once a step."""
    shutil.copy(FLOWS / "overlaid.py", tmp_path)
    (tmp_path / "flowc.toml").write_text(SETTINGS)
    text = run([*runs.flowc_command(), "compile", "overlaid.py", "--target", "argo"], env=dict(os.environ), cwd=tmp_path)
    (template,) = [each for each in yaml.safe_load_all(text) if each["kind"] == "WorkflowTemplate"]
    assert template["spec"]["podPriorityClassName"] == CLASS
    assert not any("priorityClassName" in each for each in template["spec"]["templates"])
