"""Facts about what differs in a state machine: each change to Metaflow's output is told as that change and as nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from compare import flows, made
from compare import test_changes as changed
from compare.made import STATES

Change = tuple[Any, Any]


def job(old: Any, name: str) -> Any:
    """The parameters of the state of that name, wherever it is."""

    def found(machine: Any) -> Any:
        for key, state in machine["States"].items():
            if key == name:
                return state["Parameters"]
            for inner in [*state.get("Branches", ()), *([state["Iterator"]] if "Iterator" in state else ())]:
                hit = found(inner)
                if hit is not None:
                    return hit
        return None

    return found(old)


def said(old: Any, name: str, key: str, value: str) -> None:
    """A variable of a job."""
    job(old, name)["ContainerOverrides"]["Environment"].append({"Name": key, "Value": value})


STATE_CASES: dict[str, tuple[Callable[[Any], Any], dict[str, Change]]] = {
    "memory": (
        lambda o: changed.put(job(o, "right"), "ContainerOverrides", "ResourceRequirements", [{"Type": "VCPU", "Value": "1"}, {"Type": "MEMORY", "Value": "1"}]),
        {"steps right memory": ("1 MB", "4096 MB")},
    ),
    "gpu": (
        lambda o: job(o, "right")["ContainerOverrides"]["ResourceRequirements"].append({"Type": "GPU", "Value": "1"}),
        {"steps right resources GPU": ("1", None)},
    ),
    "variable": (lambda o: said(o, "right", "MODE", "slow"), {"steps right env MODE": ("slow", None)}),
    "secret": (lambda o: said(o, "right", "API_TOKEN", "t"), {"steps right env API_TOKEN": ("(hidden)", None)}),
    "retries": (lambda o: changed.put(job(o, "left"), "RetryStrategy", {"Attempts": 1}), {"steps left retries": (0, 2)}),
    "time limit": (lambda o: changed.put(job(o, "left"), "Timeout", {"AttemptDurationSeconds": 60}), {"steps left timeout_seconds": (60, 7200)}),
    "tags": (lambda o: changed.put(job(o, "right"), "Tags", {"team": "a"}), {"steps right tags_of_jobs team": ("a", None)}),
    "an arrow": (
        lambda o: changed.put(o["States"]["meet"], "Next", "elsewhere") or changed.put(o["States"], "elsewhere", {"Type": "Succeed"}),
        {"steps end runs_after": ("never", "meet")},
    ),
    "limit of the run": (lambda o: changed.put(o, "TimeoutSeconds", 60), {"flow timeout_seconds": (60, None)}),
    "default": (lambda o: changed.everywhere(o, '{\\"rate\\": 0.5}', '{\\"rate\\": 0.75}'), {"parameters rate default": (0.75, 0.5)}),
}  # fmt: skip


@pytest.mark.parametrize("name", STATE_CASES)
def test_each_change_of_a_state_machine(name: str, metaflow: made.Metaflow) -> None:
    """On Step Functions too, a change of one field is told as that change, and nothing else is."""
    change, expected = STATE_CASES[name]
    old = metaflow.only_json(flows.BATCH, STATES)
    change(old)
    assert made.told(made.compared(old, flows.BATCH, STATES)) == expected


def test_states_that_nobody_knows(metaflow: made.Metaflow) -> None:
    """A state that calls another service, and fields that Batch would take, are named."""
    old = metaflow.only_json(flows.BATCH, STATES)
    old["States"]["notify"] = {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Next": "end"}
    job(old, "right")["ArrayProperties"] = {"Size": 3}
    found = made.compared(old, flows.BATCH, STATES)
    assert set(found.not_compared) == {"states.notify", "states.right.ArrayProperties.Size"}
