"""In: a folder of deploy/ and a Cluster. Out: that folder's objects, applied in a namespace of their own beside the cluster's own Argo."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from e2e.cluster import ROOT, SCRIPT, Cluster, CommandFailed, run

DEPLOY = ROOT / "deploy"
CONTROLLER = "quay.io/argoproj/workflow-controller"
STORE = "motoserver/moto:5.2.5"
SHIM = "#!/usr/bin/python3\nimport sys\nsys.path.insert(0, '/usr/local/lib/moto')\nfrom moto.server import main\nmain()\n"


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace of ours in the cluster, with the objects of a folder of deploy/ in it."""

    cluster: Cluster
    namespace: str

    def kubectl(self, *arguments: str, text: str | None = None, seconds: float = 180) -> str:
        return run(["kubectl", "-n", self.namespace, *arguments], env=self.cluster.env, text=text, seconds=seconds)

    def argo(self, *arguments: str, seconds: float = 180) -> str:
        return run(["argo", "-n", self.namespace, *arguments], env=self.cluster.env, seconds=seconds)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))


def objects(folder: Path, env: Any = None) -> list[dict[str, Any]]:
    """What `kubectl kustomize` builds of a folder."""
    text = run(["kubectl", "kustomize", folder], env=os.environ if env is None else env, seconds=120)
    return [each for each in yaml.safe_load_all(text) if each]


def overlay(of: Path, namespace: str, folder: Path) -> Path:
    """A kustomization that builds a folder of deploy/ for a namespace and a controller that leaves other namespaces' workflows alone.

    The test cluster has no image of the Argo server, and its images name no user.
    """
    patches = f"""
    apiVersion: kustomize.config.k8s.io/v1beta1
    kind: Kustomization
    namespace: {namespace}
    resources: [{os.path.relpath(of, folder)}]
    patches:
    - target: {{kind: ConfigMap, name: workflow-controller-configmap}}
      patch: '[{{"op": "add", "path": "/data/instanceID", "value": "{namespace}"}}]'
    - target: {{kind: Deployment, name: argo-server}}
      patch: '[{{"op": "add", "path": "/spec/replicas", "value": 0}}]'
    - target: {{kind: Deployment, name: workflow-controller}}
      patch: '[{{"op": "add", "path": "/spec/template/spec/securityContext/runAsUser", "value": 65532}}]'
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").write_text(textwrap.dedent(patches))
    return folder


def everything(folder: Path) -> Path:
    """A kustomization with every component switched on."""
    components = [os.path.relpath(each, folder) for each in sorted((DEPLOY / "components").iterdir())]
    text = {"resources": [os.path.relpath(DEPLOY / "base", folder)], "components": components}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
    return folder


def images(cluster: Cluster, folder: Path) -> None:
    """The images that a laptop would pull, made of what the test cluster is built of."""
    home, version = Path(cluster.env["FLOWC_CLUSTER_HOME"]), pinned()
    controller = folder / "controller"
    controller.mkdir()
    shutil.copy(home / "bin" / f"argo-{version}" / "workflow-controller", controller)
    run([SCRIPT, "image", f"{CONTROLLER}:v{version}", controller, "--base", "busybox", "--to", "/bin"], env=cluster.env)
    store = folder / "store"
    packages = Path(run([home / "venv" / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], env=cluster.env).strip())
    shutil.copytree(packages, store / "lib" / "moto", ignore=shutil.ignore_patterns("__pycache__", "pip", "kubernetes*", "metaflow*"))
    (store / "bin").mkdir()
    (store / "bin" / "moto_server").write_text(SHIM)
    (store / "bin" / "moto_server").chmod(0o755)
    run([SCRIPT, "image", STORE, store, "--to", "/usr/local"], env=cluster.env)


def pinned() -> str:
    """The Argo that deploy/ pins, such as 3.7.18."""
    deployments = [each for each in objects(DEPLOY / "base") if each["kind"] == "Deployment" and each["metadata"]["name"] == "workflow-controller"]
    return str(deployments[0]["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":v")[2]


def volume(place: Place, folder: Path) -> dict[str, Any]:
    """What a laptop's cluster makes by itself for a claim: a folder of the node."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": place.namespace},
        "spec": {
            "capacity": {"storage": "5Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": place.namespace, "name": "metaflow-artifacts"},
            "hostPath": {"path": str(folder), "type": "Directory"},
        },
    }


def await_deployments(place: Place, deployments: list[dict[str, Any]]) -> None:
    names = [f"deployment/{each['metadata']['name']}" for each in deployments]
    try:
        place.kubectl("wait", "--for=condition=Available", "--timeout=300s", *names, seconds=330)
    except CommandFailed as error:
        raise CommandFailed(f"{error}\n{place.kubectl('describe', 'pods')[-3000:]}") from error


@contextmanager
def installed(name: str, cluster: Cluster, folder: Path) -> Iterator[Place]:
    """deploy/NAME in the namespace flowc-deploy-NAME, with its controller at work; all of it is removed afterwards.

    The CRDs are the cluster's own, of the same version: other tests use them.
    """
    place = Place(cluster, f"flowc-deploy-{name}")
    built = objects(overlay(DEPLOY / name, place.namespace, folder / "overlay"), cluster.env)
    wanted = [each for each in built if each["kind"] != "CustomResourceDefinition"]
    shared = Path(cluster.env["FLOWC_CLUSTER_SHARED"]) / place.namespace
    shared.mkdir(mode=0o777, exist_ok=True)
    shared.chmod(0o777)
    cluster_wide = [volume(place, shared)] if name == "local" else []
    try:
        listed = {"apiVersion": "v1", "kind": "List", "items": [*cluster_wide, *wanted]}
        run(["kubectl", "apply", "--server-side", "-f", "-"], env=cluster.env, text=json.dumps(listed))
        # the admission policy of the test cluster, which makes requests small enough for its two cores
        place.kubectl("label", "namespace", place.namespace, "flowc/overcommit=true")
        await_deployments(place, [each for each in wanted if each["kind"] == "Deployment" and each["spec"].get("replicas") != 0])
        yield place
    finally:
        run(["kubectl", "delete", "namespace", place.namespace, "--ignore-not-found", "--timeout=120s"], env=cluster.env, seconds=150)
        if cluster_wide:
            run(["kubectl", "delete", "pv", place.namespace, "--ignore-not-found", "--timeout=60s"], env=cluster.env)
        run(["kubectl", "delete", "priorityclass", "workflow-controller", "--ignore-not-found"], env=cluster.env)
        shutil.rmtree(shared, ignore_errors=True)
