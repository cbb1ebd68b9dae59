"""In: a real API server and kubeconform. Out: proof that both take what the target `kubernetes` writes, and that `flowc apply` keeps its word."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from e2e.cluster import LABEL, LOGS, SESSION, Cluster, CommandFailed, run
from e2e.kubernetes_runs import plain
from e2e.laptop import FLOWS
from e2e.runs import flowc_command

from flowc import data
from flowc.deployment import jobs

pytestmark = pytest.mark.e2e
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
NAMESPACE = f"flowc-objects-{SESSION.partition('-')[0]}"
# Those with triggers are for Argo, the last two are no flows.
NAMES = sorted(p.stem for p in FLOWS.glob("*.py") if p.stem not in ("after", "triggered", "surroundings", "shared_base"))


@functools.cache
def compiled(name: str) -> list[dict[str, Any]]:
    """The objects of a flow, and after them the Jobs and JobSets of its steps as a coordinator makes them."""
    command = [*flowc_command(), "compile", f"{name}.py", "--isolated", "--target", "kubernetes", "--label", f"{LABEL}={SESSION}"]
    objects = [each for each in yaml.safe_load_all(run(command, env=plain(), cwd=FLOWS)) if each]
    plan = json.loads(next(each["data"]["plan.json"] for each in objects if "plan.json" in each.get("data", {})))
    for step in plan["jobs"]:
        job = jobs.with_width(jobs.manifest(plan, step), 3)
        job["metadata"]["name"] = jobs.name(f"k8s-{name}", step)
        values = {"FLOWC_RUN_ID": "k8s-x", "FLOWC_PATH": "0-@"}
        objects.append(jobs.with_env(job, values | ({"FLOWC_ATTEMPT": "0"} if job["kind"] == "JobSet" else {})))
    return objects


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield NAMESPACE
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("name", NAMES)
def test_the_api_server_takes_every_object(name: str, cluster: Cluster, namespace: str) -> None:
    """With all its admission and defaulting, the server would store each object of each flow, the Jobs of steps among them."""
    text = "---\n".join(json.dumps(each) + "\n" for each in compiled(name))
    said = run(["kubectl", "-n", namespace, "apply", "--dry-run=server", "-f", "-"], env=cluster.env, text=text)
    assert said.count("(server dry run)") == text.count("---\n") + 1


@pytest.fixture(scope="module")
def kubeconform() -> list[str]:
    """The command that judges a stream by the schemas of this repository; built from its source by the Go proxy."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("kubeconform is built by Go, which this machine lacks; kubernetes-validate judges the goldens in `make test`")
    place = (LOGS / "kubeconform").resolve()
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "kubeconform").exists():
        subprocess.run([go, "install", KUBECONFORM], env={**os.environ, "GOBIN": str(place)}, check=True, capture_output=True, timeout=900)
    for file in ("kubernetes/1.33.json", "kubernetes/jobset.json"):
        whole = json.loads(data.read(f"schemas/{file}"))
        for kind, schema in whole["kinds"].items():
            (place / f"{kind.lower()}.json").write_text(json.dumps({**schema, "definitions": whole["definitions"]}))
    return [str(place / "kubeconform"), "-strict", "-summary", "-schema-location", f"{place}/{{{{ .ResourceKind }}}}.json"]


