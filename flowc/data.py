"""In: the path of a file under templates/ or schemas/. Out: its text, in a checkout, an editable install and a wheel alike."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the folders as flowc/_data/; a checkout and an editable install have them beside the package.
ROOT = _PACKAGE / "_data" if (_PACKAGE / "_data").is_dir() else _PACKAGE.parent


def read(path: str) -> str:
    """The text of the data file at a posix path below the root; FileNotFoundError where this installation lacks it (a bug)."""
    return (ROOT / path).read_text(encoding="utf-8")
