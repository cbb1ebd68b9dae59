"""In: this environment, with Metaflow and Hera beside flowc. Out: speed, memory and size as ratios, growth, and many files, in one run."""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import workloads
import yaml

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from stepfunctions import interpreter

# Metaflow makes a client of AWS for each step that it registers
SIZES = {"argo": (10, 200), "step-functions": (10, 50)}
GROWTH = (10, 100, 1_000, 10_000)
FILES = 1_000
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


def on_aws(env: Mapping[str, str], moto: str) -> dict[str, str]:
    """What Metaflow's `step-functions create` asks for besides; it registers its job definitions at the address of a moto."""
    roles = ("METAFLOW_ECS_S3_ACCESS_IAM_ROLE", "METAFLOW_SFN_IAM_ROLE", "METAFLOW_EVENTS_SFN_ACCESS_IAM_ROLE")
    more = {"METAFLOW_BATCH_JOB_QUEUE": interpreter.QUEUE, "METAFLOW_SFN_DYNAMO_DB_TABLE": interpreter.TABLE, "AWS_ENDPOINT_URL": moto}
    return {**env, **dict.fromkeys(roles, interpreter.ROLE), **more}


def with_bytecode(*packages: str) -> None:
    """Compile the packages, so that no one is measured while Python reads its source."""
    for name in packages:
        found = importlib.util.find_spec(name)
        for folder in (found.submodule_search_locations or []) if found else []:
            compileall.compile_dir(folder, quiet=2, workers=1)


def compact(output: bytes) -> int:
    """Bytes of all objects as the JSON that Kubernetes keeps, or CloudFormation and Step Functions get."""
    objects = yaml.load_all(output, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return sum(len(json.dumps(each, separators=(",", ":"))) for each in objects)


def compared(folder: Path, env: Mapping[str, str], rounds: int, target: str) -> dict[int, dict[str, list[Sample]]]:
    """Samples of flowc and the other roads to a target, by number of steps, taken in turns, after one turn that does not count."""
    found: dict[int, dict[str, list[Sample]]] = {}
    for size in SIZES[target]:
        file = f"chain_{target.replace('-', '_')}_{size}.py"
        (folder / file).write_text(workloads.flow(size, where="kubernetes" if target == "argo" else "batch"), encoding="utf-8")
        verb = "argo-workflows" if target == "argo" else target
        commands = {
            "flowc": [sys.executable, "-m", "flowc", "compile", file, "--target", target, "--isolated"],
            "Metaflow": [sys.executable, file, *TOP, verb, *CREATE],
        }
        if target == "argo":
            (folder / f"hera{size}.py").write_text(workloads.hera(size), encoding="utf-8")
            commands["Hera"] = [sys.executable, f"hera{size}.py"]
        found[size] = {name: [] for name in commands}
        for turn in range(rounds + 1):
            for name, command in commands.items():
                sample = measure(command, env, folder)
                if turn:
                    found[size][name].append(sample)
    return found


def median(samples: Sequence[Sample], what: str) -> float:
    return statistics.median(getattr(sample, what) for sample in samples)


def show_compared(target: str, found: Mapping[int, Mapping[str, Sequence[Sample]]]) -> None:
    """A line a size and tool; flowc is the unit of the ratios."""
    print(f"\n{target:<22}{'wall s':>9}{'CPU s':>9}{'MiB':>7}{'wall x':>9}{'CPU x':>8}{'MiB x':>8}")
    for size, tools in found.items():
        for name, samples in tools.items():
            wall, cpu, memory = (median(samples, what) for what in ("wall", "cpu", "memory"))
            base = [median(tools["flowc"], what) for what in ("wall", "cpu", "memory")]
            ratios = f"{wall / base[0]:>9.1f}{cpu / base[1]:>8.1f}{memory / base[2]:>8.1f}"
            print(f"{f'{size} steps, {name}':<22}{wall:>9.3f}{cpu:>9.3f}{memory:>7.0f}{ratios}")
    small, large = SIZES[target]
    sizes = {size: {name: compact(samples[0].output) for name, samples in tools.items()} for size, tools in found.items()}
    steps = {name: (sizes[large][name] - sizes[small][name]) / (large - small) for name in sizes[small]}
    print(f"\n{'bytes a step':<22}" + ", ".join(f"{name} {size:,.0f} ({size / steps['flowc']:.1f} x)" for name, size in steps.items()))


def show_growth(folder: Path, env: Mapping[str, str], rounds: int) -> None:
    """The whole way to the finished objects; the largest are then refused for their size, which is the exit code 1."""
    print(f"{'growth':<22}{'CPU s':>9}{'us/step':>9}{'MiB':>7}")
    command = [sys.executable, "-m", "flowc", "check", "--target", "argo", "--code", "image", "--code-path", "/app/flow.py", "--isolated"]
    empty = 0.0
    for size in GROWTH:
        (folder / f"grown{size}.py").write_text(workloads.flow(size), encoding="utf-8")
        samples = [measure([*command, f"grown{size}.py"], env, folder, (0, 1)) for _ in range(rounds)]
        cpu = min(sample.cpu for sample in samples)
        empty = empty or cpu
        shown = f"{(cpu - empty) / (size - GROWTH[0]) * 1e6:>9.0f}" if size != GROWTH[0] else f"{'':>9}"
        print(f"{f'{size:,} steps':<22}{cpu:>9.3f}{shown}{median(samples, 'memory'):>7.0f}")


def show_many(folder: Path, env: Mapping[str, str], rounds: int) -> None:
    """All files of a folder in one process."""
    many = folder / "flows"
    many.mkdir()
    for number in range(FILES):
        (many / f"flow{number:04}.py").write_text(workloads.flow(5, f"Flow{number}"), encoding="utf-8")
    print(f"\n{FILES:,} flows of 5 steps, one process")
    for what, more in (("check", []), ("check, target argo", ["--target", "argo"])):
        command = [sys.executable, "-m", "flowc", "check", "flows/*.py", "--isolated", *more]
        samples = [measure(command, env, folder) for _ in range(rounds)]
        print(f"{what:<22}{median(samples, 'cpu'):>9.2f}{'':>9}{median(samples, 'memory'):>7.0f}")


def machine() -> dict[str, Any]:
    return {"Python": platform.python_version(), "CPUs": os.cpu_count(), "machine": platform.machine(), "load": f"{os.getloadavg()[0]:.1f}"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each command is measured (5)")
    rounds = parser.parse_args().rounds
    with_bytecode("flowc", "metaflow", "hera", "click", "jinja2", "yaml", "pydantic", "boto3", "botocore")
    print(", ".join(f"{name} {value}" for name, value in machine().items()), end="\n\n")
    with tempfile.TemporaryDirectory() as name, workloads.store() as address, interpreter.started(Path(name) / "aws") as aws:
        folder = Path(name)
        env = environment(address, folder / "home")
        found = {target: compared(folder, env if target == "argo" else on_aws(env, aws.endpoint), rounds, target) for target in SIZES}
        show_growth(folder, env, min(rounds, 3))
        show_many(folder, env, min(rounds, 3))
        # last: a process's peak is at least the size of this one, from which it was forked
        for target in SIZES:
            show_compared(target, found[target])
    return 0


if __name__ == "__main__":
    sys.exit(main())
