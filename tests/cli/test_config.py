"""Facts about settings: flag, key of [tool.flowc] and field of Settings are one table, and a settings file is read strictly."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from flowc.commands.files import texts_below
from flowc.commands.options import Source, given, with_settings
from flowc.config import OPTIONS, Option, Project, SettingsError, parse, project
from flowc.settings import Settings


def _toml(option: Option) -> str:
    """A line that sets the option to something else than its default."""
    if option.kind == "switch":
        return f"{option.key} = {'false' if getattr(Settings(), option.field) else 'true'}"
    if option.kind == "integer":
        return f"{option.key} = 7"
    if option.kind == "list":
        return f'{option.key} = ["a", "b"]'
    if option.kind in ("json", "json pairs"):
        return f'{option.key} = {{ "a.b" = [1, {{ c = "d" }}] }}'
    if option.kind in ("map", "pairs"):
        return f'{option.key} = {{ a = "b" }}'
    if option.kind == "overlays":
        return f'{option.key}.a = {{ kind = "Pod", patch = {{ spec = {{ priorityClassName = "high" }} }} }}'
    if option.kind == "folder":
        return f'{option.key} = "{Path(__file__).parent / "snapshots"}"'
    return f"{option.key} = {json.dumps(option.choices[-1] if option.choices else 'text')}"


def _flags(option: Option, value: Any) -> list[str]:
    """The flags that say the same."""
    positive, _, negative = option.flags.partition("/")
    if option.kind == "switch":
        return [positive if value else negative]
    if option.kind == "pairs":
        return [word for name, path in value.items() for word in (positive, name, path)]
    if option.kind == "json pairs":
        return [word for name, data in value.items() for word in (positive, name, json.dumps(data))]
    if option.kind == "list":
        return [word for item in value for word in (positive, item)]
    if option.kind == "map":
        return [word for name, text in value.items() for word in (positive, f"{name}={text}")]
    if option.kind == "json":
        return [word for name, data in value.items() for word in (positive, f"{name}={json.dumps(data)}")]
    return [positive, str(value)]


def _settings(*arguments: str) -> Settings:
    seen = []

    @click.command()
    @with_settings
    def command(**flags: Any) -> None:
        seen.append(Source(given(flags), flags["settings"], flags["isolated"], flags["env"]).near("")[0])

    CliRunner().invoke(command, list(arguments), catch_exceptions=False, standalone_mode=False)
    return seen[0]


def test_table_is_settings() -> None:
    """Every field of Settings has one row of the table, and every row is a field."""
    assert sorted(option.field for option in OPTIONS) == sorted(field.name for field in fields(Settings))
    assert len({option.flags for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_reachable(option: Option) -> None:
    """Each setting can be given in a file and by a flag, to the same effect, which differs from the default."""
    values = parse(_toml(option), "flowc.toml")
    assert values is not None
    given = {name: texts_below(value) if option.kind == "folder" else value for name, value in values.items()}
    by_file = Settings(**given)
    if not option.flags:  # what is too much for a flag
        assert getattr(by_file, option.field) != getattr(Settings(), option.field)
        return
    by_flag = _settings("--isolated", *_flags(option, values[option.field]))
    assert getattr(by_flag, option.field) == getattr(by_file, option.field) != getattr(Settings(), option.field)
    others = [field.name for field in fields(Settings) if field.name != option.field]
    assert all(getattr(by_flag, name) == getattr(Settings(), name) for name in others)


def test_no_flags_are_the_defaults() -> None:
    """Without a flag and without a file, Settings are the defaults."""
    assert _settings("--isolated") == Settings()


def test_pyproject_without_flowc_is_none() -> None:
    """A pyproject.toml without [tool.flowc] says nothing, not even that settings are empty."""
    assert parse("[tool.ruff]\n", "pyproject.toml") is None
    assert parse("[tool.flowc]\n", "pyproject.toml") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[overlays.a]\nkind = 'Pod'\npatsh = {}", "flowc.toml:1: overlays.a: an overlay has no 'patsh'; did you mean 'patch'?"),
        ("[overlays.a]\nkind = 'Pod'", "flowc.toml:1: overlays.a: the overlay has no `patch`"),
        ("[overlays.a]\nkind = 'Pod'\nsteps = []\npatch = {}", "flowc.toml:1: overlays.a: an empty list matches nothing; without the key all are meant"),
        ("[overlays.a]\nkind = 'Sensor'\nsteps = ['x']\npatch = {}", "flowc.toml:1: overlays.a: of a Sensor there is none for a step; `steps` goes with Pod, Job, JobSet, JobDefinition"),
        (
            "[tool.flowc]\nimage = 'x'",
            "flowc.toml: only in pyproject.toml settings stand under tool.flowc; here [tool.flowc.labels] is [labels]",
        ),
        ("image = 1", "flowc.toml:1: image must be a text (in quotes), not 1"),
        ('\nimagee = "x"', "flowc.toml:2: there is no setting 'imagee'; did you mean 'image'?"),
        ("max_workers = 1", "flowc.toml:1: there is no setting 'max_workers'; did you mean 'max-workers'?"),
        ("something-else = 1", "flowc.toml:1: there is no setting 'something-else'"),
        ("argo-version = 3.7", "flowc.toml:1: argo-version must be a text (in quotes), not 3.7"),
        ('argo-version = "3.8"', "flowc.toml:1: argo-version must be one of 3.5, 3.6, 3.7, 4.0, 4.1, not '3.8'; did you mean '3.7'?"),
        ("max-workers = true", "flowc.toml:1: max-workers must be a whole number, not True"),
        ("max-workers = 0", "flowc.toml:1: max-workers must be at least 1, not 0"),
        ("workflow-priority = 2147483648", "flowc.toml:1: workflow-priority must be at most 2147483647, not 2147483648"),
        ("workflow-priority = -2147483648", "flowc.toml:1: workflow-priority must be at least -2147483647, not -2147483648"),
        ('tags = "a"', "flowc.toml:1: tags must be a list of texts, not 'a'"),
        ("tags = [1]", "flowc.toml:1: tags must be a list of texts, not 1"),
        ("rbac = 1", "flowc.toml:1: rbac must be true or false, not 1"),
        ("[labels]\na = 1", "flowc.toml:1: labels.a must be a text, not 1"),
        ('[values]\n"a.b" = 2020-01-01', "flowc.toml:1: values.a.b must be a text, number, boolean, list or table, not a date"),
        ("[values]\na.b = 1", 'flowc.toml:1: values: put the name that starts with a in quotes, as in "a.NAME" = ...'),
        ("image = ", "flowc.toml is no TOML: Invalid value (at end of document)"),
    ],
)
def test_strict(text: str, message: str) -> None:
    """A wrong key, type or value is refused with its place and what would be right."""
    with pytest.raises(SettingsError) as error:
        parse(text, "flowc.toml")
    assert str(error.value) == message


def test_place_in_pyproject() -> None:
    """Keys are found below [tool.flowc], as entries and as tables of their own."""
    text = '[project]\nname = "x"\n\n[tool.flowc]\nnope = 1\n'
    with pytest.raises(SettingsError, match=r"^pyproject.toml:5: there is no setting 'nope'"):
        parse(text, "pyproject.toml")
    with pytest.raises(SettingsError, match=r"^pyproject.toml:1: there is no setting 'lables'; did you mean 'labels'\?"):
        parse('[tool.flowc.lables]\na = "b"\n', "pyproject.toml")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--environment", "A"], "'A' is not NAME=VALUE"),
        (["--value", "a.b=text"], "'text' is no JSON; a text needs quotes of its own: --value 'a.b=\"text\"'"),
        (["--config-value", "c", "text"], "'text' is no JSON; a text needs quotes of its own: --config-value c '\"text\"'"),
        (["--max-workers", "0"], "0 is not in the range x>=1"),
        (["--max-workers", "2147483648"], "max-workers must be at most 2147483647, not 2147483648"),
        (["--argo-version", "2"], "'2' is not one of"),
    ],
)
def test_bad_flags(flags: list[str], message: str) -> None:
    """A flag that is not well formed is a usage error that says how to write it."""
    with pytest.raises(click.UsageError) as error:
        _settings("--isolated", *flags)
    assert message in error.value.format_message()


ENVIRONMENTS = """\
flows = ["flows/*.py"]
image = "a"
labels = { team = "x", tier = "low" }