@pytest.mark.parametrize("name", NAMES)
def test_kubeconform_takes_every_object(name: str, kubeconform: list[str]) -> None:
    """kubeconform -strict finds no object invalid, and skips none."""
    objects = compiled(name)
    text = "---\n".join(json.dumps(each) + "\n" for each in objects)
    done = subprocess.run([*kubeconform, "-output", "json"], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["summary"] == {"valid": len(objects), "invalid": 0, "errors": 0, "skipped": 0}


def test_kubeconform_can_refuse(kubeconform: list[str]) -> None:
    """A field that no Job has is refused, so that the test above says something."""
    broken = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"template": {"spec": {"kontainers": []}}}}
    done = subprocess.run(kubeconform, input=json.dumps(broken), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "kontainers" in done.stdout


def flowc(*arguments: str, cluster: Cluster, namespace: str, code: int = 0) -> str:
    """What `flowc` says on both streams, about one flow in the namespace."""
    command = [*flowc_command(), *arguments, "--isolated", "--namespace", namespace]
    env = {**plain(), "KUBECONFIG": cluster.env["KUBECONFIG"]}
    done = subprocess.run(command, env=env, cwd=FLOWS, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != code:
        raise CommandFailed(f"{command}\nexit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout + done.stderr


def test_apply_and_delete(cluster: Cluster, namespace: str) -> None:
    """On a real server: applied, unchanged when applied again, a stranger's field kept, pruned, deleted."""
    at = {"cluster": cluster, "namespace": namespace}
    said = flowc("apply", "clock.py", "-t", "kubernetes", "--suspend-schedule", **at)
    assert said.count(" created") == 6
    assert flowc("apply", "clock.py", "-t", "kubernetes", "--suspend-schedule", **at).count(" unchanged") == 6
    said = flowc("apply", "clock.py", "-t", "kubernetes", "--suspend-schedule", "--max-workers", "7", "--dry-run", "--diff", **at)
    assert '"max_workers": 7' in said
    patch = '{"spec":{"concurrencyPolicy":"Forbid"}}'
    kubectl = ["kubectl", "-n", namespace]
    run([*kubectl, "patch", "cronjob", "clockflow", "--type", "merge", "-p", patch], env=cluster.env)
    said = flowc("apply", "clock.py", "-t", "kubernetes", "--suspend-schedule", **at, code=1)
    assert "kubectl-patch" in said
    assert ".spec.concurrencyPolicy" in said
    flowc("apply", "clock.py", "-t", "kubernetes", "--suspend-schedule", "--max-workers", "7", "--prune", "--force-conflicts", **at)
    names = run([*kubectl, "get", "configmaps", "-l", "flowc/deployment", "-o", "name"], env=cluster.env).split()
    assert len(names) == 2
    flowc("delete", "clock.py", "-t", "kubernetes", **at)
    # not `all`: kinds come and go with other tests, and kubectl stumbles over one that has just gone
    left = run([*kubectl, "get", "cronjobs,jobs,pods,configmaps,roles,rolebindings,serviceaccounts", "-l", "flowc/deployment", "-o", "name"], env=cluster.env)
    assert left == ""


def test_apply_for_argo(cluster: Cluster, namespace: str) -> None:
    """The objects of Argo are applied and deleted alike."""
    at = {"cluster": cluster, "namespace": namespace}
    said = flowc("apply", "gang.py", "-t", "argo", "--argo-version", cluster.argo_minor, **at)
    assert "WorkflowTemplate gangflow created" in said
    assert "unchanged" in flowc("apply", "gang.py", "-t", "argo", "--argo-version", cluster.argo_minor, **at)
    assert "WorkflowTemplate gangflow deleted" in flowc("delete", "gang.py", "-t", "argo", "--argo-version", cluster.argo_minor, **at)


def test_the_same_file_is_the_same_run(cluster: Cluster, namespace: str) -> None:
    """`kubectl apply`, as people type it: the same file twice is one Job, a changed one is another beside it."""
    kubectl = ["kubectl", "-n", namespace]
    command = [*flowc_command(), "compile", "one_step.py", "--isolated", "--target", "kubernetes"]
    text = run(command, env=plain(), cwd=FLOWS)
    changed = run([*command, "--tag", "other"], env=plain(), cwd=FLOWS)
    said = [run([*kubectl, "apply", "-f", "-"], env=cluster.env, text=each) for each in (text, text, changed)]
    assert [each.count("job.batch") for each in said] == [1, 1, 1]
    assert [line.split()[-1] for each in said for line in each.splitlines() if line.startswith("job.batch")] == ["created", "unchanged", "created"]
    found = run([*kubectl, "get", "jobs", "-l", "app.kubernetes.io/name=metaflow-flow", "-o", "name"], env=cluster.env).split()
    assert len(found) == 2
    run([*kubectl, "delete", "jobs", "--all", "--wait=false"], env=cluster.env)
