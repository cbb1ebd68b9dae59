"""In: a @parallel Step and what all pods share. Out: the `resource` with which Argo runs it as a JobSet: one control pod, and workers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.deployment import gangs, pods
from flowc.merging import kubernetes
from flowc.targets.argo import step_pod
from flowc.targets.argo.identifiers import argo_name
from flowc.targets.argo.metadata import pod_metadata
from flowc.targets.argo.retries import attempt, retry_strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.ir import Flow, Step
    from flowc.settings import Settings

# Unique for each attempt of each task; short, since Kubernetes makes host names of it.
NAME = "js-{{=sprig.trunc(12, sprig.sha256sum(pod.name))}}"
NUM_PARALLEL = "{{inputs.parameters.num-parallel}}"
WORKERS = "{{=asInt(inputs.parameters['num-parallel']) - 1}}"
SUCCESS, FAILURE = "status.terminalState == Completed", "status.terminalState == Failed"


@dataclass(frozen=True, slots=True)
class Gang:
    """The step's template: `resource`, whose manifest is still an object (`text` writes it), and fields beside it."""

    resource: Mapping[str, Any]
    template: Mapping[str, Any]


def gang(step: Step, flow: Flow, settings: Settings, args: Sequence[str], shared: gangs.Shared) -> Gang:
    """The template of a @parallel step. It takes the input parameter `num-parallel`, the number of pods.

    The JobSet belongs to the workflow, which fails with it and takes it along when deleted. Attempts are Argo's: each is a new JobSet.
    """
    made = gangs.Gang(NAME, WORKERS, NUM_PARALLEL, argo_name(step.name))
    manifest = gangs.jobset(step, settings, args, shared, _metadata(step, flow, settings), made)
    resource = {
        "action": "create",
        "setOwnerReference": True,
        "successCondition": SUCCESS,
        "failureCondition": FAILURE,
        "manifest": manifest,
    }
    account = step_pod.pod(step, settings).template.get("serviceAccountName")
    patch = step_pod.pod_spec_patch(settings, resource=True)
    fields = {"retryStrategy": retry_strategy(step), "serviceAccountName": account, "podSpecPatch": patch}
    return Gang(resource, {name: value for name, value in fields.items() if value})


def text(manifest: Mapping[str, Any]) -> str:
    """The manifest as JSON that is still JSON when Argo has filled it in: numbers stand bare, and texts of any kind bring their quotes."""
    text = json.dumps(manifest, indent=1)
    text = text.replace(f'"{WORKERS}"', WORKERS)
    return re.sub(r'"\{\{workflow\.parameters\.([-\w]+)\}\}"', r"{{=toJson(workflow.parameters['\1'])}}", text)


def _metadata(step: Step, flow: Flow, settings: Settings) -> dict[str, Any]:
    """Labels and annotations of the JobSet and its pods. As in Metaflow, the user's do not replace the platform's here."""
    asked, shared = kubernetes(step), pod_metadata(flow, settings)
    of_step = {"metaflow/step_name": step.name, "metaflow/attempt": attempt(step)}
    return {
        "labels": {**pods.labels(asked), **shared["labels"], "metaflow/argo-workflows-name": "{{workflow.name}}"},
        "annotations": {**(asked["annotations"] or {}), **shared["annotations"], **of_step},
    }
