"""Broken state machines are refused with a message that points to the state and the field; good ones pass, in both query languages."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from flowc.deployment.validate import violations
from flowc.targets.step_functions import rules_size, rules_stack
from flowc.targets.step_functions.rules_machine import problems

BROKEN = Path(__file__).resolve().parents[1] / "engines" / "stepfunctions" / "broken.py"
POINTS = {
    "01": "States.join.Next: there is no state 'nope' here",
    "02": "States.each.ItemProcessor.States.body.Next: there is no state 'nope' here",
    "03": "StartAt: there is no state 'nope' here",
    "04": "States.c.Choices[0].Next: there is no state 'nope' here",
    "05": "States.each.ItemProcessor.States.last.Next: there is no state 'end' here",
    "06": "States.end: has neither Next nor End",
    "07": "States.join: has both Next and End",
    "08": "States.orphan: no state leads here",
    "09": "States.join.OutputPath: \"$.['a'\" is no path",
    "10": "States.join.Parameters.JobName.$: '$.NoSuch.Key' finds nothing",
    "11": "States.join.Parameters.JobName.$: 'JobId' is no path",
    "12": "States.c.Choices[0]: Additional properties are not allowed ('StringEqual' was unexpected)",
    "13": "States.c.Default: is missing",
    "14": "States.p.Output.a: is no JSONata",
    "15": "States.c.Choices[0].Condition: is no JSONata: `=` at character 20",
    "16": "States.p: Additional properties are not allowed ('ResultPath' was unexpected)",
    "17": "States.p.Output: the variable $nosuch is not assigned",
    "18": "is longer than 80 characters",
    "19": "States.end: the name 'end' is that of States.each.ItemProcessor.States.end too",
    "20": "States.join.Resource: Step Functions has no call 'bacth:submitJob' that flowc knows; it knows batch:submitJob",
    "21": "States.join.Resource: Step Functions has no call 'batch:submitJbo'",
    "22": "States.join.Resource: batch:submitJob cannot be called with the suffix '.snyc'",
    "23": 'States.join.Resource: "batch:submitJob.sync" does not match',
    "24": "States.join: Additional properties are not allowed ('Nxt' was unexpected)",
    "25": "States.join.Parameters.JobNmae: there is no such parameter; there is JobName",
    "26": 'States.join: "Type" is a required property',
    "27": 'States.join.Retry[0]: "ErrorEquals" is a required property',
    "28": 'States.each: "ItemProcessor" is a required property',
    "29": 'States.each.MaxConcurrency: "2" is not of type "integer"',
}


def judged(machine: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> list[str]:
    """What the schema, and then the rules, say of a machine."""
    return [f"{where}: {what}" for where, what in violations("step-functions/asl.json#StateMachine", machine)] or problems(machine, given)


@cache
def machines() -> dict[str, dict[str, Any]]:
    folder = Path(mkdtemp(prefix="flowc-broken-"))
    subprocess.run([sys.executable, str(BROKEN), str(folder)], check=True, capture_output=True)
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


@pytest.mark.parametrize("number", POINTS)
def test_a_broken_machine_is_refused(number: str) -> None:
    """Each machine that broken.py breaks is refused, at the place that is wrong."""
    (machine,) = [machine for name, machine in machines().items() if name.startswith(number)]
    assert any(POINTS[number] in said for said in judged(machine)), judged(machine)


def test_the_good_machines_pass() -> None:
    """The machines that broken.py breaks are fine before; none is left out of the table."""
    good = {name: judged(machine) for name, machine in machines().items() if name.startswith("good")}
    assert len(good) == 4
    assert all(said == [] for said in good.values()), good
    assert {name[:2] for name in machines() if not name.startswith("good")} == set(POINTS)


# --- one change away from a machine with all that the rules know ---

GET = "arn:aws:states:::aws-sdk:s3:getObject"
SUBMIT = "arn:aws:states:::batch:submitJob.sync"
JOB = {"JobName": "j", "JobQueue": "${Queue}", "JobDefinition": "${Job}"}
WHOLE: dict[str, Any] = {
    "StartAt": "first",
    "TimeoutSeconds": 60,
    "States": {
        "first": {
            "Type": "Task",
            "Resource": SUBMIT,
            "Parameters": {**JOB, "ContainerOverrides": {"Environment": [{"Name": "A", "Value.$": "$.who"}]}},
            "ResultSelector": {"run.$": "States.Format('sfn-{}', $$.Execution.Name)", "id.$": "$.JobId"},
            "Retry": [{"ErrorEquals": ["Batch.BatchException"], "IntervalSeconds": 2, "MaxDelaySeconds": 60, "JitterStrategy": "FULL"}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "tell"}],
            "Next": "ask",
        },
        "ask": {
            "Type": "Task",
            "Resource": GET,
            "Parameters": {"Bucket": "b", "Key.$": "$.run"},
            "ResultSelector": {"is.$": "States.StringToJson($.Body)"},
            "ResultPath": "$.outcome",
            "Next": "choose",
        },
        "choose": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.outcome.is.case", "StringEquals": "each", "Next": "each"},
                {"And": [{"Variable": "$.outcome.at", "IsPresent": True}, {"Variable": "$.outcome.at", "NumericEquals": 1}], "Next": "again"},
            ],
            "Default": "no case",
        },
        "again": {"Type": "Pass", "Parameters": {"n.$": "$.outcome.at"}, "ResultPath": "$.round", "Next": "ask"},
        "each": {
            "Type": "Map",
            "ItemsPath": "$.outcome.is.indices",
            "ItemSelector": {"run.$": "$.run", "path.$": "$$.Map.Item.Value"},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "body",
                "States": {"body": {"Type": "Pass", "Parameters": {"at.$": "$.path"}, "End": True}},
            },
            "ResultPath": "$.results",
            "Next": "both",
        },
        "both": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "left", "States": {"left": {"Type": "Pass", "InputPath": "$.run", "End": True}}},
                {"StartAt": "right", "States": {"right": {"Type": "Succeed", "OutputPath": "$.run"}}},
            ],
            "ResultSelector": {"one.$": "$[0]"},
            "Assign": {"kept.$": "$.one"},
            "Next": "last",
        },
        "last": {"Type": "Pass", "Parameters": {"one.$": "$.one", "kept.$": "$kept"}, "End": True},
        "tell": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
        "no case": {"Type": "Fail", "Error": "flowc.NoCase", "CausePath": "States.Format('no case is {}', $.outcome.is.case)"},
    },
}
GIVEN = {"who": None}
State = dict[str, Any]


def test_a_union_keeps_what_is_there() -> None:
    """`$['a','b']` is an object with those of the fields that exist, so one of them is enough; only that one is there then."""
    machine = copy.deepcopy(WHOLE)
    machine["States"]["both"]["Branches"][0]["States"]["left"] |= {"InputPath": "$['run','nope']", "Parameters": {"x.$": "$.run"}}
    assert judged(machine, GIVEN) == []
    machine["States"]["both"]["Branches"][0]["States"]["left"]["Parameters"] = {"x.$": "$.outcome"}
    assert any("has no field 'outcome'" in said for said in judged(machine, GIVEN))


def test_a_whole_machine_passes() -> None:
    """The machine that the next test changes is right, with a known input and with any."""
    assert judged(WHOLE, GIVEN) == []
    assert judged(WHOLE) == []


CHANGES: dict[str, tuple[Callable[[dict[str, State]], object], str]] = {
    "input": (lambda s: s["first"]["Parameters"].update({"JobName.$": "$.whom"}), "States.first.Parameters.JobName.$: '$.whom' finds nothing"),
    "result": (lambda s: s["first"]["ResultSelector"].update({"x.$": "$.Nope"}), "States.first.ResultSelector.x.$: '$.Nope' finds nothing"),
    "dropped": (lambda s: s["ask"].pop("ResultPath"), "'$.outcome.is.case' finds nothing: $ has no field 'outcome' there; it has is"),
    "selected": (lambda s: s["first"]["ResultSelector"].pop("run.$"), "States.ask.Parameters.Key.$: '$.run' finds nothing"),
    "after an error": (lambda s: s["first"]["Catch"][0].update(ResultPath="$.failure"), "States.tell.ErrorPath: '$.error.Error' finds nothing"),
    "some ways only": (lambda s: s["ask"]["Parameters"].update({"Key.$": "$.round.n"}), "'$.round.n' finds nothing: $ has no field 'round'"),
    "item": (lambda s: s["each"]["ItemSelector"].pop("path.$"), "States.each.ItemProcessor.States.body.Parameters.at.$: '$.path' finds nothing"),
    "context": (lambda s: s["again"]["Parameters"].update({"x.$": "$$.Map.Item.Value"}), "$$ has no field 'Map' there"),
    "context field": (lambda s: s["again"]["Parameters"].update({"x.$": "$$.Execution.Nme"}), "$$.Execution has no field 'Nme'"),
    "child": (
        lambda s: s["each"]["ItemProcessor"]["States"]["body"]["Parameters"].update({"x.$": "$$.Execution.Name"}),
        "in a distributed Map this is the child's execution",
    ),
    "array": (lambda s: s["both"].update(ResultSelector={"one.$": "$.one"}), "'$.one' finds nothing: $ is an array"),
    "union": (lambda s: s["again"].update(InputPath="$['rnu','outcmoe']"), "States.again.InputPath: \"$['rnu','outcmoe']\" finds nothing"),
    "variable": (lambda s: s["both"].pop("Assign"), "States.last.Parameters.kept.$: '$kept': the variable $kept is not assigned"),
    "unguarded": (lambda s: s["choose"]["Choices"][1].pop("And") and s["choose"]["Choices"][1].update(Variable="$.outcome.at", IsNull=False), "Choices[1].Variable: '$.outcome.at' finds"),
    "format": (lambda s: s["first"]["ResultSelector"].update({"run.$": "States.Format('{}{}', $.JobId)"}), "States.Format has 2 `{}` for 1 values"),
    "intrinsic": (lambda s: s["first"]["ResultSelector"].update({"run.$": "States.Fromat('a')"}), "no intrinsic function States.Fromat"),
    "several": (lambda s: s["each"].update(ItemsPath="$.outcome.is[*]"), "States.each.ItemsPath: '$.outcome.is[*]' is no path: it may name several"),
    "result path": (lambda s: s["again"].update(ResultPath="$.a[*]"), "States.again.ResultPath: '$.a[*]' is no path"),
    "no text": (lambda s: s["again"].update(Parameters={"n.$": 1}), "States.again.Parameters.n.$: is no text"),
    "type": (lambda s: s["first"]["Parameters"].update(Timeout={"AttemptDurationSeconds": "60"}), "AttemptDurationSeconds: is \"60\", not of type integer"),
    "case": (lambda s: s["first"]["Parameters"].update(timeout={}), "States.first.Parameters.timeout: there is no such parameter; there is Timeout"),
    "required": (lambda s: s["first"]["Parameters"].pop("JobQueue"), "States.first.Parameters.JobQueue: is missing"),
    "enum": (lambda s: s["first"]["Parameters"]["ContainerOverrides"].update(ResourceRequirements=[{"Type": "CPU", "Value": "1"}]), "is 'CPU', not one of"),
    "sync": (lambda s: s["ask"].update(Resource=GET + ".sync"), "aws-sdk:s3:getObject cannot be called with the suffix '.sync'"),
    "error name": (lambda s: s["first"]["Retry"][0].update(ErrorEquals=["States.Timout"]), "Step Functions has no error States.Timout"),
    "all with others": (lambda s: s["first"]["Catch"][0]["ErrorEquals"].append("X"), "States.ALL must stand alone"),
    "delay": (lambda s: s["first"]["Retry"][0].update(MaxDelaySeconds=2), "MaxDelaySeconds: must be more than IntervalSeconds"),
    "two tests": (lambda s: s["choose"]["Choices"][0].update(IsNull=True), "has StringEquals and IsNull; it must be exactly one"),
    "no variable": (lambda s: s["choose"]["Choices"][0].pop("Variable"), "StringEquals needs a Variable"),
    "inline": (lambda s: s["each"]["ItemProcessor"].update(ProcessorConfig={"Mode": "INLINE", "ExecutionType": "STANDARD"}), "is for distributed Maps only"),
    "distributed": (lambda s: s["each"]["ItemProcessor"]["ProcessorConfig"].pop("ExecutionType"), "a distributed Map needs an ExecutionType"),
    "for ever": (lambda s: (s["last"].pop("End"), s["last"].update(Next="last")), "States.last: from here no end can be reached"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_noticed(what: str) -> None:
    """A path without data, a call that AWS does not know, a loop without an end: each is named with its place."""
    machine = copy.deepcopy(WHOLE)
    change, says = CHANGES[what]
    change(machine["States"])
    assert any(says in said for said in judged(machine, GIVEN)), judged(machine, GIVEN)


# --- JSONata ---

JSONATA: dict[str, Any] = {
    "QueryLanguage": "JSONata",
    "StartAt": "a",
    "States": {
        "a": {
            "Type": "Task",
            "Resource": SUBMIT,
            "Arguments": {**JOB, "JobName": "{% 'j-' & $states.context.Execution.Name %}"},
            "Assign": {"id": "{% $states.result.JobId %}"},
            "Output": "{% $merge([$states.input, {'n': $count($states.input.items[$ > 1])}]) %}",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Assign": {"why": "{% $states.errorOutput.Cause %}"}, "Next": "c"}],
            "Next": "b",
        },
        "b": {"Type": "Pass", "Output": {"id": "{% $id %}", "twice": "{% ($f := function($x) { $x * 2 }; $f(2)) %}"}, "Next": "c"},
        "c": {"Type": "Succeed", "Output": "{% $string($states.input) %}"},
    },
}
JSONATA_CHANGES: dict[str, tuple[Callable[[dict[str, State]], object], str]] = {
    "some ways only": (lambda s: s["c"].update(Output="{% $id %}"), "States.c.Output: the variable $id is not assigned on every way here"),
    "member": (lambda s: s["b"].update(Output="{% $states.inptu %}"), "$states has no inptu"),
    "result": (lambda s: s["b"].update(Output="{% $states.result %}"), "$states.result is there only in Output and Assign"),
    "early": (lambda s: s["a"]["Arguments"].update(JobName="{% $states.result %}"), "$states.result is there only in Output and Assign"),
    "error": (lambda s: s["a"].update(Output="{% $states.errorOutput %}"), "$states.errorOutput is there only in Catch"),
    "context": (lambda s: s["b"].update(Output="{% $.x %}"), "`$` is nothing outside of a path"),
    "eval": (lambda s: s["b"].update(Output="{% $eval('1') %}"), "Step Functions has no $eval"),
    "open": (lambda s: s["b"].update(Output="{% 1 "), "is not closed by `%}`"),
    "parameter": (lambda s: s["a"]["Arguments"].update(jobName="x"), "States.a.Arguments.jobName: there is no such parameter; there is JobName"),
}


def test_a_jsonata_machine_passes() -> None:
    """Variables, functions, predicates and errors in their places are fine."""
    assert judged(JSONATA) == []


@pytest.mark.parametrize("what", JSONATA_CHANGES)
def test_a_change_of_jsonata_is_noticed(what: str) -> None:
    """What an expression may read depends on the field that it stands in and on the states before."""
    machine = copy.deepcopy(JSONATA)
    change, says = JSONATA_CHANGES[what]
    change(machine["States"])
    assert any(says in said for said in judged(machine)), judged(machine)


# --- stacks and sizes ---

STACK: dict[str, Any] = {
    "Parameters": {"Queue": {"Type": "String"}},
    "Conditions": {"Has": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Queue"}, ""]}]}},
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": {"Statement": [{"Condition": {"StringEquals": {"a": "b"}}}]}},
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Condition": "Has",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "DefinitionSubstitutions": {"Queue": {"Ref": "Queue"}, "Region": {"Fn::Sub": "${AWS::Region}-${Queue}"}},
                "Definition": {"StartAt": "a", "States": {"a": {"Type": "Pass", "Result": "${Queue} ${Unknown}", "End": True}}},
            },
        },
    },
    "Outputs": {"Arn": {"Value": {"Ref": "Machine"}}},
}
STACK_CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "reference": (lambda t: t["Outputs"]["Arn"].update(Value={"Ref": "Machin"}), "Outputs.Arn: refers to Machin, which is not there"),
    "attribute": (lambda t: t["Outputs"]["Arn"].update(Value={"Fn::GetAtt": "Queue.Arn"}), "refers to Queue.Arn"),
    "text": (lambda t: t["Outputs"]["Arn"].update(Value={"Fn::Sub": "x-${Nope.Arn}"}), "refers to Nope.Arn"),
    "condition": (lambda t: t["Resources"]["Machine"].update(Condition="Hsa"), "Resources.Machine: there is no condition Hsa"),
    "if": (lambda t: t["Outputs"]["Arn"].update(Value={"Fn::If": ["Nope", 1, 2]}), "Outputs.Arn: there is no condition Nope"),
    "unused": (lambda t: t["Parameters"].update(More={"Type": "String"}), "Parameters.More: nothing refers to it"),
    "depends": (lambda t: t["Resources"]["Role"].update(DependsOn="Nope"), "Resources.Role.DependsOn: there is no resource Nope"),
    "circle": (lambda t: t["Resources"]["Role"].update(DependsOn=["Machine"]), "Machine, Role wait for one another"),
    "name": (lambda t: t["Resources"].update({"a-b": {"Type": "AWS::Logs::LogGroup"}}), "Resources.a-b: the name is not of letters and digits"),
}


def test_a_stack_passes() -> None:
    """References to parameters, resources, attributes and pseudo parameters; IAM's conditions and the machine's own substitutions are none."""
    assert rules_stack.problems(STACK) == []
    assert violations("step-functions/cloudformation.json#Stack", STACK) == []


@pytest.mark.parametrize("what", STACK_CHANGES)
def test_a_change_of_a_stack_is_noticed(what: str) -> None:
    """A reference to nothing, and what nothing refers to, is named with its place."""
    stack = copy.deepcopy(STACK)
    change, says = STACK_CHANGES[what]
    change(stack)
    assert any(says in said for said in rules_stack.problems(stack)), rules_stack.problems(stack)


def test_a_resource_breaks_its_schema() -> None:
    """A wrong property is found; what a function of CloudFormation gives is not judged."""
    stack = copy.deepcopy(STACK)
    stack["Resources"]["Machine"]["Properties"] |= {"RoleArm": "x", "StateMachineType": {"Fn::If": ["Has", 1, 2]}, "Tags": [{"Key": 1, "Value": "v"}]}
    found = violations("step-functions/cloudformation.json#Stack", stack)
    assert [where for where, _ in found] == ["Resources.Machine.Properties", "Resources.Machine.Properties.Tags[0].Key"]


def test_history_counts_executions() -> None:
    """Items of an inline Map are events of its execution, those of a distributed Map are not."""
    task = {"Type": "Task", "End": True}
    inner = {"StartAt": "a", "States": {"a": task}}
    inline = {"States": {"m": {"Type": "Map", "ItemProcessor": inner}}}
    apart = {"States": {"m": {"Type": "Map", "ItemProcessor": {**inner, "ProcessorConfig": {"Mode": "DISTRIBUTED"}}}}}
    assert rules_size.history({"States": {"a": task}}) == 6
    assert rules_size.history(inline) == 4 + 40 * (2 + 6)
    assert rules_size.history(apart) == 4
