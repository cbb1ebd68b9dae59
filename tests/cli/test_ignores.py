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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('image = "a:1"\n[env.prod.per-file-ignores]\n"old/*" = ["FC9999"]\n', "flowc.toml:2: env.prod: per-file-ignores: old/*: no code is 'FC9999'"),
        ('[per-file-ignores]\n"a" = ["FC3O5"]\n[env.prod.per-file-ignores]\n"b" = ["FC305"]\n', "flowc.toml:1: per-file-ignores: a: no code is 'FC3O5'"),
        ('[env.prod]\nper-file-ignores = { "a" = "FC305" }\n', "flowc.toml:2: a: per-file-ignores must be a list of texts, not 'FC305'"),
        ("[env.prod]\ntargets = []\n", "flowc.toml:2: targets: an empty list is for nothing"),
    ],
)
def test_mistakes_of_an_environment_that_is_not_chosen(text: str, said: str, here: Path) -> None:
    """What an environment says of codes and of the repository is checked whichever is chosen, and the message has its own line."""
    (here / "one.py").write_text(HELLO)
    (here / "flowc.toml").write_text(text + "[env.test]\n")
    for command in (["check", "one.py"], ["check", "one.py", "--env", "test"], ["check", "one.py", "--env", "prod"], ["config", "show"]):
        assert said in flowc(*command, code=2).stderr, command


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
