"""What flowc compiles for Step Functions runs in a real interpreter, with real Metaflow steps, and ends as on a laptop: a few quick ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stepfunctions import interpreter
from stepfunctions.runs import RUNS, Run, fault, perform

QUICK = [run for run in RUNS if run.quick]


@pytest.mark.slow
def test_ends_as_on_a_laptop(tmp_path: Path) -> None:
    """The executions' status, the states that they enter and the artifacts of all their tasks are what they must be."""
    with interpreter.started(tmp_path) as aws, ThreadPoolExecutor(2) as pool:

        def judged(run: Run) -> str:
            return fault(run, *perform(run, aws), aws)

        faults = dict(zip((run.name for run in QUICK), pool.map(judged, QUICK), strict=True))
    assert faults == dict.fromkeys(faults, "")
