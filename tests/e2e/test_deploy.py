"""What deploy/ installs runs a flow: applied to a real cluster, its own controller included, and every object judged by the API server."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from e2e.cluster import ROOT, Cluster, CommandFailed, run
from e2e.deploying import DEPLOY, Place, everything, images, installed, objects
from e2e.laptop import COLLECT
from e2e.runs import flowc_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

LIMIT = 600
AS_CI = ("--as=ci", "--as-group=metaflow-deployers")
"""What Terraform's access entry makes of CI's role."""
DRY = ["kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"]
FLOW = ROOT / "examples" / "train.py"


@pytest.fixture(scope="module")
def ours(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster of tests/engines, with the images that deploy/ names."""
    if not cluster.ours:
        pytest.skip("deploy/ is tried on the cluster of tests/engines alone: it needs images made on the spot")
    images(cluster, tmp_path_factory.mktemp("images"))
    return cluster


def trained(place: Place, name: str, folder: Path) -> str:
    """The Workflow of a run of examples/train.py, compiled by that folder's settings, when it has succeeded."""
    label = f"workflows.argoproj.io/controller-instanceid={place.namespace}"
    command = [*flowc_command(), "compile", FLOW, "--target", "argo", "--settings", DEPLOY / name / "flowc.toml"]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    manifest = run([*command, "--namespace", place.namespace, "--label", label], env=env, cwd=folder)
    place.kubectl("apply", "--server-side", "-f", "-", *AS_CI, text=manifest)
    workflow = place.argo("submit", "--from", "workflowtemplate/train", "--instanceid", place.namespace, "-o", "name", *AS_CI).strip()
    try:
        place.argo("wait", workflow, "--instanceid", place.namespace, seconds=LIMIT)
    except CommandFailed as error:
        said = place.argo("get", workflow, "--instanceid", place.namespace)
        raise CommandFailed(f"{error}\n{said}\n{place.kubectl('describe', 'pods')[-3000:]}") from error
    assert place.get("workflow", workflow)["status"]["phase"] == "Succeeded"
    return workflow


def deployers_have_what_they_need(place: Place, folder: Path) -> None:
    """CI may apply what the kubernetes target writes, its coordinator's account included; Secrets and Argo's own rights are not its to have."""
    command = [*flowc_command(), "compile", FLOW, "--target", "kubernetes", "--settings", DEPLOY / "local" / "flowc.toml"]
    manifest = run([*command, "--namespace", place.namespace, "--suspend-schedule"], env=place.cluster.env, cwd=folder)
    # no dry run: whether a binding grants too much can be told only of a role that is there
    place.kubectl("apply", "--server-side", "-f", "-", *AS_CI, text=manifest)
    for wanted in ("get secrets", "create pods", "create pods/exec", "escalate roles"):
        with pytest.raises(CommandFailed, match="no"):
            place.kubectl("auth", "can-i", *wanted.split(), *AS_CI)
    binding = ("create", "rolebinding", "more", "--role=argo-role", "--user=ci", "--dry-run=server")
    with pytest.raises(CommandFailed, match="attempting to grant RBAC permissions not currently held"):
        place.kubectl(*binding, *AS_CI)


def coordinated(place: Place) -> str:
    """The id of a run of the kubernetes target's CronJob, started by hand, as CI, when it has succeeded."""
    place.kubectl("create", "job", "by-hand", "--from=cronjob/train", *AS_CI)
    try:
        place.kubectl("wait", "--for=condition=Complete", "job/by-hand", f"--timeout={LIMIT}s", seconds=LIMIT + 30)
    except CommandFailed as error:
        raise CommandFailed(f"{error}\n{place.kubectl('get', 'jobs,pods')}\n{place.kubectl('logs', 'job/by-hand', '--tail=40')}") from error
    match = re.search(r"run (k8s-by-hand-[0-9a-z]+) of Train", place.kubectl("logs", "job/by-hand"))
    assert match is not None
    return match[1]


def best(kind: str, root: str, run_id: str, env: dict[str, str], folder: Path) -> dict[str, Any]:
    """The artifacts of the flow's last step, as Metaflow's own datastore reads them."""
    command = [sys.executable, COLLECT, kind, root, "Train", run_id]
    return dict(json.loads(run(command, env=env, cwd=folder))["end"][0])


