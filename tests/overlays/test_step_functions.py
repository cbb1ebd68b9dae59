"""Facts about overlays on Step Functions: job definitions of steps, the machine, the stack's resources; and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from overlays.making import compiled, objects, refused

from flowc.settings import Overlay

FLOW = """\
from metaflow import FlowSpec, parallel, schedule, step


@schedule(daily=True)
class Wide(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=2)

    @parallel
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
INIT = Overlay("JobDefinition", {"containerProperties": {"linuxParameters": {"initProcessEnabled": True}}})
TARGET = "step-functions"


def resources(overlays: dict[str, Overlay]) -> dict[str, Any]:
    ((_, stack),) = objects(overlays, TARGET, FLOW).items()
    found: dict[str, Any] = stack["Resources"]
    return found


def test_all_jobs() -> None:
    """Without steps all job definitions have it, each node of a gang's too, and steps that were alike share one still."""
    found = {name: each["Properties"] for name, each in resources({"mine": INIT}).items() if each["Type"] == "AWS::Batch::JobDefinition"}
    assert set(found) == {name for name, each in resources({}).items() if each["Type"] == "AWS::Batch::JobDefinition"}
    for each in found.values():
        one = each.get("ContainerProperties") or each["NodeProperties"]["NodeRangeProperties"][0]["Container"]
        assert one["LinuxParameters"] == {"InitProcessEnabled": True}


def test_several_of_one_gang() -> None:
    """Two overlays of a gang's containers both count, beside fields that one of them takes away or sets for the definition."""
    one = Overlay("JobDefinition", {"containerProperties": {"privileged": True, "user": "x"}})
    two = Overlay("JobDefinition", {"containerProperties": {"user": {"$patch": "delete"}}, "tags": {"$patch": "delete"}, "propagateTags": True})
    found = next(each["Properties"] for each in resources({"one": one, "two": two}).values() if "NodeProperties" in each["Properties"])
    nodes = [each["Container"] for each in found["NodeProperties"]["NodeRangeProperties"]]
    assert [(each["Privileged"], "User" in each) for each in nodes] == [(True, False)]
    assert found["PropagateTags"] is True
    assert "Tags" not in found


def test_one_step() -> None:
    """A step with an overlay has a job definition of its own, which its state names; the others keep theirs."""
    found = resources({"mine": replace(INIT, steps=("jo*",))})
    states = json.dumps(found["StateMachine"]["Properties"]["Definition"])
    assert "${JobDefinitionJoin}" in states
    assert "LinuxParameters" in json.dumps(found["JobDefinitionJoin"])
    assert "LinuxParameters" not in json.dumps(found["JobDefinition"])


def test_machine_and_resources() -> None:
    """The machine, resources by their type and the stack as a whole are patched; what the patch does not name stays."""
    overlays = {
        "limit": Overlay("StateMachine", {"TimeoutSeconds": 600}),
        "tracing": Overlay("AWS::StepFunctions::StateMachine", {"Properties": {"TracingConfiguration": {"Enabled": True}}}),
        "logs": Overlay("AWS::Logs::LogGroup", {"DeletionPolicy": "Retain", "Properties": {"Tags": [{"Key": "a", "Value": "b"}]}}),
        "text": Overlay("Stack", {"Description": "of the team"}),
    }
    ((_, stack),) = objects(overlays, TARGET, FLOW).items()
    assert stack["Description"] == "of the team"
    machine = stack["Resources"]["StateMachine"]["Properties"]
    assert machine["Definition"]["TimeoutSeconds"] == 600
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert stack["Resources"]["LogGroup"]["DeletionPolicy"] == "Retain"
    assert stack["Resources"]["LogGroup"]["Properties"]["Tags"] == [{"Key": "a", "Value": "b"}]


def test_files() -> None:
    """As files for Terraform, machine, job definitions and schedule have their overlays too."""
    overlays = {
        "init": INIT,
        "limit": Overlay("StateMachine", {"TimeoutSeconds": 600}),
        "window": Overlay("AWS::Scheduler::Schedule", {"Properties": {"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}}}),
    }
    found = {each.file: each.object for each in compiled(overlays, TARGET, FLOW, format="asl").artifacts}
    assert found["Wide.asl.json"]["TimeoutSeconds"] == 600
    assert found["Wide.JobDefinition.json"]["containerProperties"]["linuxParameters"] == {"initProcessEnabled": True}
    assert found["Wide.schedule.json"]["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"


def test_a_plain_run_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The definitions that `flowc run --on batch` registers are the same ones."""
    from flowc.compiler import check
    from flowc.deployment import batch
    from flowc.settings import Settings
    from flowc.source import SourceFile

    settings = Settings(overlays={"mine": INIT})
    ((flow, graph),) = check(SourceFile("flow.py", FLOW), lambda _: None, settings).flows
    found = batch.definitions(flow, graph, settings, prefix="x", name="batch", where=batch.places(flow, settings))
    assert found["JobDefinition"].body["containerProperties"]["linuxParameters"] == {"initProcessEnabled": True}


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (Overlay("JobDefinition", {"containerProperties": {"command": ["x"]}}), "FC511 overlay `mine` changes containerProperties.command"),
        (Overlay("JobDefinition", {"containerProperties": {"environment": []}}), "FC511 overlay `mine` removes containerProperties.environment["),
        (Overlay("JobDefinition", {"retryStrategy": {"attempts": 3}}), "FC511 overlay `mine` changes retryStrategy.attempts"),
        (
            Overlay("JobDefinition", {"containerProperties": {"$patch": "delete"}}),
            "FC511 overlay `mine` removes nodeProperties.nodeRangeProperties[0].container.command",
        ),
        (Overlay("JobDefinition", {"containerProperties": {"$retainKeys": []}}), "FC514 overlay `mine` cannot be merged: $retainKeys"),
        (Overlay("StateMachine", {"StartAt": "end"}), "FC511 overlay `mine` changes StartAt"),
        (Overlay("StateMachine", {"States": {"end": {"$patch": "delete"}}}), "FC511 overlay `mine` removes States.end"),
        (Overlay("AWS::Logs::LogGroup", {"Properties": {"LogGroupName": "x"}}), "FC511 overlay `mine` changes Properties.LogGroupName"),
        (Overlay("Stack", {"Resources": {"StateMachine": {"Type": "x"}}}), "FC511 overlay `mine` changes Resources.StateMachine.Type"),
        (Overlay("JobDefinition", {"containerProperties": {"linuxParams": {}}}), "FC510 overlay `mine` gives no valid object"),
        (Overlay("AWS::Logs::LogGroup", {"Properties": {"Days": 1}}), "FC510 overlay `mine` gives no valid object"),
        (Overlay("AWS::Logs::LogGroup", {"DependsOn": [{"name": "main"}]}), "FC510 overlay `mine` gives no valid object"),
        (Overlay("AWS::Logs::LogGroup", {"DependsOn": 5}), "FC510 overlay `mine` gives no valid object"),
        (Overlay("AWS::Logs::LogGroups", {}), "FC512 overlay `mine` is of the kind AWS::Logs::LogGroups"),
    ],
)
def test_refused(overlay: Overlay, message: str) -> None:
    """What the run needs stays, and what AWS would refuse is the overlay's mistake."""
    found = refused({"mine": overlay}, TARGET, FLOW)
    assert found
    assert any(each.startswith(message) for each in found), found
