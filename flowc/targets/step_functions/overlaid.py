"""In: a finished stack, or a file of one resource, and the overlays of Settings. Out: it with those of its kind, as JSON merge patches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowc.deployment import batch_overlays
from flowc.target import Overlaid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.diagnostics import Diagnostic
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.target import Document

MACHINE, STACK = "StateMachine", "Stack"
RESOURCES: Mapping[str, tuple[str, ...]] = {
    "AWS::StepFunctions::StateMachine": ("StateMachineName", "RoleArn", "Definition", "DefinitionSubstitutions"),
    "AWS::Batch::JobDefinition": ("JobDefinitionName", "Type", "ContainerProperties", "NodeProperties"),
    "AWS::Scheduler::Schedule": ("Target.Arn", "Target.RoleArn", "Target.Input"),
    "AWS::Events::Rule": ("Targets", "EventPattern"),
    "AWS::IAM::Role": ("AssumeRolePolicyDocument", "Policies.*"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::S3::Bucket": (),
}
"""The types of resources in a stack, and the properties that the run needs as they are."""
_STATE = ("Type", "Next", "End", "Resource", "Arguments", "Parameters", "Branches", "ItemProcessor", "Choices", "Default", "ResultPath")
KINDS: Mapping[str, tuple[str, ...]] = {
    batch_overlays.KIND: batch_overlays.FIXED,
    MACHINE: ("StartAt", "QueryLanguage", *(f"States.*.{field}" for field in _STATE)),
    STACK: ("Parameters.*", "Mappings", "Outputs.*", "Resources.*.Type", "Resources.StateMachine.Properties.Definition"),
    **{kind: ("Type", *(f"Properties.{path}" for path in fixed)) for kind, fixed in RESOURCES.items()},
}


def machine(flow: Flow, settings: Settings, lowered: Mapping[str, Any]) -> Overlaid:
    """The state machine with the overlays of its kind."""
    if not settings.overlays:
        return Overlaid(dict(lowered))
    from flowc.deployment import overlays

    # rules read a machine that its schema takes; that of a stack leaves it open
    return overlays.plain(flow, settings, MACHINE, lowered, KINDS[MACHINE], schema="step-functions/asl.json#StateMachine")


def lay(flow: Flow, settings: Settings, document: Document, value: Mapping[str, Any]) -> Overlaid:
    """The object with what overlays say of its resources and of it as a whole; machines and job definitions have had theirs."""
    from flowc.deployment import overlays

    if "Resources" not in value:
        kind = document.schema.partition("#")[2]
        if kind not in RESOURCES:
            return Overlaid(dict(value))
        made = overlays.plain(flow, settings, kind, {"Type": kind, "Properties": value}, KINDS[kind])
        return replace(made, value=made.value["Properties"])
    found: list[Diagnostic] = []
    resources = {}
    for name, each in value["Resources"].items():
        made = overlays.plain(flow, settings, each["Type"], each, KINDS.get(each["Type"], ()))
        resources[name] = made.value
        found += made.diagnostics
    whole = overlays.plain(flow, settings, STACK, {**value, "Resources": resources}, KINDS[STACK])
    return Overlaid(whole.value, (*found, *whole.diagnostics))
