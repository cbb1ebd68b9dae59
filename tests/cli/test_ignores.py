"""`per-file-ignores`: codes that are none, and globs that are for no flow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import HELLO, environment, flowc


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ('["FC9999"]', "flowc.toml:1: per-file-ignores: old/*: no code is 'FC9999' or begins so; `flowc explain` lists the codes"),
        ('["fc305"]', "no code is 'fc305' or begins so; did you mean 'FC305'?"),
        ('["FC30", "F401"]', "old/*: no code is 'F401' or begins so"),
        ('["FC30", ""]', "old/*: an empty text is the beginning of every code"),
    ],
)
def test_per_file_ignores_of_no_code(codes: str, said: str, here: Path) -> None:
    """What is no code, nor how one begins, is a mistake in the settings: it would leave out nothing, or all."""
    (here / "one.py").write_text(HELLO)
    (here / "flowc.toml").write_text(f'[per-file-ignores]\n"old/*" = {codes}\n')
    assert said in flowc("check", "one.py", code=2).stderr


def test_per_file_ignores_for_no_file(here: Path) -> None:
    """A glob that is for no flow of the repository is told where all of it is read, and not where one file is."""
    (here / "flows").mkdir(exist_ok=True)
    (here / "flows" / "one.py").write_text(HELLO)
    (here / "flowc.toml").write_text(
        'flows = ["flows/*.py"]\nimage = "example.com/i:1"\n[per-file-ignores]\n"old/*" = ["FC30"]\n"flows/o*" = ["FC40"]\n'
    )
    warning = "flowc: warning: flowc.toml: per-file-ignores: 'old/*' matches no flow\n"
    for command in (["check"], ["fix"], ["compile"], ["compile", "--check"]):
        done = flowc(*command)
        assert done.stderr.count("matches no flow") == done.stderr.count(warning) == 1, done.stderr
    assert "matches no flow" not in flowc("check", "flows/one.py").stderr


def test_the_codes_that_are_read_from_text_are_all() -> None:
    """The codes in the text of flowc's modules are those that importing them all registers."""
    code = "from flowc.commands.ignores import declared; from flowc.commands.session import known_codes; print(declared() == known_codes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "True\n"
