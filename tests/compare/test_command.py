"""Facts about `flowc compare` itself: what it recognises, its formats and exit codes, and what it says to other files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import environment, flowc
from compare import flows, made
from compare.made import ARGO, ROOT, STATES

TWO = flows.PLAIN.replace("class Plain", "class Other").replace("Plain()", "Other()").partition("if __name__")[0].partition("class")
FLAGS = ("--datastore", "s3", "--datastore-root", ROOT, "--namespace", "default")


@pytest.fixture
def folder(tmp_path: Path, metaflow: made.Metaflow, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A flow, and what Metaflow made of it for both engines."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "flow.py").write_text(flows.PLAIN)
    for name in (ARGO, STATES):
        (tmp_path / f"{name}.json").write_text(json.dumps(metaflow.only_json(flows.PLAIN, name)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_differs(folder: Path) -> None:
    """Exit code 0 where both mean the same; the target is recognised by the output."""
    assert folder
    done = flowc("compare", "--only-json", "argo.json", "flow.py", *FLAGS)
    assert done.stdout.startswith("argo.json → flow.py:Plain for Argo Workflows\n  means the same\n")
    done = flowc("compare", "--only-json", "step-functions.json", "flow.py", "--datastore-root", ROOT)
    assert "for Step Functions\n  means the same\n" in done.stdout


def test_something_differs(folder: Path) -> None:
    """Exit code 1, and a line for each difference, with both values."""
    (folder / "flow.py").write_text(flows.PLAIN.replace("import FlowSpec, step", "import FlowSpec, resources, step").replace(
        "    @step\n    def end", "    @resources(memory=8192)\n    @step\n    def end"
    ))  # fmt: skip
    lines = flowc("compare", "--only-json", "argo.json", "flow.py", *FLAGS, code=1).stdout.splitlines()
    assert [line for line in lines if line.startswith("  ~")] == ["  ~ step end: memory 4096 MB → 8192 MB"]


def test_formats(folder: Path) -> None:
    """Markdown for a comment, JSON for programs, with the settings that would take the difference away."""
    assert folder
    told = json.loads(flowc("compare", "--only-json", "argo.json", "flow.py", "--format", "json", *FLAGS[:4], code=1).stdout)
    assert told["changes"] == [{"path": ["flow", "namespace"], "before": "default", "after": None}]
    assert told["settings"] == {"namespace": "default"}
    assert not told["same"]
    assert len(told["by_design"]) == 6
    text = flowc("compare", "--only-json", "argo.json", "flow.py", "--format", "markdown", *FLAGS[:4], code=1).stdout
    assert "- flow `namespace`: `default` → none\n" in text
    assert '```toml\n[tool.flowc]\nnamespace = "default"\n```' in text


def test_the_output_comes_by_a_pipe(folder: Path) -> None:
    """`--only-json -` reads what another program prints."""
    command = [sys.executable, "-m", "flowc", "compare", "--only-json", "-", "flow.py", *FLAGS]
    given = (folder / "argo.json").read_bytes()
    done = subprocess.run(command, input=given, capture_output=True, env=environment(), check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_settings_of_the_target_and_environment_count(folder: Path) -> None:
    """Settings come from where `flowc compile` takes them: the file, the table of the target, --env."""
    (folder / "flowc.toml").write_text(f'datastore = "s3"\n\n[argo]\ndatastore-root = "{ROOT}"\n\n[env.prod]\nnamespace = "default"\n')
    without = flowc("compare", "--only-json", "argo.json", "flow.py", code=1).stdout
    assert "namespace" in without
    assert ROOT not in without
    assert "means the same" in flowc("compare", "--only-json", "argo.json", "flow.py", "--env", "prod").stdout


def test_the_flow_that_the_output_is_of(folder: Path) -> None:
    """Of a file with several flows the one is compared whose name the output has; of others it must be named."""
    (folder / "two.py").write_text(flows.PLAIN.partition("if __name__")[0] + TWO[1] + TWO[2])
    assert "two.py:Plain" in flowc("compare", "--only-json", "argo.json", "two.py", *FLAGS).stdout
    assert "name: plain → other" in flowc("compare", "--only-json", "argo.json", "two.py:Other", *FLAGS, code=1).stdout
    (folder / "argo.json").write_text((folder / "argo.json").read_text().replace("Plain", "Third"))
    assert "name one: two.py:Plain" in flowc("compare", "--only-json", "argo.json", "two.py", code=2).stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "is neither a WorkflowTemplate nor a state machine"),
        ('{"kind": "CronWorkflow"}', "is neither a WorkflowTemplate nor a state machine"),
        ('{"kind": "WorkflowTemplate", "spec": 7}', ""),
        ('{"kind": "WorkflowTemplate", "spec": {"templates": [{"name": "a", "container": {"args": 3}}]}}', ""),
        ('{"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "arn:aws:states:::batch:submitJob", "Parameters": 3}}}', ""),
        ('{"StartAt": "a", "States": 4}', ""),
    ],
)
def test_files_that_are_something_else(text: str, said: str, folder: Path) -> None:
    """What is no output of Metaflow's is a mistake of usage or differs, and never a bug."""
    (folder / "wrong.json").write_text(text)
    done = flowc("compare", "--only-json", "wrong.json", "flow.py", code=2 if said else 1)
    assert said in done.stderr
    assert done.stdout or "--only-json" in done.stderr


def test_another_target_than_the_output(folder: Path) -> None:
    """Output for Argo is not compared with a state machine; a missing file and a flow with errors are told as ever."""
    done = flowc("compare", "--only-json", "argo.json", "--target", "step-functions", "flow.py", code=2)
    assert "is for Argo Workflows, not for the target step-functions" in done.stderr
    assert "none.json" in flowc("compare", "--only-json", "none.json", "flow.py", code=2).stderr
    (folder / "flow.py").write_text(flows.PLAIN.replace("self.next(self.end)", "self.next(self.none)"))
    assert "FC2" in flowc("compare", "--only-json", "argo.json", "flow.py", code=1).stderr
