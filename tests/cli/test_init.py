"""Facts about `flowc init` and `flowc completion`: what they write works at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli.running import HELLO, environment, flowc


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    for place in ("flows/hello.py", "other/deep/second.py", ".venv/lib/third.py"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(HELLO.replace("HelloFlow", Path(place).stem.capitalize()))
    return tmp_path


def test_a_repository_is_set_up(here: Path) -> None:
    """Without a question: flows are found where they stand, and compile, check and drift work; hooks and CI name what there is."""
    flowc("init", "--yes", "--ci", "github")
    assert "2 compiled" in flowc("compile").stderr
    flowc("compile", "--check")
    flowc("check")
    assert (here / "flowc.toml").read_text().endswith('flows = ["flows/*.py", "other/deep/*.py"]\ntargets = ["argo"]\nout = "manifests"\n')
    hooks = yaml.safe_load((here / ".pre-commit-config.yaml").read_text())
    assert [hook["id"] for hook in hooks["repos"][0]["hooks"]] == ["flowc-check", "flowc-compile"]
    steps = yaml.safe_load((here / ".github" / "workflows" / "flows.yml").read_text())["jobs"]["flows"]["steps"]
    commands = [step["run"].split() for step in steps if "run" in step][1:]
    assert commands == [["flowc", "check", "--output-format", "github"], ["flowc", "compile", "--check"]]
    for command in commands:
        flowc(*command[1:])


def test_what_is_there_stays(here: Path) -> None:
    """Files of the user are left as they are, and said so."""
    (here / "flowc.toml").write_text("# mine\n")
    assert "flowc.toml is there already and is left as it is" in flowc("init", "--yes", "--ci", "gitlab").stderr
    assert (here / "flowc.toml").read_text() == "# mine\n"
    assert "flowc check --output-format gitlab" in (here / ".gitlab-ci.yml").read_text()


def test_it_asks(here: Path) -> None:
    """Questions have answers that fit, and what is typed counts."""
    command = [sys.executable, "-m", "flowc", "init"]
    done = subprocess.run(command, input="flows/*.py\nargo\nout\nnone\n", capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert (here / "flowc.toml").read_text().endswith('flows = ["flows/*.py"]\ntargets = ["argo"]\nout = "out"\n')


def test_nothing_to_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no flow is found, that is said, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert "no file here holds a flow" in flowc("init", "--yes", code=2).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """Each shell gets a script that names flowc."""
    assert "_FLOWC_COMPLETE" in flowc("completion", shell).stdout


def test_completion_answers() -> None:
    """The shell's script asks by the environment, and gets commands, options and values."""
    answers = {
        ("flowc com", 1): {"plain,compile", "plain,completion"},
        ("flowc compile --argo-ver", 2): {"plain,--argo-version"},
        ("flowc compile --argo-version 3.", 3): {"plain,3.5", "plain,3.6", "plain,3.7"},
    }
    for (words, at), expected in answers.items():
        assert expected <= set(flowc(_FLOWC_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(at)).stdout.split())


def test_bash_takes_the_script() -> None:
    """bash itself completes by it."""
    asked = f"source <({sys.executable} -m flowc completion bash); complete -p flowc"
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=environment(), check=False)
    assert "_flowc_completion" in done.stdout, done.stderr
