"""Stacks of the step-functions target: cfn-lint has nothing against them, moto deploys them, and their roles have no more than they need."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from stepfunctions.stack_cases import E2E, FEATURES, FIXTURES, NAMED, WORK, compiled, flow, stack, statements

from flowc.targets.step_functions import stack as stacks
from flowc.targets.step_functions import stack_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def texts() -> Iterator[tuple[str, str]]:
    """The stacks of all features, and those of the fixtures that this target carries, as they are written."""
    for name, (text, values) in FEATURES.items():
        yield name, compiled(text, **values)[0].text
    for path in sorted(FIXTURES.glob("*/stepfunctions.yaml")):
        yield path.parent.name, path.read_text()


def test_cfn_lint_has_nothing_against_them(tmp_path: Path) -> None:
    """0 errors and 0 warnings, on every stack."""
    from cfnlint.config import ConfigMixIn, ManualArgs
    from cfnlint.runner import Runner

    for name, text in texts():
        (tmp_path / f"{name}.yaml").write_text(text)
    assert len(list(tmp_path.iterdir())) >= len(FEATURES) + 5
    config = ConfigMixIn(**ManualArgs(templates=[str(path) for path in tmp_path.iterdir()], regions=["us-east-1"]))
    found = [f"{match.filename}:{match.linenumber} {match.rule.id} {match.message}" for match in Runner(config).run()]
    assert not found


def test_cfn_lint_sees_what_is_wrong(tmp_path: Path) -> None:
    """The same call finds a property that is not there, and a state that nothing leads on from."""
    from cfnlint.config import ConfigMixIn, ManualArgs
    from cfnlint.runner import Runner

    value = stack(flow())
    value["Resources"]["JobDefinition"]["Properties"]["Nodes"] = 1
    value["Resources"]["StateMachine"]["Properties"]["Definition"]["States"]["start"].pop("Next")
    (tmp_path / "t.json").write_text(json.dumps(value))
    config = ConfigMixIn(**ManualArgs(templates=[str(tmp_path / "t.json")], regions=["us-east-1"]))
    assert {match.rule.id for match in Runner(config).run()} >= {"E3002", "E3601"}


# The jobs of a gang are beyond moto's CloudFormation; tests/engines/stepfunctions deploys and runs them.
DEPLOYED = ("attributes", "fargate", "schedule", "trigger", "hooks", "foreach", "named", "roles", "bucket")


@pytest.mark.parametrize("name", DEPLOYED)
def test_moto_deploys_it(name: str) -> None:
    """CloudFormation creates each resource; what moto's does not know (the schedule) its Scheduler takes as it is."""
    import boto3
    from moto import mock_aws

    text, values = FEATURES[name]
    value = stack(text, **values)
    resources = value["Resources"]
    schedule = resources.pop("Schedule", None)
    expected = sorted(each["Type"] for each in resources.values())
    needed = {key: given for key, given in (("JobQueue", "jobs"), ("Bucket", "lake")) if key in value["Parameters"]}
    known = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    with mock_aws():
        formation = boto3.client("cloudformation", **known)
        given = [{"ParameterKey": key, "ParameterValue": each} for key, each in needed.items()]
        formation.create_stack(StackName="s", TemplateBody=json.dumps(value), Parameters=given, Capabilities=["CAPABILITY_IAM"])
        assert formation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        found = formation.describe_stack_resources(StackName="s")["StackResources"]
        assert sorted(each["ResourceType"] for each in found) == expected
        roles = boto3.client("iam", **known).list_roles()["Roles"]
        assert len(roles) == expected.count("AWS::IAM::Role")
        for one in boto3.client("batch", **known).describe_job_definitions()["jobDefinitions"]:
            assert "Fn::" not in json.dumps(one)
        if schedule:
            target = {**schedule["Properties"]["Target"], "Arn": "arn:aws:states:us-east-1:123456789012:stateMachine:Hello", "RoleArn": "arn"}
            filled = {**schedule["Properties"], "Name": "Hello", "Target": target, "State": "ENABLED"}
            boto3.client("scheduler", **known).create_schedule(**filled)


def test_parameters_are_those_that_are_needed() -> None:
    """Queue and bucket have no default; settings give one, or make the parameter needless."""
    free = stack(flow())["Parameters"]
    assert [name for name, each in free.items() if "Default" not in each] == ["JobQueue", "Bucket"]
    named = stack(flow(), batch_queue="q", **NAMED)["Parameters"]
    assert [name for name, each in named.items() if "Default" not in each] == []
    assert not {"Bucket", "DatastorePrefix"} & set(named)
    own = stack(flow(), stack_bucket=True)
    assert "Bucket" not in own["Parameters"]
    assert own["Resources"]["DatastoreBucket"]["DeletionPolicy"] == "Retain"


