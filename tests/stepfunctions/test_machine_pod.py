"""What a job of a state machine is told, read by the bootstrap: the execution's input, its place, the node of a gang."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowc import bootstrap

DECLARED = {"alpha": "", "text": "n", "many": "m", "grid": "n", "flag": ""}


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, []),
        ({"Parameters": {}}, []),
        ({"Parameters": "{}", "detail": {"x": 1}}, []),
        (None, []),
        ({"Parameters": '{"alpha": 0.5, "flag": true}'}, ["--alpha=0.5", "--flag=true"]),
        ({"Parameters": {"alpha": 0.5, "unknown": 1}}, ["--alpha=0.5"]),
        ({"Parameters": {"text": "null"}}, ["--text=null"]),
        ({"Parameters": {"text": None, "alpha": None}}, []),
        ({"Parameters": {"text": '"quoted" 1e3', "alpha": "1e3"}}, ['--text="quoted" 1e3', "--alpha=1e3"]),
        ({"Parameters": {"many": ["a b", ""], "grid": [1, {"b": "c"}]}}, ["--many=a b", "--many=", '--grid=[1, {"b": "c"}]']),
        ({"Parameters": {"grid": '{"b": 1}'}}, ['--grid={"b": 1}']),
    ],
)
def test_the_execution_input_gives_the_parameters(given: Any, options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`{"Parameters": ...}` with an object or, as `step-functions trigger` sends it, its JSON; each value is what it is; none is no value."""
    monkeypatch.setenv("FLOWC_DECLARED", json.dumps(DECLARED))
    monkeypatch.setenv("FLOWC_INPUT", json.dumps(given))
    assert bootstrap.parameters() == options


def test_place_and_round_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLOWC_PATH and FLOWC_ROUND stand for --path and --round, and the attempt is Batch's."""
    monkeypatch.setenv("FLOWC_PATH", "3-0")
    monkeypatch.setenv("FLOWC_ROUND", "2")
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "3")
    told = bootstrap.parsed(["work", "--from=a"])
    assert (told.path, told.round, told.attempt) == ("3-0", "2", 2)
