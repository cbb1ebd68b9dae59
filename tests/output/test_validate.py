"""The schemas are strict, and the verdict on an object is the one of the `jsonschema` package too."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc import data
from flowc.deployment.validate import load, violations
from flowc.diagnostics import OutputBug

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = sorted(p.relative_to(data.ROOT / "schemas").as_posix() for p in Path(data.ROOT / "schemas").glob("*/*.json"))

WORKFLOW: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "x", "labels": {"a": "b"}},
    "spec": {
        "entrypoint": "main",
        "parallelism": 3,
        "podGC": {"strategy": "OnPodSuccess"},
        "arguments": {"parameters": [{"name": "n", "value": "5"}]},
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
        "templateDefaults": {"container": {"image": "python:3.11", "env": [{"name": "A", "value": "1"}]}},
        "templates": [
            {
                "name": "a",
                "retryStrategy": {"limit": 3, "backoff": {"duration": "1m"}},
                "container": {"args": ["x"], "resources": {"requests": {"cpu": "1"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                "outputs": {"parameters": [{"name": "o", "valueFrom": {"path": "/o", "default": ""}}]},
            },
            {"name": "main", "dag": {"tasks": [{"name": "a", "template": "a", "withSequence": {"count": "2"}}]}},
            {"name": "s", "steps": [[{"name": "a", "template": "a", "withItems": [1, "x", {"k": True}]}]]},
            {"name": "r", "resource": {"action": "create", "manifest": "a: 1"}},
        ],
    },
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside an object."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def mutated(value: dict[str, Any], seed: int) -> dict[str, Any]:
    """The object with one place broken: removed, replaced by another type, or given an unknown field."""
    rng = random.Random(seed)
    value = copy.deepcopy(value)
    path = rng.choice([p for p in places(value) if p])
    holder: Any = value
    for key in path[:-1]:
        holder = holder[key]
    way = rng.randrange(3)
    if way == 0:
        del holder[path[-1]]
    elif way == 1:
        holder[path[-1]] = rng.choice([None, 1, 1.5, True, "x", [], {}, [1], {"x": 1}])
    elif isinstance(holder, dict):
        holder["unknownField"] = 1
    else:
        holder.append(5)
    return value


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_schema_is_a_schema(schema: str) -> None:
    """Every kind of every file is a schema by the draft that the file declares."""
    whole = load(schema)
    assert whole["$schema"] == jsonschema.Draft7Validator.META_SCHEMA["$schema"]
    assert whole["kinds"]
    jsonschema.Draft7Validator.check_schema(whole)
    for kind in whole["kinds"]:
        assert violations(schema, {"kind": kind}), "an object without a name passes"


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_schema_is_strict_and_whole(schema: str) -> None:
    """Where fields are listed no others are allowed; every reference has its definition."""
    whole = load(schema)
    text = json.dumps(whole)
    for name, definition in whole["definitions"].items():
        if "properties" in definition:
            assert definition["additionalProperties"] is False, name
    for path in places(whole):
        if path and path[-1] == "$ref":
            holder: Any = whole
            for key in path:
                holder = holder[key]
            assert holder.rpartition("/")[2] in whole["definitions"]
    assert '"description"' not in text.replace('"description": {', "")


def test_a_whole_workflow_template_passes() -> None:
    """The object that the other tests break is right."""
    assert violations("argo/3.7.json", WORKFLOW) == []
    assert violations("argo/4.0.json", WORKFLOW) == []


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9))
def test_the_verdict_is_the_one_of_jsonschema(seed: int) -> None:
    """On an object broken at random, flowc refuses exactly when jsonschema does, and at the same places."""
    value = mutated(WORKFLOW, seed)
    whole = load("argo/3.7.json")
    kind = value.get("kind")
    found = violations("argo/3.7.json", value)
    if not isinstance(kind, str) or kind not in whole["kinds"]:
        assert [path for path, _ in found] == ["kind"]
        return
    judge = jsonschema.Draft7Validator({**whole["kinds"][kind], "definitions": whole["definitions"]})
    expected = {error.json_path.removeprefix("$").lstrip(".") for error in judge.iter_errors(value)}
    assert {path for path, _ in found} == expected


def test_a_violation_names_the_path_and_the_field() -> None:
    """What a developer reads: where, and what."""
    value = copy.deepcopy(WORKFLOW)
    value["spec"]["templates"][0]["retryStrategy"]["limitt"] = 3
    value["spec"]["parallelism"] = "3"
    assert violations("argo/3.7.json", value) == [
        ("spec.parallelism", '"3" is not of type "integer"'),
        ("spec.templates[0].retryStrategy", "Additional properties are not allowed ('limitt' was unexpected)"),
    ]


def test_versions_differ_where_argo_does() -> None:
    """4.0 dropped `schedule`; 3.7 still takes it."""
    cron = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "x"},
        "spec": {"schedule": "0 0 * * *", "workflowSpec": {"workflowTemplateRef": {"name": "x"}}},
    }
    assert violations("argo/3.7.json", cron) == []
    assert violations("argo/4.0.json", cron) == [
        ("spec", '"schedules" is a required property'),
        ("spec", "Additional properties are not allowed ('schedule' was unexpected)"),
    ]


def test_kubernetes_objects_need_their_version_and_name() -> None:
    """Upstream leaves apiVersion, kind and metadata optional; an object to apply needs them."""
    assert violations("kubernetes/1.33.json", {"kind": "ConfigMap", "data": {"a": "b"}}) == [
        ("", '"apiVersion" is a required property'),
        ("", '"metadata" is a required property'),
    ]
    assert violations("kubernetes/1.33.json", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": 1}}) == [
        ("data.a", '1 is not of type "string"')
    ]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1", True),
        ("500m", True),
        ("1.5", True),
        ("4Gi", True),
        ("1e3", True),
        ("1E", True),
        ("-1", True),
        ("4 Gi", False),
        ("4GB", False),
        ("", False),
        ("lots", False),
    ],
)
def test_quantities_have_their_grammar(text: str, right: bool) -> None:
    """Argo and Kubernetes decode a quantity when they decode the object, so a wrong one fails the whole."""
    value = copy.deepcopy(WORKFLOW)
    value["spec"]["templates"][0]["container"]["resources"]["requests"]["cpu"] = text
    assert (violations("argo/3.7.json", value) == []) == right


def test_an_unknown_kind_or_schema_is_refused() -> None:
    """Neither passes unjudged."""
    assert violations("argo/3.7.json", {"kind": "Pod"})
    with pytest.raises(OutputBug, match="no schema"):
        violations("argo/2.0.json", {"kind": "Workflow"})
