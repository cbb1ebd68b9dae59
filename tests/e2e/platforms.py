"""In: a Case and a Place. Out: Outcome of the case on one of the platforms; flowc is the installed one, called as its users call it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e import kubernetes_runs, laptop, runs
from e2e.cases import Case, settled
from e2e.cluster import LOGS, Cluster, CommandFailed, run
from e2e.runs import Outcome, class_name, flowc_command
from stepfunctions import deploy, interpreter

ON_CLUSTER = ("argo", "kubernetes")
ON_AWS = ("batch", "step-functions")
ON_S3 = ("params",)
"""Cases whose artifacts are on S3 on AWS; executions of tests/stepfunctions/runs.py have theirs there too. On a cluster the case says it."""
LIMIT = 900.0
"""Seconds that a run may take; far more than any does, since runs share two cores."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where platforms are: a cluster, AWS on loopback; None where no selected run needs it.

    `volume`: pods keep artifacts on the cluster's shared volume where the case does not ask for S3.
    """

    cluster: Cluster | None
    aws: interpreter.Interpreter | None
    volume: bool


@contextlib.contextmanager
def place(platforms: Collection[str], cluster: Cluster | None, *, volume: bool) -> Iterator[Place]:
    """A place for runs on these platforms; its AWS ends with the block."""
    with contextlib.ExitStack() as stack:
        aws = None
        if set(platforms) & set(ON_AWS):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flowc-aws-")))
            aws = stack.enter_context(interpreter.started(folder, jobs=3))
        yield Place(cluster, aws, volume)


def perform(case: Case, platform: str, at: Place) -> Outcome:
    """The case from its source to its end. CommandFailed where flowc refuses it: the text has the diagnostics."""
    if platform in ("argo", "metaflow"):
        case = settled(case, volume=at.volume)
        assert at.cluster is not None
        engine = "flowc" if platform == "argo" else platform
        return runs.perform(case, engine, at.cluster, LOGS / at.cluster.argo_version / f"{engine}-{case.name}")
    folder = LOGS / platform / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if platform == "kubernetes":
        assert at.cluster is not None
        return kubernetes_runs.perform(settled(case, volume=at.volume), at.cluster, folder)
    return {"local": _local, "batch": _batch, "step-functions": _step_functions}[platform](case, at, folder)


def _flowc_run(case: Case, flags: Sequence[str], env: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """Exit code and output of `flowc run` for the case. CommandFailed where flowc refuses the flow, which is before anything runs."""
    given = [part for name, value in case.parameters.items() for part in ("--param", f"{name}={value}")]
    command = [*flowc_command(), "run", f"{case.flow}.py", "--isolated", *flags, *given]
    done = subprocess.run(command, env=env, cwd=laptop.FLOWS, capture_output=True, text=True, timeout=LIMIT, check=False)
    said = f"{done.stdout}\n{done.stderr}"
    (folder / "output.txt").write_text(said)
    if done.returncode not in (0, 1) or "error[FC" in said:
        raise CommandFailed(f"exit code {done.returncode}\n{said[-6000:]}")
    return done.returncode, said


def _ended(code: int) -> str:
    return "Failed" if code else "Succeeded"


# --- local ------------------------------------------------------------------------------------------------------------


def _local(case: Case, at: Place, folder: Path) -> Outcome:
    """The processes of `flowc run`, on a datastore in the folder."""
    env = laptop.environment(folder)
    code, said = _flowc_run(case, ["--on", "local", "--max-workers", "2"], env, folder)
    (run_id,) = (path.name for path in (folder / ".metaflow" / class_name(case.flow)).iterdir() if path.name.startswith("local-"))
    command = [sys.executable, str(laptop.COLLECT), "local", str(folder / ".metaflow"), class_name(case.flow), run_id]
    return Outcome(_ended(code), {}, json.loads(run(command, env=env, cwd=folder)), said[-6000:])


# --- AWS on loopback --------------------------------------------------------------------------------------------------


def _batch(case: Case, at: Place, folder: Path) -> Outcome:
    """`flowc run --on batch`: the jobs are processes of this machine."""
    assert at.aws is not None
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    env = {**kept, "AWS_ENDPOINT_URL": at.aws.endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": interpreter.REGION}
    run_id = f"batch-{case.name}"
    flags = ["--on", "batch", "--run-id", run_id, "--batch-queue", interpreter.QUEUE, "--datastore-root", interpreter.DATASTORE]
    code, said = _flowc_run(case, [*flags, *_store(case, folder)], env, folder)
    return Outcome(_ended(code), {}, _stored(at.aws, case, run_id, folder), said[-6000:])


def _step_functions(case: Case, at: Place, folder: Path) -> Outcome:
    """The stack that `flowc compile` writes, deployed, and an execution of its state machine."""
    assert at.aws is not None
    name = f"graduates-{case.name}"
    try:
        written = deploy.compiled(laptop.FLOWS / f"{case.flow}.py", folder / "stack", "--name", name, *_store(case, folder), command=flowc_command())
    except deploy.Refused as refused:
        raise CommandFailed(str(refused)) from refused
    machine = deploy.stack(at.aws, written, name)
    ended = at.aws.wait(at.aws.start(machine, deploy.given(case.parameters), name), LIMIT)
    story = f"{ended.status} {ended.error} {ended.cause}\n{at.aws.log()}"
    phase = "Succeeded" if ended.status == "SUCCEEDED" else "Failed"
    return Outcome(phase, {}, _stored(at.aws, case, f"sfn-{name}", folder), story)


def _store(case: Case, folder: Path) -> list[str]:
    """Where the jobs keep artifacts. S3 takes Metaflow several processes a task, so most cases have a folder, as on a volume that jobs share."""
    if case.name in ON_S3:
        return []
    place = {"METAFLOW_DEFAULT_DATASTORE": "local", "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder)}
    return [part for name, value in place.items() for part in ("--environment", f"{name}={value}")]


def _stored(aws: interpreter.Interpreter, case: Case, run_id: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    if case.name in ON_S3:
        return aws.artifacts(class_name(case.flow), run_id)
    command = [sys.executable, str(laptop.COLLECT), "local", str(folder / ".metaflow"), class_name(case.flow), run_id]
    return dict(json.loads(run(command, env=laptop.environment(folder), cwd=folder)))
