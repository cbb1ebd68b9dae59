"""In: a proven Flow. Out: its Jobs for plain Kubernetes, and the coordinator, a Job or CronJob, that runs them in the flow's order."""

from __future__ import annotations

from flowc.target import Target
from flowc.targets.kubernetes.lower import check, lower
from flowc.targets.kubernetes.overlaid import KINDS
from flowc.targets.kubernetes.parts import parts
from flowc.targets.kubernetes.rules import rules

TARGET = Target(
    name="kubernetes",
    summary="Kubernetes 1.33 and later, without Argo: Jobs, JobSets, and a coordinator as Job or CronJob",
    check=check,
    lower=lower,
    rules=rules,
    parts=parts,
    kinds=KINDS,
)
