"""In: the path of a file in templates/, schemas/ or flowc/. Out: its text, in a checkout, an editable install and a wheel alike."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the folders as flowc/_data/; a checkout and an editable install have them beside the package.
ROOT = _PACKAGE / "_data" if (_PACKAGE / "_data").is_dir() else _PACKAGE.parent


PLUGINS: list[Path] = []
"""Packages of targets that are installed beside flowc, each with templates/ and schemas/ of its own."""


def read(path: str) -> str:
    """The text of the data file at a posix path below the root, or a plug-in's; FileNotFoundError where none has it (a bug)."""
    roots = (root for root in PLUGINS if (root / path).is_file())
    own = ROOT / path
    return (own if own.is_file() else next(roots, ROOT) / path).read_text(encoding="utf-8")


def exists(path: str) -> bool:
    """Whether there is a data file at a posix path below the root, or a plug-in's."""
    return any((root / path).is_file() for root in (ROOT, *PLUGINS))


@cache
def schema(path: str) -> dict[str, Any]:
    """A file below schemas/: `kinds` maps each kind to its schema, `definitions` what those refer to; FileNotFoundError as `read`."""
    found: dict[str, Any] = json.loads(read(f"schemas/{path}"))
    return found


def own(path: str) -> str:
    """The text of a file of the package itself, at a posix path below flowc/ (`importlib.resources` loads zip, bz2 and lzma first)."""
    return (_PACKAGE / path).read_text(encoding="utf-8")
