"""In: @schedule and the Settings. Out: the CronWorkflow that starts the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment.names import workflow_name
from flowc.deployment.schedule import schedule

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings

HISTORY_LIMIT = 10_000
# A run that could not start on time may still start within the hour.
STARTING_DEADLINE = 3540


def cron_workflow(flow: Flow, settings: Settings) -> dict[str, Any] | None:
    """The CronWorkflow object; None for a flow without a schedule."""
    found = schedule(flow)
    if found is None:
        return None
    line, zone = found
    name = workflow_name(flow, settings)
    spec: dict[str, Any] = {"schedule": line} if settings.argo_version == "3.5" else {"schedules": [line]}
    if zone:
        spec["timezone"] = zone
    spec |= {
        "suspend": settings.suspend_schedule,
        "startingDeadlineSeconds": STARTING_DEADLINE,
        "successfulJobsHistoryLimit": HISTORY_LIMIT,
        "failedJobsHistoryLimit": HISTORY_LIMIT,
        "workflowSpec": {"workflowTemplateRef": {"name": name}},
    }
    metadata = {"name": name, **({"namespace": settings.namespace} if settings.namespace else {})}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "metadata": metadata, "spec": spec}
