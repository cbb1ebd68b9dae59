"""In: a run to be made on this machine. Out: its folder, and the environment of its processes, with what the user's own Metaflow says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowc import data, runtime
from flowc.deployment.hooks import hooks
from flowc.run.job import UsageError
from flowc.run.local import Setup

if TYPE_CHECKING:
    from flowc.run.job import Job

PROBE = """
import json, os, sys
from metaflow.metaflow_config import DEFAULT_DATASTORE, DEFAULT_METADATA
from metaflow.plugins.datastores.local_storage import LocalStorage
from metaflow.util import get_username
root = LocalStorage.get_datastore_root_from_config(lambda *_, **__: None)
print(json.dumps({"root": os.path.abspath(root), "user": get_username(), "datastore": DEFAULT_DATASTORE, "metadata": DEFAULT_METADATA}))
"""
"""What Metaflow itself would do here. It makes the folder .metaflow where there is none, as `python flow.py run` does."""

INHERITED_NOT = ("FLOWC_", "MF_", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_", "METAFLOW_FLOW_CONFIG_VALUE")
"""Variables that would tell a task that it is another one: this machine may itself be a pod."""


def prepare(job: Job) -> Setup:
    """The setup of a run. UsageError where no Python here has Metaflow, or the run is not there, or is."""
    python = interpreter(job.option("python"))
    found = probe(python)
    base = os.path.join(os.path.dirname(found["root"]), ".flowc")
    folder = os.path.join(base, job.flow.name, job.run)
    known = os.path.isdir(os.path.join(folder, "tasks"))
    if job.resume and not known:
        raise UsageError(f"there is no run {job.run} of {job.flow.name} in {base}{_hint(os.path.dirname(folder), job.run)}")
    os.makedirs(folder, exist_ok=True)
    _write(os.path.join(base, ".gitignore"), "*\n")
    _write(os.path.join(folder, "task.py"), data.own("run/local_task.py"))
    _write(os.path.join(folder, "boot.py"), runtime.bootstrap_text())
    _write(os.path.join(found["root"], job.flow.name, "latest_run"), job.run)
    after = tuple((hook.function, hook.succeeded) for hook in hooks(job.flow))
    forks = sys.platform == "linux" and job.option("fork") != "no"
    variables = {**environment(job, found, folder), **({"FLOWC_FORK": "1"} if forks else {})}
    return Setup(python, folder, variables, first(job), job.run, forks, after)


def interpreter(wanted: str = "") -> str:
    """The Python that runs tasks: the one that was named, this one where it has Metaflow, else the one on PATH."""
    if wanted:
        path = shutil.which(os.path.expanduser(wanted))
        if path is None:
            raise UsageError(f"there is no Python called {wanted}")
        return path
    from importlib.util import find_spec

    if find_spec("metaflow"):
        return sys.executable
    path = shutil.which("python3") or shutil.which("python")
    if path is None:
        raise UsageError("flowc's own Python has no metaflow, and there is no python3 on PATH: name one that has it: --python PATH")
    return path


def probe(python: str) -> dict[str, Any]:
    """What the Metaflow of that Python says about this folder and user."""
    done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["no reason"]
        raise UsageError(f"{python} cannot run flows ({why[0]}): install metaflow there, or name a Python that has it: --python PATH")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def environment(job: Job, found: Mapping[str, Any], folder: str) -> dict[str, str]:
    """The user's own environment, and what the bootstrap reads."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(INHERITED_NOT)}
    told = runtime.environment(job.flow, job.settings, name="local")
    for name in ("METAFLOW_USER", "METAFLOW_OWNER"):
        told.pop(name)
    user = {"METAFLOW_USER": found["user"]} if found["user"] else {}
    return {
        **own,
        **user,
        **told,
        "FLOWC_RUN_ID": job.run,
        "FLOWC_FILE": os.path.abspath(job.path),
        "FLOWC_HERE": os.getcwd(),
        "FLOWC_WORK": os.path.join(folder, "work"),
        "FLOWC_ONCE": "1",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": told.get("METAFLOW_DATASTORE_SYSROOT_LOCAL", os.path.dirname(found["root"])),
    }


def first(job: Job) -> dict[str, str]:
    """What the first step has beside: the parameters."""
    given = {"FLOWC_PARAMETERS": job.encoded} if job.encoded else {}
    return {**runtime.parameters_environment(job.flow), **given}


def _hint(folder: str, run: str) -> str:
    from flowc.config import did_you_mean

    return did_you_mean(run, sorted(os.listdir(folder)) if os.path.isdir(folder) else [])


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
