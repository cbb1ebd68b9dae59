"""In: a Flow and Settings. Out: the names that Step Functions shows: of the state machine (Metaflow's own), its states, its jobs."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from flowc.deployment import names
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.target import short_hash

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings

MACHINE_LIMIT = STATE_LIMIT = 80
JOB_LIMIT = 128
PROJECT_LIMIT = 60
VALID = re.compile(r"[a-zA-Z0-9_.-]+")

LONG = "AVeryLongNameForAFlowThatSaysEverythingItDoes" * 2
TOO_LONG = Code(
    "FC450",
    "the state machine's name is too long",
    "The name of a state machine has 80 characters at most. Metaflow cuts the names of @project flows only.",
    bad=Example({"flow.py": sample().replace("Hello", LONG)}, line=4, target="step-functions"),
    good=Example({"flow.py": sample().replace("Hello", LONG)}, target="step-functions", settings={"name": "everything"}),
)
INVALID = Code(
    "FC451",
    "no valid name for the state machine",
    "A state machine's name has letters, digits, `-`, `_` and `.`.",
    bad=Example({"flow.py": sample()}, line=4, target="step-functions", settings={"name": "my flow"}),
    good=Example({"flow.py": sample()}, target="step-functions", settings={"name": "my-flow"}),
)


def state_machine_name(flow: Flow, settings: Settings) -> str:
    """Metaflow's name: the flow's, or of a @project `project.branch.Flow`, which is cut to 60 characters and a hash where it is longer."""
    found = names.project(flow, settings)
    if found is None:
        return settings.name or flow.name
    name = found.flow_name
    if len(name) <= PROJECT_LIMIT:
        return name
    digest = base64.b32encode(hashlib.sha1(name.encode(), usedforsecurity=False).digest()).decode()
    return f"{name[:PROJECT_LIMIT]}-{digest[:16].lower()}"


def state(step: str, role: str = "") -> str:
    """The name of a state: the step's for its job, `train outcome` and the like for what stands around it; 80 characters at most.

    Names of steps have neither spaces nor capital letters, so no two states of a machine share a name.
    """
    name = f"{step} {role}" if role else step
    if len(name) <= STATE_LIMIT:
        return name
    end = f"-{short_hash(step)}{f' {role}' if role else ''}"
    return step[: STATE_LIMIT - len(end)] + end


def job(flow: Flow, step: str) -> str:
    """The name that a step's jobs have in AWS Batch: 128 letters, digits, `-` and `_` at most."""
    name = f"{flow.name}-{step}"
    return name if len(name) <= JOB_LIMIT else f"{name[: JOB_LIMIT - 9]}-{short_hash(name)}"


def check(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """What makes Metaflow, or Step Functions, refuse to name the deployment."""
    found = names.check_project(flow, settings)
    name = state_machine_name(flow, settings)
    if not VALID.fullmatch(name):
        text = f"`{name}` is no valid name for a state machine"
        found.append(Diagnostic(INVALID, text, flow.span, help=names.remedy(flow, settings, "a name like `my-flow`")))
    elif len(name) > MACHINE_LIMIT:
        text = f"the state machine's name `{name}` has {len(name)} characters, {MACHINE_LIMIT} is the limit"
        found.append(Diagnostic(TOO_LONG, text, flow.span, help=names.remedy(flow, settings, "a shorter name")))
    return found
