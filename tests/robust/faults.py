"""In: arguments of flowc and a fault. Out: what flowc did when it really happened: killed, disk full, a file edited at that very moment."""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.running import HELLO, environment

from flowc.commands.writing import PREFIX, SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGES = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.chmod": 0}
"""Audit events of calls that change a folder, and which of their arguments is the path."""
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


@dataclass(frozen=True)
class Done:
    """How a flowc ended: its exit code (negative: the signal), what it said, and how many of the watched calls it made."""

    code: int
    errors: str
    calls: int


def forked(folder: Path, arguments: list[str], watch: Callable[[str, tuple[Any, ...]], bool], fault: Callable[[int], None]) -> Done:
    """Run flowc in a copy of this process. Before every call that `watch` picks out of the audit events, `fault` gets its number."""
    _warm()
    from flowc import cli

    told, counted = folder.parent / "stderr", folder.parent / "calls"
    told.write_bytes(b"")
    counted.write_bytes(b"")
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.chdir(folder)
            os.dup2(os.open(told, os.O_WRONLY), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            _watched(os.open(counted, os.O_WRONLY), watch, fault)
            code = cli.run(arguments)
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return Done(os.waitstatus_to_exitcode(status), told.read_text(), len(counted.read_bytes()))


@cache
def _warm() -> None:
    """Load and make ready here what each copy of this process would load again."""
    from flowc.commands.session import FlowFile
    from flowc.settings import Settings

    for target in ("argo", "kubernetes"):
        assert not FlowFile("flow.py", HELLO.encode(), lambda _: None).judged(Settings(), target).failed
    for module in ("compile", "fix", "repository"):
        importlib.import_module(f"flowc.commands.{module}")


def _watched(counter: int, watch: Callable[[str, tuple[Any, ...]], bool], fault: Callable[[int], None]) -> None:
    calls, inside = 0, False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal calls, inside
        if inside or not watch(event, arguments):
            return
        calls, inside = calls + 1, True
        os.write(counter, b".")
        try:
            fault(calls)
        finally:
            inside = False

    sys.addaudithook(hook)


def changes(folder: Path) -> Callable[[str, tuple[Any, ...]], bool]:
    """Watches calls that change something below the folder: files made, moved, removed, folders made, modes set."""

    def watch(event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            return bool(flags & (os.O_WRONLY | os.O_RDWR)) and _below(path, folder)
        if event == "os.mkdir" and Path(os.fsdecode(arguments[0])).is_dir():
            return False
        return event in CHANGES and _below(arguments[CHANGES[event]], folder)

    return watch


def reads(folder: Path) -> Callable[[str, tuple[Any, ...]], bool]:
    """Watches files below the folder being opened to be read."""

    def watch(event: str, arguments: tuple[Any, ...]) -> bool:
        return event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY) and _below(arguments[0], folder)

    return watch


def _below(path: object, folder: Path) -> bool:
    return isinstance(path, (str, bytes)) and Path.cwd().joinpath(os.fsdecode(path)).is_relative_to(folder)


def killed(at: int) -> Callable[[int], None]:
    """A fault: the process gets SIGKILL before the call with that number."""

    def fault(number: int) -> None:
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return fault


def failing(at: int, code: int = errno.ENOSPC) -> Callable[[int], None]:
    """A fault: the call with that number fails."""

    def fault(number: int) -> None:
        if number == at:
            raise OSError(code, os.strerror(code))

    return fault


def without_privileges() -> None:
    """For `preexec_fn`: root, too, may no longer read and write where modes forbid it."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError("the capability cannot be given up")


def flowc(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run flowc as a process of its own in the folder. It never shows a traceback, never calls anything a bug, and always ends."""
    command = [*more.pop("before", ()), sys.executable, "-m", "flowc", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, errors="replace", timeout=120, check=False, **more)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def in_namespace(*mounts: str) -> list[str] | None:
    """What to put before a command so that it runs with these mounts of its own; None where this machine allows no such thing."""
    script = " && ".join(["true", *mounts])
    before = ["unshare", "-Urm", "sh", "-c", f'{script} && exec "$@"', "sh"]
    try:
        tried = subprocess.run([*before, "true"], capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        return None
    return before if tried.returncode == 0 else None


def is_temporary(path: Path) -> bool:
    return path.name.startswith(PREFIX) and path.name.endswith(SUFFIX)


def files(folder: Path) -> dict[str, str]:
    """The text of every file below a folder by its path there."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
