"""In: examples/gitops. Out: what several tests ask of it: its folder, its environments, a clone, what kustomize builds of a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli.running import environment

from flowc import config

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "gitops"
ENVIRONMENTS = config.environments((EXAMPLE / "flowc.toml").read_text(encoding="utf-8"), "flowc.toml")


def flowc(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run flowc in a folder and expect an exit code."""
    command = [sys.executable, "-m", "flowc", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def cloned(folder: Path) -> Path:
    """A clone of the example as a repository of its own, with one commit."""
    work = folder / "shop-flows"
    shutil.copytree(EXAMPLE, work)
    git(work, "init", "-q", "-b", "main")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "flows")
    return work


def git(folder: Path, *arguments: str) -> str:
    me = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "safe.directory=*"]
    done = subprocess.run(["git", *me, *arguments], cwd=folder, env=environment(GIT_CONFIG_GLOBAL="/dev/null"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def names(objects: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Kind and name of each."""
    return {(each["kind"], each["metadata"]["name"]) for each in objects}
