"""In: bytes by path. Out: files written whole or not at all, one flowc at a time in a folder, or what stood in the way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
from typing import TYPE_CHECKING

from flowc.commands.files import PathError, content, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX, SUFFIX = ".flowc-", ".tmp"
"""Around the name of what is being written: hidden, and by no ending a manifest, so that nobody takes one that was left for an output."""

_held: dict[tuple[int, int], int] = {}
"""The folders that this process holds: device and number of the folder -> open descriptor, whose closing lets it go."""


def write(files: Mapping[str, str | None]) -> None:
    """Write texts by path, as `write_bytes` does."""
    write_bytes({path: None if text is None else text.encode() for path, text in files.items()})


def write_bytes(files: Mapping[str, bytes | None], *, known: Mapping[str, bytes] | None = None) -> None:
    """Write files by path in their order, each whole or not at all, and none where one has no room or no place. None removes a file.

    A file that is right already is left alone; what is no regular file (/dev/stdout, a FIFO) is written straight into. PathError
    says what stood in the way. `known` is what files held that these were made from: where one holds something else by now, nothing
    is written, and those that are written are on the disk when this returns, since nothing else could make them again.
    """
    staged: dict[str, str] = {}
    path = ""
    real = {path: os.path.realpath(path) for path in files}
    with contextlib.ExitStack() as held:
        try:
            for folder in sorted({os.path.dirname(place) for place in real.values() if not _is_device(place)}):
                if held.enter_context(alone(folder)):
                    _sweep(folder)
            for path, data in files.items():
                if os.path.isdir(real[path]):
                    raise PathError(f"{shown(path)} is a folder; --out-dir writes into one")
                if data is not None and not _is_device(real[path]) and not _holds(real[path], data):
                    staged[path] = _stage(real[path], data, durable=known is not None)
            for path, data in (known or {}).items():
                if not _holds(path, data):
                    raise PathError(f"{shown(path)} has changed while flowc was at work; nothing was written: run the command again")
            for path, data in files.items():
                _place(path, real[path], data, staged)
        except OSError as error:
            what = "removed" if files.get(path) is None else "written"
            raise PathError(f"{shown(path)} cannot be {what}: {error.strerror or error}") from error
        finally:
            for temporary in staged.values():
                with contextlib.suppress(OSError):
                    os.unlink(temporary)


def _place(path: str, real: str, data: bytes | None, staged: dict[str, str]) -> None:
    """Put what was staged for a path in its place, or remove what is there."""
    if path in staged:
        os.replace(staged[path], real)
        del staged[path]
    elif data is None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    elif _is_device(real):
        with open(real, "wb") as file:
            file.write(data)


def _is_device(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def drift(files: Mapping[str, str], stale: Iterable[str]) -> list[str]:
    """What `write` would change, where it also removed `stale`: a line each; nothing is written."""
    found = []
    for path, text in files.items():
        if not os.path.lexists(path):
            found.append(f"{shown(path)} is missing")
        elif not _is_right(path, text.encode()):
            found.append(f"{shown(path)} is not what its flow compiles to")
    return found + [f"{shown(path)} belongs to no flow any more" for path in stale if os.path.lexists(path)]


def _is_right(path: str, data: bytes) -> bool:
    try:
        return _holds(path, data)
    except OSError:
        return False


def make_folder(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError as error:
        raise PathError(f"{shown(folder)} cannot be made: a file of that name is in the way") from error
    except OSError as error:
        raise PathError(f"{shown(folder)} cannot be made: {error.strerror}") from error


def _holds(path: str, data: bytes) -> bool:
    return content(path) == data


def _stage(path: str, data: bytes, *, durable: bool) -> str:
    """The data in a file beside the path, to be moved over it, with the permissions the path has or would get."""
    temporary = os.path.join(os.path.dirname(path), f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}")
    try:
        # a name that nobody else has: two containers that share a volume have the same process ids
        with open(temporary, "xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if os.path.exists(path):
            os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return temporary


def _sweep(folder: str) -> None:
    """Remove what a run that was killed has left. Who calls holds the folder, so nobody is at work on such a file."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder or os.curdir):
            if name.startswith(PREFIX) and name.endswith(SUFFIX):
                os.unlink(os.path.join(folder, name))


@contextlib.contextmanager
def alone(folder: str, *, shared: bool = False) -> Iterator[bool]:
    """Wait until no other flowc holds the folder, and hold it; `shared`: together with others who only read. False: nothing is held.

    The kernel lets go what a killed process held. Where the folder cannot be opened, or its file system knows no locks (some network
    volumes), nothing is held: files are still whole, and the next compile mends what two at once have mixed.
    """
    try:
        lock = os.open(folder or os.curdir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield False
        return
    status = os.fstat(lock)
    key = (status.st_dev, status.st_ino)
    if key in _held:
        os.close(lock)
        yield True
        return
    _held[key] = lock
    try:
        yield _locked(lock, folder, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    finally:
        if key in _held:  # a copy of this process has let go already
            os.close(_held.pop(key))


def _locked(lock: int, folder: str, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"flowc: waits for another flowc that is at work in {shown(folder or os.curdir)}", file=sys.stderr)
        fcntl.flock(lock, kind)
    except OSError:
        return False
    return True


def _let_go() -> None:
    """A forked process has its parent's locks too: one that outlives a killed parent would hold them for ever."""
    for lock in _held.values():
        os.close(lock)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
