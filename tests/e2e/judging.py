"""In: a Case and the Outcome of its run. Out: what differs from how the flow ends on a laptop, as text; empty where nothing does."""

from __future__ import annotations

import json
from typing import Any

from e2e import laptop
from e2e.cases import Case
from e2e.runs import Outcome, class_name

Artifacts = dict[str, list[dict[str, Any]]]


def fault(case: Case, outcome: Outcome) -> str:
    """Whether the phase is the case's, and the artifacts of all tasks those of the laptop (or of the case, where it cannot run there)."""
    if outcome.phase != case.phase:
        return f"it ended as {outcome.phase}, not as {case.phase}\n{outcome.story}"
    if not isinstance(case.artifacts, str):
        return _named(case, outcome)
    truth = laptop.truth(case.flow, class_name(case.flow), case.parameters)
    if truth["phase"] != case.phase:
        return f"on the laptop it ended as {truth['phase']}\n{truth['log']}"
    here, there = without(outcome.artifacts, case.differ), without(truth["artifacts"], case.differ)
    differing = [step for step in sorted({*here, *there}) if here.get(step) != there.get(step)]
    shown = "\n".join(f"{step}: {here.get(step)}\non a laptop: {there.get(step)}" for step in differing)
    return f"{shown}\n{outcome.story}" if differing else ""


def _named(case: Case, outcome: Outcome) -> str:
    assert not isinstance(case.artifacts, str)
    for step, expected in case.artifacts.items():
        tasks = outcome.artifacts.get(step, [])
        if not tasks:
            return f"{step} stored nothing\n{outcome.story}"
        for task in tasks:
            if {name: task.get(name) for name in expected} != dict(expected):
                return f"{step}: {task}\nexpected: {dict(expected)}\n{outcome.story}"
    return ""


def without(artifacts: Artifacts, names: tuple[str, ...]) -> dict[str, list[str]]:
    """Artifacts per step as sorted texts, those named left out."""
    kept = {step: [{k: v for k, v in task.items() if k not in names} for task in tasks] for step, tasks in artifacts.items()}
    return {step: sorted(json.dumps(task, sort_keys=True) for task in tasks) for step, tasks in kept.items()}
