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
from walking import commands, walk

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
    # what a session that was killed left
    run(["kubectl", "delete", "namespace", namespace, f"{namespace}-flux", "--ignore-not-found", "--timeout=120s"], env=cluster.env, seconds=150)
    run(["kubectl", "apply", "-f", "-"], env=cluster.env, text=json.dumps(space))
    try:
        for each in (secret, OTHERS):
            kubectl(cluster, namespace, "apply", "-f", "-", text=json.dumps(each))
        with (argo_cd if request.param == "argocd" else flux)(work, cluster, tmp_path) as found:
            yield found
    finally:
        run(["kubectl", "delete", "namespace", namespace, "--timeout=120s"], env=cluster.env, seconds=150)


def kubectl(cluster: Cluster, namespace: str, *arguments: str, text: str | None = None, seconds: float = 300) -> str:
    return run(["kubectl", "-n", namespace, *arguments], env=cluster.env, text=text, seconds=seconds)


def there(cluster: Cluster, namespace: str, selector: str = "") -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of the namespace by kind and name."""
    listed = json.loads(kubectl(cluster, namespace, "get", KINDS, "-l", selector, "-o", "json"))["items"]
    return {(each["kind"], each["metadata"]["name"]): each for each in listed}


def wanted(work: Work) -> set[tuple[str, str]]:
    """Kinds and names of what kustomize builds."""
    return {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(work.built()) if each["kind"] != "Namespace"}


def started(cluster: Cluster, namespace: str, template: str) -> str:
    """The name of a Workflow of the template."""
    return run(["argo", "-n", namespace, "submit", "--from", f"workflowtemplate/{template}", "-o", "name"], env=cluster.env).strip()


def ended_well(cluster: Cluster, namespace: str, name: str) -> None:
    """Wait until the Workflow has ended, as it should."""
    end, phase = time.monotonic() + LIMIT, ""
    while phase not in ("Succeeded", "Failed", "Error") and time.monotonic() < end:
        time.sleep(3)
        phase = json.loads(kubectl(cluster, namespace, "get", "workflow", name, "-o", "json")).get("status", {}).get("phase", "")
    if phase != "Succeeded":
        raise CommandFailed(f"{phase}: {run(['argo', '-n', namespace, 'get', name], env=cluster.env)}")


def namespace_of(work: Work) -> str:
    return str(yaml.safe_load((work.root / "deploy/staging/namespace.yaml").read_text())["metadata"]["name"])


def test_nothing_is_left_behind(engine: ArgoCd | Flux, cluster: Cluster) -> None:
    """A first sync brings flows that run; a changed flow changes in place; a removed, a renamed and an unscheduled one leave nothing.

    A run that is under way ends well though its flow is gone, and others' things stay.
    """
    work = engine.work
    namespace = namespace_of(work)
    engine.sync()
    first = there(cluster, namespace, f"{MINE}=staging")
    assert set(first) == wanted(work)
    assert {name for kind, name in first if kind == "CronWorkflow"} == {"shop.test.staging.features", "shop.test.staging.weeklyreport"}
    ended_well(cluster, namespace, started(cluster, namespace, "shop.test.staging.weeklyreport"))
    under_way = started(cluster, namespace, "shop.test.staging.weeklyreport")

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
    ended_well(cluster, namespace, under_way)
    ended_well(cluster, namespace, started(cluster, namespace, "shop.test.staging.mondayreport"))


def as_jobs(work: Work) -> None:
    """The clone, compiled for plain Kubernetes: the report without a schedule is a Job, the features with one a CronJob.

    The image is a setting here: the steps' stands in the plan, where kustomize does not change it.
    """
    work.replace("flowc.toml", ('targets = ["argo"]', 'targets = ["kubernetes"]'), ("registry.example.com/shop/flows:2026.11.1", "python:3.11"))
    work.replace("deploy/staging/kustomization.yaml", ("manifests/staging/argo", "manifests/staging/kubernetes"))
    work.replace("flows/report.py", ('@schedule(cron="0 7 * * 1", timezone=ZONE)\n', ""), (", schedule", ""), (", ZONE", ""))
    (work.root / "flows" / "forecast.py").unlink()
    compiled(work)


def finished(cluster: Cluster, namespace: str) -> set[str]:
    """The names of the coordinators' Jobs, all of which have ended well."""
    jobs = {name for kind, name in there(cluster, namespace, f"{MINE}=staging") if kind == "Job"}
    kubectl(cluster, namespace, "wait", "--for=condition=Complete", f"--timeout={LIMIT}s", *(f"job/{name}" for name in jobs), seconds=LIMIT + 30)
    return jobs


@pytest.mark.full
@pytest.mark.slow
def test_jobs_are_no_trap(engine: ArgoCd | Flux, cluster: Cluster) -> None:
    """A Job cannot be changed: a changed flow is another Job, synced without an error; the same commit starts nothing; a removed flow leaves what runs need."""
    work = engine.work
    namespace = namespace_of(work)
    as_jobs(work)
    engine.sync()
    (first,) = finished(cluster, namespace)
    before = there(cluster, namespace, f"{MINE}=staging")
    assert ("CronJob", "shop-test-staging-features") in before
    assert set(before) == wanted(work)
    engine.sync()
    assert finished(cluster, namespace) == {first}

    work.replace("flows/report.py", ("best region of the week", "the best region"))
    (work.root / "flows" / "features.py").unlink()
    compiled(work)
    engine.sync()
    jobs = finished(cluster, namespace)
    assert first in jobs
    assert len(jobs) == 2
    after = there(cluster, namespace, f"{MINE}=staging")
    left = {key: value["metadata"]["annotations"] for key, value in after.items() if key not in wanted(work)}
    assert {kind for kind, _ in left} == {"Job", "ConfigMap"}
    assert all(notes["argocd.argoproj.io/compare-options"] == "IgnoreExtraneous" for notes in left.values())
    assert [key for key in after if "features" in key[1] and key[0] != "ConfigMap"] == []


def test_the_page_on_kubernetes(cluster: Cluster, tmp_path: Path) -> None:
    """`flowc apply` and `flowc delete` do what the page on Kubernetes says, in the namespace that kubectl talks to."""
    namespace = "flowc-e-docs"
    run(["kubectl", "create", "namespace", namespace], env=cluster.env)
    try:
        here = tmp_path / "config"
        shutil.copy(cluster.env["KUBECONFIG"], here)
        env = {**cluster.env, **commands(tmp_path / "bin"), "KUBECONFIG": str(here)}
        env["PATH"] = f"{tmp_path / 'bin'}:{cluster.env['PATH']}"
        run(["kubectl", "config", "set-context", "--current", "--namespace", namespace], env=env)
        work = tmp_path / "work"
        shutil.copytree(ROOT / "examples", work / "examples", ignore=shutil.ignore_patterns("gitops"))
        done = walk(ROOT / "docs" / "kubernetes.md", work, env)
        assert [line.text.split()[1] for line in done] == ["compile", "apply", "apply", "delete"]
        assert {kind for kind, _ in there(cluster, namespace)} == {"ConfigMap", "ServiceAccount"}
        assert {name for _, name in there(cluster, namespace)} == {"kube-root-ca.crt", "default"}
    finally:
        run(["kubectl", "delete", "namespace", namespace, "--timeout=120s"], env=cluster.env, seconds=150)
