"""Metaflow's own `step-functions` commands against a state machine that flowc wrote, in moto: trigger, list, terminate, authorize."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws
from stepfunctions.test_machine import HOOKED, flow
from stepfunctions.test_orders import machine_of

from flowc.settings import Settings

OWNER, TOKEN = "jo", "hello-0-abcd"


@pytest.fixture(params=["", HOOKED], ids=["plain", "hooked"])
def commands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Metaflow's class behind the commands, with the machine of a flow deployed as Hello."""
    for name, value in (("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")):
        monkeypatch.setenv(name, value)
    _, found = machine_of(flow("start: self.end", "end", above=request.param), Settings(owner=OWNER, production_token=TOKEN))
    with mock_aws():
        role = "arn:aws:iam::123456789012:role/x"
        boto3.client("stepfunctions").create_state_machine(name="Hello", definition=json.dumps(found), roleArn=role)
        from metaflow.plugins.aws.step_functions import step_functions, step_functions_client

        monkeypatch.setattr(step_functions_client.StepFunctionsClient, "__init__", _client)
        yield step_functions.StepFunctions


def _client(self: Any) -> None:
    self._client = boto3.client("stepfunctions")


def test_trigger_and_terminate(commands: Any) -> None:
    """A triggered run is listed with the parameters as its input, found by its name with owner and token, and stopped."""
    started = commands.trigger("Hello", {"alpha": 1})
    (listed,) = commands.list("Hello", ["RUNNING"])
    assert listed["executionArn"] == started["executionArn"]
    found = boto3.client("stepfunctions").describe_execution(executionArn=started["executionArn"])
    assert json.loads(json.loads(found["input"])["Parameters"]) == {"alpha": 1}
    assert commands.get_execution("Hello", listed["name"]) == (started["executionArn"], OWNER, TOKEN, "Hello")
    commands.terminate("Hello", listed["name"])
    assert [each["name"] for each in commands.list("Hello", ["ABORTED"])] == [listed["name"]]


def test_a_deployment_is_recognised(commands: Any) -> None:
    """`step-functions create` sees whose deployment it would replace, and its token."""
    assert commands.get_existing_deployment("Hello") == (OWNER, TOKEN)
