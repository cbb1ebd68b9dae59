"""In: the stem of a task's files. Out: what its processes left there: a result, the exit codes of failed attempts, logs, a lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
from dataclasses import dataclass
from typing import IO, Any

from flowc.run.executor import Task

LOG_BYTES = 16_000


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
        """How many failed before the run was resumed. They use up no retries, but attempts are counted on: Metaflow reads the last."""
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


def locked(file: IO[bytes]) -> bool:
    """Take the lock of a file, for as long as it, or a process that inherits it, is open; False where another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def reason(code: int) -> str:
    """In words, how an attempt ended."""
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(number).name}"
    return f"exit code {code}"


def task_of(name: str) -> Task:
    """The task of an id; steps are names of Python, so a dash ends them."""
    step, *parts = name.split("-")
    turn = int(parts.pop()[1:]) if parts and parts[-1][:1] == "r" else None
    return Task(step, "-".join(parts), turn)
