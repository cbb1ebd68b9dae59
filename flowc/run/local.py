"""In: tasks to start. Out: facts about them: processes of this machine, whose results and locks are files in the run's folder.

A task's process holds a lock (flock) on a file of its own for as long as it or the step lives, and leaves its result or, where an attempt
failed, its exit code beside it. So whoever leads the run next sees what has ended, waits for what still runs, and starts the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from flowc.deployment import scopes
from flowc.run.executor import Fact, Failed, Group, Retried, Running, Task, result
from flowc.run.local_files import Files, locked, reason, task_of
from flowc.run.local_spawn import LOST, Process, Spawner

if TYPE_CHECKING:
    from flowc.diagnostics import Diagnostic
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.run.job import Job
    from flowc.settings import Settings

PREFIX = "local"
OPTIONS: Mapping[str, str] = {
    "python": "the Python that runs tasks",
    "fork": "no: start a Python for each process, instead of forking one that has imported Metaflow",
}
NO_RETRY = 202
"""The exit code by which a task of Metaflow says that it must not be tried again."""
MAX_ATTEMPTS = 6
"""Attempts of a task that Metaflow's datastore keeps."""
GRACE = 5.0
"""Seconds that tasks have to end by themselves after another one failed, and again after they were told to: as in Metaflow."""
LOOK = 0.3
"""Seconds between looks at tasks that others started: nobody tells of their end."""


def check(flow: Flow, graph: Graph, _: Settings) -> list[Diagnostic]:
    """Shapes in which a task has no place of its own."""
    return scopes.check(flow, graph)


def executor(job: Job) -> LocalExecutor:
    """The executor of a run in the folder where it is called, with the user's own Metaflow."""
    from flowc.run.local_setup import prepare

    return LocalExecutor(prepare(job), job.plan, resume=job.resume)


@dataclass(frozen=True, slots=True)
class Setup:
    """What processes of a run have in common. `folder` is the run's own, `first` what the first step's have beside `environment`."""

    python: str
    folder: str
    environment: Mapping[str, str]
    first: Mapping[str, str]
    run_id: str = ""
    forks: bool = False
    hooks: tuple[tuple[str, bool], ...] = ()
    """Functions that run after the run has ended, each with whether it wants a success."""

    @property
    def script(self) -> str:
        return f"{self.folder}/task.py"


