"""In: nothing. Out: CASES, the table of what runs on a cluster: which flow, compiled how, submitted with what, and what must come of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

HARD_TEXT = "{{workflow.name}} {{=1+1}} {% x %} $(id) `id` ${HOME} \"double\" 'single' \\n\n- second: line #é ✓\n"
SHARED_STORE = ("--datastore", "local", "--datastore-root", "/datastore", "--datastore-claim", "flowc-shared")


@dataclass(frozen=True, slots=True)
class Case:
    """One run. `flow` is a file of flows/, `parameters` are given at submission and on the laptop, `flags` go to `flowc compile`.

    `phase` is the workflow's end. `artifacts` is `laptop` (equal to a laptop's run, save those named in `differ`), or what they must
    be where a laptop cannot run the flow: step -> name -> value, of each of the step's tasks. `core` cases are run by `make e2e`;
    with `control`, Metaflow's own manifest of the flow runs beside it. `submitted` is what Argo is given where that is not
    `parameters` as they are. `nodes` must be among the workflow's nodes, as parts of their display names, with that phase.
    `store` is where a cluster's pods keep artifacts: `s3`, `shared` (a volume), or `any`, which is the one or the other: see `settled`.
    """

    name: str
    flow: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    submitted: Mapping[str, str] | None = None
    flags: tuple[str, ...] = ()
    phase: str = "Succeeded"
    artifacts: str | Mapping[str, Mapping[str, Any]] = "laptop"
    differ: tuple[str, ...] = ()
    core: bool = False
    control: bool = False
    image: bool = False
    store: str = "any"
    scheduled: bool = False
    nodes: Mapping[str, str] = field(default_factory=dict)


def settled(case: Case, *, volume: bool) -> Case:
    """The case with its store chosen. S3 costs a pod two to three times the CPU: Metaflow starts five more processes a task for it."""
    if case.store == "any":
        return replace(case, store="shared", flags=(*case.flags, *SHARED_STORE)) if volume else replace(case, store="s3")
    return case


CASES: tuple[Case, ...] = (
    Case("params", "params", {"needed": "4"}, store="s3", core=True, control=True),
    Case(
        "params-given",
        "params",
        {"needed": "-1", "count": "9", "rate": "1e3", "label": "x y", "with-dash": "yes", "quick": "true", "shape": '{"rows": 5}', "parts": "q,r", "unset": "null!"},
    ),
    Case("text", "text", core=True),
    Case("text-given", "text", {"note": HARD_TEXT, "n": "n", "size": "0x10", "octal": "null "}, core=True),
    Case("text-json", "text", {"note": HARD_TEXT}, submitted={"note": json.dumps(HARD_TEXT)}),
    Case("branches", "branches", core=True, control=True),
    Case("fan", "fan", {"width": "3"}, core=True, control=True),
    Case("fan-wide", "fan", {"width": "20"}),
    Case("nested", "nested", core=True, control=True),
    Case("switch-short", "switch"),
    Case("switch-long", "switch", {"way": "long"}),
    Case("switch-deep", "switch", {"way": "deep"}, core=True),
    Case("switch-skip", "switch", {"way": "skip"}, core=True),
    Case("switch-in-branches", "switch_in_branches", core=True),
    Case("loop", "loop", core=True),
    Case("loop-in-fan", "loop_in_fan", core=True),
    Case("retries", "retries", core=True, control=True),
    Case("timeout-caught", "timeouts", differ=("failure",), core=True),
    Case("timeout-kills", "timeout_kills", phase="Failed", artifacts={"start": {"before": True}}, core=True, control=True),
    # no control: Argo expands the `{{` that Metaflow leaves in its variables
    Case("surroundings", "surroundings", core=True),
    Case(
        "pod",
        "pod",
        artifacts={
            "start": {"secret": "from the cluster", "scratch": True, "shm": "int 8", "volume": True},
            "plain": {"user": "int 1234"},
            "end": {"secret_here": False},
        },
        store="s3",
        core=True,
    ),
    Case("inherit", "inherit", store="s3", core=True),
    Case("inherit-image", "inherit", image=True, store="s3", core=True),
    Case("inherit-shared", "inherit", flags=SHARED_STORE, store="shared", core=True),
    Case("own-ends", "own_ends", core=True, control=True),
    Case("one-step", "one_step", {"base": "41"}, core=True),
    Case("gang", "gang", store="s3", core=True, control=True),
    Case("clock", "clock", scheduled=True, core=True),
    Case("hooks-success", "hooks", nodes={"celebrate": "Succeeded"}),
    Case("hooks-error", "hooks", {"fail": "true"}, phase="Failed", artifacts={}, nodes={"mourn": "Succeeded"}, core=True),
)

GRADUATES = (
    *("params", "text", "branches", "fan", "nested", "switch-deep", "switch-in-branches", "loop", "loop-in-fan", "retries"),
    *("timeout-caught", "surroundings", "inherit", "own-ends", "one-step", "gang"),
)
"""The core cases that have meaning on every platform, in the order of docs/platforms.md: a flow each."""

PLATFORMS = ("local", "kubernetes", "batch", "argo", "step-functions")

CORE_AS_JOBS = ("params", "branches", "nested", "switch-deep", "loop-in-fan", "retries", "gang", "one-step")
CORE_ON = {
    "kubernetes": CORE_AS_JOBS,
    "batch": (*CORE_AS_JOBS, "text", "timeout-caught", "surroundings"),
    "step-functions": tuple(name for name in GRADUATES if name not in ("switch-deep", "loop", "own-ends", "one-step")),
}
"""The flows of a column that `make e2e` runs; `make e2e-full` runs all.

On the first two flowc itself leads the run, as it does on `local`, which has all flows: a shape each, and what is Batch's own. Of Step
Functions `make test` and other flows have the rest: a switch that skips, a switch in branches, a loop in a foreach, a flow of one step.
"""

REFUSED: dict[tuple[str, str], str] = {}
"""(case, platform) -> the code with which flowc refuses the flow there."""
