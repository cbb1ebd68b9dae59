"""Executions of tests/stepfunctions/runs.py in the interpreter, with Metaflow's own machines as the control; needs no cluster.

`make e2e` runs those of CORE beside the stacks of test_graduation.py and after the quick ones of `make test`, `make e2e-full` all.
Two run side by side (`FLOWC_SFN_IN_FLIGHT`): each task is a process of a few seconds. Metaflow's own machines pass flowc's rules too.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from e2e.laptop import FLOWS
from e2e.runs import flowc_command
from stepfunctions import deploy, interpreter
from stepfunctions.runs import RUNS, Run, fault, perform

from flowc.deployment.validate import violations
from flowc.targets.step_functions.rules_machine import problems

IN_FLIGHT = int(os.environ.get("FLOWC_SFN_IN_FLIGHT", "2"))
CORE = ("timeout", "exit hook on success", "code in the image")
CONTROLS = sorted({run.flow for run in RUNS if run.form == "metaflow"})
Started = dict[str, "Future[str]"]


@pytest.fixture(scope="module")
def aws() -> Iterator[interpreter.Interpreter]:
    with tempfile.TemporaryDirectory(prefix="flowc-aws-") as folder, interpreter.started(Path(folder), jobs=IN_FLIGHT) as found:
        yield found


@pytest.fixture(scope="module")
def executions(aws: interpreter.Interpreter, request: pytest.FixtureRequest) -> Iterator[Started]:
    """The selected runs at work."""
    items = (item for item in request.session.items if hasattr(item, "callspec"))
    wanted = [item.callspec.params["execution"] for item in items if "execution" in item.callspec.params]
    pool = ThreadPoolExecutor(IN_FLIGHT)
    yield {run.name: pool.submit(_judged, run, aws) for run in wanted}
    pool.shutdown(wait=False, cancel_futures=True)


def _judged(run: Run, aws: interpreter.Interpreter) -> str:
    return fault(run, *perform(run, aws, flowc_command()), aws)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "execution" in metafunc.fixturenames:
        full = metafunc.config.getoption("--e2e-full", default=False)
        chosen = [run for run in RUNS if full or run.name in CORE]
        metafunc.parametrize("execution", chosen, ids=[run.name for run in chosen])


@pytest.mark.e2e
def test_ends_as_on_a_laptop(execution: Run, executions: Started) -> None:
    """The execution's status, the states that it enters and the artifacts of all its tasks are what they must be."""
    assert executions[execution.name].result() == ""


@pytest.mark.e2e
@pytest.mark.parametrize("flow", CONTROLS)
def test_metaflows_own_machine_passes_the_rules(flow: str, aws: interpreter.Interpreter) -> None:
    """The rules refuse nothing that runs: what Metaflow writes is fine by them, save the old name of a Map's processor."""
    machine = json.loads(deploy.by_metaflow(aws, FLOWS / f"{flow}.py").replace('"Iterator":', '"ItemProcessor":'))
    assert violations("step-functions/asl.json#StateMachine", machine) == []
    assert problems(machine) == []
