"""In: nothing. Out: the folder in which the tests of the command line stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli.running import BROKEN, HELLO

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a right flow, a wrong one, two in a file, a module that is no flow, and a file that is no Python."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()  # no settings file above counts
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "two.py").write_text(HELLO + HELLO.replace("HelloFlow", "OtherFlow"))
    (tmp_path / "common.py").write_text("GPU = 1\n")
    (tmp_path / "syntax.py").write_text("from metaflow import FlowSpec\n\ndef f(:\n")
    return tmp_path
