"""Facts about the settings that `flowc compare` suggests: with them in place, nothing differs that a setting can decide."""

from __future__ import annotations

from typing import Any

import pytest
from compare import flows, made
from compare.made import ARGO, STATES

from flowc import config
from flowc.comparison.compare import Comparison, masked
from flowc.meaning import Change
from flowc.report.comparison import render

BASES: dict[str, dict[str, Any]] = {ARGO: {"datastore": None, "datastore_root": None, "namespace": None}, STATES: {"use_distributed_map": True}}


def pasted(found: Comparison) -> dict[str, Any]:
    """The settings as somebody pastes them from the text, by field."""
    text = render(found, "old → new", "text")
    assert "[tool.flowc]" in text
    return dict(config.parse("[tool.flowc]" + text.partition("[tool.flowc]")[2], "pyproject.toml") or {})


CASES: dict[str, tuple[str, str, tuple[str, ...], dict[str, str], dict[str, Any]]] = {
    "nothing set": (flows.PLAIN, ARGO, (), {}, {}),
    "much set": (
        flows.RICH,
        ARGO,
        ("--tag", "a", "--max-workers", "7", "--workflow-timeout", "900", "--workflow-priority", "3", "--workflow-title", 'A "title"'),
        {
            **flows.EVENT_VARIABLES,
            "METAFLOW_KUBERNETES_SECRETS": "common,more",
            "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "robot",
            "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "registry.example.com/base:1",
            "METAFLOW_KUBERNETES_IMAGE_PULL_POLICY": "Always",
            "METAFLOW_S3_ENDPOINT_URL": "",
            "METAFLOW_SERVICE_URL": "http://metadata:8080",
            "METAFLOW_KUBERNETES_NAMESPACE": "ml",
            "METAFLOW_DEFAULT_MONITOR": "debugMonitor",
        },
        flows.EVENTS,
    ),
    "step functions": (flows.BATCH, STATES, ("--max-workers", "5"), {"METAFLOW_DATATOOLS_S3ROOT": "s3://other/data"}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_pasted_settings_make_the_outputs_mean_the_same(name: str, metaflow: made.Metaflow) -> None:
    """What the text says is put into a settings file: then nothing differs any more, and no setting is suggested."""
    text, engine, options, variables, known = CASES[name]
    old = metaflow.only_json(text, engine, *options, **variables)
    before = made.compared(old, text, engine, **{**BASES[engine], **known})
    assert not before.same
    after = made.compared(old, text, engine, **{**BASES[engine], **known, **pasted(before)})
    assert made.told(after) == {}
    assert not after.suggestion.values


def test_tables_keep_what_they_have(metaflow: made.Metaflow) -> None:
    """A suggested table holds what the settings have already, since TOML takes a key once."""
    old = metaflow.only_json(flows.PLAIN, ARGO, METAFLOW_KUBERNETES_LABELS="team=ads")
    found = made.compared(old, flows.PLAIN, labels={"area": "x"})
    assert found.suggestion.values == {"labels": {"area": "x", "team": "ads"}}


def test_what_one_step_says_is_no_setting(metaflow: made.Metaflow) -> None:
    """A value that a decorator decides is no matter of settings: for all steps it would be wrong."""
    old = metaflow.only_json(flows.RICH, ARGO, **flows.EVENT_VARIABLES)
    changed = flows.RICH.replace("train:1.2", "train:1.3").replace('"y": "1e3"', '"y": "2"').replace('"db", "api"', '"db"')
    found = made.compared(old, changed, environment=flows.EVENT_VARIABLES, **flows.EVENTS)
    assert len(found.changes) == 3
    assert not found.suggestion.values


def test_secrets_are_no_settings(metaflow: made.Metaflow) -> None:
    """A header with a key is not printed, and not suggested as a setting: a Secret is."""
    old = metaflow.only_json(flows.PLAIN, ARGO, METAFLOW_SERVICE_HEADERS='{"x-api-key": "hunter2"}')
    found = made.compared(old, flows.PLAIN)
    assert made.told(found) == {"every step env METAFLOW_SERVICE_HEADERS": ("(hidden)", None)}
    assert not found.suggestion.values
    assert "secrets = " in found.suggestion.remarks[0]
    assert all("hunter2" not in render(found, "old → new", form) for form in ("text", "markdown", "json"))


def test_addresses_with_passwords(metaflow: made.Metaflow) -> None:
    """An address that holds a password is printed without it, and is no value of a setting either."""
    known = {"METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_SERVICE_URL": "http://me:hunter2@metadata:8080"}
    old = metaflow.only_json(flows.PLAIN.replace("FlowSpec, step", "FlowSpec, environment, step").replace(
        "    @step\n    def", '    @environment(vars={"PROXY": "http://me:hunter2@proxy"})\n    @step\n    def'
    ), ARGO, top=("--metadata", "service", "--with", "kubernetes"), **known)  # fmt: skip
    found = made.compared(old, flows.PLAIN)
    assert made.told(found)["every step metadata"] == ("service@http://(hidden)@metadata:8080", "local")
    assert made.told(found)["every step env PROXY"] == ("http://(hidden)@proxy", None)
    assert len(found.suggestion.remarks) == 2
    assert all("hunter2" not in render(found, "old → new", form) for form in ("text", "markdown", "json"))


@pytest.mark.parametrize(
    ("path", "before", "hidden"),
    [
        (("steps", "tokenize", "image"), "a:1", "a:1"),
        (("steps", "tokenize", "env", "API_TOKEN"), "hunter2", "(hidden)"),
        (("steps", "start", "env", "TOKENIZERS_PARALLELISM"), "false", "false"),
        (("every step", "annotations", "x-api-key"), "hunter2", "(hidden)"),
        (("every step", "env", "DB_PWD"), "hunter2", "(hidden)"),
        (("every step", "env", "PWD_OF_DB"), "hunter2", "(hidden)"),
        (("steps", "start", "secrets"), ["name"], ["name"]),
        (("steps", "start", "config_values", "db", "secrets"), "hunter2", "(hidden)"),
        (("parameters", "secrets"), {"default": "hunter2"}, "(hidden)"),
        (("hooks", "on_auth", "image"), "a:1", "a:1"),
        (
            ("steps", "start"),
            {"secrets": ["name"], "env": {"API_TOKEN": "hunter2"}, "config_values": {"tokens": ["hunter2"], "secrets": "hunter2"}},
            {"secrets": ["name"], "env": {"API_TOKEN": "(hidden)"}, "config_values": {"tokens": "(hidden)", "secrets": "(hidden)"}},
        ),
    ],
)
def test_what_is_hidden(path: tuple[str, ...], before: Any, hidden: Any) -> None:
    """Values are hidden by the names that lead to them, but for names of steps and hooks; names of Secrets are no secrets."""
    assert masked(Change(path, before, None)).before == hidden


def test_a_description_with_a_password(metaflow: made.Metaflow) -> None:
    """What is hidden among the changes is no value of a setting of the whole either."""
    old = metaflow.only_json(flows.PLAIN, ARGO)
    old["metadata"]["annotations"]["workflows.argoproj.io/description"] = "see http://me:hunter2@wiki"
    old["metadata"]["annotations"].setdefault("workflows.argoproj.io/title", "Plain")
    found = made.compared(old, flows.PLAIN)
    assert "description holds what looks secret, so it is no setting here" in found.suggestion.remarks
    assert all("hunter2" not in render(found, "old → new", form) for form in ("text", "markdown", "json"))


def test_notifications(metaflow: made.Metaflow) -> None:
    """A notification becomes settings, with its address in a Secret; with them nothing differs, and the address is never printed."""
    options = ("--notify-on-error", "--notify-slack-webhook-url", "https://hooks.slack.com/services/T/B/hunter2")
    old = metaflow.only_json(flows.PLAIN, ARGO, *options)
    found = made.compared(old, flows.PLAIN)
    assert [change.path for change in found.changes] == [("hooks", "notify-slack-on-error")]
    assert "hunter2" not in render(found, "old → new", "json")
    assert made.told(made.compared(old, flows.PLAIN, **pasted(found))) == {}
