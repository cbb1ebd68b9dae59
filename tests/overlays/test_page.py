"""What the page on overlays says is so: its settings and commands are run, and its recipes are in what comes out."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.running import environment
from test_docs import ROOT, Fence, fences

from flowc import config
from flowc.compiler import check, compile_flow
from flowc.settings import Settings
from flowc.source import SourceFile
from flowc.target import load, names

PAGE = ROOT / "docs" / "overlays.md"
TOML = [fence for fence in fences("toml") if fence.page == PAGE]
FLOW = (ROOT / "examples" / "train.py").read_text()


def template(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "train.workflowtemplate.yaml").read_text())
    return found


def test_the_repository_of_the_page(tmp_path: Path) -> None:
    """Every command does what it says, and the patches are in the manifests: of all pods, of a step, of the workflow, of prod."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("gitops"))
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text(TOML[0].text)
    (commands,) = (fence.text for fence in fences("sh") if fence.page == PAGE)
    codes = []
    for line in commands.splitlines():
        command = [sys.executable, "-m", *shlex.split(line, comments=True)]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        codes.append(done.returncode)
        assert done.returncode in (0, 1), done.stderr
    assert codes == [0, 1, 0, 1]
    spec = template(tmp_path / "manifests" / "argo")["spec"]
    assert spec["podPriorityClassName"] == "batch-low"
    assert spec["templateDefaults"]["metadata"]["labels"] == {"cost-center": "4711"}
    assert spec["ttlStrategy"] == {"secondsAfterCompletion": 86400}
    steps = {each["name"]: each for each in spec["templates"]}
    assert steps["score"]["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert "tolerations" not in steps["choose"]
    flags = ["--env", "prod", "--rbac", "--target", "argo", "--out-dir", "prod"]
    subprocess.run([sys.executable, "-m", "flowc", "compile", "examples/train.py", *flags], cwd=tmp_path, env=environment(), check=True)
    assert template(tmp_path / "prod")["spec"]["podPriorityClassName"] == "batch-high"
    account = yaml.safe_load((tmp_path / "prod" / "train.serviceaccount.yaml").read_text())
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].endswith("role/train")


@pytest.mark.parametrize("fence", TOML, ids=lambda fence: str(fence.line))
def test_a_block_compiles(fence: Fence) -> None:
    """The settings of each block, of every environment, compile the example for every target, and change something."""
    for env in (None, *(name for name in ("prod", "dev") if f"env.{name}" in fence.text)):
        values = config.parse(fence.text, "pyproject.toml", env) or {}
        with_them, without = Settings(**values, rbac=True), Settings(rbac=True)
        changed = False
        for name in names():
            ((flow, graph),) = check(SourceFile("train.py", FLOW), lambda _: None, with_them).flows
            compiled = [compile_flow(flow, graph, name, settings) for settings in (with_them, without)]
            assert [each.diagnostics for each in compiled if not each.artifacts] == []
            changed = changed or compiled[0].artifacts != compiled[1].artifacts
        assert changed


def test_every_kind_is_listed() -> None:
    """The table has each target's kinds, but for the types of resources, of which it names one."""
    rows = {row.split("|")[1].strip(): row for row in PAGE.read_text().splitlines() if row.startswith("| ")}
    for name in names():
        kinds = load(name).kinds
        assert [kind for kind in kinds if f"`{kind}`" not in rows[name] and not kind.startswith("AWS::")] == []
