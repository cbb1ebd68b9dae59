"""In: tasks to start. Out: facts about them: processes of this machine, whose results and locks are files in the run's folder.

A task's process holds a lock (flock) on a file of its own for as long as it or the step lives, and leaves its result or, where an attempt
failed, its exit code beside it. So whoever leads the run next sees what has ended, waits for what still runs, and starts the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from flowc.deployment import scopes
from flowc.run.executor import Fact, Failed, Group, Retried, Running, Task, result

if TYPE_CHECKING:
    from flowc.diagnostics import Diagnostic
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.run.job import Job
    from flowc.settings import Settings

PREFIX = "local"
OPTIONS: Mapping[str, str] = {"python": "the Python that runs tasks"}
NO_RETRY = 202
"""The exit code by which a task of Metaflow says that it must not be tried again."""
MAX_ATTEMPTS = 6
"""Attempts of a task that Metaflow's datastore keeps."""
GRACE = 5.0
"""Seconds that tasks have to end by themselves after another one failed, and again after they were told to: as in Metaflow."""
LOOK = 0.3
"""Seconds between looks at tasks that others started: nobody tells of their end."""
LOG_BYTES = 16_000


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
    hooks: tuple[tuple[str, bool], ...] = ()
    """Functions that run after the run has ended, each with whether it wants a success."""

    @property
    def script(self) -> str:
        return f"{self.folder}/task.py"


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one task: what its processes leave."""

    stem: str

    @property
    def lock(self) -> str:
        return f"{self.stem}.lock"

    @property
    def result(self) -> str:
        return f"{self.stem}.json"

    def log(self, attempt: int) -> str:
        return f"{self.stem}.{attempt}.log"

    def exit(self, attempt: int) -> str:
        return f"{self.stem}.{attempt}.exit"

    def outcome(self) -> Any:
        """What the task told; None where it has not ended well, or was killed while it wrote that."""
        try:
            with open(self.result, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def failures(self) -> list[int]:
        """The exit codes of the attempts that failed, in order."""
        codes: list[int] = []
        while os.path.exists(self.exit(len(codes))):
            with open(self.exit(len(codes)), encoding="utf-8") as file:
                codes.append(int(file.read() or 1))
        return codes

    @property
    def earlier(self) -> int:
        """How many of the failures were before the run was resumed. They use up no retries, but attempts are counted on: Metaflow reads the last."""
        with contextlib.suppress(OSError, ValueError), open(f"{self.stem}.earlier", encoding="utf-8") as file:
            return int(file.read())
        return 0

    def resume(self, failures: int) -> None:
        """All failures so far are earlier ones."""
        with open(f"{self.stem}.earlier", "w", encoding="utf-8") as file:
            file.write(str(failures))

    def tail(self, attempt: int) -> str:
        """The end of an attempt's output."""
        try:
            with open(self.log(attempt), "rb") as file:
                file.seek(max(0, os.path.getsize(self.log(attempt)) - LOG_BYTES))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def tidy(self, attempts: int) -> None:
        """Of a task that succeeded only the result is kept: its logs are in Metaflow's datastore."""
        for path in (self.lock, f"{self.stem}.earlier", *(path for n in range(attempts + 1) for path in (self.log(n), self.exit(n)))):
            if os.path.exists(path):
                os.unlink(path)


class LocalExecutor:
    """See executor.Executor. `resume`: tasks that failed are as if they had never been started."""

    grouped = False

    def __init__(self, setup: Setup, plan: Mapping[str, Any], *, resume: bool = False) -> None:
        self.setup, self.plan, self.resume = setup, plan, resume
        self.run_id = setup.run_id
        self._ended: queue.SimpleQueue[tuple[Task, int, int]] = queue.SimpleQueue()
        self._own: dict[Task, subprocess.Popen[bytes]] = {}
        self._others: set[Task] = set()
        self._facts: list[Fact] = []
        self._gangs: dict[Task, int] = {}
        self._killed: set[Task] = set()
        self._stopping = self._failed = False
        for folder in ("tasks", "work"):
            os.makedirs(f"{setup.folder}/{folder}", exist_ok=True)

    # --- the protocol --------------------------------------------------------------------------------------------------

    def recover(self) -> Iterator[Fact]:
        """Of every task that left a file: its result, that it runs, or that it failed. One that was killed is left to be started again."""
        for task in {_task(entry.name.partition(".")[0]) for entry in os.scandir(f"{self.setup.folder}/tasks")}:
            files = self._files(task)
            told = files.outcome()
            if told is not None:
                yield result(task, told)
                continue
            with open(files.lock, "ab") as lock:
                if not _locked(lock):
                    self._others.add(task)
                    if self.plan["steps"][task.step]["gang"]:
                        self._gangs[task] = self._noted(task)[1]
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
            if not _locked(lock):
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
        earlier = files.earlier
        options = [*step["arguments"], f"--attempt={attempt}", *([f"--user-retries={step['user_retries'] + earlier}"] if earlier else [])]
        options += [f"--{name}={value}" for name, value in (("path", task.path), ("round", task.round)) if value not in ("", None)]
        environment = {
            **self.setup.environment,
            **(self.setup.first if task.step == self.plan["start"] else {}),
            **step["environment"],
            "FLOWC_RESULT": files.result,
            "FLOWC_EXIT": files.exit(attempt),
            **({"FLOWC_GANG": str(gang)} if gang else {}),
        }
        with open(files.log(attempt), "wb") as log:
            process = subprocess.Popen(
                [self.setup.python, self.setup.script, *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
        lock.truncate(0)
        lock.write(json.dumps([process.pid, gang]).encode())
        self._own[task] = process
        threading.Thread(target=lambda: self._ended.put((task, attempt, process.wait())), daemon=True).start()

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
                free = _locked(lock)
            if free:
                self._others.discard(task)
                self._gone(task)

    def _took(self, task: Task, attempt: int, code: int) -> None:
        """A process of this coordinator has ended."""
        del self._own[task]
        files = self._files(task)
        told = files.outcome()
        if told is not None and code == 0:
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
                self._facts.append(Retried(task, attempt, _reason(codes[attempt]), self._files(task).tail(attempt)))
            self._start(task)

    def _last(self, task: Task, codes: list[int]) -> bool:
        fresh = codes[self._files(task).earlier :]
        return len(fresh) > self.plan["steps"][task.step]["retries"] or NO_RETRY in fresh or len(codes) >= MAX_ATTEMPTS

    def _gave_up(self, task: Task, codes: list[int]) -> Failed:
        self._failed = True
        attempt = len(codes) - 1
        spent = f"; Metaflow keeps {MAX_ATTEMPTS} attempts of a task: start a new run" if len(codes) >= MAX_ATTEMPTS else ""
        return Failed(task, _reason(codes[-1]) + spent, self._files(task).tail(attempt), attempt)

    def _kill(self, task: Task, number: int) -> None:
        """Signal all processes of a task; of one that another coordinator started, the lock's file has the process."""
        self._killed.add(task)
        if task in self._own:
            leader = self._own[task].pid
        else:
            leader = (self._noted(task) or [0])[0]
        if leader:
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


def _locked(file: IO[bytes]) -> bool:
    """Take the lock of a file, for as long as it, or a process that inherits it, is open; False where another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reason(code: int) -> str:
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(number).name}"
    return f"exit code {code}"


def _task(name: str) -> Task:
    """The task of an id; steps are names of Python, so a dash ends them."""
    step, *parts = name.split("-")
    turn = int(parts.pop()[1:]) if parts and parts[-1][:1] == "r" else None
    return Task(step, "-".join(parts), turn)
