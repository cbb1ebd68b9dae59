"""Facts about output that somebody damaged: it is told what differs, or that the output is not Metaflow's; nothing else happens."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from compare import flows, made
from compare.made import ARGO, STATES

from flowc.commands import compare as command
from flowc.commands.files import PathError
from flowc.comparison.compare import compare
from flowc.comparison.pods import quantity
from flowc.comparison.step_functions_states import SUBMIT
from flowc.report.comparison import render

JUNK = (
    None, 0, -1, 1.5, True, "", "x", "{{x}}", "(a && ", "a.Succeeded || (b", "'", "5Gi", [], [1], ["a"], [[{}]], [{"name": 3}],
    [{"name": "end", "template": "end"}], {}, {"a": 1}, {"name": []},
)  # fmt: skip


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a document, but the whole."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from nodes(item, (*path, key))


def damaged(document: Any, places: list[tuple[Any, ...]], chance: random.Random) -> Any:
    """A copy with something else in one to three places."""
    found = copy.deepcopy(document)
    for *keys, last in chance.sample(places, chance.choice((1, 1, 3))):
        parent = found
        for key in keys:
            parent = parent[key] if (isinstance(parent, dict) and key in parent) or (isinstance(parent, list) and key in range(len(parent))) else {}
        if isinstance(parent, dict) or (isinstance(parent, list) and last in range(len(parent))):
            parent[last] = chance.choice(JUNK)
    return found


@pytest.mark.parametrize(("name", "engine"), [("RICH", ARGO), ("OLD", ARGO), ("BATCH", STATES)])
def test_damaged_output(name: str, engine: str, metaflow: made.Metaflow) -> None:
    """What is read is compared and can be written in every format; what cannot be read is a mistake of usage."""
    text, variables = getattr(flows, name), flows.EVENT_VARIABLES if name == "RICH" else {}
    document = metaflow.only_json(text, engine, **variables)
    new, record = made.ours(text, engine, {"environment": variables, **flows.EVENTS} if variables else {})
    places, chance, read = list(nodes(document)), random.Random(name), 0
    refused = []
    for _ in range(50):
        try:
            old, _ = command.meaning_of(damaged(document, places, chance), engine, "old.json")
        except PathError as error:
            refused.append(str(error))
            continue
        read += 1
        found = compare(old, new, record)
        assert found.same == (not found.changes and not found.not_compared)
        assert json.loads(render(found, "old → new", "json"))["same"] == found.same
        assert render(found, "old → new", "text")
        assert render(found, "old → new", "markdown")
    assert read > 30
    assert all("--only-json" in message for message in refused)


COMMAND = ["bash", "-c", "x && (python f.py --quiet step start --run-id 1) 1>> >(x)"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"ContainerOverrides": {"Command": ["--hook"]}},
        {"ContainerOverrides": {"Command": ["--hook", "FLOWC_ARCHIVE"]}},
        {"ContainerOverrides": {"Command": COMMAND}, "RetryStrategy": {"Attempts": float("inf")}},
    ],
)
def test_jobs_that_nobody_writes(parameters: Any) -> None:
    """A job without what its command promises, and a number without an end, are no output of Metaflow's."""
    state = {"Type": "Task", "Resource": SUBMIT, "Parameters": parameters, "End": True}
    with pytest.raises(PathError, match="is not as Metaflow writes it"):
        command.meaning_of({"StartAt": "a", "States": {"a": state}}, STATES, "old.json")


def test_a_state_that_says_it_in_jsonata() -> None:
    """`Arguments` are read as `Parameters` are."""
    state = {"Type": "Task", "Resource": SUBMIT, "Arguments": {"ContainerOverrides": {"Command": COMMAND}}, "End": True}
    read, _ = command.meaning_of({"StartAt": "a", "States": {"a": state}}, STATES, "old.json")
    assert list(read.steps) == ["start"]
    assert not read.unread


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_half_a_character(form: str) -> None:
    """Half of a surrogate pair in the output can be written in every format; nobody is named where no owner is."""
    state = {"Type": "Task", "Resource": SUBMIT, "Parameters": {"ContainerOverrides": {"Command": COMMAND}, "Tags": {"a": "\ud800"}}, "End": True}
    old, _ = command.meaning_of({"StartAt": "a", "States": {"a": state}}, STATES, "old.json")
    new, record = made.ours(flows.PLAIN, STATES, {})
    told = render(compare(old, new, record), "old → new", form)
    assert told.encode()
    assert "None compiled" not in told


@pytest.mark.parametrize("amount", ["1e40", "1e999999", "9" * 40 + "G", "1e99999999999999999999"])
def test_amounts_without_measure(amount: str) -> None:
    """What is far too large for an amount stands as it is written."""
    assert quantity("memory", amount) == amount
