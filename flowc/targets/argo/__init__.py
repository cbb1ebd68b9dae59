"""In: a proven Flow. Out: an Argo WorkflowTemplate, and the CronWorkflow and Sensor that start it."""

from __future__ import annotations

from flowc.deployment import gangs
from flowc.target import Target
from flowc.targets.argo.lower import check, lower
from flowc.targets.argo.parts import parts
from flowc.targets.argo.rules import rules

TARGET = Target(
    name="argo",
    summary="Argo Workflows 3.5 to 4.1: WorkflowTemplate, CronWorkflow, Sensor",
    check=check,
    lower=lower,
    rules=rules,
    parts=parts,
    kinds={
        "Pod": (),
        "JobSet": gangs.FIXED,
        "WorkflowTemplate": (
            "spec.entrypoint",
            "spec.onExit",
            "spec.arguments",
            "spec.templateDefaults.container.command",
            "spec.templateDefaults.inputs",
            *(f"spec.templates.*.{field}" for field in ("name", "dag", "steps", "inputs", "outputs", "resource", "retryStrategy.retries")),
            *(f"spec.templates.*.container.{field}" for field in ("command", "args")),
        ),
        "CronWorkflow": ("spec.workflowSpec.workflowTemplateRef",),
        "Sensor": ("spec.dependencies", "spec.triggers"),
        "ConfigMap": ("data", "binaryData", "immutable"),
        "ServiceAccount": (),
        "Role": ("rules.*",),
        "RoleBinding": ("roleRef", "subjects.*"),
    },
)
