"""Facts about @parallel steps: the JobSet that Argo creates has Metaflow's roles and addresses, and stays JSON whatever Argo fills in."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from reading import reading

from flowc.deployment import gangs
from flowc.settings import Settings
from flowc.targets.argo import jobset

TEXT = """from metaflow import FlowSpec, environment, kubernetes, parallel, retry, step, timeout


class Gang(FlowSpec):
    @step
    def start(self):
        self.next(self.train_all, num_parallel=3)

    @retry(times=2)
    @timeout(hours=1)
    @environment(vars={'MODE': '"fast" {{x}}', 'A': 'quote " and $(B)'})
    @kubernetes(cpu=4, gpu=1, port=29500, secrets=['db'], labels={'team': 'ads'}, annotations={'note': 'it is "so"'},
                service_account='trainer', shared_memory=64, image_pull_secrets=['registry'])
    @parallel
    @step
    def train_all(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
SHARED = gangs.Shared(
    command=["python", "/flowc/boot.py"],
    env=[
        {"name": "FLOWC_RUN_ID", "value": "argo-{{workflow.name}}"},
        {"name": "METAFLOW_ARGO_EVENT_PAYLOAD_event_a_xy", "value": "{{workflow.parameters.a_xy}}"},
        {"name": "METAFLOW_KUBERNETES_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
    volumes=[{"name": "code", "configMap": {"name": "gang-code"}}],
    mounts=[{"name": "code", "mountPath": "/flowc"}],
)
ARGS = ["train_all", "--from=start", "--gang", "--path={{inputs.parameters.path}}", "--attempt={{retries}}"]
FILLED = {
    "{{workflow.name}}": "gang-1",
    "{{inputs.parameters.num-parallel}}": "3",
    "{{inputs.parameters.path}}": "2-0",
    "{{retries}}": "1",
    "{{=asInt(inputs.parameters['num-parallel']) - 1}}": "2",
    "{{=toJson(workflow.parameters['a_xy'])}}": json.dumps('{"payload": "with \\"quotes\\" and \n lines"}'),
    "{{=sprig.trunc(12, sprig.sha256sum(pod.name))}}": "0123456789ab",
}


def made(**settings: Any) -> jobset.Gang:
    found = reading(TEXT)
    assert found.diagnostics == ()
    flow = found.flows[0]
    return jobset.gang(flow.steps["train_all"], flow, Settings(**settings), ARGS, SHARED)


def filled(gang: jobset.Gang) -> dict[str, Any]:
    """The manifest after Argo replaced its templates, of which there are no others."""
    text = jobset.text(gang.resource["manifest"])
    for template, value in FILLED.items():
        text = text.replace(template, value)
    assert "{{" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def containers(manifest: dict[str, Any]) -> dict[str, Any]:
    return {job["name"]: job["template"]["spec"]["template"]["spec"]["containers"][0] for job in manifest["spec"]["replicatedJobs"]}


def test_template() -> None:
    """Argo creates the JobSet as the workflow's own, waits for its end, and tries again as @retry says."""
    found = made()
    assert {k: v for k, v in found.resource.items() if k != "manifest"} == {
        "action": "create",
        "setOwnerReference": True,
        "successCondition": "status.terminalState == Completed",
        "failureCondition": "status.terminalState == Failed",
    }
    assert found.template == {
        "retryStrategy": {"retryPolicy": "Always", "limit": 2, "backoff": {"duration": "2m"}},
        "serviceAccountName": "trainer",
    }


def test_roles() -> None:
    """One control and num-parallel - 1 workers, as numbers; each pod knows its role and where the control is."""
    manifest = filled(made())
    assert [(job["name"], job["replicas"]) for job in manifest["spec"]["replicatedJobs"]] == [("control", 1), ("worker", 2)]
    for role, container in containers(manifest).items():
        env = {e["name"]: e.get("value") or e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"]}
        assert env["MF_MASTER_ADDR"] == "js-0123456789ab-control-0-0.js-0123456789ab"
        assert env["MF_MASTER_PORT"] == "29500"
        assert env["MF_WORLD_SIZE"] == "3"
        assert env["MF_WORKER_REPLICA_INDEX"] == "metadata.annotations['jobset.sigs.k8s.io/job-index']"
        assert ("MF_CONTROL_INDEX" in env) == (role == "control")
        assert env["UBF_CONTEXT"] == ("ubf_control" if role == "control" else "ubf_task")
        assert container["command"] + container["args"] == [
            "python",
            "/flowc/boot.py",
            "train_all",
            "--from=start",
            "--gang",
            "--path=2-0",
            "--attempt=1",
        ]


def test_pods_are_like_other_pods() -> None:
    """What Argo would merge into its own pods stands in full: resources, environment, volumes, secrets, labels, account, time limit."""
    manifest = filled(made(image="base:1", image_pull_secrets=("all",), secrets=("s",), datastore="s3", labels={"unit": "ml"}))
    (control, _) = (job["template"]["spec"]["template"] for job in manifest["spec"]["replicatedJobs"])
    spec = control["spec"]
    assert (spec["serviceAccountName"], spec["activeDeadlineSeconds"], spec["restartPolicy"]) == ("trainer", 3600, "Never")
    assert spec["imagePullSecrets"] == [{"name": "all"}, {"name": "registry"}]
    assert [v["name"] for v in spec["volumes"]] == ["code", "dhsm"]
    container = spec["containers"][0]
    assert container["image"] == "base:1"
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "4096M", "ephemeral-storage": "10240M"},
        "limits": {"nvidia.com/gpu": "1"},
    }
    assert container["envFrom"] == [{"secretRef": {"name": "s"}}, {"secretRef": {"name": "db"}}]
    assert [m["mountPath"] for m in container["volumeMounts"]] == ["/flowc", "/dev/shm"]
    assert control["metadata"]["labels"]["team"] == "ads"
    assert control["metadata"]["labels"]["unit"] == "ml"
    assert control["metadata"]["annotations"]["metaflow/attempt"] == "1"
    assert control["metadata"]["annotations"]["note"] == 'it is "so"'


def test_texts_survive() -> None:
    """An event's payload, quotes and all, arrives as it was; user texts bring no templates."""
    env = {e["name"]: e.get("value") for e in containers(filled(made()))["worker"]["env"]}
    assert env["METAFLOW_ARGO_EVENT_PAYLOAD_event_a_xy"] == '{"payload": "with \\"quotes\\" and \n lines"}'
    assert env["A"] == 'quote " and $$(B)'
    assert "MODE" not in env


def test_host_names_fit() -> None:
    """A pod's host name, with the longest indices, is a DNS label: 63 characters."""
    name = filled(made())["metadata"]["name"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(f"{name}-control-0-0") <= 63
    assert len(f"{name}-worker-9999-0-xxxxx") <= 63


@pytest.mark.parametrize("role", ["control", "worker"])
def test_like_metaflow(role: str) -> None:
    """Every variable that Metaflow's gang reads in its pods is there."""
    import inspect

    from metaflow.plugins.kubernetes import kubernetes_decorator

    text = inspect.getsource(kubernetes_decorator._setup_multinode_environment)
    needed = set(re.findall(r'environ\["(MF_[A-Z_]+)"\](?! =)', text)) - {
        "MF_PARALLEL_MAIN_IP",
        "MF_PARALLEL_NUM_NODES",
        "MF_PARALLEL_NODE_INDEX",
    }
    assert needed == {"MF_MASTER_ADDR", "MF_WORLD_SIZE", "MF_WORKER_REPLICA_INDEX"}
    assert needed <= {e["name"] for e in containers(filled(made()))[role]["env"]}
