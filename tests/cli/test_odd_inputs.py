"""Facts about inputs that nobody means: settings, locks and JSON that are odd are told as mistakes, never as a bug of flowc."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cli.running import HELLO, flowc
from cli.test_pre_commit import git


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A flow and settings in a repository of their own."""
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "flowc.toml").write_text('flows = ["*.py"]\n')
    git(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [("compile",), ("graph", "hello.py", "--format", "html"), ("graduate", "hello.py", "--retry", "2")])
@pytest.mark.parametrize(("targets", "said"), [('["agro"]', "there is no target 'agro'; did you mean 'argo'?"), ("[]", "an empty list is for nothing")])
def test_targets_that_are_none(here: Path, command: tuple[str, ...], targets: str, said: str) -> None:
    """A target of the settings that there is not, and a list of none, are mistakes for every command that asks for targets."""
    (here / "flowc.toml").write_text(f'flows = ["*.py"]\ntargets = {targets}\n')
    assert said in flowc(*command, code=2).stderr


@pytest.mark.parametrize("pattern", ["", ".", "/", "./"])
def test_patterns_without_a_name(here: Path, pattern: str) -> None:
    """A pattern that names nothing matches no file."""
    (here / "flowc.toml").write_text(f'flows = ["{pattern}"]\n')
    assert "no file matches" in flowc("check", code=2).stderr


def test_a_lock_with_paths_that_are_none(here: Path) -> None:
    """A null byte in a path of the lock makes it no lock."""
    flowc("compile")
    lock = here / "manifests" / "flowc.lock"
    found = json.loads(lock.read_text())
    found["flows"]["hello.py"]["outputs"]["a\0b"] = "x"
    lock.write_text(json.dumps(found))
    assert "is no lock of flowc" in flowc("compile", code=2).stderr


@pytest.mark.parametrize(
    ("command", "file", "said"),
    [
        (("compare", "--only-json", "old.json", "hello.py"), "old.json", "old.json is no JSON"),
        (("check", "hello.py", "--baseline", "old.json"), "old.json", "old.json"),
        (("config", "import", "old.json"), "old.json", "old.json"),
        (("compile", "hello.py", "--target", "argo", "--out-dir", "."), "flowc.outputs", "flowc.outputs is no note of flowc"),
    ],
)
def test_json_that_is_too_deep(here: Path, command: tuple[str, ...], file: str, said: str) -> None:
    """What is nested too deeply for JSON's reader is none of what a command asks for."""
    (here / file).write_text("[" * 200_000)
    assert said in flowc(*command, code=2).stderr


def test_settings_that_are_too_deep(here: Path) -> None:
    """The same holds for TOML."""
    (here / "flowc.toml").write_text(f"labels = {'[' * 20_000}{']' * 20_000}")
    assert "flowc.toml is no TOML" in flowc("check", "hello.py", code=2).stderr


def test_init_takes_names_beyond_the_alphabet(here: Path) -> None:
    """A glob with a character that JSON writes as two escapes is the same glob in the settings file."""
    (here / "flowc.toml").unlink()
    (here / "🚀").mkdir()
    (here / "hello.py").rename(here / "🚀" / "hello.py")
    flowc("init", "--yes", "--flows", "🚀/*.py")
    assert "1 compiled" in flowc("compile").stderr


def test_fix_of_a_file_with_form_feeds(here: Path) -> None:
    """A form feed ends no line: the comment below it is the one that goes, and the difference is a patch, without a last newline too."""
    wrong = HELLO.replace("class", "\f\nclass") + "\n\nif __name__ == '__main__':\n    HelloFlow()  # flowc: ignore[FC305]"
    (here / "hello.py").write_text(wrong)
    patch = flowc("fix", "hello.py", "--diff", code=1).stdout
    flowc("fix", "hello.py")
    mended = (here / "hello.py").read_text()
    assert mended == wrong.replace("  # flowc: ignore[FC305]", "")
    (here / "hello.py").write_text(wrong)
    subprocess.run(["git", "apply"], input=patch, text=True, check=True)
    assert (here / "hello.py").read_text() == mended


def test_a_page_of_a_file_with_an_odd_name(here: Path) -> None:
    """A mark that turns the order of letters around is shown as its escape wherever the page names the file."""
    name = "x\u202eyp.py"
    (here / "hello.py").rename(here / name)
    page = flowc("graph", name, "--format", "html").stdout
    assert "\u202e" not in page
    assert "x\\u202eyp.py" in page


@pytest.mark.parametrize("address", ['https://x.example/a"b', "https://x.example/$(id)", "https://x.example/`id`", "a b"])
def test_init_refuses_addresses_that_a_shell_reads(here: Path, address: str) -> None:
    """The address of flowc becomes a word of CI's shell, so what would not be one word there is refused."""
    assert "no address has spaces" in flowc("init", "--yes", "--ci", "github", "--repository", address, code=2).stderr
    assert not (here / ".github").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("compile", "--target", "argo"),
        ("apply", "--target", "argo"),
        ("graph",),
        ("graduate", "--retry", "2"),
        ("run",),
    ],
)
def test_one_flow_is_one(here: Path, command: tuple[str, ...]) -> None:
    """A command for one flow takes neither a pattern of several files nor a file of several flows, and says what to name."""
    (here / "two.py").write_text(HELLO + HELLO.replace("HelloFlow", "Other").partition("\n\n\n")[2].join(["\n\n", ""]))
    assert "names 2 files; " in flowc(command[0], "*.py", *command[1:], code=2).stderr
    said = flowc(command[0], "two.py", *command[1:], code=2).stderr
    assert "two.py holds the flows HelloFlow, Other; name one: two.py:HelloFlow" in said
