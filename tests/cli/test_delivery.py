"""What docs/gitops.md says of the modules that reach the pods."""

from __future__ import annotations

from pathlib import Path

from cli.running import HELLO, flowc


def test_modules_beside_the_flow_only(here: Path) -> None:
    """A module beside the flow is delivered, a module above it is not, not even read: it has no valid Python and nothing says so."""
    (here / "flows").mkdir(exist_ok=True)
    (here / "libs").mkdir()
    (here / "libs" / "shared.py").write_text("ABOVE = (\n")
    (here / "flows" / "beside.py").write_text("BESIDE = 1\n")
    (here / "flows" / "one.py").write_text(f"from libs.shared import ABOVE\nfrom beside import BESIDE\n{HELLO}")
    done = flowc("compile", "flows/one.py", "-t", "argo", "--image", "example.com/i:1")
    assert "beside.py" in done.stdout
    assert "shared.py" not in done.stdout
    (here / "flows" / "libs").mkdir()
    (here / "flows" / "libs" / "shared.py").write_text("ABOVE = (\n")
    assert "FC140" in flowc("check", "flows/one.py", code=1).stdout
