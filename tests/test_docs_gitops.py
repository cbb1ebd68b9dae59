"""What the page on repositories says is so: its settings and commands are run, in its order."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from cli.running import environment
from test_docs import ROOT, fences


def test_the_repository_of_the_page(tmp_path: Path) -> None:
    """Every command of the page on repositories does what it says, with the settings that stand there, beside the examples."""
    page = ROOT / "docs" / "gitops.md"
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("gitops"))
    (settings,) = (fence.text for fence in fences("toml") if fence.page == page and "flows =" in fence.text)
    (tmp_path / "pyproject.toml").write_text(settings)
    (commands,) = (fence.text for fence in fences("sh") if fence.page == page)
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.lock")}
    assert written == {"manifests/flowc.lock", "deploy/prod/flowc.lock"}
