"""In: examples/gitops. Out: proof on a real cluster that GitOps engines apply it, and that what a commit takes away is gone afterwards."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.cluster import ROOT, Cluster, CommandFailed, run
from e2e.gitops import ArgoCd, Flux, Work, argo_cd, flux
from e2e.runs import flowc_command

pytestmark = pytest.mark.e2e

EXAMPLE = ROOT / "examples" / "gitops"
KINDS = "workflowtemplate,cronworkflow,sensor,configmap,serviceaccount,role,rolebinding,job,cronjob"
MINE = "shop.example.com/environment"
OTHERS = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "others"},
    "spec": {"entrypoint": "a", "templates": [{"name": "a", "suspend": {}}]},
}
LIMIT = 600


def compiled(work: Work) -> None:
    """What the team's hook does before a commit."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    run([*flowc_command(), "compile", "--env", "staging"], env=env, cwd=work.root)
    run([*flowc_command(), "compile", "--env", "staging", "--check"], env=env, cwd=work.root)


def checkout(folder: Path, cluster: Cluster, namespace: str) -> Work:
    """A clone of the example whose staging is a namespace of this cluster, with the cluster's image and settings of Metaflow."""
    work = Work(folder / "work", "deploy/staging")
    shutil.copytree(EXAMPLE, work.root)
    work.git("init", "-q")
    work.replace("flowc.toml", ('namespace = "shop-staging"', f'namespace = "{namespace}"'))
    work.replace("deploy/staging/namespace.yaml", ("name: shop-staging", f"name: {namespace}"))
    work.replace("flux/staging.yaml", ("namespace: flux-system", f"namespace: {namespace}-flux"))
    path = work.root / "deploy" / "staging" / "kustomization.yaml"
    text = yaml.safe_load(path.read_text())
    settings = {k: v for k, v in cluster.metaflow_env().items() if k.startswith("METAFLOW_") and "KUBERNETES" not in k}
    text["namespace"] = namespace
    text["configMapGenerator"][0]["literals"] = [f"{key}={value}" for key, value in settings.items()]
    text["images"] = [{"name": text["images"][0]["name"], "newName": "python", "newTag": "3.11"}]
    path.write_text(yaml.safe_dump(text))
    compiled(work)
    return work


@pytest.fixture(params=["argocd", "flux"])
def engine(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Iterator[ArgoCd | Flux]:
    """An engine that is pointed to a clone of the example; in its namespace are things of others and the cluster's credentials."""
    if not cluster.ours:
        pytest.skip("the engines are tried on the cluster of tests/engines alone: they bring kinds that another cluster may have")
    namespace = f"flowc-e-{request.param}"
    work = checkout(tmp_path, cluster, namespace)
    keys = {k: cluster.env[k] for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "metaflow-config"}, "stringData": keys}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"flowc/overcommit": "true"}}}
    run(["kubectl", "apply", "-f", "-"], env=cluster.env, text=json.dumps(space))
    try:
        for each in (secret, OTHERS):
            kubectl(cluster, namespace, "apply", "-f", "-", text=json.dumps(each))
        with (argo_cd if request.param == "argocd" else flux)(work, cluster, tmp_path) as found:
            yield found
    finally:
        run(["kubectl", "delete", "namespace", namespace, "--timeout=120s"], env=cluster.env, seconds=150)


def kubectl(cluster: Cluster, namespace: str, *arguments: str, text: str | None = None) -> str:
    return run(["kubectl", "-n", namespace, *arguments], env=cluster.env, text=text)


def there(cluster: Cluster, namespace: str, selector: str = "") -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of the namespace by kind and name."""
    listed = json.loads(kubectl(cluster, namespace, "get", KINDS, "-l", selector, "-o", "json"))["items"]
    return {(each["kind"], each["metadata"]["name"]): each for each in listed}


def wanted(work: Work) -> set[tuple[str, str]]:
    """Kinds and names of what kustomize builds."""
    return {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(work.built()) if each["kind"] != "Namespace"}


def ran(cluster: Cluster, namespace: str, template: str) -> dict[str, Any]:
    """A Workflow of the template when it has ended."""
    name = run(["argo", "-n", namespace, "submit", "--from", f"workflowtemplate/{template}", "-o", "name"], env=cluster.env).strip()
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        workflow = json.loads(kubectl(cluster, namespace, "get", "workflow", name, "-o", "json"))
        if workflow.get("status", {}).get("phase") in ("Succeeded", "Failed", "Error"):
            return dict(workflow)
        time.sleep(3)
    raise CommandFailed(run(["argo", "-n", namespace, "get", name], env=cluster.env))


def test_nothing_is_left_behind(engine: ArgoCd | Flux, cluster: Cluster) -> None:
    """A first sync brings flows that run; a changed flow changes in place; a removed, a renamed and an unscheduled one leave nothing; others' things stay."""
    work = engine.work
    namespace = str(yaml.safe_load((work.root / "deploy/staging/namespace.yaml").read_text())["metadata"]["name"])
    engine.sync()
    first = there(cluster, namespace, f"{MINE}=staging")
    assert set(first) == wanted(work)
    assert {name for kind, name in first if kind == "CronWorkflow"} == {"shop.test.staging.features", "shop.test.staging.weeklyreport"}
    workflow = ran(cluster, namespace, "shop.test.staging.weeklyreport")
    assert workflow["status"]["phase"] == "Succeeded", workflow["status"]
    assert workflow["spec"].get("workflowTemplateRef", {}) == {"name": "shop.test.staging.weeklyreport"}

    work.replace("flows/features.py", ("memory=8192", "memory=12288"), ("@schedule(cron=NIGHTLY, timezone=ZONE)\n", ""), ("NIGHTLY, ", ""), (", schedule", ""), (", ZONE", ""))
    (work.root / "flows" / "forecast.py").unlink()
    work.replace("flows/report.py", ("WeeklyReport", "MondayReport"))
    compiled(work)
    engine.sync()
    second = there(cluster, namespace, f"{MINE}=staging")
    assert set(second) == wanted(work)
    assert set(first) - set(second) == {
        ("CronWorkflow", "shop.test.staging.features"),
        ("CronWorkflow", "shop.test.staging.weeklyreport"),
        ("WorkflowTemplate", "shop.test.staging.weeklyreport"),
        ("WorkflowTemplate", "shop.test.staging.forecast"),
        ("Sensor", "shop-test-staging-forecast"),
    }
    key = ("WorkflowTemplate", "shop.test.staging.features")
    assert second[key]["metadata"]["uid"] == first[key]["metadata"]["uid"]
    assert [size in json.dumps(one[key]["spec"]) for one in (first, second) for size in ("8192M", "12288M")] == [True, False, False, True]

    left = set(there(cluster, namespace)) - set(second)
    assert left == {("WorkflowTemplate", "others"), ("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
    workflow = ran(cluster, namespace, "shop.test.staging.mondayreport")
    assert workflow["status"]["phase"] == "Succeeded", workflow["status"]
