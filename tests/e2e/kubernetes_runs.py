"""In: a Case and a Cluster. Out: Outcome on plain Kubernetes: of the compiled file, applied by kubectl, or of `flowc run --on kubernetes`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from e2e.cases import Case
from e2e.cluster import LABEL, SESSION, Cluster, CommandFailed, run
from e2e.laptop import COLLECT, FLOWS
from e2e.runs import LIMIT, Outcome, class_name, flowc_command

LOOK = 3.0


def perform(case: Case, cluster: Cluster, folder: Path) -> Outcome:
    """A case from its source to its end: one without parameters leads itself inside the cluster, one with them is led from here, by S3."""
    if case.parameters:
        code, run_id, said = led_from_here(case.flow, cluster, folder, [p for kv in case.parameters.items() for p in ("-p", "=".join(kv))])
        phase = "Failed" if code else "Succeeded"
    else:
        phase, run_id, said = led_inside(apply(case.flow, f"e2e-{case.name}", cluster, folder, *case.flags), cluster)
    (folder / "story.txt").write_text(said)
    volume = case.store == "shared" and not case.parameters
    return Outcome(phase, {}, artifacts(case.flow, run_id, cluster, folder, volume=volume), f"{said[-6000:]}\nall of it: {folder}")


def plain() -> dict[str, str]:
    """The environment without Metaflow's and AWS's settings."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}


def led_from_here(flow: str, cluster: Cluster, folder: Path, more: list[str]) -> tuple[int, str, str]:
    """Exit code, run id and output of `flowc run --on kubernetes`. CommandFailed where flowc refuses the flow."""
    env = {**plain(), "KUBECONFIG": cluster.env["KUBECONFIG"]}
    run_id = f"k8s-{flow.replace('_', '-')}-{os.urandom(3).hex()}"
    command = [*flowc_command(), "run", str(FLOWS / f"{flow}.py"), "--isolated", "--on", "kubernetes", "-O", f"namespace={cluster.namespace}"]
    given = ["--run-id", run_id, "--label", f"{LABEL}={SESSION}", *more]
    done = subprocess.run([*command, *given], env=env, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False)
    said = f"{done.stdout}\n{done.stderr}"
    if done.returncode not in (0, 1) or "error[FC" in said:
        raise CommandFailed(f"exit code {done.returncode}\n{said[-6000:]}")
    return done.returncode, run_id, said


def apply(flow: str, name: str, cluster: Cluster, folder: Path, *flags: str, suspend: bool = False) -> dict[str, Any]:
    """Compile the flow, apply the file as a person would, and return its Job or CronJob as the cluster has it.

    `suspend`: of a CronJob, so that it fires only when it is asked to. Objects have the session's label in their names, so that two
    sessions never meet.
    """
    own = f"{name}-{SESSION.partition('-')[0]}"
    command = [*flowc_command(), "compile", f"{flow}.py", "--isolated", "--target", "kubernetes", "--name", own]
    text = run([*command, "--label", f"{LABEL}={SESSION}", *flags], env=plain(), cwd=FLOWS)
    (folder / "manifest.yaml").write_text(text)
    last = [o for o in yaml.safe_load_all(text) if o][-1]
    cluster.kubectl("apply", "--server-side", "-f", "-", text=text)
    if suspend:
        cluster.kubectl("patch", "cronjob", last["metadata"]["name"], "--type", "merge", "-p", '{"spec":{"suspend":true}}')
    return dict(cluster.get(last["kind"].lower(), last["metadata"]["name"]))


def run_id_of(job: dict[str, Any]) -> str:
    """The run that a coordinator's Job leads."""
    return f"k8s-{job['metadata']['name']}-{job['metadata']['uid'][:5]}"


def ended(job: dict[str, Any]) -> str:
    """Complete, Failed, or nothing."""
    conditions = job.get("status", {}).get("conditions", [])
    return next((c["type"] for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), "")


def led_inside(job: dict[str, Any], cluster: Cluster) -> tuple[str, str, str]:
    """Phase, run id, and what the coordinator said, when the Job has ended."""
    name, end = job["metadata"]["name"], time.monotonic() + LIMIT
    while not ended(job := cluster.get("job", name)):
        if time.monotonic() > end:
            raise CommandFailed(f"{name} did not end in time\n{said_by(name, cluster)}")
        time.sleep(LOOK)
    return {"Complete": "Succeeded"}.get(ended(job), "Failed"), run_id_of(job), said_by(name, cluster)


def said_by(job: str, cluster: Cluster) -> str:
    """The logs of a Job's pods that are still there, oldest first."""
    pods = cluster.get("pods", "-l", f"batch.kubernetes.io/job-name={job}")["items"]
    return "\n".join(_log(pod["metadata"]["name"], cluster) for pod in sorted(pods, key=lambda p: str(p["metadata"]["creationTimestamp"])))


def _log(pod: str, cluster: Cluster) -> str:
    try:
        return cluster.kubectl("logs", pod)
    except CommandFailed as error:
        return f"no log of {pod}: {error}"


def artifacts(flow: str, run_id: str, cluster: Cluster, folder: Path, *, volume: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Step -> the artifacts of its tasks, in the cluster's S3, or on its shared volume."""
    store = ("local", f"{cluster.shared}/.metaflow") if volume else ("s3", cluster.datastore_root)
    command = [str(COLLECT), *store, class_name(flow), run_id]
    return dict(json.loads(run([sys.executable, *command], env=cluster.metaflow_env(), cwd=folder)))
