"""In: the package tests/plugin, installed. Out: proof that a package of its own brings a target to flowc, with templates, schema and codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import HELLO, environment

PLUGIN = Path(__file__).resolve().parents[1] / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the package."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(folder), str(PLUGIN)]
    subprocess.run(pip, check=True, capture_output=True)
    return folder


def run(installed: Path, folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = environment()
    env["PYTHONPATH"] = f"{installed}:{env['PYTHONPATH']}"
    done = subprocess.run([sys.executable, "-m", "flowc", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_a_package_brings_a_target(installed: Path, tmp_path: Path) -> None:
    """It is listed, compiles by its own template and schema, and refuses with its own code; flowc's own targets are as ever."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "flow.py").write_text(HELLO)
    assert "tiny: a list of the flow's steps" in run(installed, tmp_path, "targets").stdout
    assert run(installed, tmp_path, "compile", "flow.py", "-t", "tiny").stdout == "flow: HelloFlow\nsteps:\n- start\n- end\n"
    assert "kind: WorkflowTemplate" in run(installed, tmp_path, "compile", "flow.py", "-t", "argo").stdout

    (tmp_path / "flow.py").write_text(HELLO.replace("self.end)", "self.secret)").replace("    @step\n    def end", "    @step\n    def secret(self):\n        self.next(self.end)\n\n    @step\n    def end"))
    assert "error[TINY1]: a step is called secret" in run(installed, tmp_path, "compile", "flow.py", "-t", "tiny", code=1).stderr


def test_its_objects_are_overlaid(installed: Path, tmp_path: Path) -> None:
    """The kinds of a plug-in can be patched as flowc's own: what is valid is in the output, what it needs and what its schema refuses is told."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "flow.py").write_text(HELLO)
    for patch, code, shown in (
        ('steps = ["start", "more"]', 0, "- more\n"),
        ('flow = "Other"', 1, "error[FC511]: overlay `mine` changes flow"),
        ("stepz = 1", 1, "error[FC510]: overlay `mine` gives no valid object"),
    ):
        (tmp_path / "flowc.toml").write_text(f'[overlays.mine]\nkind = "List"\n[overlays.mine.patch]\n{patch}\n')
        done = run(installed, tmp_path, "compile", "flow.py", "-t", "tiny", code=code)
        assert shown in done.stdout + done.stderr


def test_without_it_there_is_no_such_target(tmp_path: Path) -> None:
    """A target that no package brings is a mistake, told with those there are."""
    assert "there is no target 'tiny'; there are argo" in run(tmp_path, tmp_path, "compile", "flow.py", "-t", "tiny", code=2).stderr
