"""In: a clone of the example with its hooks. Out: proof that the real pre-commit compiles both environments before a commit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.test_pre_commit import ROOT, git
from gitops.example import cloned


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="hooks are installed from a git repository, and this is none")
def test_hooks_of_the_example(tmp_path: Path) -> None:
    """A commit of a changed flow is stopped once for each environment, whose outputs are written then; with them it passes."""
    work = cloned(tmp_path)
    config = work / ".pre-commit-config.yaml"
    rev = git(ROOT, "rev-parse", "HEAD").strip()
    config.write_text(config.read_text().replace("https://github.com/OWNER/flowc", str(ROOT)).replace("v0.1.0", rev))
    subprocess.run([sys.executable, "-m", "pre_commit", "install"], cwd=work, check=True, capture_output=True)
    report = work / "flows" / "report.py"
    report.write_text(report.read_text().replace("0 7 * * 1", "0 8 * * 1"))
    git(work, "add", ".")
    stopped = git(work, "commit", "-m", "an hour later", code=1)
    verdicts = [line.partition(".")[::2] for line in stopped.splitlines() if line.startswith("flowc c")]
    assert [(name, rest.strip(".")) for name, rest in verdicts] == [
        ("flowc check", "Passed"),
        ("flowc compile (staging)", "Failed"),
        ("flowc compile (prod)", "Failed"),
    ]
    git(work, "add", ".")
    git(work, "commit", "-m", "an hour later")
    changed = set(git(work, "show", "--name-only", "--format=", "HEAD").split())
    assert {f"manifests/{env}/flowc.lock" for env in ("staging", "prod")} <= changed
    assert "manifests/prod/argo/shop.prod.weeklyreport.cronworkflow.yaml" in changed
