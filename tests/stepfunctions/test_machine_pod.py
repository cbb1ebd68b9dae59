"""What a job of a state machine is told, read by the bootstrap: the execution's input, its place, the node of a gang."""

from __future__ import annotations

import json
from types import SimpleNamespace
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


class _Nodes:
    """A datastore in which one more node of the gang has finished at each look, as far as `able` of them do."""

    def __init__(self, able: int) -> None:
        self.looks, self.able = 0, able

    def done(self, tasks: list[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
        self.looks += 1
        assert tasks == [("train", "train-7-1"), ("train", "train-7-2")]
        return {task: [] for task in tasks[: min(self.looks - 1, self.able)]}


@pytest.mark.parametrize(("able", "fails"), [(2, False), (1, True)])
def test_the_main_node_waits_for_the_others(able: int, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch stops all nodes when the first ends: so it stays until the others have finished, or ten minutes have passed."""
    now = [0.0]
    monkeypatch.setattr(bootstrap.time, "time", lambda: now[0])
    monkeypatch.setattr(bootstrap.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setenv("MF_WORLD_SIZE", "3")
    nodes, place = _Nodes(able), SimpleNamespace(step="train", path="7-0")
    if fails:
        with pytest.raises(bootstrap.PodError, match="train"):
            bootstrap.wait(place, nodes)
        assert 600 <= now[0] < 610
    else:
        bootstrap.wait(place, nodes)
        assert nodes.looks == 3
