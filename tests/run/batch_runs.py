"""In: a flow of tests/e2e/flows and what its tasks would say. Out: Run: that flow led on a World, whose containers do what the bootstrap does."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run import batch_fake
from run.batch_fake import Killed, World
from runtime import reading

from flowc import plan as plans
from flowc.run.batch import BatchExecutor
from flowc.run.batch_jobs import Kind, Setup
from flowc.run.batch_ledger import Ledger
from flowc.run.coordinator import Coordinator, lead
from flowc.run.executor import Fact, Group, Task
from flowc.settings import Settings

FLOWS = Path(__file__).resolve().parents[1] / "e2e" / "flows"
Says = Callable[[Task], Any]
"""The width of a fan-out, or the chosen step, that a task leaves."""

SAYS: dict[str, Says] = {
    "own_ends": lambda _: None,
    "fan": lambda task: {"start": 3, "narrow": 1}[task.step],
    "nested": lambda task: {"start": 2, "level_one": 2 if task.path == "0" else 1, "level_two": 2 if task.path == "0-0" else 1}[task.step],
    "switch_in_branches": lambda task: {"fan": 2, "test": "even" if task.path == "1" else "odd", "pick": "warm"}[task.step],
    "loop_in_fan": lambda task: 2 if task.step == "start" else "again" if (task.path, task.round) == ("1", 0) else "after",
    "gang": lambda _: 3,
}


@dataclass
class Run:
    """One run of a flow. `ran` counts how often the user's code of a task ran; `fails` gives the exit code of a task's attempt."""

    flow: str
    says: Says
    fails: Callable[[Task, int], int] = lambda _task, _attempt: 0
    ran: Counter[str] = field(default_factory=Counter)
    resume: bool = False
    hook_code: int = 0
    facts: list[Fact] = field(default_factory=list)

    def __post_init__(self) -> None:
        flow, graph = reading.read(FLOWS / f"{self.flow}.py", Settings())
        self.plan = plans.plan(flow, graph, Settings())
        kinds = {step: Kind(f"arn:{step}", "queue", ("python", "-c", "loader")) for step in self.plan["steps"]}
        self.setup = Setup(self.plan, "batch-1", "bucket", "root/results", kinds, {"FLOWC_PARAMETERS": "e30="})
        self.world = World(self.container)

    def container(self, of: batch_fake.Task) -> int:
        """One attempt, as the bootstrap does it: where the task has its result it is not run again."""
        request = of.job.request
        nodes = request.get("nodeOverrides", {}).get("nodePropertyOverrides", [{}])
        overrides = request.get("containerOverrides") or nodes[0]["containerOverrides"]
        env = {entry["name"]: entry["value"] for entry in overrides["environment"]}
        assert len(json.dumps(overrides)) <= 8192
        if overrides["command"][-1] == "--hook":
            self.ran[f"hook {overrides['command'][-2]}"] += 1
            return self.hook_code
        assert env["FLOWC_ONCE"] == "1"
        task = self._task(overrides["command"][3:], env, of.index)
        place = f"{env['FLOWC_RESULT'].removeprefix('s3://')}/{env['FLOWC_RUN_ID']}/{self.setup.result_id(task)}.json"
        if place in self.world.objects:
            return 0
        self.ran[task.id] += 1
        if code := self.fails(task, of.attempts - 1):
            return code
        told = self.plan["steps"][task.step]["told"]
        self.world.objects[place] = json.dumps({"splits": None, "case": None, **({told: self.says(task)} if told else {})}).encode()
        return 0

    @staticmethod
    def _task(arguments: list[str], env: Mapping[str, str], index: int | None) -> Task:
        options = dict(part.removeprefix("--").partition("=")[::2] for part in arguments[1:])
        path = options.get("path", "")
        if "@" in path:
            paths = json.loads(env.get("FLOWC_PATHS", "[]"))
            path = paths[index] if paths else path.replace("@", str(index))
        return Task(arguments[0], path, int(options["round"]) if "round" in options else None)

    def lead(self) -> Coordinator:
        """One coordinator, from its start to its end."""
        aws = self.world.aws()
        ledger = Ledger(aws, "bucket", "root/results/batch-1.jobs", "batch-1")
        executor = BatchExecutor(aws, self.setup, ledger, resume=self.resume)
        done = lead(self.plan, executor, observer=self)
        executor.end(done.finished)
        return done

    def saw(self, fact: Fact) -> None:
        """See Observer."""
        self.facts.append(fact)

    def started(self, group: Group) -> None:
        """See Observer."""

    def to_the_end(self) -> tuple[Coordinator, int]:
        """Coordinators, one after the death of the other; how many died."""
        for died in range(10):
            with contextlib.suppress(Killed):
                return self.lead(), died
        raise AssertionError("coordinators die without end")
