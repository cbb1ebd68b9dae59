"""Generated flows become objects that their schemas and flowc's rules accept, whatever the settings; one change breaks most of them."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stepfunctions.generated import CHOSEN, compiled
from strategies import FlowText, flows

from flowc.deployment.validate import violations
from flowc.diagnostics import has_errors
from flowc.targets.step_functions.rules_machine import problems, states

EXAMPLES = int(os.environ.get("FLOWC_EXAMPLES", "25"))
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
PLACES = ("Next", "StartAt", "Default", "Key.$", "ItemsPath", "Variable", "Resource", "JobName", "CausePath")


@MANY
@given(flows(budget=20), CHOSEN)
def test_what_is_written_is_accepted(made: FlowText, chosen: dict[str, Any]) -> None:
    """No generated flow is a bug of flowc's, which is what an object that breaks a schema or a rule would be."""
    done = compiled(made.text, chosen)
    assert not has_errors(list(done.diagnostics)), done.diagnostics
    assert done.artifacts


def holders(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every field of a machine that names something, with the object that it is in."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in PLACES and isinstance(inner, str):
                yield value, key
            yield from holders(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from holders(inner)


@MANY
@given(flows(budget=20), CHOSEN, st.integers(0, 1 << 16))
def test_what_is_broken_is_refused(made: FlowText, chosen: dict[str, Any], seed: int) -> None:
    """A name or path that leads nowhere, and a state without its end, are refused in any machine."""
    (machine,) = [each.object for each in compiled(made.text, {**chosen, "format": "asl"}).artifacts if "StartAt" in each.object]
    assert judged(machine) == []
    chance = random.Random(seed)
    broken = copy.deepcopy(dict(machine))
    holder, key = chance.choice([(h, k) for h, k in holders(broken) if k != "JobName"])
    holder[key] = {"Key.$": "$.nowhere.x", "ItemsPath": "$.nowhere", "Variable": "$.nowhere", "CausePath": "$.nowhere"}.get(key, "nowhere")
    assert judged(broken), (key, holder)
    broken = copy.deepcopy(dict(machine))
    _, state = chance.choice([each for each in states(broken) if {"Next", "End"} & each[1].keys()])
    for field in ("Next", "End"):
        dict.pop(state, field, None)  # type: ignore[arg-type]
    assert judged(broken), state


def judged(machine: Mapping[str, Any]) -> list[Any]:
    return violations("step-functions/asl.json#StateMachine", machine) or problems(machine, {})
