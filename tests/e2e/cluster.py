"""In: tests/engines/cluster or $KUBECONFIG. Out: Cluster, the commands and the environment with which runs are started and judged."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "engines" / "cluster" / "cluster.sh"
LOGS = ROOT / "e2e-logs"
NAMESPACE = "default"
LABEL = "flowc-e2e"
SESSION = f"{os.getpid()}-{int(time.time())}"
"""The label's value here: what another session made on the same cluster is left alone."""


class CommandFailed(AssertionError):
    """A command that should have worked did not; the text has its end of output."""


def run(command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path | None = None, text: str | None = None, seconds: float = 300) -> str:
    """The standard output of a command; CommandFailed where it fails or takes longer than `seconds`."""
    __tracebackhide__ = True  # read by pytest: what matters is the message
    shown = shlex.join(str(part) for part in command)[:400]
    try:
        arguments = [str(part) for part in command]
        done = subprocess.run(arguments, env=env, cwd=cwd, input=text, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{shown}\nhad not ended after {seconds:.0f} s") from error
    if done.returncode:
        raise CommandFailed(f"{shown}\nexit code {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that runs Argo. `argo_version` as in `3.7.18`; `shared` is the host's folder behind the shared volume, None without one.

    Commands are about `namespace`.
    """

    env: Mapping[str, str]
    argo_version: str
    shared: Path | None
    ours: bool
    namespace: str = NAMESPACE

    @property
    def argo_minor(self) -> str:
        return ".".join(self.argo_version.split(".")[:2])

    @property
    def datastore_root(self) -> str:
        return f"s3://{self.env['FLOWC_S3_BUCKET']}/metaflow"

    def kubectl(self, *arguments: str, text: str | None = None, seconds: float = 120) -> str:
        return run(["kubectl", "-n", self.namespace, *arguments], env=self.env, text=text, seconds=seconds)

    def argo(self, *arguments: str, seconds: float = 120) -> str:
        return run(["argo", "-n", self.namespace, *arguments], env=self.env, seconds=seconds)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def image(self, name: str, folder: Path, to: str) -> str:
        """An image of the cluster's Python image plus the folder at `to`."""
        return run([SCRIPT, "image", name, folder, "--to", to], env=self.env).strip()

    def metaflow_env(self) -> dict[str, str]:
        """What Metaflow's own client needs to write its manifest and to read the datastore of this cluster."""
        return {
            **self.env,
            "METAFLOW_DEFAULT_DATASTORE": "s3",
            "METAFLOW_DATASTORE_SYSROOT_S3": self.datastore_root,
            "METAFLOW_S3_ENDPOINT_URL": self.env["FLOWC_S3_ENDPOINT"],
            "METAFLOW_DEFAULT_METADATA": "local",
            # 64 processes a transfer, the default, would drown two cores
            "METAFLOW_S3_WORKER_COUNT": "2",
            "METAFLOW_USER": "e2e",
            "METAFLOW_KUBERNETES_NAMESPACE": self.namespace,
            "METAFLOW_KUBERNETES_SECRETS": LABEL + "-s3",
            "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "python:3.11",
        }

    def prepare(self) -> None:
        """What a platform team would own: the namespace's Metaflow settings and credentials, and the secrets that flows name."""
        keys = {k: self.env[k] for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")}
        settings = {k: v for k, v in self.metaflow_env().items() if k.startswith("METAFLOW_") and "KUBERNETES" not in k}
        objects = [
            {"kind": "ConfigMap", "metadata": {"name": "metaflow-config"}, "data": settings},
            {"kind": "Secret", "metadata": {"name": "metaflow-config"}, "stringData": keys},
            {"kind": "Secret", "metadata": {"name": LABEL + "-s3"}, "stringData": keys},
            {"kind": "Secret", "metadata": {"name": LABEL}, "stringData": {"E2E_KUBERNETES_SECRET": "from the cluster"}},
        ]
        listed = {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", **item} for item in objects]}
        self.kubectl("apply", "-f", "-", text=json.dumps(listed))

    def sweep(self) -> None:
        """Remove what this session made."""
        kinds = "cronworkflow,workflow,workflowtemplate,sensor,cronjob,job,jobset,configmap,serviceaccount,role,rolebinding"
        self.kubectl("delete", kinds, "-l", f"{LABEL}={SESSION}", "--ignore-not-found", "--wait=false")


def ready() -> Cluster:
    """The cluster of $KUBECONFIG where that is set, else the one of tests/engines/cluster, started when it is down."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("METAFLOW_")}
    ours = "KUBECONFIG" not in env
    if ours:
        run([SCRIPT, "up"], env=env, seconds=2700)
        exported = run(["bash", "-c", 'eval "$("$0" env)"; env -0', SCRIPT], env=env)
        env = dict(entry.split("=", 1) for entry in exported.split("\0") if "=" in entry)
    missing = [k for k in ("FLOWC_S3_ENDPOINT", "FLOWC_S3_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if k not in env]
    if missing:
        raise CommandFailed(f"with KUBECONFIG set, the S3 of that cluster must be named too: {', '.join(missing)}")
    env.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    shared = Path(env["FLOWC_CLUSTER_SHARED"]) if "FLOWC_CLUSTER_SHARED" in env else None
    version = env.get("FLOWC_CLUSTER_ARGO") or run(["argo", "version", "--short"], env=env).strip().rsplit(" ", 1)[-1].lstrip("v")
    found = Cluster(env, version, shared, ours or "FLOWC_CLUSTER_HOME" in env)
    LOGS.mkdir(exist_ok=True)
    with (LOGS / "lock").open("w") as file:
        # several workers begin at once, and two `kubectl apply` of a new object are one too many
        fcntl.flock(file, fcntl.LOCK_EX)
        found.prepare()
    return found
