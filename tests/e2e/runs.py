"""In: a Case and a Cluster. Out: Outcome: how the workflow ended and what it stored, after compile, lint, apply, submit and wait."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from e2e.cases import Case
from e2e.cluster import LABEL, SESSION, Cluster, CommandFailed, run
from e2e.laptop import COLLECT, FLOWS

LIMIT = 900.0
"""Seconds that a workflow may take; far more than any does, since runs share two cores."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run: the Workflow's phase, its nodes by display name -> phase, the artifacts per step, and a text for people."""

    phase: str
    nodes: dict[str, str]
    artifacts: dict[str, list[dict[str, Any]]]
    story: str


def unmet(case: Case, cluster: Cluster) -> str:
    """What the case needs and a cluster of $KUBECONFIG lacks; empty where it can run."""
    if case.store == "shared" and cluster.shared is None:
        return "the cluster of $KUBECONFIG names no shared volume ($FLOWC_CLUSTER_SHARED)"
    return "images are built only for the cluster of tests/engines" if case.image and not cluster.ours else ""


def class_name(flow: str) -> str:
    """The name of the flow class of a file of flows/: the last class in it."""
    tree = ast.parse((FLOWS / f"{flow}.py").read_text())
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)][-1]


def flowc_command() -> list[str]:
    """How flowc is called: $FLOWC_COMMAND, or the script beside this interpreter, which belongs to the installed wheel."""
    if "FLOWC_COMMAND" in os.environ:
        return shlex.split(os.environ["FLOWC_COMMAND"])
    return [str(Path(sys.executable).with_name("flowc"))]


def image_for(cluster: Cluster) -> str:
    """An image with all flows at /app; its tag is a hash of them."""
    seen = hashlib.sha256()
    for path in sorted(p for p in FLOWS.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        seen.update(path.relative_to(FLOWS).as_posix().encode() + b"\0" + path.read_bytes())
    return cluster.image(f"flowc-e2e:{seen.hexdigest()[:12]}", FLOWS, "/app")


def by_flowc(case: Case, cluster: Cluster) -> str:
    """What `flowc compile` writes for the case, on a machine that has no Metaflow settings."""
    flags = [*case.flags, "--argo-version", cluster.argo_minor, "--name", f"e2e-{case.name}"]
    if case.image:
        flags += ["--image", image_for(cluster), "--code", "image", "--code-path", "/app"]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    return run([*flowc_command(), "compile", f"{case.flow}.py", "--target", "argo", *flags], env=env, cwd=FLOWS)


def by_metaflow(case: Case, cluster: Cluster) -> str:
    """Metaflow's own manifest of the same flow: the control that tells a fault of the cluster from one of flowc."""
    command = [sys.executable, f"{case.flow}.py", "--quiet", "--no-pylint", "--with", "kubernetes", "argo-workflows"]
    options = ["--name", f"e2e-metaflow-{case.name}", "create", "--only-json"]
    manifest = json.loads(run([*command, *options], env=cluster.metaflow_env(), cwd=FLOWS))
    return yaml.safe_dump(without_nulls(manifest))


def without_nulls(value: Any) -> Any:
    """Metaflow writes every field that its Kubernetes client knows as null, also those that this cluster does not know."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


MAKERS = {"flowc": by_flowc, "metaflow": by_metaflow}


def deploy(manifest: str, cluster: Cluster, folder: Path) -> str:
    """Lint the manifest, apply it with our label, and return the WorkflowTemplate's name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.yaml"
    path.write_text(manifest)
    cluster.argo("lint", "--offline", "--strict", str(path))
    objects = [o for o in yaml.safe_load_all(manifest) if o]
    for item in objects:
        item["metadata"].setdefault("labels", {})[LABEL] = SESSION
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(listed))
    return next(str(o["metadata"]["name"]) for o in objects if o["kind"] == "WorkflowTemplate")


def submit(case: Case, template: str, cluster: Cluster) -> str:
    """Start the template, return the Workflow's name."""
    given = case.parameters if case.submitted is None else case.submitted
    parameters = [part for name, value in given.items() for part in ("-p", f"{name}={value}")]
    return cluster.argo("submit", "--from", f"workflowtemplate/{template}", "-l", f"{LABEL}={SESSION}", "-o", "name", *parameters).strip()


def await_schedule(cluster: Cluster, template: str) -> str:
    """The first Workflow that the CronWorkflow of the template starts; the schedule is suspended then (its end would take the Workflow along)."""
    selector = f"workflows.argoproj.io/cron-workflow={template}"
    end = time.monotonic() + 150
    while time.monotonic() < end:
        found = cluster.get("workflow", "-l", selector)["items"]
        if found:
            cluster.kubectl("patch", "cronworkflow", template, "--type", "merge", "-p", '{"spec":{"suspend":true}}')
            return str(found[0]["metadata"]["name"])
        time.sleep(3)
    raise CommandFailed(f"the CronWorkflow {template} started nothing:\n{cluster.kubectl('describe', 'cronworkflow', template)[-3000:]}")


def finish(name: str, cluster: Cluster) -> dict[str, Any]:
    """The Workflow when it has ended."""
    try:
        cluster.argo("wait", name, seconds=LIMIT)
    except CommandFailed:
        workflow = cluster.get("workflow", name)
        if workflow.get("status", {}).get("phase") not in ("Succeeded", "Failed", "Error"):
            raise CommandFailed(f"{name} did not end in time\n{story(name, cluster)}") from None
        return dict(workflow)
    return dict(cluster.get("workflow", name))


def story(name: str, cluster: Cluster) -> str:
    """What happened in a Workflow: its nodes, and the end of what the pods that did not succeed said."""
    parts = [cluster.argo("get", name)]
    pods = cluster.get("pods", "-l", f"workflows.argoproj.io/workflow={name}")["items"]
    for pod in [p for p in pods if p["status"].get("phase") != "Succeeded"][:4]:
        pod_name = pod["metadata"]["name"]
        try:
            said = cluster.kubectl("logs", pod_name, "-c", "main", "--tail", "40")
        except CommandFailed as error:
            said = f"no log: {error}"
        states = json.dumps(pod["status"].get("containerStatuses", []))[:1500]
        parts.append(f"--- {pod_name}: {pod['status'].get('phase')}\n{states}\n{said}")
    return "\n".join(parts)


def stored(case: Case, engine: str, name: str, cluster: Cluster, folder: Path) -> dict[str, Any]:
    """The artifacts that the run left in its datastore."""
    kind, root = "s3", cluster.datastore_root
    if case.store == "shared" and engine == "flowc":
        assert cluster.shared is not None
        kind, root = "local", str(cluster.shared / ".metaflow")
    command = [sys.executable, str(COLLECT), kind, root, class_name(case.flow), f"argo-{name}"]
    return dict(json.loads(run(command, env=cluster.metaflow_env(), cwd=folder)))


def perform(case: Case, engine: str, cluster: Cluster, folder: Path) -> Outcome:
    """A case from its source to its end."""
    template = deploy(MAKERS[engine](case, cluster), cluster, folder)
    name = await_schedule(cluster, template) if case.scheduled else submit(case, template, cluster)
    workflow = finish(name, cluster)
    status = workflow["status"]
    nodes = {n["displayName"]: n.get("phase", "") for n in status.get("nodes", {}).values()}
    told = story(name, cluster)
    (folder / "story.txt").write_text(told)
    (folder / "workflow.json").write_text(json.dumps(workflow, indent=1))
    return Outcome(status.get("phase", ""), nodes, stored(case, engine, name, cluster, folder), f"{told}\nall of it: {folder}")
