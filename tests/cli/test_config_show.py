"""Facts about `flowc config show` and `schema`: each setting with its origin, in a form that is a settings file again."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from cli.running import flowc
from cli.test_config import ENVIRONMENTS, _toml

from flowc.config import OPTIONS, PROJECT, parse
from flowc.config import _toml as _toml_reader

SETTINGS = """\
flows = ["*.py"]
image = "a"
max-workers = 3

[labels]
team = "x"

[env.prod]
image = "b"
labels = { tier = "high" }
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text(SETTINGS)
    return tmp_path


def test_each_setting_and_its_origin(here: Path) -> None:
    """File and line, environment, flag, or default; a merged table names all of its origins."""
    assert [line.split("  # ") for line in flowc("config", "show").stdout.splitlines()] == [
        ['flows = ["*.py"]'.ljust(25), "flowc.toml:1"],
        ['image = "a"'.ljust(25), "flowc.toml:2"],
        ['labels = { "team" = "x" }', "flowc.toml:5"],
        ["max-workers = 3".ljust(25), "flowc.toml:3"],
    ]
    told = {key: each["origin"] for key, each in json.loads(flowc("config", "show", "--env", "prod", "--label", "a=b", "--as", "json").stdout).items()}
    assert told.pop("flows") == "flowc.toml:1"
    assert told == {"image": "flowc.toml:9 (env.prod)", "labels": "flowc.toml:5, flowc.toml:10 (env.prod), flag", "max-workers": "flowc.toml:3"}
    every = json.loads(flowc("config", "show", "--all", "--as", "json").stdout)
    assert set(every) == {option.key for option in OPTIONS} | set(PROJECT)
    assert every["out"] == {"value": "manifests", "origin": "default"}
    assert every["owner"] == {"value": "flowc", "origin": "default"}


def test_a_table_of_an_environment_that_stands_below_others_is_found(here: Path) -> None:
    """The line is that of the table itself, however many tables stand between it and the environment's own keys."""
    text = '[env.prod]\nout = "p"\n\n[labels]\na = "b"\n\n[env.prod.labels]\na = "c"\n\n[env.test.labels]\na = "d"\n'
    (here / "flowc.toml").write_text(text)
    for env, origin in (("prod", "flowc.toml:4, flowc.toml:7 (env.prod)"), ("test", "flowc.toml:4, flowc.toml:10 (env.test)")):
        shown = json.loads(flowc("config", "show", "--env", env, "--as", "json").stdout)
        assert shown["labels"]["origin"] == origin
    assert json.loads(flowc("config", "show", "--env", "prod", "--as", "json").stdout)["out"] == {"value": "p", "origin": "flowc.toml:2 (env.prod)"}


def test_a_file_of_windows(here: Path) -> None:
    """A byte order mark and carriage returns are no part of what is said."""
    (here / "flowc.toml").write_bytes(b"\xef\xbb\xbf" + SETTINGS.replace("\n", "\r\n").encode())
    shown = json.loads(flowc("config", "show", "--env", "prod", "--as", "json").stdout)
    assert shown["flows"] == {"value": ["*.py"], "origin": "flowc.toml:1"}
    assert shown["image"] == {"value": "b", "origin": "flowc.toml:9 (env.prod)"}


def test_config_alone_shows(here: Path) -> None:
    """`flowc config`, with flags or a folder or neither, is `flowc config show`; a word that is neither folder nor command is refused."""
    (here / "sub").mkdir()
    for arguments in ([], ["--env", "prod"], ["sub"]):
        assert flowc("config", *arguments).stdout == flowc("config", "show", *arguments).stdout != ""
    assert "Commands:" in flowc("config", "--help").stdout
    assert "no such folder" in flowc("config", "shew", code=2).stderr


def test_what_is_shown_is_a_settings_file(here: Path) -> None:
    """The text parses as settings of the same meaning, as does the text of all settings."""
    for arguments in ([], ["--env", "prod"], ["--all"]):
        shown = flowc("config", "show", *arguments).stdout
        env = "prod" if arguments == ["--env", "prod"] else None
        kept = {name: value for name, value in (parse(shown, "flowc.toml") or {}).items() if name in (parse(SETTINGS, "flowc.toml", env) or {})}
        assert kept == parse(SETTINGS, "flowc.toml", env)


def test_a_key_is_not_shown(here: Path) -> None:
    """A literal key, which the log of a CI job would keep, is told as set; what only says where a key is, and the production token, are shown."""
    flags = ("--notify-slack-webhook-url", "https://hooks.example.com/T0", "--notify-incident-io-api-key", "secret:incident/key")
    for form in ("toml", "json"):
        shown = flowc("config", "show", *flags, "--production-token", "hello-0-abcd", "--as", form).stdout
        assert "set; not shown here" in shown
        assert "secret:incident/key" in shown
        assert "hello-0-abcd" in shown
        assert "hooks.example.com" not in shown


def test_the_schema_takes_what_the_reader_takes() -> None:
    """Every setting in its form passes, in an environment too; unknown keys and wrong kinds do not."""
    loads, _ = _toml_reader()
    schema = json.loads(flowc("config", "schema").stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    judge = jsonschema.Draft7Validator(schema)
    for option in OPTIONS:
        for text in (_toml(option), "[env.prod]\n" + _toml(option)):
            assert list(judge.iter_errors(loads(text))) == [], option.key
    assert list(judge.iter_errors(loads(ENVIRONMENTS))) == []
    for wrong in ({"imag": "x"}, {"image": 5}, {"env": {"prod": {"imag": "x"}}}, {"max-workers": 0}, {"argo-version": "2"}, {"flows": "x"}):
        assert list(judge.iter_errors(wrong)), wrong


def test_a_folder_of_templates_is_shown_by_its_path(here: Path) -> None:
    """It is that of the settings of the folder asked for, from wherever the question comes."""
    (here / "team" / "ours").mkdir(parents=True)
    (here / "team" / "ours" / "a.j2").write_text("a: 1\n")
    (here / "team" / "flowc.toml").write_text('templates = "ours"\n')
    told = json.loads(flowc("config", "show", "team", "--as", "json").stdout)
    assert told["templates"]["value"] == "team/ours"