[env.prod]
image = "b"
labels = { tier = "high" }
out = "deployed"

[env.test]
max-workers = 3
"""


def test_environments() -> None:
    """An environment is laid over the settings: values replace, tables merge name by name; no other environment counts."""
    assert parse(ENVIRONMENTS, "flowc.toml") == {"image": "a", "labels": {"team": "x", "tier": "low"}}
    assert parse(ENVIRONMENTS, "flowc.toml", "prod") == {"image": "b", "labels": {"team": "x", "tier": "high"}}
    assert parse(ENVIRONMENTS, "flowc.toml", "test") == {"image": "a", "labels": {"team": "x", "tier": "low"}, "max_workers": 3}


def test_project() -> None:
    """What is compiled stands beside the settings, and an environment may say otherwise."""
    assert project(ENVIRONMENTS, "flowc.toml") == Project(("flows/*.py",))
    assert project(ENVIRONMENTS, "flowc.toml", "prod") == Project(("flows/*.py",), "deployed")
    assert project("[tool.other]", "pyproject.toml") is None


@pytest.mark.parametrize(
    ("text", "env", "message"),
    [
        (ENVIRONMENTS, "prd", "flowc.toml: there is no environment 'prd'; did you mean 'prod'?"),
        ("image = 'x'", "prod", "flowc.toml: there is no environment 'prod'; a table of that name makes one, and may be empty"),
        (ENVIRONMENTS, "staging-eu", "flowc.toml: there is no environment 'staging-eu'; there are prod, test"),
        ("[env.prod]\nimag = 'x'", None, "flowc.toml:2: there is no setting 'imag'; did you mean 'image'?"),
        ("[env]\nprod = 1", None, "flowc.toml:2: env.prod must be a table of settings, not 1"),
        ("env = 'prod'", None, "flowc.toml:1: env must be a table of tables of settings, not 'prod'"),
        ("[env.prod]\nmax-workers = 0", None, "flowc.toml:2: env.prod: max-workers must be at least 1, not 0"),
    ],
)
def test_strict_environments(text: str, env: str | None, message: str) -> None:
    """A mistake in any environment is found, whichever is asked for."""
    with pytest.raises(SettingsError) as caught:
        parse(text, "flowc.toml", env)
    assert str(caught.value) == message
