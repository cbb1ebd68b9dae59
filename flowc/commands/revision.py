"""In: a path and a git revision. Out: a copy of the tree that its repository had then, in which nothing leads out of the copy."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowc.commands.files import DATA_LIMIT, PathError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILES, LINK = ("100644", "100664", "100755"), "120000"
"""Modes of the entries of a tree that are copied; what else there is (other repositories) is none of its own."""

_OF_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""What git sets in hooks, often relative to where they start; the repository is told by a folder instead."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The copy in `folder` of a tree of the repository whose files are in `top`; both are real paths."""

    top: str
    folder: str

    def then(self, path: str) -> str:
        """Where a path stands in the copy; itself where it is not in the repository."""
        inside = os.path.relpath(physical(path), self.top)
        return path if inside.split(os.sep)[0] == os.pardir else os.path.normpath(os.path.join(self.folder, inside))

    def now(self, path: str) -> str:
        """The path, from here, of the file in the repository that a path in the copy stands for."""
        return os.path.relpath(os.path.join(self.top, os.path.relpath(path, self.folder)))

    def told(self, message: str) -> str:
        """The message with paths as the repository has them."""
        return message.replace(os.path.join(self.folder, ""), "").replace(os.path.join(shown(self.folder), ""), "")


def physical(path: str) -> str:
    """The absolute path, links to folders resolved; the file itself may be one."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def top_of(path: str) -> str:
    """The root of the repository that a file or folder is in, or was in before it was removed. PathError where there is none."""
    folder = os.path.realpath(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return os.path.realpath(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").removesuffix(b"\n")))


def copied(top: str, revision: str, folder: str) -> Tree:
    """Copy the tree at a revision into an empty folder. Files that are larger than any flow reads are left out.

    A tree may come from anybody: entries whose names lead elsewhere, and links out of the copy, are left out. PathError where there is no
    such revision, or it cannot be read or written.
    """
    folder = os.path.realpath(folder)
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    cut = _git(top, "rev-parse", "--is-shallow-repository").strip() == b"true"
    hint = "; this clone is shallow: fetch all of it (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)" if cut else ""
    commit = _git(top, *asked, wrong=f"there is no revision {revision!r}{hint}").decode().strip()
    entries = list(_entries(_git(top, "ls-tree", "-r", "-l", "-z", "--full-tree", commit)))
    try:
        _write(folder, [(mode, path) for mode, _, path in entries], _contents(top, [name for _, name, _ in entries]))
        os.mkdir(os.path.join(folder, ".git"))  # settings are looked for up to the repository's root
    except OSError as error:
        where = shown(str(error.filename2 or error.filename or folder))
        raise PathError(f"{revision} cannot be copied to {where}: {error.strerror}") from error
    return Tree(top, folder)


def _entries(listed: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Mode, object and path of what is copied, of what `git ls-tree -l -z` lists."""
    for line in listed.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, _, name, size = facts.split()
        parts = path.lower().split(b"/")
        large = size.isdigit() and int(size) > DATA_LIMIT  # of an object that is lost there is no size
        if mode.decode() in (*FILES, LINK) and not large and not {b"", b".", b"..", b".git"} & set(parts):
            yield mode.decode(), name, os.fsdecode(path)


def _contents(top: str, names: Sequence[bytes]) -> Iterator[bytes]:
    """The bytes of objects. As they are kept: attributes in a tree (`export-subst`, filters) change nothing."""
    read = _git(top, "cat-file", "--batch", given=b"".join(name + b"\n" for name in names))
    at = 0
    for name in names:
        end = read.index(b"\n", at)
        *_, size = read[at:end].split()
        if not size.isdigit():
            raise PathError(f"git has lost the object {name.decode()}: see `git fsck`")
        yield read[end + 1 : end + 1 + int(size)]
        at = end + 1 + int(size) + 1


def _write(folder: str, entries: Sequence[tuple[str, str]], contents: Iterator[bytes]) -> None:
    """Files first: while there is no link, no name leads through one."""
    links = {}
    for (mode, path), data in zip(entries, contents, strict=True):
        full = os.path.join(folder, path)
        if mode == LINK:
            links[full] = data
            continue
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
    for full, data in links.items():
        place = os.path.dirname(full)
        if os.path.realpath(place) == place and data and b"\0" not in data:
            os.makedirs(place, exist_ok=True)
            os.symlink(os.fsdecode(data), full)
    # a link may lead out by way of others, so all of them are there by now
    for full in links:
        if os.path.islink(full) and os.path.commonpath((folder, os.path.realpath(full))) != folder:
            os.unlink(full)


def _git(folder: str, *arguments: str, wrong: str = "", given: bytes = b"") -> bytes:
    environment = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], input=given, capture_output=True, check=False, env=environment)
    except FileNotFoundError as error:
        raise PathError("git was not found, and a revision is read by it") from error
    if done.returncode:
        raise PathError(wrong or f"git {arguments[0]}: {shown(done.stderr.decode(errors='replace').strip())}")
    return done.stdout
