"""In: this environment, with Metaflow and Hera beside flowc. Out: speed, memory and size as ratios, growth, and many files, in one run."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import loop
import workloads
import yaml
from measuring import CREATE, TOP, Sample, environment, machine, measure, median, with_bytecode

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from stepfunctions import interpreter

# Metaflow makes a client of AWS for each step that it registers
SIZES = {"argo": (10, 200), "step-functions": (10, 50)}
GROWTH = (10, 100, 1_000, 10_000)
FILES = 1_000


def on_aws(env: Mapping[str, str], moto: str) -> dict[str, str]:
    """What Metaflow's `step-functions create` asks for besides; it registers its job definitions at the address of a moto."""
    roles = ("METAFLOW_ECS_S3_ACCESS_IAM_ROLE", "METAFLOW_SFN_IAM_ROLE", "METAFLOW_EVENTS_SFN_ACCESS_IAM_ROLE")
    more = {"METAFLOW_BATCH_JOB_QUEUE": interpreter.QUEUE, "METAFLOW_SFN_DYNAMO_DB_TABLE": interpreter.TABLE, "AWS_ENDPOINT_URL": moto}
    return {**env, **dict.fromkeys(roles, interpreter.ROLE), **more}


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
        loop.show(folder / "repository", env, rounds)
        # last: a process's peak is at least the size of this one, from which it was forked
        for target in SIZES:
            show_compared(target, found[target])
    return 0


if __name__ == "__main__":
    sys.exit(main())
