"""In: cfn-lint's schema of the Amazon States Language. Out: strict definitions per state type and query language, its gaps filled."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

LANGUAGES = ("JSONPath", "JSONata")
TYPES = ("Choice", "Fail", "Map", "Parallel", "Pass", "Succeed", "Task", "Wait")
# Fields of one query language only, as the States Language has them; cfn-lint knows the first line of each.
ONLY: Mapping[str, tuple[str, ...]] = {
    "JSONPath": (
        *("InputPath", "OutputPath", "Parameters", "ResultPath", "ResultSelector"),
        *("ItemsPath", "MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath"),
        *("SecondsPath", "TimestampPath", "TimeoutSecondsPath", "HeartbeatSecondsPath", "ErrorPath", "CausePath"),
    ),
    "JSONata": ("Arguments", "Output", "Items"),
}
NUMBERS = ("HeartbeatSeconds", "MaxConcurrency", "Seconds", "TimeoutSeconds", "ToleratedFailureCount", "ToleratedFailurePercentage")
NAME: Schema = {"type": "string", "pattern": "^.{1,80}$"}
PATH: Schema = {"type": ["string", "null"], "pattern": r"^\$"}
OBJECT: Schema = {"type": "object"}
ANY: Schema = {}
EXPRESSION: Schema = {"type": "string", "pattern": r"^\{%[\s\S]*%\}$"}


def definitions(upstream: Mapping[str, Schema]) -> Schema:
    """StateMachine, and below it what it is made of."""
    found: Schema = {"StateMachine": _by_language("Machine")}
    for language in LANGUAGES:
        found[f"Machine.{language}"] = _machine(language, top=True)
        found[f"Processor.{language}"] = _machine(language, processor=True)
        found[f"Branch.{language}"] = _machine(language)
        found[f"State.{language}"] = _state(language)
        found[f"Catch.{language}"] = _catch(language)
        for kind in TYPES:
            found[f"{kind}.{language}"] = _of_type(upstream[kind.lower()], kind, language)
    test = copy.deepcopy(upstream["choice"]["definitions"]["Operator"]["properties"])
    test["Variable"] = {"type": "string", "pattern": r"^\$"}
    for several in ("And", "Or"):
        test[several] = {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/Test"}}
    test["Not"] = {"$ref": "#/definitions/Test"}
    test.pop("Next")
    found["Test"] = _closed(test, ())
    found["Rule.JSONPath"] = _closed({**test, "Next": NAME, "Assign": OBJECT, "Comment": {"type": "string"}}, ("Next",))
    rule = {"Condition": {"type": ["string", "boolean"]}, "Next": NAME, "Assign": OBJECT, "Output": ANY, "Comment": {"type": "string"}}
    found["Rule.JSONata"] = _closed(rule, ("Condition", "Next"))
    found["Retry"] = _closed(
        {
            "ErrorEquals": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            "IntervalSeconds": {"type": "integer", "minimum": 1, "maximum": 99999999},
            "MaxAttempts": {"type": "integer", "minimum": 0, "maximum": 99999999},
            "BackoffRate": {"type": "number", "minimum": 1},
            "MaxDelaySeconds": {"type": "integer", "minimum": 1, "maximum": 31622399},
            "JitterStrategy": {"enum": ["FULL", "NONE"]},
            "Comment": {"type": "string"},
        },
        ("ErrorEquals",),
    )
    modes = {"Mode": {"enum": ["INLINE", "DISTRIBUTED"]}, "ExecutionType": {"enum": ["STANDARD", "EXPRESS"]}}
    found["ProcessorConfig"] = _closed(modes, ())
    return found


def _closed(fields: Mapping[str, Schema], required: tuple[str, ...]) -> Schema:
    found: Schema = {"type": "object", "properties": dict(fields), "additionalProperties": False}
    return {**found, "required": sorted(required)} if required else found


def _by_language(name: str, default: str = "JSONPath") -> Schema:
    other = next(language for language in LANGUAGES if language != default)
    chosen = {"properties": {"QueryLanguage": {"const": other}}, "required": ["QueryLanguage"]}
    return {"if": chosen, "then": {"$ref": f"#/definitions/{name}.{other}"}, "else": {"$ref": f"#/definitions/{name}.{default}"}}


def _machine(language: str, *, top: bool = False, processor: bool = False) -> Schema:
    fields: Schema = {
        "Comment": {"type": "string"},
        "StartAt": NAME,
        "States": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"maxLength": 80, "minLength": 1},
            "additionalProperties": {"$ref": f"#/definitions/State.{language}"},
        },
    }
    if top:
        fields |= {"QueryLanguage": {"enum": [language]}, "Version": {"enum": ["1.0"]}, "TimeoutSeconds": {"type": "integer", "minimum": 1}}
    if processor:
        fields["ProcessorConfig"] = {"$ref": "#/definitions/ProcessorConfig"}
    return _closed(fields, ("StartAt", "States"))


def _state(language: str) -> Schema:
    """A state, by its type; in a JSONPath machine a state may be a JSONata one, not the other way round."""
    cases = [
        {
            "if": {"properties": {"Type": {"const": kind}}, "required": ["Type"]},
            "then": _by_language(kind) if language == "JSONPath" else {"$ref": f"#/definitions/{kind}.JSONata"},
        }
        for kind in TYPES
    ]
    return {"type": "object", "required": ["Type"], "allOf": [{"if": {"required": ["Type"]}, "then": _type_known()}, *cases]}


def _type_known() -> Schema:
    return {"properties": {"Type": {"enum": list(TYPES)}}}


def _catch(language: str) -> Schema:
    fields: Schema = {"ErrorEquals": {"type": "array", "minItems": 1, "items": {"type": "string"}}, "Next": NAME, "Assign": OBJECT}
    fields |= {"Comment": {"type": "string"}}
    fields |= {"ResultPath": PATH} if language == "JSONPath" else {"Output": ANY}
    return _closed(fields, ("ErrorEquals", "Next"))


def _of_type(upstream: Schema, kind: str, language: str) -> Schema:
    """The fields of a state in one language; whether Next or End must be there is asked by the semantic rules, which say it better."""
    other = next(name for name in LANGUAGES if name != language)
    fields: Schema = copy.deepcopy(upstream["properties"])
    fields |= {"Type": {"enum": [kind]}, "Comment": {"type": "string"}, "QueryLanguage": {"enum": [language]}}
    # Fail passes nothing on; a Choice goes on by its rules alone
    fields |= {name: PATH for name in ("InputPath", "OutputPath") if kind != "Fail"}
    fields |= {"Output": ANY, "Assign": OBJECT, "Arguments": ANY} | _amended(kind, language)
    if "Next" in fields:
        fields["Next"] = NAME
    dropped = {*ONLY[other], "Iterator"}
    if kind not in ("Task", "Map", "Parallel"):
        dropped |= {"Arguments", "Retry", "Catch"}
    if kind == "Fail":
        dropped |= {"Output", "Assign"}
    if kind == "Choice":
        dropped |= {"Next", "End"}
    if language == "JSONata":
        fields |= {name: {"anyOf": [fields[name], EXPRESSION]} for name in NUMBERS if name in fields}
    required = {"Choice": ("Choices",), "Task": ("Resource",), "Map": ("ItemProcessor",), "Parallel": ("Branches",)}.get(kind, ())
    return _closed({name: schema for name, schema in fields.items() if name not in dropped}, ("Type", *required))


def _amended(kind: str, language: str) -> Schema:
    """What cfn-lint leaves open, or out."""
    found: Schema = {}
    if kind in ("Task", "Map", "Parallel"):
        found["Retry"] = {"type": "array", "items": {"$ref": "#/definitions/Retry"}}
        found["Catch"] = {"type": "array", "items": {"$ref": f"#/definitions/Catch.{language}"}}
        found |= {"ResultPath": PATH, "ResultSelector": OBJECT, "Parameters": ANY}
    arguments = "Parameters" if language == "JSONPath" else "Arguments"
    if kind == "Task":
        found |= {"Resource": {"type": "string", "pattern": r"^(arn:|\$\{)"}, "Parameters": OBJECT, "Credentials": OBJECT}
        found |= {name: {"type": "integer", "minimum": 1, "maximum": 99999999} for name in ("TimeoutSeconds", "HeartbeatSeconds")}
    if kind == "Pass":
        found |= {"ResultPath": PATH, "Parameters": ANY}
    if kind == "Choice":
        found |= {"Choices": {"type": "array", "minItems": 1, "items": {"$ref": f"#/definitions/Rule.{language}"}}, "Default": NAME}
    if kind == "Parallel":
        found["Branches"] = {"type": "array", "minItems": 1, "items": {"$ref": f"#/definitions/Branch.{language}"}}
    if kind == "Map":
        place = {"Resource": {"type": "string", "pattern": "^arn:"}, arguments: OBJECT}
        found |= {
            "ItemProcessor": {"$ref": f"#/definitions/Processor.{language}"},
            "ItemReader": _closed({**place, "ReaderConfig": OBJECT}, ("Resource",)),
            "ResultWriter": _closed({**place, "WriterConfig": OBJECT}, ()),
            "ItemSelector": OBJECT,
            "MaxConcurrency": {"type": "integer", "minimum": 0},
            "ToleratedFailurePercentage": {"type": "number", "minimum": 0, "maximum": 100},
            "ToleratedFailureCount": {"type": "integer", "minimum": 0},
            "Label": {"type": "string", "maxLength": 40},
        }
    return found
