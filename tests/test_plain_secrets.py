"""Which variables are told as secrets in plain text, for every target, and that the value itself is never told."""

from __future__ import annotations

import pytest

from flowc.commands.session import FlowFile
from flowc.deployment.plain_secrets import PLAIN
from flowc.deployment.samples import sample
from flowc.settings import Settings

KEYS = {
    "DB_PASSWORD": "hunter2",
    "HF_TOKEN": "x1y2",
    "OPENAI_API_KEY": "k-1",
    "AWS_SECRET_ACCESS_KEY": "abc/def",
    "AWS_SESSION_TOKEN": "q9z",
    "WANDB_APIKEY": "q9z",
    "Secret": "q9z",
    "METAFLOW_SERVICE_HEADERS": '{"x-api-key": "k"}',
    "ID": "AKIAIOSFODNN7EXAMPLE",
    "URL": "postgres://ml:pw@db/x",
    "HEADER": "Authorization: Bearer abcdefgh12",
    "GIT": "ghp_" + "a" * 36,
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\nMII",
    "HOOK": "https://hooks.slack.com/services/T0/B0/x",
}
OPEN = {
    "MAX_TOKENS": "x",
    "TOKENIZERS_PARALLELISM": "false",
    "PAD_TOKEN": "<pad>",
    "MASK_TOKEN": "[MASK]",
    "TOKEN": "",
    "USE_TOKEN": "True",
    "STOP_TOKEN": "2",
    "GOOGLE_APPLICATION_CREDENTIALS": "/var/run/secrets/gcp.json",
    "DB_PASSWORD_FILE": "x",
    "KEY": "monkey",
    "URL": "postgres://db:5432/x?user=ml@example.com",
    "AUTHOR": "secretary",
}


def told(variables: dict[str, str], target: str, *, settings: bool) -> list[tuple[int, str]]:
    """Line and message of each warning; nothing else is wrong with the flow."""
    text = sample() if settings else sample("environment", on_start=f"@environment(vars={variables!r})")
    given = Settings(environment=variables if settings else {}, datastore="s3", datastore_root="s3://b/x", batch_queue="q")
    judged = FlowFile("flow.py", text.encode(), lambda _: None).judged(given, target)
    assert not judged.failed
    return [(each.span.line, each.message) for each in judged.found if each.code is PLAIN and each.span is not None]


@pytest.mark.parametrize("target", ["argo", "kubernetes", "step-functions"])
@pytest.mark.parametrize("settings", [True, False])
def test_what_looks_secret_is_told(target: str, settings: bool) -> None:
    """Each variable by its name, at the flow for those of the settings, at the decorator for a step's; no value stands in a message."""
    for name, value in KEYS.items():
        ((line, message),) = told({name: value}, target, settings=settings)
        assert (line, f"the variable {name} of" in message) == (4 if settings else 5, True)
        assert value not in message


@pytest.mark.parametrize("target", ["argo", "kubernetes", "step-functions"])
@pytest.mark.parametrize("settings", [True, False])
def test_what_is_none_is_not_told(target: str, settings: bool) -> None:
    """Paths, numbers, switches, tokens of language models, and names that only contain such a word."""
    assert told(OPEN, target, settings=settings) == []
