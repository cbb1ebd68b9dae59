"""In: action.yml. Out: proof that its scripts, run by bash as GitHub runs them, check and find drift; inputs cannot become commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli.running import BROKEN, HELLO, environment, flowc

ACTION = yaml.safe_load((Path(__file__).resolve().parents[2] / "action.yml").read_text(encoding="utf-8"))
SCRIPTS = [step["run"] for step in ACTION["runs"]["steps"] if "flowc" in step.get("run", "")]


def run(script: str, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    commands = folder.parent / "bin"
    commands.mkdir(exist_ok=True)
    (commands / "flowc").write_text(f'#!/bin/sh\nexec {sys.executable} -m flowc "$@"\n')
    (commands / "flowc").chmod(0o755)
    env = environment(FILES="", SETTINGS_ENV="", FOLDER=ACTION["inputs"]["working-directory"]["default"]) | inputs | {"PATH": f"{commands}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    (work / "flows").mkdir(parents=True)
    (work / ".git").mkdir()
    (work / "flows" / "hello.py").write_text(HELLO)
    (work / "flowc.toml").write_text('flows = ["flows/*.py"]\n[env.prod]\nout = "prod"\n')
    return work


def test_no_input_is_pasted_into_a_script() -> None:
    """Expressions stand in variables, never in what a shell reads."""
    assert len(SCRIPTS) == 2
    assert all("${{" not in step["run"] for step in ACTION["runs"]["steps"] if "run" in step)


def test_check_and_drift(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A right repository passes both; drift and mistakes fail, mistakes as annotations; an environment and files are passed on."""
    check, drift = SCRIPTS
    assert run(check, repository).returncode == 0
    assert run(drift, repository).returncode == 1
    monkeypatch.chdir(repository)
    flowc("compile")
    assert run(drift, repository).returncode == 0
    assert "--env prod" in run(drift, repository, SETTINGS_ENV="prod").stderr
    (repository / "flows" / "broken.py").write_text(BROKEN)
    told = run(check, repository, FILES="flows/broken.py flows/hello.py")
    assert (told.returncode, told.stdout.startswith("::error file=flows/broken.py,line=7")) == (1, True)

    told = run(check, repository, FILES="flows/hello.py\nflows/broken.py\n")
    assert (told.returncode, told.stdout.startswith("::error file=flows/broken.py,line=7")) == (1, True), "YAML's `|` makes lines"


def test_inputs_are_words(repository: Path) -> None:
    """What would be a command stays the name of a file, of an environment or of a folder."""
    check, _ = SCRIPTS
    for value in ("$(touch hacked)", "`touch hacked`", "x; touch hacked"):
        assert run(check, repository, FILES=value, SETTINGS_ENV=value).returncode == 2
        for script in SCRIPTS:
            told = run(script, repository, FOLDER=value)
            assert (told.returncode, told.stdout, "No such file" in told.stderr) == (1, "", True)
    assert not (repository / "hacked").exists()


def test_a_folder_below_the_root(repository: Path) -> None:
    """A repository whose settings file stands below the root is checked and compared there; annotations keep paths from the root."""
    check, drift = SCRIPTS
    root = repository.parent
    (repository / ".git").rename(root / ".git")
    (repository / "flows" / "broken.py").write_text(BROKEN)
    for files in ("", "flows/broken.py"):
        told = run(check, root, FILES=files, FOLDER="work", GITHUB_WORKSPACE=str(root))
        assert (told.returncode, told.stdout.startswith("::error file=work/flows/broken.py,line=7")) == (1, True), told

    (repository / "flows" / "broken.py").unlink()
    assert run(drift, root).returncode == 2, "no settings file at the root"
    assert run(drift, root, FOLDER="work").returncode == 1
    subprocess.run([sys.executable, "-m", "flowc", "compile"], cwd=repository, env=environment(), capture_output=True, check=True)
    assert run(drift, root, FOLDER="work").returncode == 0
    assert run(drift, root, FOLDER=str(repository)).returncode == 0
    assert [run(script, repository, FOLDER="").returncode for script in SCRIPTS] == [0, 0], "an empty input is the root"
