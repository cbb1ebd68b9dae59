"""In: this environment, with Metaflow. Out: what a wide foreach costs in CPU and memory, by `flowc run` and by `python flow.py run`."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowc.run.coordinator import Coordinator, lead
from flowc.run.executor import Finished
from flowc.run.local import LocalExecutor, Setup

FLOW = """from metaflow import FlowSpec, Parameter, step


class WideFlow(FlowSpec):
    width = Parameter("width", default=3, type=int)

    @step
    def start(self):
        self.items = list(range(self.width))
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.x = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.x for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    WideFlow()
"""
PLAIN = {"scope": [], "over": None, "loops": False, "gang": False, "told": None, "arguments": [], "retries": 0, "environment": {}}
PLAN: Mapping[str, Any] = {
    "flow": "WideFlow",
    "start": "start",
    "end": "end",
    "steps": {
        "start": {**PLAIN, "next": ["work"], "arrivals": [], "told": "splits", "arguments": ["start"]},
        "work": {**PLAIN, "next": ["join"], "arrivals": [["start"]], "scope": ["start"], "arguments": ["work"]},
        "join": {**PLAIN, "next": ["end"], "arrivals": [["work"]], "over": "start", "arguments": ["join"]},
        "end": {**PLAIN, "next": [], "arrivals": [["join"]], "arguments": ["end"]},
    },
}
EMPTY = '#!/bin/sh\necho "{\\"splits\\": $WIDTH, \\"case\\": null}" > "$FLOWC_RESULT"\n'
"""A task that is as little as a process can be: what remains is the coordinator's and the executor's own."""
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """A command: seconds by the clock, seconds of CPU of it and all below it, of the leading process alone, and MiB of that one at most."""

    wall: float
    cpu: float
    leader: float
    memory: float


def measure(command: Sequence[str], env: Mapping[str, str], folder: Path) -> Sample:
    """Run a command to its end, and look every half second at what its own process has used, which the kernel forgets with it."""
    began, leader, memory = time.perf_counter(), 0.0, 0.0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, env=dict(env), cwd=folder, stdout=output, stderr=output)
        while process.poll() is None:
            try:
                fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            except OSError:
                break
            leader = max(leader, (int(fields[11]) + int(fields[12])) / TICK)
            memory = max([memory, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))])
            time.sleep(0.5)
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{(folder / 'output').read_text()[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(time.perf_counter() - began, cpu, leader, memory)


def whole(width: int, workers: int, root: Path) -> dict[str, Sample]:
    """The flow by both, with the same width and so many tasks at once."""
    found = {}
    for tool in ("flowc", "metaflow"):
        folder = root / f"{tool}-{width}"
        folder.mkdir()
        (folder / "flow.py").write_text(FLOW)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW", "FLOWC"))}
        env = {**kept, "METAFLOW_USER": "bench", "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        limit = f"--max-workers={workers}"
        command = {
            "flowc": ["-m", "flowc", "run", "flow.py", "--isolated", limit, "--param", f"width={width}"],
            "metaflow": ["flow.py", "--quiet", "--no-pylint", "run", limit, f"--max-num-splits={width}", f"--width={width}"],
        }[tool]
        found[tool] = measure([sys.executable, *command], env, folder)
    return found


def alone(width: int, workers: int, folder: Path) -> dict[str, float]:
    """Coordinator and local executor with empty processes: milliseconds of their own CPU a task, MiB at most of this process."""
    folder.mkdir()
    (folder / "task.py").write_text(EMPTY)
    executor = LocalExecutor(Setup("/bin/sh", str(folder), {"WIDTH": str(width), "PATH": os.environ["PATH"]}, {}), PLAN)
    began, used = time.perf_counter(), time.process_time()
    done = lead(PLAN, executor, max_workers=workers)
    assert done.finished
    assert done.counts["work"].done == width
    own = time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"tasks": width, "cpu_ms": own / width * 1e3, "wall_ms": (time.perf_counter() - began) / width * 1e3, "peak_mib": peak}


def decisions(width: int) -> dict[str, float]:
    """The coordinator by itself: microseconds a task, from offer to end, for executors of either kind."""
    found: dict[str, float] = {"tasks": width}
    for grouped in (False, True):
        run, began = Coordinator(PLAN, grouped=grouped), time.process_time()
        while not run.ended:
            for group in run.ready(None if grouped else 100):
                for task in group.tasks():
                    run.tell(Finished(task, splits=width if task.step == "start" else None))
        found["grouped_us" if grouped else "single_us"] = (time.process_time() - began) / width * 1e6
    return found


def main() -> None:
    """Print everything, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1_000, help="tasks of the foreach that flowc and Metaflow run")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="tasks at once")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowc-bench-") as name:
        root = Path(name)
        thinking = [decisions(width) for width in (1_000, 10_000)]
        own = [alone(width, chosen.workers, root / f"alone-{width}") for width in (100, 1_000, 10_000)]
        both = {width: whole(width, chosen.workers, root) for width in sorted({min(10, chosen.width), chosen.width})}
    if chosen.json:
        found = {width: {tool: [s.wall, s.cpu, s.leader, s.memory] for tool, s in each.items()} for width, each in both.items()}
        print(json.dumps({"decisions": thinking, "alone": own, "runs": found}))
        return
    print("Coordinator alone: CPU a task")
    for each in thinking:
        print(f"  {each['tasks']:>6,.0f} tasks  one by one {each['single_us']:.0f} us  in groups {each['grouped_us']:.0f} us")
    print("Coordinator and local executor, tasks that are empty processes")
    for each in own:
        times = f"own CPU {each['cpu_ms']:.2f} ms a task  clock {each['wall_ms']:.2f} ms a task"
        print(f"  {each['tasks']:>6,.0f} tasks  {times}  peak {each['peak_mib']:.0f} MiB")
    print(f"A foreach with a trivial step, {chosen.workers} tasks at once")
    for width, each_tool in both.items():
        for tool, s in each_tool.items():
            print(
                f"  {width:>6,} tasks  {tool:<9} clock {s.wall:.0f} s  all CPU {s.cpu / width * 1e3:.0f} ms a task  "
                f"leading process {s.leader / width * 1e3:.1f} ms a task, peak {s.memory:.0f} MiB"
            )


if __name__ == "__main__":
    main()
