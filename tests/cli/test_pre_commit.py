"""In: a git repository with flows and flowc's hooks. Out: proof that the real pre-commit installs them, passes right flows and stops wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO

ROOT = Path(__file__).resolve().parents[2]
HOOKS = """\
repos:
  - repo: {root}
    rev: {rev}
    hooks:
      - id: flowc-check
      - id: flowc-compile
"""
SETTINGS = '[tool.flowc]\nflows = ["flows/*.py"]\n'


def git(folder: Path, *arguments: str, code: int | None = 0) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    me = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}
    env |= me | {"PRE_COMMIT_HOME": str(folder.parent / "hooks"), "GIT_CONFIG_GLOBAL": os.devnull, "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}
    env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="hooks are installed from a git repository, and this is none")
def test_hooks(tmp_path: Path) -> None:
    """A commit of a flow without its outputs is stopped and they are written, and so is one that only removes a flow; with them it passes; a
    wrong flow is stopped with its line.
    """
    work = tmp_path / "work"
    (work / "flows").mkdir(parents=True)
    git(work, "init", "-q")
    rev = git(ROOT, "rev-parse", "HEAD").strip()
    (work / ".pre-commit-config.yaml").write_text(HOOKS.format(root=ROOT, rev=rev))
    (work / "pyproject.toml").write_text(SETTINGS)
    for name in ("hello", "second"):
        (work / "flows" / f"{name}.py").write_text(HELLO.replace("HelloFlow", f"{name.capitalize()}Flow"))
    subprocess.run([sys.executable, "-m", "pre_commit", "install"], cwd=work, check=True, capture_output=True)
    git(work, "add", ".")

    stopped = git(work, "commit", "-m", "a flow", code=1)
    assert "flowc check..............................................................Passed" in stopped
    assert "flowc compile............................................................Failed" in stopped
    git(work, "add", ".")
    git(work, "commit", "-m", "a flow and its outputs")
    assert "manifests/argo/helloflow.workflowtemplate.yaml" in git(work, "ls-files")

    git(work, "rm", "flows/second.py")
    git(work, "commit", "-m", "a flow less", code=1)
    git(work, "add", ".")
    git(work, "commit", "-m", "a flow less, and its outputs")
    assert "second" not in git(work, "ls-files")

    (work / "flows" / "hello.py").write_text(BROKEN)
    git(work, "add", ".")
    assert "flows/hello.py:7" in git(work, "commit", "-m", "a mistake", code=1)
