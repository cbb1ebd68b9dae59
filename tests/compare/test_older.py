"""Facts about older versions of Metaflow, whose output record.py keeps: it is read as well, and the version that pods install is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compare import flows, made
from compare.record import RECORDED

FILES = sorted(RECORDED.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_older_output(path: Path) -> None:
    """`dependencies`, other commands, no titles: all that differs is Metaflow's version, and a setting makes it the same."""
    old = json.loads(path.read_text())
    found = made.compared(old, flows.OLD)
    assert made.told(found) == {"every step metaflow_version": (path.stem, "2.19.39")}
    assert found.not_compared == ()
    assert found.suggestion.values == {"metaflow-version": path.stem}
    assert made.compared(old, flows.OLD, metaflow_version=path.stem).same


def test_there_are_recorded_files() -> None:
    """Without any, nothing would be tried."""
    assert len(FILES) >= 2
