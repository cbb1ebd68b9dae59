"""In: a command. Out: what its process cost, in an environment that knows nothing of this machine."""

from __future__ import annotations

import compileall
import importlib.util
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 300.0
"""Seconds after which a process hangs and is ended, which ends the benchmark."""
CREATE = ["create", "--only-json"]
TOP = ["--quiet", "--no-pylint", "--datastore=s3"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One process, from its start to its end: seconds by the clock, seconds of CPU, MiB at most, what it printed."""

    wall: float
    cpu: float
    memory: float
    output: bytes


def measure(command: Sequence[str], env: Mapping[str, str], cwd: Path, codes: Sequence[int] = (0,)) -> Sample:
    """Run a command whose exit code is one of `codes`; CPU and memory are those of it and of all processes that it waited for."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=dict(env), cwd=cwd, stdout=out, stderr=errors)
        watch = threading.Timer(LONGEST, process.kill)
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode not in codes:
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{errors.read().decode()[-2000:]}")
        return Sample(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out.read())


def environment(address: str, home: Path) -> dict[str, str]:
    """No configuration of this machine; Metaflow's datastore is the S3 at the address. Bytecode is kept, as where people work."""
    foreign = ("METAFLOW_", "AWS_", "PYTHON")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(foreign) or name == "PYTHONPATH"}
    aws = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    aws |= {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"}
    metaflow = {
        "METAFLOW_HOME": str(home),
        "METAFLOW_USER": "bench",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://metaflow/root",
        "METAFLOW_S3_ENDPOINT_URL": address,
        # 64 processes a transfer, the default, would drown two cores
        "METAFLOW_S3_WORKER_COUNT": "2",
        "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "python:3.11",
        "METAFLOW_KUBERNETES_NAMESPACE": "default",
    }
    return {**keep, **aws, **metaflow}


def with_bytecode(*packages: str) -> None:
    """Compile the packages, so that no one is measured while Python reads its source."""
    for name in packages:
        found = importlib.util.find_spec(name)
        for folder in (found.submodule_search_locations or []) if found else []:
            compileall.compile_dir(folder, quiet=2, workers=1)


def median(samples: Sequence[Sample], what: str) -> float:
    return statistics.median(getattr(sample, what) for sample in samples)


def machine() -> dict[str, Any]:
    return {"Python": platform.python_version(), "CPUs": os.cpu_count(), "machine": platform.machine(), "load": f"{os.getloadavg()[0]:.1f}"}
