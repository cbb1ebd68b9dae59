"""In: paths. Out: digests of what is there, of unchanged files by the note of an earlier run; and what a Reader was asked for."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowc.commands.files import content

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowc.source import Reader

Stamp = list[int]
"""When content and status of a file last changed (nanoseconds), its bytes and its number: another content has another stamp."""

SETTLED = 2_000_000_000
"""Nanoseconds after a change in which the file system's clock may not have gone on (FAT's goes by two seconds): a second
change could leave the same stamp, so none is noted before.
"""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(slots=True)
class Digests:
    """Digests by path. `known` are the notes: stamp and digest of regular files by path; `changed` counts those that are new or gone.

    What is noted is a stamp that was taken before the file was read, so content and stamp are never of different files.
    """

    known: dict[str, tuple[Stamp, str]] = field(default_factory=dict)
    changed: int = 0
    _plain: dict[str, bool] = field(default_factory=dict)
    _at: dict[str, str | None] = field(default_factory=dict)
    _found: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def of(self, path: str, read: Callable[[], bytes | None], below: str = "") -> str | None:
        """The digest of what `read` gives for the path, None where that is None. What `read` raises passes through.

        `below` is a folder that links must not lead out of: `read` itself is asked where one could. A path is looked at once.
        """
        if (path, below) not in self._found:
            self._found[path, below] = self._look(path, read, below)
        return self._found[path, below]

    def at(self, path: str) -> str | None:
        """The digest of the regular file at a path, wherever links lead; None where there is none that can be read."""
        if path not in self._at:
            try:
                self._at[path] = self.of(path, lambda: content(path))
            except OSError:
                self._at[path] = None
        return self._at[path]

    def _look(self, path: str, read: Callable[[], bytes | None], below: str) -> str | None:
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError):
            return _digest_of(read())
        if not stat.S_ISREG(status.st_mode) or (below and not self._is_plain(os.path.dirname(path), below)):
            return _digest_of(read())
        stamp = [status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino]
        note = self.known.get(path)
        if note is not None and note[0] == stamp:
            return note[1]
        settled = max(stamp[:2]) + SETTLED < time.time_ns()
        found = _digest_of(read())
        if found is not None and settled:
            self.known[path] = (stamp, found)
            self.changed += 1
        elif note is not None:
            del self.known[path]
            self.changed += 1
        return found

    def _is_plain(self, folder: str, below: str) -> bool:
        """Whether no link stands between the folder and one above it."""
        if folder == below:
            return True
        if folder not in self._plain:
            rest = os.path.relpath(folder, below)
            self._plain[folder] = os.path.realpath(folder) == os.path.normpath(os.path.join(os.path.realpath(below), rest))
        return self._plain[folder]


def _digest_of(data: bytes | None) -> str | None:
    return None if data is None else digest(data)


@dataclass(frozen=True, slots=True)
class Recorder:
    """A Reader that remembers what it was asked for, and gives the same answer again: a file edited meanwhile is seen in one state.

    `answers` holds what was read, None for no file, by path below `folder`; Readers of one folder can share it.
    """

    reader: Reader
    answers: dict[str, bytes | None] = field(default_factory=dict)
    folder: str = ""

    def __call__(self, path: str) -> bytes | None:
        name = posixpath.normpath(posixpath.join(self.folder, path)) if self.folder else path
        if name not in self.answers:
            self.answers[name] = self.reader(path)
        return self.answers[name]

    def digests(self) -> Mapping[str, str | None]:
        """By path as `answers`; None where there was no such file."""
        return {path: _digest_of(data) for path, data in self.answers.items()}