def test_jobs_may_only_touch_the_datastore() -> None:
    """The role of the jobs: objects below the datastore and the outcomes, the list of its bucket, and nothing else."""
    job = statements(stack(flow(), **NAMED)["Resources"]["JobRole"])
    assert [each["Action"] for each in job] == [["s3:GetObject", "s3:PutObject"], ["s3:ListBucket"]]
    (key,) = job[0]["Resource"]
    assert joined(key) == "arn:aws:s3:::lake/metaflow/prod/*"
    job = statements(stack(flow())["Resources"]["JobRole"])
    assert [joined(each) for each in job[0]["Resource"]] == ["arn:aws:s3:::Bucket/${DatastorePrefix}/*", "arn:aws:s3:::Bucket/flowc/Hello/*"]
    assert [joined(each) for each in job[1]["Resource"]] == ["arn:aws:s3:::Bucket"]
    top = statements(stack(flow(), datastore="s3", datastore_root="s3://lake")["Resources"]["JobRole"])
    assert joined(top[0]["Resource"][0]) == "arn:aws:s3:::lake/*"


def joined(value: Any) -> str:
    """A function that makes a text, its references by their names."""
    if isinstance(value, str):
        return value
    if "Ref" in value:
        return {"AWS::Partition": "aws"}.get(value["Ref"], value["Ref"])
    return value["Fn::Sub"] if "Fn::Sub" in value else value["Fn::Join"][0].join(map(joined, value["Fn::Join"][1]))


ALWAYS = {"batch:SubmitJob", "batch:DescribeJobs", "batch:TerminateJob", "events:PutTargets", "events:PutRule", "events:DescribeRule"}
ENDING, READING = {"events:PutEvents"}, {"s3:GetObject"}
MAPPING = {"states:StartExecution", "states:DescribeExecution", "states:StopExecution"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("silent", ALWAYS),
        ("schedule", ALWAYS | ENDING),
        ("foreach", ALWAYS | ENDING | READING | MAPPING),
        ("inline", ALWAYS | ENDING | READING),
        ("gang", ALWAYS | ENDING),
    ],
)
def test_the_machine_may_do_what_its_states_do(name: str, expected: set[str]) -> None:
    """The role of the state machine has the actions that some state needs, on the stack's own things, and delivers its log."""
    text, values = FEATURES[name]
    resources = stack(text, **values)["Resources"]
    found = statements(resources["StateMachineRole"])
    actions = {action for each in found for action in each["Action"]}
    assert {action for action in actions if not action.startswith("logs:")} == expected
    for each in found:
        if each["Resource"] == ["*"]:
            assert all(action == "batch:DescribeJobs" or action.startswith("logs:") for action in each["Action"])
    submit = next(each["Resource"] for each in found if "batch:SubmitJob" in each["Action"])
    named = [each["Properties"]["JobDefinitionName"] for each in resources.values() if each["Type"] == "AWS::Batch::JobDefinition"]
    allowed = [each["Fn::Sub"] for each in submit if isinstance(each["Fn::Sub"], str)]
    assert [each.rpartition("/")[2] for each in allowed] == [f"{name}{tail}" for name in named for tail in ("", ":*")]


def test_a_queue_may_be_named_or_given_by_arn() -> None:
    """The role's resource is the queue's ARN, however @batch or the parameter names it."""
    import boto3
    from moto import mock_aws

    arn = "arn:aws:batch:us-east-1:123456789012:job-queue/mine"
    assert stack_parameters.queue_arn(arn) == arn
    known = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    for given in ("mine", arn):
        bucket = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": stack_parameters.queue_arn("${JobQueue}")}}
        template = {"Parameters": {"JobQueue": {"Type": "String"}}, "Resources": {"G": bucket}}
        with mock_aws():
            parameters = [{"ParameterKey": "JobQueue", "ParameterValue": given}]
            boto3.client("cloudformation", **known).create_stack(StackName="s", TemplateBody=json.dumps(template), Parameters=parameters)
            (group,) = boto3.client("logs", **known).describe_log_groups()["logGroups"]
        assert group["logGroupName"] == arn


