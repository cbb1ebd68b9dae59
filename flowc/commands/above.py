"""In: the folder of a flow. Out: Above, which finds modules in the folders over it, up to the root of the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from flowc import config
from flowc.commands.files import above

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Above:
    """The Elsewhere of a flow's folder. It says where files stand and reads none; `answers` is what it said, by dotted name."""

    folder: str
    answers: dict[str, str | None] = field(default_factory=dict)

    def __call__(self, dotted: str) -> str | None:
        if dotted not in self.answers:
            self.answers[dotted] = _found(os.path.abspath(self.folder), dotted)
        return self.answers[dotted]


def resolved(dotted: str, is_file: Callable[[str], bool]) -> str | None:
    """The file that a module is to who has a folder on the path, relative to that; `is_file` looks there.

    As Python's finder does: a folder with `__init__.py`, else a module, else a folder without, which is a package but no file.
    """
    *packages, last = dotted.split(".")
    stem = ""
    for part in packages:
        stem += f"{part}/"
        if is_file(f"{stem[:-1]}.py") and not is_file(f"{stem}__init__.py"):
            return None
    return next((path for path in (f"{stem}{last}/__init__.py", f"{stem}{last}.py") if is_file(path)), None)


def _found(folder: str, dotted: str) -> str | None:
    root = root_of(folder)
    found = None if folder == root else _nearest(os.path.dirname(folder), root, dotted)
    return None if found is None else os.path.relpath(found, folder).replace(os.sep, "/")


@lru_cache(1024)
def root_of(folder: str) -> str:
    """The root of the git repository that a folder is in; in none, that of the nearest settings file or pyproject.toml, else itself."""
    places = [*above(folder)]
    if os.path.exists(os.path.join(places[-1], ".git")):
        return places[-1]
    return next((place for place in places if any(os.path.isfile(os.path.join(place, name)) for name in config.FILES)), folder)


@lru_cache(1 << 16)  # flows of a repository import the same
def _nearest(folder: str, root: str, dotted: str) -> str | None:
    """The file that the module is from the nearest folder that has it."""
    if _has_top(folder, dotted.partition(".")[0]):
        found = resolved(dotted, lambda path: os.path.isfile(os.path.join(folder, path)))
        if found is not None:
            return os.path.join(folder, found)
    return None if folder == root else _nearest(os.path.dirname(folder), root, dotted)


@lru_cache(1 << 16)
def _has_top(folder: str, name: str) -> bool:
    """Whether a module of that first name can be in the folder: what is installed, nearly all that is asked for, is not."""
    path = os.path.join(folder, name)
    return os.path.isdir(path) or os.path.isfile(f"{path}.py")


REMEMBERED = (root_of, _nearest, _has_top)
