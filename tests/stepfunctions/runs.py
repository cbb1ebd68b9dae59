"""In: nothing. Out: RUNS, the table of executions: which flow, compiled how, deployed as what, and what must come of it; and what performs one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e import laptop
from e2e.judging import without
from e2e.runs import class_name
from stepfunctions import deploy
from stepfunctions.interpreter import DATASTORE, Interpreter, Outcome

LIMIT = 1800.0
"""Seconds that an execution may take; far more than any does, since machines are shared."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a flow of tests/e2e/flows, given `parameters`; `flags` go to `flowc compile`.

    `form` is `asl` (files, filled in as Terraform does), `stack` (CloudFormation) or `metaflow` (the control: Metaflow's own machine).
    The end is `status`, and where that is SUCCEEDED the artifacts of all tasks are those of a laptop, save those named in `differ`.
    `enters` are states that the execution must enter, `events` types of events that its history must have, `says` texts that
    its jobs must have printed. `quick` ones run in `make test`.
    """

    name: str
    flow: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    form: str = "asl"
    flags: tuple[str, ...] = ()
    status: str = "SUCCEEDED"
    differ: tuple[str, ...] = ()
    artifacts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    enters: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    says: str = ""
    quick: bool = False


WIDE = ("MapRunStarted", "MapRunSucceeded")
RUNS: tuple[Run, ...] = (
    Run("parameters", "params", {"needed": "4"}),
    Run("parameters given", "params", {"needed": "-1", "count": "9", "rate": "1e3", "label": "x y", "shape": '{"rows": 5}', "parts": "q,r"}),
    Run("text", "text", {"note": "${HOME} $(id) {{x}} {% y %} 'q' \"d\" \\n\n- é ✓", "n": "n"}),
    Run("one step", "one_step", {"base": "41"}, form="stack", quick=True),
    Run("split", "branches", enters=("start split", "left split")),
    Run("foreach of 1 and 3", "fan", {"width": "3"}, events=WIDE),
    Run("foreach of 2, inline", "fan", {"width": "2"}, flags=("--no-use-distributed-map",), events=("MapIterationSucceeded",), quick=True),
    Run("foreach of 60", "fan", {"width": "60"}, flags=("--max-workers", "8"), events=WIDE),
    Run("nested foreach", "nested"),
    Run("switch: short", "switch", enters=("short",)),
    Run("switch: long", "switch", {"way": "long"}),
    Run("switch: deep", "switch", {"way": "deep"}),
    Run("switch: skip", "switch", {"way": "skip"}, enters=("start choice",), quick=True),
    Run("switch in branches", "switch_in_branches"),
    Run("recursion", "loop"),
    Run("recursion in foreach", "loop_in_fan"),
    Run("retry", "retries"),
    Run("timeout, caught", "timeouts", differ=("failure",)),
    Run("timeout", "timeout_kills", status="FAILED", artifacts={"start": {"before": True}}),
    Run("gang", "gang"),
    Run("environment", "surroundings"),
    Run("own start and end", "own_ends"),
    Run("code of several files", "inherit"),
    Run("code in the image", "inherit", flags=("--code", "image", "--code-path", str(laptop.FLOWS))),
    Run("exit hook on failure", "hooks", {"fail": "true"}, status="FAILED", says="hook mourn ran", quick=True),
    Run("exit hook on success", "hooks", says="hook celebrate ran"),
    Run("stack: foreach", "fan", {"width": "3"}, form="stack", events=WIDE),
    Run("stack: switch in branches", "switch_in_branches", form="stack"),
    Run("control: split", "branches", form="metaflow"),
    Run("control: foreach", "fan", {"width": "3"}, form="metaflow"),
    Run("control: nested foreach", "nested", form="metaflow"),
    Run("control: retry", "retries", form="metaflow"),
)


def perform(run: Run, aws: Interpreter, command: Sequence[str] = ()) -> tuple[Outcome, dict[str, Any]]:
    """Compile, deploy, execute, wait: how the execution ended, and the artifacts of its tasks."""
    name = "".join(c if c.isalnum() else "-" for c in run.name)
    root = DATASTORE if run.form != "asl" else f"{DATASTORE}/{name}"
    flow, folder = laptop.FLOWS / f"{run.flow}.py", aws.folder / f"compiled-{name}"
    if run.form == "metaflow":
        machine = aws.create(deploy.by_metaflow(aws, flow, "--name", name), name)
    elif run.form == "stack":
        machine = deploy.stack(aws, deploy.compiled(flow, folder, "--name", name, *run.flags, command=command), name)
    else:
        where = ("--format", "asl", "--name", name, "--datastore", "s3", "--datastore-root", root)
        machine = deploy.files(aws, deploy.compiled(flow, folder, *where, *run.flags, command=command), name, root=root)
    outcome = aws.wait(aws.start(machine, deploy.given(run.parameters), name), LIMIT)
    return outcome, aws.artifacts(class_name(run.flow), f"sfn-{name}", root)


def fault(run: Run, outcome: Outcome, artifacts: dict[str, Any], aws: Interpreter) -> str:
    """What is not as it must be, empty where all is."""
    if outcome.status != run.status:
        return f"it ended as {outcome.status}: {outcome.error}: {outcome.cause[:1000]}\n{aws.log()}"
    missing = [state for state in run.enters if state not in outcome.entered()]
    missing += [event for event in run.events if event not in {each["type"] for each in outcome.history}]
    if missing:
        return f"the history lacks {', '.join(missing)}: {outcome.entered()}"
    if run.says and not aws.said(run.says):
        return f"no job said {run.says!r}\n{aws.log()}"
    if run.status != "SUCCEEDED":
        kept = {step: {name: artifacts[step][0].get(name) for name in names} for step, names in run.artifacts.items()}
        return "" if kept == run.artifacts else f"stored {kept}, not {run.artifacts}"
    truth = laptop.truth(run.flow, class_name(run.flow), run.parameters)
    here, there = without(artifacts, run.differ), without(truth["artifacts"], run.differ)
    differing = {step: (here.get(step), there.get(step)) for step in {*here, *there} if here.get(step) != there.get(step)}
    return json.dumps(differing)[:3000] if differing else ""
