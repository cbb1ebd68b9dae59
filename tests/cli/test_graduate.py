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
    expected = text.replace("hours=1, minutes=30", "hours=2").replace("memory=1,\n    )", "memory=2000,\n        gpu=1,\n    )")
    assert file.read_text() == expected


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("(\n        cpu=1,  # one\n        memory=2,  # two\n    )  # end", "(\n        cpu=1,  # one\n        memory=2,  # two\n        gpu=1,\n    )  # end"),
        ("(\n        cpu=1,\n        memory=2  # two\n    )", "(\n        cpu=1,\n        memory=2,  # two\n        gpu=1\n    )"),
        ("(cpu=1,  # one\n        memory=2)", "(cpu=1,  # one\n        memory=2, gpu=1)"),
        ("(cpu=1, memory=2,)", "(cpu=1, memory=2, gpu=1,)"),
        ("()", "(gpu=1)"),
        ("", "(gpu=1)"),
    ],
)
def test_layout_of_arguments(wrong: str, right: str, file: Path) -> None:
    """A new argument stands as the others do, and comments stay behind what they are about."""
    text = HELLO.replace("FlowSpec, step", "FlowSpec, resources, step").replace("    @step", "    @resources@\n    @step", 1)
    file.write_text(text.replace("@resources@", f"@resources{wrong}"))
    flowc("graduate", "flow.py", "--step", "start", "--gpu", "1")
    assert file.read_text() == text.replace("@resources@", f"@resources{right}")


def test_a_replaced_argument_leaves_the_lines(file: Path) -> None:
    """Where the last argument goes, its comment goes with it, and the parenthesis stays on its line."""
    text = HELLO.replace("FlowSpec, step", "FlowSpec, step, timeout").replace("    @step", "    @timeout@\n    @step", 1)
    file.write_text(text.replace("@timeout@", "@timeout(\n        minutes=2,  # why\n        seconds=5,  # s\n    )"))
    flowc("graduate", "flow.py", "--step", "start", "--timeout", "3m")
    assert file.read_text() == text.replace("@timeout@", "@timeout(\n        minutes=3,  # why\n    )")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("(\n    FlowSpec,  # base\n    step,  # deco\n)", "(\n    FlowSpec,  # base\n    step,  # deco\n    timeout,\n)"),
        ("(\n    FlowSpec,  # base\n    unbounded_foreach,\n    step,\n)", "(\n    FlowSpec,  # base\n    unbounded_foreach,\n    step,\n    timeout,\n)"),
        ("(\n    FlowSpec,  # base\n    step,  # deco\n    trigger,\n)", "(\n    FlowSpec,  # base\n    step,  # deco\n    timeout,\n    trigger,\n)"),
        ("FlowSpec, step  # noqa", "FlowSpec, step, timeout  # noqa"),
        ("*", "*"),
    ],
)
def test_layout_of_imports(wrong: str, right: str, file: Path) -> None:
    """A new import stands as the others do, and no comment is written twice; `*` brings the decorator already."""
    text = HELLO.replace("FlowSpec, step", "@names@").replace("    @step", "    @limit@@step", 1)
    file.write_text(text.replace("@names@", wrong).replace("@limit@", ""))
    flowc("graduate", "flow.py", "--step", "start", "--timeout", "3m")
    assert file.read_text() == text.replace("@names@", right).replace("@limit@", "@timeout(minutes=3)\n    ")


@pytest.mark.parametrize("other", ["from tenacity import retry\n", "retry = print\n", "import retry.core\n", "def retry(): pass\n"])
def test_a_name_that_is_taken(other: str, file: Path) -> None:
    """An import that would hide, or be hidden by, what the file calls the same is not written; locals of functions are no hindrance."""
    for text in (other + HELLO, HELLO.replace("\n\n\n", f"\n{other}\n\n", 1)):
        file.write_text(text)
        assert "`retry` means something else in this file" in flowc("graduate", "flow.py", "--retry", "1", code=2).stderr
        assert file.read_text() == text
    file.write_text(HELLO.replace("        pass", "        from tenacity import retry\n        timeout = retry"))
    flowc("graduate", "flow.py", "--retry", "1", "--timeout", "3m")
    file.write_text(f"{other}{HELLO}".replace("FlowSpec, step", "FlowSpec, retry as again, step"))
    flowc("graduate", "flow.py", "--step", "start", "--retry", "1")
    assert "    @again(times=1)\n    @step\n    def start" in file.read_text()


def test_the_last_of_two_counts(file: Path) -> None:
    """A step that is defined twice is the second one, as in Python; an import within a function brings nothing."""
    file.write_text(HELLO + "\n    @step\n    def end(self):\n        from metaflow import retry\n        print(retry)\n")
    flowc("graduate", "flow.py", "--step", "end", "--retry", "1")
    text = file.read_text()
    assert text.startswith("from metaflow import FlowSpec, retry, step\n")
    assert text.count("@retry(times=1)\n    @step\n    def end") == 1
    assert text.index("@retry") > text.index("def end")


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


def test_resources_that_stand_twice(file: Path) -> None:
    """Metaflow takes the larger of two, so what is wanted is written to both."""
    text = HELLO.replace("FlowSpec, step", "FlowSpec, batch, resources, step").replace("    @step", "    @resources(cpu=4, gpu=1)\n    @batch(memory=1)\n    @step", 1)
    file.write_text(text)
    flowc("graduate", "flow.py", "--step", "start", "--cpu", "2")
    assert file.read_text() == text.replace("cpu=4", "cpu=2").replace("memory=1", "memory=1, cpu=2")


def test_one_decorator_by_several_names(file: Path) -> None:
    """What stands there is found by whichever name of the file it goes by."""
    text = "import metaflow as mf\nfrom metaflow import retry as again\n" + HELLO.replace("    @step", "    @mf.retry(times=1)\n    @step", 1)
    file.write_text(text)
    flowc("graduate", "flow.py", "--step", "start", "--retry", "2")
    assert file.read_text() == text.replace("times=1", "times=2")


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
        (["--memory", "0"], 2, "'0' is no amount like 4096 (MB), 32G or 32Gi"),
        (["--cpu", "-1"], 2, "-1.0 is no number of cores"),
        (["--cpu", "nan"], 2, "nan is no number of cores"),
        (["--timezone", "Europe/Berlin"], 2, "HelloFlow has no schedule whose time zone this could be; say --schedule too"),
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
