"""Facts about `flowc graduate`: it writes the decorators of the next stage into a flow, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO, flowc


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "flow.py").write_text("# mine\n" + HELLO)
    return tmp_path / "flow.py"


def test_decorators_are_added_and_imported(file: Path) -> None:
    """Resources in Metaflow's megabytes, retries, time limits and a schedule; imported in order; a second run changes nothing."""
    command = ["graduate", "flow.py", "--step", "start", "--cpu", "8", "--memory", "32Gi", "--retry", "3", "--timeout", "90m"]
    flowc(*command, "--schedule", "0 6 * * *", "--timezone", "Europe/Berlin")
    expected = "# mine\n" + HELLO.replace(
        "class HelloFlow(FlowSpec):\n    @step\n    def start",
        '@schedule(cron="0 6 * * *", timezone="Europe/Berlin")\nclass HelloFlow(FlowSpec):\n'
        "    @timeout(minutes=90)\n    @retry(times=3)\n    @resources(cpu=8, memory=34360)\n    @step\n    def start",
    ).replace("FlowSpec, step", "FlowSpec, resources, retry, schedule, step, timeout")
    assert file.read_text() == expected
    flowc(*command, "--schedule", "0 6 * * *", "--timezone", "Europe/Berlin")
    assert file.read_text() == expected


def test_what_stands_there_is_changed(file: Path) -> None:
    """@kubernetes takes the resources where a step has it, other attributes and comments stay; one way to say a time replaces another."""
    text = HELLO.replace("FlowSpec, step", "FlowSpec, kubernetes as k8s, step, timeout").replace(
        "    @step\n    def start", '    @timeout(hours=1, minutes=30)\n    @k8s(  # big\n        image="x",\n        memory=1,\n    )\n    @step\n    def start'
    )
    file.write_text(text)
    flowc("graduate", "flow.py", "--step", "start", "--memory", "2G", "--gpu", "1", "--timeout", "2h")
    expected = text.replace("hours=1, minutes=30", "hours=2").replace("memory=1,\n    )", "memory=2000,\n    gpu=1)")
    assert file.read_text().replace(" ", "").replace("\n", "").replace(",)", ")") == expected.replace(" ", "").replace("\n", "").replace(",)", ")")
    assert "# big" in file.read_text()


def test_what_a_target_refused_before_is_no_hindrance(file: Path) -> None:
    """The targets of the settings judge the change, not the flow: an error of theirs that stood there is left, a new one is told."""
    (file.parent / "flowc.toml").write_text('targets = ["kubernetes"]\n')
    file.write_text(file.read_text().replace("FlowSpec, step", "FlowSpec, step, trigger").replace("class Hello", '@trigger(event="e")\nclass Hello'))
    assert "FC490" in flowc("check", "flow.py", "-t", "kubernetes", code=1).stdout
    assert "flow.py written" in flowc("graduate", "flow.py", "--retry", "1").stderr
    assert "has all that already" in flowc("graduate", "flow.py", "--retry", "1").stderr
    assert "FC420" in flowc("graduate", "flow.py", "--schedule", "0 0 0 0 0", code=1).stderr


def test_through_the_module(file: Path) -> None:
    """A file that imports the module as a whole names decorators through it."""
    file.write_text(HELLO.replace("from metaflow import FlowSpec, step", "import metaflow as mf").replace("(FlowSpec)", "(mf.FlowSpec)").replace("@step", "@mf.step"))
    flowc("graduate", "flow.py", "--retry", "1")
    assert file.read_text().count("    @mf.retry(times=1)\n    @mf.step") == 2


def test_diff_writes_nothing(file: Path) -> None:
    """--diff prints the patch."""
    before = file.read_text()
    assert "+    @retry(times=1)\n" in flowc("graduate", "flow.py", "--retry", "1", "--diff").stdout
    assert file.read_text() == before


def test_mistakes(file: Path) -> None:
    """Unknown steps, nothing to write, amounts that are none, a wrong flow, a change that makes it wrong: nothing is written."""
    before = file.read_text()
    for arguments, code, message in [
        (["--step", "strat", "--retry", "1"], 2, "HelloFlow has no step 'strat'; did you mean 'start'?"),
        ([], 2, "say what the flow needs"),
        (["--memory", "much"], 2, "'much' is no amount like 4096 (MB), 32G or 32Gi"),
        (["--timeout", "1d"], 2, "'1d' is no duration like 90m or 2h"),
        (["--timeout", "5s"], 1, "FC314"),
        (["--schedule", "0 6 * *"], 1, "FC420"),
        (["--schedule", "0 6 * * *", "--timezone", "Nowhere/City"], 1, "FC421"),
    ]:
        assert message in flowc("graduate", "flow.py", *arguments, code=code).stderr
        assert file.read_text() == before
    file.write_text(BROKEN)
    assert "FC216" in flowc("graduate", "flow.py", "--retry", "1", code=1).stderr
    (file.parent / "base.py").write_text("from metaflow import FlowSpec, step\nclass Base(FlowSpec):\n    @step\n    def start(self):\n        self.next(self.end)\n    @step\n    def end(self): pass\n")
    file.write_text("from base import Base\nclass HelloFlow(Base): pass\n")
    assert "the step start is not in the class HelloFlow of this file, but in one of its bases" in flowc("graduate", "flow.py:HelloFlow", "--step", "start", "--retry", "1", code=2).stderr
    file.write_text(HELLO.replace("FlowSpec, step", "FlowSpec, retry, step").replace("    @step\n    def start", "    @retry(**{'times': 1})\n    @step\n    def start"))
    assert "takes its arguments from elsewhere; change them there" in flowc("graduate", "flow.py", "--step", "start", "--retry", "2", code=2).stderr