def test_a_trigger_fills_parameters() -> None:
    """The rule waits for the event by name, and its target hands over the fields of the payload that the flow asks for."""
    text, values = FEATURES["trigger"]
    rule = stack(text, **values)["Resources"]["Trigger"]["Properties"]
    assert rule["EventPattern"] == {"source": ["metaflow"], "detail-type": ["Metaflow Event"], "detail": {"name": ["data"]}}
    (target,) = rule["Targets"]
    assert target["InputTransformer"]["InputPathsMap"] == {"p0": "$.detail.payload.rows"}
    assert target["InputTransformer"]["InputTemplate"] == '{"Parameters": {"n": <p0>}}'
    text, values = FEATURES["all fields"]
    (target,) = stack(text, **values)["Resources"]["Trigger"]["Properties"]["Targets"]
    assert target["InputTransformer"]["InputPathsMap"] == {"p0": "$.detail.payload.m", "p1": "$.detail.payload.n"}
    assert json.loads(target["InputTransformer"]["InputTemplate"].replace("<p1>", "1").replace("<p0>", '"y"')) == {"Parameters": {"n": 1, "M": "y"}}


def test_one_flow_hears_the_end_of_another() -> None:
    """What a machine announces at its end is what the rule of a flow that waits for it matches."""
    values = {"branch": "b"}
    text = flow("@project(name='ads')").replace("class Hello", "class Other")
    machine = stack(text, **values)["Resources"]["StateMachine"]["Properties"]["Definition"]
    (entry,) = machine["States"]["Announce"]["Parameters"]["Entries"]
    text, values = FEATURES["after"]
    pattern = stack(text, **values)["Resources"]["Trigger"]["Properties"]["EventPattern"]
    assert pattern == {"source": [entry["Source"]], "detail-type": [entry["DetailType"]], "detail": {"name": [entry["Detail"]["name"]]}}
    assert entry["Detail"]["name"] == "metaflow.ads.test.b.Other.end"
    assert entry["Detail"]["payload"]["run_id.$"] == "$.run"


@pytest.mark.parametrize(("above", "code"), [("@trigger(events=['a', 'b'])", "FC477"), ("@trigger_on_finish(flows=['A', 'B'])", "FC477"), ("@trigger(event='a b')", "FC427")])  # fmt: skip
def test_triggers_that_are_refused(above: str, code: str) -> None:
    """A rule starts the flow at each event, so one that waits for all of several is refused; names are checked as elsewhere."""
    from reading import reading

    from flowc import compiler, graph
    from flowc.settings import Settings

    read = reading(flow(above))
    done = compiler.compile_flow(read.flows[0], graph.build(read.flows[0]), "step-functions", Settings())
    assert [d.code.id for d in done.diagnostics] == [code]


def test_files_for_terraform() -> None:
    """`--format asl` writes one file an object; every hole is one of those that the page lists, and texts of the user are escaped."""
    text = flow("@schedule()", "@batch(cpu=2)\n    @environment(vars={'A': '${JobRole} %{if}'})")
    found = {artifact.file: artifact for artifact in compiled(text, format="asl")}
    assert list(found) == ["Hello.asl.json", "Hello.JobDefinitionStart.json", "Hello.JobDefinition.json", "Hello.schedule.json"]
    assert "$${JobRole} %%{if}" in found["Hello.JobDefinitionStart.json"].text
    holes = {hole for artifact in found.values() for hole in stacks_holes(artifact.text)}
    assert holes == {"JobDefinition", "JobDefinitionStart", "JobQueue", "JobRole", "LogGroup", "DatastoreRoot", "Region", "StateMachine", "StartRole"}
    assert json.loads(found["Hello.schedule.json"].text)["ScheduleExpression"] == "cron(0 0 * * ? *)"
    rule = next(a for a in compiled(flow("@trigger(event='a')"), format="asl") if a.file == "Hello.rule.json")
    assert rule.object["Targets"][0]["Arn"] == "${StateMachine}"


def stacks_holes(text: str) -> set[str]:
    return set(re.findall(r"(?<!\$)\$\{(\w+)\}", text))


def test_texts_are_escaped_for_terraform() -> None:
    """Holes stay, what only looks like one does not."""
    from flowc.deployment.batch import hole

    assert stacks.escaped({"a": [hole("X"), "${X}", 1]}) == {"a": ["${X}", "$${X}", 1]}


def test_code_stands_once() -> None:
    """However many job definitions there are, the stack holds the code once."""
    steps = WORK.replace("    @step\n    def work", "    @batch(cpu=4)\n    @step\n    def work")
    value = stack(flow(next_="self.work, foreach='x'", steps=steps, on_start="@batch(cpu=2)"))
    assert sum(each["Type"] == "AWS::Batch::JobDefinition" for each in value["Resources"].values()) == 3
    archive = value["Mappings"]["Code"]["Flow"]["Archive"]
    assert json.dumps(value).count(archive) == 1