class LocalExecutor:
    """See executor.Executor. `resume`: tasks that failed are as if they had never been started."""

    grouped = False

    def __init__(self, setup: Setup, plan: Mapping[str, Any], *, resume: bool = False) -> None:
        self.setup, self.plan, self.resume = setup, plan, resume
        self.run_id = setup.run_id
        self._ended: queue.SimpleQueue[tuple[Task, int, int]] = queue.SimpleQueue()
        self._own: set[Task] = set()
        self._others: set[Task] = set()
        self._facts: list[Fact] = []
        self._gangs: dict[Task, int] = {}
        self._killed: set[Task] = set()
        self._stopping = self._failed = False
        for folder in ("tasks", "work"):
            os.makedirs(f"{setup.folder}/{folder}", exist_ok=True)
        self._spawner = Spawner(setup.python, setup.script, setup.environment, self._ended, forks=setup.forks)

    # --- the protocol --------------------------------------------------------------------------------------------------

    def recover(self) -> Iterator[Fact]:
        """Of every task that left a file: its result, that it runs, or that it failed. One that was killed is left to be started again."""
        for task in {task_of(entry.name.partition(".")[0]) for entry in os.scandir(f"{self.setup.folder}/tasks")}:
            files = self._files(task)
            told = files.outcome()
            if told is not None:
                yield result(task, told)
                continue
            with open(files.lock, "ab") as lock:
                if not locked(lock):
                    self._others.add(task)
                    yield Running(task)
                    continue
                codes = files.failures()
                if codes and self.resume and len(codes) < MAX_ATTEMPTS:
                    files.resume(len(codes))
                elif codes and self._last(task, codes):
                    yield self._gave_up(task, codes)

    def start(self, group: Group) -> None:
        for task in group.tasks():
            if group.gang:
                self._gangs[task] = group.gang
            self._start(task)

    def events(self) -> Iterable[Fact]:
        if not self._facts:
            self._wait(LOOK if self._others else 60)
        found, self._facts = self._facts, []
        return found

    def cancel(self) -> Iterable[Fact]:
        self._stopping = True
        until = time.monotonic() + (GRACE if self._failed else 0)
        for number in (signal.SIGTERM, signal.SIGKILL):
            while (self._own or self._others) and time.monotonic() < until:
                self._wait(min(LOOK, max(0.0, until - time.monotonic())))
            for task in [*self._own, *self._others]:
                self._kill(task, number)
            until = time.monotonic() + GRACE
        while self._own and time.monotonic() < until:
            self._wait(LOOK)
        found, self._facts = self._facts, []
        return found

    def end(self, succeeded: bool) -> None:
        """Run the functions of @exit_hook, their output on this process's own."""
        self._spawner.close()
        for function, wants in self.setup.hooks:
            if wants == succeeded:
                subprocess.run([self.setup.python, self.setup.script, function, "--hook"], env=dict(self.setup.environment), check=False)

    # --- processes -----------------------------------------------------------------------------------------------------

    def _files(self, task: Task) -> Files:
        return Files(f"{self.setup.folder}/tasks/{task.id}")

    def _start(self, task: Task) -> None:
        """Start the next attempt, unless another process does, or did."""
        files = self._files(task)
        with open(files.lock, "ab") as lock:
            if not locked(lock):
                self._others.add(task)
                return
            told, codes = files.outcome(), files.failures()
            if told is not None:
                self._facts.append(result(task, told))
            elif codes and self._last(task, codes):
                self._facts.append(self._gave_up(task, codes))
            else:
                self._spawn(task, files, len(codes), lock)

    def _spawn(self, task: Task, files: Files, attempt: int, lock: IO[bytes]) -> None:
        step, gang = self.plan["steps"][task.step], self._gangs.get(task, 0)
        if step["gang"] and not gang:
            gang = sum(self._noted(task)[1:])
        earlier = files.earlier
        options = [*step["arguments"], f"--attempt={attempt}", *([f"--user-retries={step['user_retries'] + earlier}"] if earlier else [])]
        options += [f"--{name}={value}" for name, value in (("path", task.path), ("round", task.round)) if value not in ("", None)]
        own = {
            **(self.setup.first if task.step == self.plan["start"] else {}),
            **step["environment"],
            "FLOWC_RESULT": files.result,
            "FLOWC_EXIT": files.exit(attempt),
            **({"FLOWC_GANG": str(gang)} if gang else {}),
        }
        self._own.add(task)
        self._spawner.start(Process(task, attempt, tuple(options), own, files.log(attempt)), lock)

    def _wait(self, seconds: float) -> None:
        """Take what has ended, or will within so many seconds."""
        try:
            self._took(*self._ended.get(timeout=seconds))
            while True:
                self._took(*self._ended.get_nowait())
        except queue.Empty:
            pass
        for task in [*self._others]:
            with open(self._files(task).lock, "ab") as lock:
                free = locked(lock)
            if free:
                self._others.discard(task)
                self._gone(task)

    def _took(self, task: Task, attempt: int, code: int) -> None:
        """A process of this coordinator has ended, or its end will not be told: then it is looked after as that of another."""
        self._own.discard(task)
        files = self._files(task)
        told = files.outcome()
        if code == LOST:
            self._others.add(task)
        elif told is not None and code == 0:
            self._succeeded(task, told, attempt)
        elif task in self._killed:
            if os.path.exists(files.exit(attempt)):
                os.unlink(files.exit(attempt))
        else:
            with open(files.exit(attempt), "w", encoding="utf-8") as file:
                file.write(str(code or 1))
            self._again(task, attempt)

    def _gone(self, task: Task) -> None:
        """A process of another coordinator has ended: with a result, with an exit code, or killed, so that the attempt is made again."""
        files = self._files(task)
        told, attempt = files.outcome(), len(files.failures())
        if told is not None:
            self._succeeded(task, told, attempt)
        elif task not in self._killed:
            self._again(task, attempt - 1)

    def _succeeded(self, task: Task, told: Any, attempt: int) -> None:
        self._files(task).tidy(attempt)
        self._gangs.pop(task, None)
        self._facts.append(result(task, told))

    def _again(self, task: Task, attempt: int) -> None:
        """After this attempt (-1: none) has failed: the next, unless it was the last."""
        codes = self._files(task).failures()
        if codes and self._last(task, codes):
            self._facts.append(self._gave_up(task, codes))
        elif not self._stopping:
            if codes and attempt >= 0:
                self._facts.append(Retried(task, attempt, reason(codes[attempt]), self._files(task).tail(attempt)))
            self._start(task)

    def _last(self, task: Task, codes: list[int]) -> bool:
        fresh = codes[self._files(task).earlier :]
        return len(fresh) > self.plan["steps"][task.step]["retries"] or NO_RETRY in fresh or len(codes) >= MAX_ATTEMPTS

    def _gave_up(self, task: Task, codes: list[int]) -> Failed:
        self._failed = True
        attempt = len(codes) - 1
        spent = f"; Metaflow keeps {MAX_ATTEMPTS} attempts of a task: start a new run" if len(codes) >= MAX_ATTEMPTS else ""
        return Failed(task, reason(codes[-1]) + spent, self._files(task).tail(attempt), attempt)

    def _kill(self, task: Task, number: int) -> None:
        """Signal all processes of a task; the lock's file says which they are."""
        self._killed.add(task)
        for leader in self._noted(task)[:1]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(leader, number)

    def _noted(self, task: Task) -> list[int]:
        """The process of a task and the size of its gang, as noted by whom started it."""
        try:
            with open(self._files(task).lock, encoding="utf-8") as file:
                found: list[int] = json.load(file)
                return found
        except (OSError, ValueError):
            return []
