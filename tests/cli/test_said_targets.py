"""Facts about the `targets` of a settings file: `flowc check`, `fix` and `compile FLOW` go by them where no --target is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO, flowc

SUNDAY = HELLO.replace("step\n\n\n", 'schedule, step\n\n\n@schedule(cron="0 3 * * 7")\n', 1)
GUARD = '\n\nif __name__ == "__main__":\n    HelloFlow()\n'


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository for Argo with one flow, whose cron line only a target refuses."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text('targets = ["argo"]\n')
    (tmp_path / "flow.py").write_text(SUNDAY + GUARD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("settings", ['targets = ["argo"]\n', 'flows = ["*.py"]\n', '[env.prod]\ntargets = ["argo"]\n'])
def test_check_finds_what_compile_refuses(repository: Path, settings: str) -> None:
    """Where the settings mean a repository or say targets, within an environment too, a check is for them, fresh and kept."""
    (repository / "flowc.toml").write_text(settings)
    env = ["--env", "prod"] if "prod" in settings else []
    for _ in range(2):
        assert "FC420" in flowc("check", "flow.py", *env, code=1).stdout


@pytest.mark.parametrize("settings", ['image = "other"\n', '[env.prod]\ntargets = ["argo"]\n', None])
def test_without_targets_a_check_is_for_none(repository: Path, settings: str | None) -> None:
    """Settings that say neither targets nor flows, and a folder without any, leave a check without a target; --target gives it one."""
    (repository / "flowc.toml").unlink() if settings is None else (repository / "flowc.toml").write_text(settings)
    assert flowc("check", "flow.py").stdout == ""
    assert "FC420" in flowc("check", "flow.py", "--target", "argo", code=1).stdout
    assert flowc("check", "flow.py").stdout == ""


def test_a_target_by_flag_goes_first(repository: Path) -> None:
    """The flag replaces the settings' targets, which are not even loaded; a target that there is not is told."""
    (repository / "flowc.toml").write_text('targets = ["argos"]\n')
    assert "there is no target 'argos'; did you mean" in flowc("check", "flow.py", code=2).stderr
    assert "FC420" in flowc("check", "flow.py", "--target", "argo", code=1).stdout


def test_several_targets_tell_once_what_they_share(repository: Path) -> None:
    """A mistake of the flow itself is reported once, one of a single target too, and a baseline holds each once."""
    (repository / "flowc.toml").write_text('targets = ["argo", "step-functions", "kubernetes"]\n')
    (repository / "flow.py").write_text(BROKEN)
    for flags in ([], [], ["--no-cache"]):
        found = json.loads(flowc("check", "flow.py", "--output-format", "json", *flags, code=1).stdout)
        assert [each["code"] for each in found] == ["FC216"]
    flowc("check", "flow.py", "--write-baseline", "known.json")
    assert (repository / "known.json").read_text().count("FC216") == 1


def test_a_change_of_targets_is_found_by_the_cache(repository: Path) -> None:
    """What was kept for other targets is no answer."""
    (repository / "flowc.toml").write_text('image = "other"\n')
    assert flowc("check", "flow.py").stdout == ""
    (repository / "flowc.toml").write_text('image = "other"\ntargets = ["argo"]\n')
    assert "FC420" in flowc("check", "flow.py", code=1).stdout


def test_settings_of_each_target_count(repository: Path) -> None:
    """Each target is checked with its own table, so what is wrong by one target's settings is found beside the others."""
    (repository / "flow.py").write_text(HELLO)
    (repository / "flowc.toml").write_text('targets = ["argo", "kubernetes"]\n[kubernetes]\nnamespace = "Not A Name"\n')
    assert flowc("check", "flow.py", "--target", "argo").stdout == ""
    alone = flowc("check", "flow.py", "--target", "kubernetes", code=1).stdout
    assert flowc("check", "flow.py", code=1).stdout == alone != ""


def test_fix_mends_for_them(repository: Path) -> None:
    """A cron line that clusters do not read is mended by the settings' targets, and not where there are none; a file named twice counts once."""
    assert "1 mended in 1 of 1 file\n" in flowc("fix", "flow.py", "flow.py").stderr
    assert 'cron="0 3 * * 0"' in (repository / "flow.py").read_text()
    (repository / "flow.py").write_text(SUNDAY + GUARD)
    (repository / "flowc.toml").unlink()
    assert "0 mended in 0 of 1 file\n" in flowc("fix", "flow.py").stderr


def test_one_target_is_that_of_compile(repository: Path) -> None:
    """`flowc compile FLOW` takes the one that the settings say; of several it names them, and without a word it asks."""
    (repository / "flow.py").write_text(HELLO)
    assert flowc("compile", "flow.py").stdout == flowc("compile", "flow.py", "--target", "argo").stdout != ""
    (repository / "flowc.toml").write_text('targets = ["argo", "kubernetes"]\n')
    told = "name one of the targets that flowc.toml says: --target argo or kubernetes"
    assert told in flowc("compile", "flow.py", code=2).stderr
    (repository / "flowc.toml").write_text('flows = ["*.py"]\n')
    assert "name a target: --target argo" in flowc("compile", "flow.py", code=2).stderr


def test_a_file_named_twice_is_one(repository: Path) -> None:
    """A file that several arguments name is checked, counted and reported once."""
    (repository / "flow.py").write_text(HELLO)
    assert "1 flow checked in 1 file\n" in flowc("check", "flow.py", "./flow.py", "*.py").stderr
    assert "1 flow checked in 1 file\n" in flowc("check", "*.py", "flow.py").stderr
    (repository / "none.py").write_text("x = 1\n")
    assert "FC100" in flowc("check", "*.py", "none.py", "none.py", code=1).stdout
    assert flowc("check", "gone.py", "gone.py", code=2).stderr.count("gone.py") == 1


def test_no_environment_asked_for_is_told(repository: Path) -> None:
    """A compile of the base, where there are environments, says what it wrote and which there are; of one it says nothing."""
    (repository / "flow.py").write_text(HELLO)
    (repository / "flowc.toml").write_text('flows = ["*.py"]\n[env.dev]\nout = "dev"\n[env.prod]\nout = "prod"\n')
    note = "flowc: note: manifests (argo) is of no environment; flowc.toml has dev, prod: flowc compile --env dev\n"
    assert flowc("compile").stderr.endswith(note)
    assert "note" not in flowc("compile", "--env", "prod").stderr
    assert "flowc: 1 flow is current in prod\n" in flowc("compile", "--env", "prod", "--check").stderr
    (repository / "flowc.toml").write_text('flows = ["*.py"]\n')
    assert "note" not in flowc("compile").stderr
