"""In: a pattern of paths, as a shell has them, `**` included. Out: the files that match; no folder is gone into twice, none passed over."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING

from flowc.commands.files import PathError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = re.compile(r"[*?[]")
EVERY = "**"


def matching(pattern: str, root: str = "") -> list[str]:
    """The paths that match and are no folders, sorted; relative to `root` (or absolute, as the pattern is).

    `**` goes into hidden folders as little as into links to folders, so a loop of links has an end; a folder that the pattern names is
    gone into, link or not. Links to nothing match: who reads them tells. PathError where a folder may hold matches and cannot be listed.
    """
    start = "/" if pattern.startswith("/") else ""
    parts = [part for part in pattern.split("/") if part not in ("", os.curdir)]
    found: set[str] = set()
    pending, seen = ([(start, 0)] if parts else []), {(start, 0)}
    while pending:
        here, at = pending.pop()
        for path, following, is_folder in _steps(root, here, parts, at):
            if following == len(parts) and not is_folder:
                found.add(path)
            elif following < len(parts) and is_folder and (path, following) not in seen:
                seen.add((path, following))
                pending.append((path, following))
    return sorted(found)


def _steps(root: str, here: str, parts: list[str], at: int) -> Iterator[tuple[str, int, bool]]:
    """What the part `at` leads to from a folder: paths, the part that is next there, and whether each is a folder."""
    part = parts[at]
    if part == EVERY:
        if at + 1 < len(parts):
            yield here, at + 1, True
        for entry in _listed(root, here):
            if not entry.name.startswith("."):
                is_folder = _is_folder(entry)
                if not (is_folder and entry.is_symlink()):
                    yield os.path.join(here, entry.name), at if is_folder else at + 1, is_folder
    elif MAGIC.search(part):
        for entry in _listed(root, here):
            if fnmatch.fnmatchcase(entry.name, part) and (part.startswith(".") or not entry.name.startswith(".")):
                yield os.path.join(here, entry.name), at + 1, _is_folder(entry)
    else:
        path = os.path.join(here, part)
        full = os.path.join(root, path)
        if os.path.lexists(full):
            yield path, at + 1, os.path.isdir(full)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _listed(root: str, folder: str) -> list[os.DirEntry[str]]:
    path = os.path.join(root, folder) or os.curdir
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        name = shown(path)
        name = name if len(name) < 200 else f"{name[:200]}..."
        raise PathError(f"{name} cannot be listed: {error.strerror}; flows in it would be missed") from error
