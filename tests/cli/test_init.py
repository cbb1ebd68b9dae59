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
    assert commands[:2] == [["flowc", "check", "--output-format", "github"], ["flowc", "compile", "--check"]]
    for command in commands[:2]:
        flowc(*command[1:])


def test_environments(here: Path) -> None:
    """Each environment has outputs of its own, that hooks and CI compile and compare; a settings file that is there says which there are."""
    flowc("init", "--yes", "--env", "staging", "--env", "prod", "--out", "made", "--ci", "gitlab")
    assert 'out = "made"\n\n[env.staging]\nout = "made/staging"\n\n[env.prod]\nout = "made/prod"\n' in (here / "flowc.toml").read_text()
    hooks = yaml.safe_load((here / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook.get("args") for hook in hooks] == [None, ["--env", "staging"], ["--env", "prod"]]
    job = (here / ".gitlab-ci.yml").read_text()
    assert [line.strip() for line in job.splitlines() if "compile" in line] == [f"- flowc compile --check --env {name}" for name in ("staging", "prod")]
    for name in ("staging", "prod"):
        flowc("compile", "--env", name)
    assert {path.name for path in (here / "made").iterdir()} == {"staging", "prod"}
    (here / ".gitlab-ci.yml").unlink()
    assert "next: flowc compile --env staging; flowc compile --env prod" in flowc("init", "--yes", "--ci", "gitlab").stderr
    assert (here / ".gitlab-ci.yml").read_text() == job


def test_settings_in_pyproject_stay_in_force(here: Path) -> None:
    """Where pyproject.toml has the settings no flowc.toml is written, which would hide them."""
    (here / "pyproject.toml").write_text('[tool.flowc]\nflows = ["flows/*.py"]\n[tool.flowc.env.test]\nout = "test"\n')
    assert "pyproject.toml is there already" in flowc("init", "--yes").stderr
    assert not (here / "flowc.toml").exists()
    assert "--env, test" in (here / ".pre-commit-config.yaml").read_text()


@pytest.mark.parametrize("name", ["a b", "$(touch x)", "-x", 'a"', ""])
def test_names_of_environments_are_words(name: str, here: Path) -> None:
    """What a shell or YAML would take for more than a word is refused."""
    assert "hooks and CI take names of letters" in flowc("init", "--yes", "--env", name, code=2).stderr
    assert not (here / "flowc.toml").exists()


def test_what_is_there_stays(here: Path) -> None:
    """Files of the user are left as they are, and said so."""
    (here / "flowc.toml").write_text("# mine\n")
    assert "flowc.toml is there already and is left as it is" in flowc("init", "--yes", "--ci", "gitlab").stderr
    assert (here / "flowc.toml").read_text() == "# mine\n"
    assert "flowc check --output-format gitlab" in (here / ".gitlab-ci.yml").read_text()


def test_what_belongs_into_files_of_others_is_told(here: Path) -> None:
    """A file that has hooks or jobs already is left, and its part for flowc is printed, as long as it has none."""
    for name in (".pre-commit-config.yaml", ".gitlab-ci.yml"):
        (here / name).write_text("{}\n")
    told = flowc("init", "--yes", "--ci", "gitlab").stderr
    hooks = told.partition("add this to .pre-commit-config.yaml:\n\n")[2].partition("flowc:")[0]
    assert [hook["id"] for hook in yaml.safe_load(hooks)[0]["hooks"]] == ["flowc-check", "flowc-compile"]
    assert "add this to .gitlab-ci.yml:\n\nflows:\n" in told
    (here / ".pre-commit-config.yaml").write_text("repos:\n" + hooks)
    assert "add this to .pre-commit" not in flowc("init", "--yes").stderr


def test_nobody_answers(here: Path) -> None:
    """Where questions find no one, that is wrong usage that names the flag, and nothing is written."""
    command = [sys.executable, "-m", "flowc", "init"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert not (here / "flowc.toml").exists()


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
        ("flowc com", 1): {"plain,compare", "plain,compile", "plain,completion"},
        ("flowc compile --argo-ver", 2): {"plain,--argo-version"},
        ("flowc compile --argo-version 3.", 3): {"plain,3.5", "plain,3.6", "plain,3.7"},
    }
    for (words, at), expected in answers.items():
        assert expected <= set(flowc(_FLOWC_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(at)).stdout.split())


def test_completion_of_names(here: Path) -> None:
    """Targets, environments of the settings file, codes, and steps of the flow that was typed; where a path stands, the shell completes it."""
    (here / "flowc.toml").write_text("[env.prod]\n[env.test]\n")
    answers = {
        ("flowc compile --target ", 3): {"plain,argo", "plain,kubernetes", "plain,step-functions"},
        ("flowc check --env ", 3): {"plain,prod", "plain,test"},
        ("flowc explain FC21", 2): {"plain,FC210", "plain,FC214", "plain,FC216"},
        ("flowc graduate flows/hello.py --step ", 4): {"plain,start", "plain,end"},
        ("flowc compile fl", 2): {"file,fl"},
        ("flowc compare --only-json o", 3): {"file,o"},
        ("flowc compile --out-dir o", 3): {"dir,o"},
        ("flowc config show f", 3): {"dir,f"},
    }
    for (words, at), expected in answers.items():
        given = set(flowc(_FLOWC_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(at)).stdout.split())
        assert expected <= given if words.startswith("flowc explain") else expected == given, words
    (here / "flowc.toml").write_text("[")
    assert flowc(_FLOWC_COMPLETE="bash_complete", COMP_WORDS="flowc check --env ", COMP_CWORD="3").stdout.strip() == ""
    assert flowc(_FLOWC_COMPLETE="bash_complete", COMP_WORDS="flowc chekc ", COMP_CWORD="2").stdout.strip() == ""


def test_bash_takes_the_script() -> None:
    """bash itself completes by it."""
    asked = f"source <({sys.executable} -m flowc completion bash); complete -p flowc"
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=environment(), check=False)
    assert "_flowc_completion" in done.stdout, done.stderr


def test_flows_are_found_however_they_inherit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `metaflow.FlowSpec`, beside another base, by a base of the team's from another file; the pattern of an odd folder matches it."""
    monkeypatch.chdir(tmp_path)
    files = {
        "a/flow.py": HELLO.replace("from metaflow import FlowSpec, step", "import metaflow\nfrom metaflow import step").replace("(FlowSpec)", "(metaflow.FlowSpec)"),
        "b/flow.py": HELLO.replace("(FlowSpec)", "(\n    object,\n    FlowSpec,\n)"),
        "c/flow.py": HELLO.replace("FlowSpec, step", "step\nfrom base import Base").replace("(FlowSpec)", "(Base)"),
        "old [2]/flow.py": HELLO,
        "tests/steps.py": "from behave import step\n\n@step('x')\ndef x(): pass\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "c" / "base.py").write_text("from metaflow import FlowSpec\n\n\nclass Base(FlowSpec):\n    pass\n")
    flowc("init", "--yes")
    assert 'flows = ["a/*.py", "b/*.py", "c/*.py", "old [[]2]/*.py"]' in (tmp_path / "flowc.toml").read_text()
    assert "flows: no file" not in flowc("compile", code=2).stderr
