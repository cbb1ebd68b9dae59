"""In: a proven Flow. Out: an ASL state machine whose jobs run in AWS Batch, and what deploys it."""

from __future__ import annotations

from flowc.target import Target
from flowc.targets.step_functions import overlaid
from flowc.targets.step_functions.lower import check, lower
from flowc.targets.step_functions.parts import parts
from flowc.targets.step_functions.rules import rules

TARGET = Target(
    name="step-functions",
    summary="AWS Step Functions with AWS Batch: state machine, job definitions, schedule",
    check=check,
    lower=lower,
    rules=rules,
    parts=parts,
    kubernetes=False,
    kinds=overlaid.KINDS,
    overlay=overlaid.lay,
)
