"""In: a checkout like examples/gitops and a cluster. Out: what GitOps engines do with it: Argo CD's own, and Flux's kustomize-controller."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from e2e.cluster import ROOT, Cluster, CommandFailed, run

BUILD = ROOT / "tests" / "engines" / "gitops" / "build.sh"
LIMIT = 180.0
"""Seconds that a sync may take: far more than one does, since runs share two cores."""
TRIES = 4
GROUPS = ("", "argoproj.io", "rbac.authorization.k8s.io", "batch")


def engines(env: dict[str, str]) -> Path:
    """The folder of the engines and of their kinds, built where it is not there (minutes)."""
    return Path(run(["bash", BUILD], env=env, seconds=1800).strip())


@dataclass(frozen=True, slots=True)
class Work:
    """A clone of the team's repository; `folder` is what an engine is pointed to, such as deploy/staging."""

    root: Path
    folder: str

    def git(self, *arguments: str) -> str:
        me = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "safe.directory=*"]
        return run(["git", *me, *arguments], env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}, cwd=self.root).strip()

    def commit(self, message: str) -> str:
        """Commit all that is there; the revision."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def replace(self, path: str, *pairs: tuple[str, str]) -> None:
        """Change a file; a text that it does not have is a mistake of the test."""
        text = (self.root / path).read_text()
        for old, new in pairs:
            assert old in text, (path, old)
            text = text.replace(old, new)
        (self.root / path).write_text(text)

    def built(self) -> str:
        return run(["kubectl", "kustomize", self.root / self.folder], env=os.environ)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(question: Any, what: str, log: Path) -> Any:
    """The first answer that is not None; CommandFailed with the end of the log where none comes."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if (answer := question()) is not None:
            return answer
        time.sleep(1)
    raise CommandFailed(f"{what}: nothing in {LIMIT:.0f} s\n{log.read_text()[-4000:]}")


@dataclass
class ArgoCd:
    """Argo CD's engine. As Argo CD's repository server does, the folder is built by kustomize first."""

    work: Work
    rendered: Work
    command: list[str | Path]
    env: dict[str, str]
    log: Path

    def sync(self) -> dict[str, str]:
        """What became of each object, by `group/Kind/namespace/name`."""
        (self.rendered.root / "all.yaml").write_text(self.work.built())
        self.rendered.commit(self.work.commit("as it is"))
        for _ in range(TRIES):
            with process([*self.command, "--port", str(free_port())], self.log, self.env) as started:
                told = until(lambda: self._told(ended=started.poll() is not None), "Argo CD's engine", self.log)
            if told:
                return dict(told)
        raise CommandFailed(f"Argo CD's engine ended {TRIES} times\n{self.log.read_text()[-4000:]}")

    def _told(self, *, ended: bool) -> dict[str, str] | None:
        """The table of the sync; empty where the engine ended without one, as it does where a busy API server lets it wait."""
        text = self.log.read_text()
        if "Failed to synchronize" in text:
            raise CommandFailed(f"Argo CD's engine: {text[-4000:]}")
        _, head, table = text.partition("RESOURCE ")
        rows = [line.split(None, 1) for line in table.splitlines()[1:] if line.count("/") >= 3 and line.split("/")[0] in GROUPS]
        return {row[0]: row[-1] for row in rows} if head and table.endswith("\n") else {} if ended else None


