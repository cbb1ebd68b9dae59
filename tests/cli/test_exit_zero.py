"""Facts about `--exit-zero` and `--quiet`: diagnostics are told and are no failure; nothing else is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO, flowc

from flowc.cli import COMMANDS

pytestmark = pytest.mark.usefixtures("here")
MENDED = HELLO.replace("self.next(self.end)", "self.next(self.index)").replace(
    "    @step\n    def end", "    @step\n    def index(self):\n        self.next(self.end)\n\n    @step\n    def end"
)  # fmt: skip


@pytest.mark.parametrize("form", ["full", "concise", "json", "github", "gitlab", "sarif", "junit"])
def test_diagnostics_are_no_failure(form: str, here: Path) -> None:
    """With --exit-zero the report is the same and the exit code is 0."""
    (here / "broken.py").write_text(BROKEN)
    said = flowc("check", "broken.py", "--output-format", form, code=1)
    passed = flowc("check", "broken.py", "--output-format", form, "--exit-zero")
    assert said.stdout == passed.stdout
    assert "missing" in said.stdout
    assert passed.stderr.endswith("flowc: 1 flow checked in 1 file\n")


def test_wrong_usage_is_a_failure_still(here: Path) -> None:
    """A path, a pattern, a flag or a settings file that is wrong is told and exits with 2 all the same, also beside diagnostics."""
    (here / "broken.py").write_text(BROKEN)
    for command in ("check", "fix"):
        for wrong in (["none.py"], ["no/*.py"], ["broken.py", "none.py"], ["broken.py", "--env", "none"], ["broken.py", "--target", "none"]):
            assert flowc(command, *wrong, "--exit-zero", "--quiet", code=2).stderr, (command, wrong)
    (here / "flowc.toml").write_text("nonsense = 1\n")
    assert "nonsense" in flowc("check", "broken.py", "--exit-zero", "--quiet", code=2).stderr


def test_quiet(here: Path) -> None:
    """With --quiet a report has the diagnostics and stderr nothing; what is right says nothing at all."""
    (here / "broken.py").write_text(BROKEN)
    loud, quiet = (flowc("check", "broken.py", "--output-format", "concise", *more, code=1) for more in ((), ("-q",)))
    assert (loud.stdout, loud.stderr) == (quiet.stdout, "flowc: 1 error\n")
    assert quiet.stderr == ""
    done = flowc("check", "hello.py", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    assert flowc("check", "broken.py", "--write-baseline", "known.json", "-q").stderr == ""


def test_fix(here: Path) -> None:
    """`fix --exit-zero` passes with problems left, and with a difference shown; --quiet leaves the diagnostics and the difference."""
    (here / "broken.py").write_text(BROKEN)
    assert "missing" in flowc("fix", "broken.py", code=1).stdout
    done = flowc("fix", "broken.py", "--exit-zero", "--quiet")
    assert "missing" in done.stdout
    assert done.stderr == ""
    (here / "index.py").write_text(MENDED)
    assert "+    def index_step" in flowc("fix", "index.py", "--diff", code=1).stdout
    done = flowc("fix", "index.py", "--diff", "--exit-zero", "-q")
    assert "+    def index_step" in done.stdout
    assert done.stderr == ""
    assert (here / "index.py").read_text() == MENDED


def test_compile(here: Path) -> None:
    """`compile --quiet` writes and says nothing; errors, and outputs that are not current, are told and fail. There is no --exit-zero:
    with errors nothing was compiled.
    """
    (here / "flowc.toml").write_text('flows = ["hello.py"]\nimage = "example.com/i:1"\n[env.prod]\nout = "prod"\n')
    assert "outputs are not current" in flowc("compile", "--check", "-q", code=1).stderr
    assert "of no environment" in flowc("compile").stderr
    for command in (["compile", "-q"], ["compile", "-q", "--all"], ["compile", "--check", "-q"]):
        done = flowc(*command)
        assert (done.stdout, done.stderr) == ("", ""), command
    (here / "hello.py").write_text(BROKEN)
    done = flowc("compile", "-q", "--output-format", "concise", code=1)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "missing" in done.stderr
    assert "No such option" in flowc("compile", "--exit-zero", code=2).stderr
    flowc("compile", "hello.py", "-t", "argo", "--out-dir", "out", "-q", code=1)


def test_what_has_the_options() -> None:
    """`check` and `fix` have both, `compile` has --quiet; no other command has either, since all it says is what it was asked for."""
    helps = {name: flowc(name, "--help").stdout for name in COMMANDS}
    assert {name for name, text in helps.items() if "--exit-zero" in text} == {"check", "fix"}
    assert {name for name, text in helps.items() if "--quiet" in text} == {"check", "fix", "compile"}
