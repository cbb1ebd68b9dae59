"""In: flows of every shape. Out: proof that the bootstrap, task by task, leaves the artifacts that `python flow.py run` leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from runtime import simulate

if TYPE_CHECKING:
    from pathlib import Path

KUBERNETES = ("POD_NAME", "POD_NAMESPACE", "POD_ID", "SERVICE_ACCOUNT_NAME", "NODE_IP")
POD = {
    "METAFLOW_KUBERNETES_WORKLOAD": "1",
    "METAFLOW_RUNTIME_ENVIRONMENT": "kubernetes",
    **{f"METAFLOW_KUBERNETES_{name}": "x" for name in KUBERNETES},
}
SHAPES = {
    "foreach in foreach in foreach": ("nest", {}),
    "switches in branches of a split": ("switches", {"left": "near", "right": "shallow", "rest": "true"}),
    "a switch in a switch, the last one skips to the end": ("switches", {"left": "far", "right": "deep", "rest": "false"}),
    "loops, also in a foreach, and exclusive ends of its body": ("loops", {}),
    "gangs of two and of one in a foreach": ("gang", {}),
    "retry, catch, environment, card, own names of start and end, no launch": ("hardship", {}),
    "base class in a sibling module": ("derived", {}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_tasks_run_one_by_one_leave_what_a_laptop_run_leaves(shape: str, tmp_path: Path) -> None:
    """Every task of the run on the laptop has its twin, at the same place, with equal artifacts."""
    name, given = SHAPES[shape]
    file = simulate.FLOWS / f"{name}.py"
    pods, laptop = tmp_path / "pods", tmp_path / "laptop"
    pods.mkdir()
    laptop.mkdir()
    engine = simulate.engine(file, pods, submitted=given, environment=POD)
    engine.run()
    run_id = simulate.on_a_laptop(engine.flow.name, file, laptop, [f"--{k}={v}" for k, v in given.items()])
    ours, theirs = (simulate.results(engine.flow.name, *place) for place in ((pods, engine.run_id), (laptop, run_id)))
    assert ours.keys() == theirs.keys()
    assert ours == theirs
    cards = [len(list(place.glob(".metaflow/mf.cards/**/*.html"))) for place in (pods, laptop)]
    assert cards == [int(name == "hardship")] * 2
    assert {step for step, _ in ours} >= {task.step for task in engine.tasks if task.code == 0}
