"""What docs/gitops.md says of the modules that reach the pods."""

from __future__ import annotations

from pathlib import Path

from cli.running import HELLO, flowc


def test_modules_beside_the_flow_only(here: Path) -> None:
    """A module beside the flow is delivered. One above it is not, not even read, as it has no valid Python, and FC143 tells."""
    (here / "flows").mkdir(exist_ok=True)
    (here / "libs").mkdir()
    (here / "libs" / "shared.py").write_text("ABOVE = (\n")
    (here / "flows" / "beside.py").write_text("BESIDE = 1\n")
    (here / "flows" / "one.py").write_text(f"from libs.shared import ABOVE\nfrom beside import BESIDE\n{HELLO}")
    done = flowc("compile", "flows/one.py", "-t", "argo", "--image", "example.com/i:1")
    assert "beside.py" in done.stdout
    assert "shared.py" not in done.stdout
    assert "warning[FC143]: libs.shared is libs/shared.py, above the flow's folder" in done.stderr
    assert "--> flows/one.py:1:1" in done.stderr
    (here / "flows" / "libs").mkdir()
    (here / "flows" / "libs" / "shared.py").write_text("ABOVE = (\n")
    beside = flowc("check", "flows/one.py", code=1).stdout
    assert "FC140" in beside
    assert "FC143" not in beside
