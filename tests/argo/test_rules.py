"""An output that Argo or Kubernetes would refuse is refused by flowc first: good objects are broken in many ways, and each is caught."""

from __future__ import annotations

import base64
import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from argo_objects import BROKEN, CRON, FLOW, SENSOR, TEMPLATE, Object, judged, template

from flowc.deployment.validate import violations
from flowc.settings import Settings
from flowc.targets.argo import rules_cron, rules_depends, rules_scope
from flowc.targets.argo.rules import rules

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def test_the_good_objects_are_accepted_as_they_are() -> None:
    """Nothing is said against the objects that the other tests break."""
    assert judged([TEMPLATE, CRON, SENSOR]) is None
    assert rules(FLOW, [TEMPLATE, CRON, SENSOR], Settings()) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_template_is_refused(name: str) -> None:
    """Each mutation is caught, and for its own reason."""
    change, words = BROKEN[name]
    value = copy.deepcopy(TEMPLATE)
    change(value)
    verdict = judged([value])
    assert verdict is not None
    assert words in verdict


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schedules": ["0 0 * *"]}, "4 fields"),
        ({"schedules": ["0 0 0 * * *"]}, "6 fields"),
        ({"schedules": ["60 * * * *"]}, "minute that is outside of 0-59"),
        ({"schedules": ["0 24 * * *"]}, "hour"),
        ({"schedules": ["0 0 0 * *"]}, "day of month"),
        ({"schedules": ["0 0 L * *"]}, "neither a number nor a name"),
        ({"schedules": ["0 0 * 13 *"]}, "month"),
        ({"schedules": ["0 0 * * 7"]}, "day of week"),
        ({"schedules": ["0 0 * * FRI-MON"]}, "ends before it starts"),
        ({"schedules": ["*/0 * * * *"]}, "step"),
        ({"schedules": ["1/2/3 * * * *"]}, "more than one `/`"),
        ({"schedules": ["1-2-3 * * * *"]}, "more than one `-`"),
        ({"schedules": ["@sometimes"]}, "knows by name"),
        ({"schedules": ["TZ=UTC 0 0 * * *"]}, "field of its own"),
        ({"schedules": []}, "no schedule"),
        ({"schedule": "0 0 * * *"}, "exactly one"),
        ({"timezone": "Europe/Berlyn"}, "no time zone"),
        ({"concurrencyPolicy": "Sometimes"}, "concurrencyPolicy"),
        ({"startingDeadlineSeconds": -1}, "negative"),
        ({"workflowSpec": {"workflowTemplateRef": {"name": "x"}, "templates": []}}, "beside"),
    ],
)
def test_a_broken_schedule_is_refused(change: Object, words: str) -> None:
    """Argo's own cron grammar, time zones and exclusions."""
    verdict = judged([{**CRON, "spec": {**CRON["spec"], **change}}])
    assert verdict is not None
    assert words in verdict


def test_names_of_schedules_and_sensors_are_shorter() -> None:
    """52 for a CronWorkflow, 63 and no dots for a Sensor."""
    assert "at most 52" in str(judged([{**CRON, "metadata": {"name": "a" * 53}}]))
    assert "at most 63" in str(judged([{**SENSOR, "metadata": {"name": "a" * 64}}]))
    assert "dots" in str(judged([{**SENSOR, "metadata": {"name": "a.b"}}]))


@pytest.mark.parametrize(
    ("version", "spec", "accepted"),
    [
        ("3.5", {"schedule": "@daily"}, True),
        ("3.5", {"schedules": ["@daily"]}, False),
        ("3.6", {"schedules": ["@daily"]}, True),
        ("4.0", {"schedule": "@daily"}, False),
        ("4.1", {"schedules": ["@daily"]}, True),
    ],
)
def test_fields_come_and_go_with_versions(version: str, spec: Object, accepted: bool) -> None:
    """`schedules` came in 3.6, `schedule` left in 4.0."""
    cron = {**CRON, "spec": {"workflowSpec": CRON["spec"]["workflowSpec"], **spec}}
    assert (judged([cron], version) is None) == accepted


def test_half_of_the_limit_is_a_warning_that_names_the_largest_parts() -> None:
    """A workflow of 0.6 MiB compiles, and the message says where the bytes are."""
    value = copy.deepcopy(TEMPLATE)
    value["spec"]["arguments"]["parameters"][0]["value"] = "x" * 630_000
    (found,) = rules(FLOW, [value], Settings())
    assert found.code.id == "FC530"
    assert "60 % of the 1,048,576" in found.message
    assert found.help.startswith("the largest parts: spec.arguments 630,0")


