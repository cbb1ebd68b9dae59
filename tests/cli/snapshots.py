"""In: a text that flowc printed. Out: a verdict against tests/cli/snapshots/, which `pytest --update` rewrites (never in CI)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FOLDER = Path(__file__).parent / "snapshots"


def check(request: pytest.FixtureRequest, name: str, text: str) -> None:
    """The text equals the snapshot of that name, byte for byte; a missing one fails."""
    path = FOLDER / name
    if request.config.getoption("--update"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"there is no snapshot {name}: run pytest --update"
    assert text == path.read_text(encoding="utf-8")
