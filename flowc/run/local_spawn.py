"""In: processes of tasks to start. Out: their exit codes, in a queue; on Linux they are forks of one process that has imported Metaflow.

That process (the nursery, `local_task.py --nursery`) saves each task the start of a Python and the import of Metaflow, which cost more than
most of what Metaflow does for a task. Where it dies, the tasks live on, and the others are started one by one.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from flowc.run.executor import Task

LOST = -1000
"""Instead of an exit code: the process was a child of a nursery that is gone, and nobody will tell."""
MESSAGE = 60_000
"""Bytes that a request to the nursery may have; longer ones (of huge parameters) are started one by one."""
READ_EARLY = ("METAFLOW", "PYTHON", "LD_", "USER", "HOME")
"""Beginnings of variables that Python or Metaflow read when they start: a task that has its own is no fork."""


@dataclass(frozen=True, slots=True)
class Process:
    """An attempt of a task: the arguments of task.py, its variables beside those of the run, and the file of its output."""

    task: Task
    attempt: int
    options: tuple[str, ...]
    environment: Mapping[str, str]
    log: str


class Spawner:
    """Starts processes; puts (task, attempt, exit code) into `ended`, a signal's code negative as Popen has it."""

    def __init__(
        self, python: str, script: str, environment: Mapping[str, str], ended: queue.SimpleQueue[tuple[Task, int, int]], *, forks: bool
    ) -> None:
        self.python, self.script, self.environment, self.ended = python, script, environment, ended
        self._forks = forks and sys.platform == "linux"
        self._nursery: socket.socket | None = None
        self._listener: threading.Thread | None = None
        self._children: dict[int, tuple[Task, int]] = {}
        self._lock, self._count = threading.Lock(), 0

    def start(self, process: Process, lock: IO[bytes]) -> None:
        """Start it; it notes itself in the file of the lock, and holds that for as long as it lives."""
        if self._forks and not any(name.startswith(READ_EARLY) for name in process.environment) and self._fork(process, lock):
            return
        with open(process.log, "wb") as log:
            child = subprocess.Popen(
                [self.python, self.script, *process.options],
                env={**self.environment, **process.environment, "FLOWC_LOCK": str(lock.fileno())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
        told = process.task, process.attempt
        threading.Thread(target=lambda: self.ended.put((*told, child.wait())), daemon=True).start()

    def close(self) -> None:
        """Let the nursery end, and wait for that; its children live on."""
        with self._lock:
            if self._nursery is not None:
                with contextlib.suppress(OSError):
                    self._nursery.shutdown(socket.SHUT_RDWR)
            self._nursery, self._forks = None, False
        if self._listener is not None:
            self._listener.join(5)

    def _fork(self, process: Process, lock: IO[bytes]) -> bool:
        """Ask the nursery; False where there is none, or it cannot take that."""
        self._count += 1
        request = json.dumps([self._count, process.options, dict(process.environment)]).encode()
        if len(request) > MESSAGE:
            return False
        with self._lock:
            if self._nursery is None and self._forks:
                self._nursery = self._born()
            if self._nursery is None:
                return False
            self._children[self._count] = process.task, process.attempt
            with open(process.log, "wb") as log:
                try:
                    socket.send_fds(self._nursery, [request], [log.fileno(), lock.fileno()])
                except OSError:
                    del self._children[self._count]
                    return False
        return True

    def _born(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = os.path.dirname(self.script)
        with open(f"{folder}/nursery.log", "wb") as log:
            child = subprocess.Popen(
                [self.python, self.script, "--nursery", str(theirs.fileno())],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()
        self._listener = threading.Thread(target=self._listen, args=(ours, child), daemon=True)
        self._listener.start()
        return ours

    def _listen(self, nursery: socket.socket, child: subprocess.Popen[bytes]) -> None:
        """Pass on what the nursery tells, until it is gone."""
        with contextlib.suppress(OSError):
            while message := nursery.recv(200):
                number, code = json.loads(message)
                self.ended.put((*self._children.pop(number), code))
        with self._lock:
            self._nursery, self._forks = None, False
            left, self._children = [*self._children.values()], {}
        child.wait()
        nursery.close()
        for told in left:
            self.ended.put((*told, LOST))