@dataclass
class Flux:
    """Flux's kustomize-controller, which builds and applies by itself. Its source is a GitRepository whose artifact stands here."""

    work: Work
    cluster: Cluster
    namespace: str
    name: str
    served: Path
    address: str
    log: Path

    def sync(self) -> dict[str, str]:
        """Wait until the revision is applied; the kinds and names that Flux keeps account of."""
        revision = f"main@sha1:{self.work.commit('as it is')}"
        self._offer(revision)
        listed = until(partial(self._applied, revision), "Flux's kustomize-controller", self.log)
        return {entry["id"]: entry["v"] for entry in listed}

    def _offer(self, revision: str) -> None:
        """What source-controller would do: an archive of the revision, and its address in the status of the GitRepository."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            archive.add(self.work.root, arcname=".", filter=lambda each: None if ".git/" in f"{each.name}/" else each)
        file = f"{revision[-12:]}.tar.gz"
        (self.served / file).write_bytes(packed.getvalue())
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        artifact = {
            "digest": f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}",
            "lastUpdateTime": now,
            "path": file,
            "revision": revision,
            "url": f"{self.address}/{file}",
        }
        ready = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored", "lastTransitionTime": now}
        status = {"status": {"artifact": artifact, "conditions": [ready], "observedGeneration": 1}}
        self.kubectl("patch", "gitrepository", self.name, "--subresource=status", "--type=merge", "-p", json.dumps(status))

    def _applied(self, revision: str) -> list[dict[str, str]] | None:
        status = json.loads(self.kubectl("get", "kustomizations.kustomize.toolkit.fluxcd.io", self.name, "-o", "json")).get("status", {})
        ready = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), {})
        if status.get("lastAttemptedRevision") == revision and ready.get("status") == "False" and ready.get("reason") != "Progressing":
            raise CommandFailed(f"Flux: {ready}")
        done = status.get("lastAppliedRevision") == revision and ready.get("status") == "True"
        return list(status["inventory"]["entries"]) if done else None

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return run(["kubectl", "-n", self.namespace, *arguments], env=self.cluster.env, text=text)


@contextmanager
def process(command: list[str | Path], log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as file:
        started = subprocess.Popen([str(part) for part in command], stdout=file, stderr=subprocess.STDOUT, env=env, cwd=log.parent)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(30)


@contextmanager
def argo_cd(work: Work, cluster: Cluster, folder: Path) -> Iterator[ArgoCd]:
    """Argo CD's engine at work on the folder of a repository, with pruning on."""
    rendered = Work(folder / "rendered", ".")
    rendered.root.mkdir()
    rendered.git("init", "-q")
    binary = engines(dict(cluster.env)) / "argocd-engine"
    command: list[str | Path] = [binary, rendered.root, "--resync-seconds", "36000", "--default-namespace", "default"]
    yield ArgoCd(work, rendered, [*command, "--kubeconfig", cluster.env["KUBECONFIG"]], dict(cluster.env), folder / "argo-cd.log")


@contextmanager
def flux(work: Work, cluster: Cluster, folder: Path) -> Iterator[Flux]:
    """Flux's kustomize-controller at work on the objects of the repository's flux/ folder, in a namespace of its own."""
    there = engines(dict(cluster.env))
    path = work.root / "flux" / f"{Path(work.folder).name}.yaml"
    source, kustomization = yaml.safe_load_all(path.read_text())
    namespace = source["metadata"]["namespace"]
    served = folder / "served"
    served.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    engine = Flux(
        work, cluster, namespace, kustomization["metadata"]["name"], served, f"http://127.0.0.1:{server.server_port}", folder / "flux.log"
    )
    kinds = there / "crds" / "flux.yaml"
    try:
        run(["kubectl", "apply", "--server-side", "-f", kinds], env=cluster.env)
        run(["kubectl", "wait", "--for=condition=Established", "--timeout=60s", "-f", kinds], env=cluster.env)
        run(["kubectl", "create", "namespace", namespace], env=cluster.env)
        engine.kubectl("apply", "--server-side", "--validate=strict", "-f", str(path))
        command = [there / "kustomize-controller", "--watch-all-namespaces=false", f"--metrics-addr=127.0.0.1:{free_port()}", f"--health-addr=127.0.0.1:{free_port()}"]
        with process([*command, "--log-level=info"], engine.log, {**cluster.env, "RUNTIME_NAMESPACE": namespace}):
            yield engine
    finally:
        server.shutdown()
        # without its controller nobody would take the finalizer off
        finalizers = ["patch", "kustomizations.kustomize.toolkit.fluxcd.io", engine.name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}']
        with suppress(CommandFailed):
            engine.kubectl(*finalizers)
        run(["kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s"], env=cluster.env, seconds=150)
        run(["kubectl", "delete", "-f", kinds, "--ignore-not-found", "--timeout=60s"], env=cluster.env)
