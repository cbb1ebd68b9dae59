"""In: folders as a manifest mounts them. Out: proof that the bootstrap lays the flow's code out where it may be written."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from flowc import bootstrap


def test_code_that_is_all_base64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow of which every file is carried as base64 has no folder of plain code, and starts all the same."""
    coded = tmp_path / "flowc" / "b64" / "lib"
    coded.mkdir(parents=True)
    (coded / "flow.py").write_bytes(base64.b64encode(b"'{{x}}'\n"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(bootstrap, "ENV", {"FLOWC_CODE": str(tmp_path / "flowc" / "code"), "FLOWC_FLOW": "lib/flow.py"})
    monkeypatch.chdir(work)

    assert bootstrap.prepare(work) == "flow.py"
    assert Path("flow.py").read_bytes() == b"'{{x}}'\n"