@pytest.mark.parametrize(("version", "code"), [("3.5", "FC535"), ("3.6", "FC534"), ("3.7", "FC534"), ("4.1", "FC534")])
def test_a_template_that_argo_cannot_hand_over_is_reported_at_its_step(version: str, code: str) -> None:
    """Two variables that fit alone make the template longer than 128 KiB: an error before Argo made ConfigMaps of such, a warning since."""
    value = copy.deepcopy(TEMPLATE)
    template(value, "work")["container"]["env"] = [{"name": n, "value": "x" * 70_000} for n in "AB"]
    (found,) = rules(FLOW, [value], Settings(argo_version=version))
    assert found.code.id == code
    assert "the template work has" in found.message


@pytest.mark.parametrize("over", [False, True])
def test_a_sensor_that_argo_events_cannot_hand_over_is_refused(over: bool) -> None:
    """The Sensor as Argo Events writes it, in base64, with the variable's name: up to the 131,072 bytes of Linux and no more."""
    table = {"name": "table", "value": ""}
    resource = {"spec": {"arguments": {"parameters": [table, {"name": "n", "value": "1"}]}}}
    value = copy.deepcopy(SENSOR)
    value["spec"]["triggers"][0]["template"] = {"name": "t", "k8s": {"operation": "create", "source": {"resource": resource}}}

    def handed_over() -> int:
        written = {"metadata": {"name": value["metadata"]["name"], "creationTimestamp": None}, "spec": value["spec"], "status": {}}
        return len("SENSOR_OBJECT=" + base64.b64encode(json.dumps(written, separators=(",", ":")).encode()).decode()) + 1

    table["value"] = "x" * ((131_072 - handed_over()) * 3 // 4 + (4 if over else -150))
    assert (handed_over() > 131_072) == over
    found = [(each.code.id, each.help) for each in rules(FLOW, [value], Settings())]
    assert found == ([("FC536", "shorten the longest default: table")] if over else [])


def test_a_thousand_steps_are_judged() -> None:
    """A long chain needs neither recursion nor quadratic memory."""
    tasks = [
        {
            "name": f"s{i}",
            "template": "work",
            **({"depends": f"s{i - 1}"} if i else {}),
            "arguments": {"parameters": [{"name": "path", "value": f"{{{{tasks.s{i - 1}.outputs.parameters.done}}}}" if i else "0"}]},
        }
        for i in range(1000)
    ]
    value = copy.deepcopy(TEMPLATE)
    value["spec"]["templates"] = [{"name": "Flow", "dag": {"tasks": tasks}}, template(TEMPLATE, "work"), template(TEMPLATE, "bye")]
    assert judged([value]) is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a", [("a", None)]),
        ("a && b.Succeeded", [("a", None), ("b", "Succeeded")]),
        (" ( a || !b ) && !(c.Failed) ", [("a", None), ("b", None), ("c", "Failed")]),
        ("!!a", [("a", None)]),
    ],
)
def test_depends_is_parsed(text: str, named: list[tuple[str, str | None]]) -> None:
    """The grammar: names, results, and, or, not, parentheses."""
    assert rules_depends.names(text) == named


def test_references_in_expressions_are_found() -> None:
    """Paths by dots, by brackets and optional ones; string literals, functions and other fields are no paths."""
    expression = (
        """sprig.trim(tasks['a-b'].outputs.parameters.x ?? "tasks.no") + inputs?.parameters["p"] + foo.tasks.c + 'item' + toJson(item)"""
    )
    assert rules_scope.references(expression) == ["tasks.a-b.outputs.parameters.x", "inputs.parameters.p", "item"]


@pytest.mark.parametrize(
    "line",
    ["* * * * *", "0 0 1 1 0", "5/15 * * * *", "0 0 1-15/3 JAN,mar-Dec sun,TUE-sat", "@every 1h30m", "@yearly", "? ? ? ? ?", "0, * * * *"],
)
def test_what_robfig_cron_takes_is_taken(line: str) -> None:
    """Forms that Argo's parser accepts."""
    assert rules_cron.cron_problem(line) is None


def test_the_manifest_inside_a_gang_is_a_jobset() -> None:
    """Argo takes a manifest as text and judges nothing of it; upstream's schema of JobSet does, with a number in the place of each bare tag."""
    objects = yaml.safe_load_all((FIXTURES / "gang" / "argo.yaml").read_text(encoding="utf-8"))
    manifests = [t["resource"]["manifest"] for value in objects for t in value.get("spec", {}).get("templates", ()) if "resource" in t]
    for manifest in manifests:
        plain = re.sub(r'("(?:[^"\\]|\\.)*")|\{\{.*?\}\}', lambda m: m[1] or "1", manifest)
        assert violations("kubernetes/jobset.json", json.loads(plain)) == []
    assert manifests
