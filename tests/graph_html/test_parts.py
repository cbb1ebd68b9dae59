"""Which piece of an output carries which step: every piece is found where it says, and every step has one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from reading import reading

from flowc import graph, target
from flowc.compiler import compile_flow
from flowc.settings import Settings

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures").glob("*/flow.py"))
SETTINGS = {"events_event": "flow", "events_event_source": "webhook", "events_service_account": "argo-events"}
WORD = re.compile(r"\[([^\]]+)\]|\.?([^.\[]+)")
CARRIED = {"argo": 8, "kubernetes": 8, "step-functions": 5}
"""How many of the fixtures a target must be able to carry for the tests to say something."""


def found(value: Any, place: str) -> Any:
    """What stands at a place like `spec.templates[train].container`; a text that is JSON is read."""
    for key, word in WORD.findall(place):
        name = key or word
        if isinstance(value, str):
            value = json.loads(value)
        if isinstance(value, list):
            (value,) = [value[int(name)]] if name.isdigit() else [item for item in value if item["name"] == name]
        else:
            value = value[name]
    return json.loads(value) if isinstance(value, str) else value


def bare(value: Any) -> Any:
    """Without what a piece leaves out: states in states, and templates and entries of steps."""
    if isinstance(value, Mapping):
        left = {"States", "Branches", "ItemProcessor", "templates", "Resources", "steps", "jobs", "Definition"}
        return {key: bare(item) for key, item in value.items() if key not in left}
    return [bare(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("form", ["cloudformation", "asl"])
@pytest.mark.parametrize("name", target.names())
def test_pieces_stand_where_they_say(name: str, form: str) -> None:
    """In every fixture that the target can carry, each piece is that of its place, and each step has at least one."""
    settings, carried = Settings(**SETTINGS, format=form), 0  # type: ignore[arg-type]
    for path in FIXTURES:
        for flow in reading(path.read_text()).flows:
            shape = graph.build(flow)
            try:
                done = compile_flow(flow, shape, name, settings)
            except KeyError:  # `wrong`: a flow that does not pass the checks
                continue
            objects = {each.file: each.object for each in done.artifacts}
            if not objects:
                continue
            carried += 1
            parts = list(target.load(name).parts(flow, shape, settings, objects))
            assert {part.step for part in parts} - {None} == set(shape.order), path
            for part in parts:
                assert bare(part.value) == bare(found(objects[part.file], part.place)), (path, part.place)
    assert carried >= CARRIED[name]


def test_a_target_need_not_tell_steps_apart() -> None:
    """What a target says without a word on its parts is that all objects are the flow's."""
    flow = reading(FIXTURES[0].read_text()).flows[0]
    parts = list(target.whole(flow, graph.build(flow), Settings(), {"a.yaml": {"kind": "A"}, "b.yaml": {"kind": "B"}}))
    assert [(part.step, part.file, part.value["kind"]) for part in parts] == [(None, "a.yaml", "A"), (None, "b.yaml", "B")]