@pytest.mark.slow
def test_local_runs_the_example(ours: Cluster, tmp_path: Path) -> None:
    """deploy/local, whose Argo has this namespace's rights alone, runs examples/train.py on the volume; Kubernetes Jobs do so too."""
    with installed("local", ours, tmp_path) as place:
        workflow = trained(place, "local", tmp_path)
        pods = place.get("pods", "-l", f"workflows.argoproj.io/workflow={workflow}")["items"]
        assert {pod["spec"]["serviceAccountName"] for pod in pods} == {"metaflow-tasks"}
        deployers_have_what_they_need(place, tmp_path)
        root = f"{ours.env['FLOWC_CLUSTER_SHARED']}/{place.namespace}/.metaflow"
        for run_id in (f"argo-{workflow}", coordinated(place)):
            assert best("local", root, run_id, ours.metaflow_env(), tmp_path)["best"] == "int 3"


@pytest.mark.full
@pytest.mark.slow
def test_local_s3_runs_the_example(ours: Cluster, tmp_path: Path) -> None:
    """deploy/local-s3 runs it on its own S3, which pods find by the ConfigMap metaflow-config alone."""
    with installed("local-s3", ours, tmp_path) as place:
        # the ConfigMap names the store by its namespace, which here is another
        change = {"data": {"METAFLOW_S3_ENDPOINT_URL": f"http://s3.{place.namespace}.svc.cluster.local:5000"}}
        place.kubectl("patch", "configmap", "metaflow-config", "--type=merge", "-p", json.dumps(change))
        workflow = trained(place, "local-s3", tmp_path)
        address = place.get("service", "s3")["spec"]["clusterIP"]
        env = {**ours.metaflow_env(), "METAFLOW_S3_ENDPOINT_URL": f"http://{address}:5000", "AWS_ENDPOINT_URL_S3": f"http://{address}:5000"}
        assert best("s3", "s3://metaflow/metaflow", f"argo-{workflow}", env, tmp_path)["best"] == "int 3"


@pytest.fixture(scope="module")
def spaces(cluster: Cluster) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """Makes the namespaces among the objects that the cluster lacks: a dry run makes none for what is in them. Removed afterwards."""
    made: list[str] = []

    def make(built: list[dict[str, Any]]) -> None:
        listed = json.loads(run(["kubectl", "get", "namespaces", "-o", "json"], env=cluster.env))["items"]
        there = {each["metadata"]["name"] for each in listed}
        for name in sorted({each["metadata"]["name"] for each in built if each["kind"] == "Namespace"} - there):
            run(["kubectl", "create", "namespace", name], env=cluster.env)
            made.append(name)

    yield make
    for name in made:
        run(["kubectl", "delete", "namespace", name, "--ignore-not-found", "--timeout=120s"], env=cluster.env)


@pytest.mark.parametrize("name", ["base", "eks", "local", "local-s3", "everything"])
def test_api_server_takes_every_object(
    name: str, cluster: Cluster, spaces: Callable[[list[dict[str, Any]]], None], tmp_path: Path
) -> None:
    """The real API server takes all that a folder builds, strictly: unknown fields, bad selectors and bad names are errors."""
    built = objects(everything(tmp_path) if name == "everything" else DEPLOY / name, cluster.env)
    spaces(built)
    told = run(DRY, env=cluster.env, text=json.dumps({"apiVersion": "v1", "kind": "List", "items": built}))
    assert told.count("serverside-applied (server dry run)") == len(built)


def test_api_server_refuses_a_wrong_field(cluster: Cluster, spaces: Callable[[list[dict[str, Any]]], None]) -> None:
    """The judge works: a field that upstream's objects do not have is refused."""
    built = objects(DEPLOY / "local", cluster.env)
    spaces(built)
    claim = next(each for each in built if each["kind"] == "PersistentVolumeClaim")
    claim["spec"]["storage"] = "5Gi"
    with pytest.raises(CommandFailed, match="storage"):
        run(DRY, env=cluster.env, text=json.dumps(claim))


@pytest.mark.slow
def test_vendored_manifests_are_upstreams(cluster: Cluster) -> None:
    """What Go's module proxy gives at the pinned versions is what stands in deploy/vendor. Kueue is in no such proxy."""
    command = [sys.executable, ROOT / "tools" / "vendor.py", "--check", "argo-workflows", "argo-events", "jobset"]
    assert run(command, env=cluster.env) == ""