def test_names_fit() -> None:
    """The name of a schedule or rule has 64 characters at most, and different machines have different ones."""
    long = ["x" * 63 + "a" * n for n in range(1, 17)]
    names = [stacks.schedule_name(name) for name in long]
    assert max(map(len, names)) == 64
    assert len(set(names)) == len(names)


def resources_of(value: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    return [each["Properties"] for each in value["Resources"].values() if each["Type"] == kind]


def test_a_run_keeps_the_revision_that_it_began_with() -> None:
    """An update leaves old revisions of job definitions active, since executions under way name them."""
    for each in resources_of(stack(flow()), "AWS::Batch::JobDefinition"):
        assert each["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True}


def test_the_end_to_end_flows_have_stacks() -> None:
    """The flows that the interpreter runs are compiled as stacks too."""
    for name in ("fan", "loop", "branches", "switch"):
        assert stack((E2E / f"{name}.py").read_text())["Resources"]["StateMachine"]


def test_the_page_lists_parameters_and_places() -> None:
    """docs/step-functions.md names each parameter that some stack has, and each place that some file has, and no other."""
    page = (FIXTURES.parent.parent / "docs" / "step-functions.md").read_text()
    lists = [set(re.findall(r"^\| `(\w+)`", part, re.MULTILINE)) for part in re.split(r"^\|---.*$", page, flags=re.MULTILINE)]
    parameters = {name for text, values in FEATURES.values() for name in stack(text, **values)["Parameters"]}
    assert parameters in lists
    found = {hole for text, values in FEATURES.values() for file in compiled(text, **{**values, "format": "asl"}) for hole in stacks_holes(file.text)}
    plain = {name for name in found if not name.startswith("JobDefinition")}
    listed = next(names for names in lists if "StartRole" in names)
    assert plain - {"ExecutionRole"} == listed - {"JobDefinition"}


def test_terraform_fills_the_files(tmp_path: Path) -> None:
    """templatefile of the real Terraform gives JSON in which every place is filled and the user's own text is as it was."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform on this machine")
    own = "${JobRole} $${x} %{if} %%{y} $"
    text = flow("@schedule()", f"@batch(cpu=2)\n    @environment(vars={{'A': {own!r}}})", next_="self.work, foreach='x'", steps=WORK)
    artifacts = compiled(text, format="asl")
    for artifact in artifacts:
        (tmp_path / artifact.file).write_text(artifact.text)
    known = {name: f"<{name}>" for artifact in artifacts for name in stacks_holes(artifact.text)}
    asked = f'jsonencode({{for f in fileset(".", "*.json") : f => jsondecode(templatefile(f, {json.dumps(known)}))}})\n'
    done = subprocess.run(["terraform", "console"], cwd=tmp_path, input=asked, capture_output=True, text=True, check=True)
    found = json.loads(json.loads(done.stdout))
    assert sorted(found) == sorted(artifact.file for artifact in artifacts)
    one = found["Hello.JobDefinitionStart.json"]["containerProperties"]
    assert {"name": "A", "value": own} in one["environment"]
    assert one["jobRoleArn"] == "<JobRole>"
    states = found["Hello.asl.json"]["States"]
    assert states["start"]["Parameters"]["JobDefinition"] == "<JobDefinitionStart>"
    assert states["start outcome"]["Parameters"]["Bucket"] == "<Bucket>"
    assert found["Hello.schedule.json"]["Target"]["RoleArn"] == "<StartRole>"


def test_the_description_is_the_settings() -> None:
    """CloudFormation takes 1,024 bytes, whole characters."""
    assert stack(flow())["Description"] == "Metaflow flow Hello on AWS Step Functions and AWS Batch"
    assert stack(flow(), description="é" * 600)["Description"] == "é" * 512


def test_the_bytes_are_the_flows(tmp_path: Path) -> None:
    """Processes with other hash seeds, zones and folders write the same stack."""
    path = FIXTURES / "nested_foreach" / "flow.py"
    call = [sys.executable, "-m", "flowc", "compile", str(path), "--target", "step-functions", "--isolated"]
    texts = []
    for seed, zone, folder in (("0", "UTC", FIXTURES.parents[1]), ("4711", "Pacific/Kiritimati", tmp_path)):
        env = {**os.environ, "PYTHONPATH": str(FIXTURES.parents[1]), "PYTHONHASHSEED": seed, "TZ": zone}
        texts.append(subprocess.run(call, cwd=folder, env=env, capture_output=True, check=True).stdout)
    assert texts[0] == texts[1]
    assert texts[0].startswith(b"AWSTemplateFormatVersion")
