"""In: a flow as text and settings. Out: what the target `kubernetes` makes of it: objects, the plan, the manifests of its steps."""

from __future__ import annotations

import json
from typing import Any

from flowc import compiler
from flowc.deployment import jobs
from flowc.diagnostics import Diagnostic, has_errors
from flowc.settings import Settings
from flowc.source import SourceFile

Object = dict[str, Any]


def result(text: str, **settings: Any) -> tuple[list[Object], tuple[Diagnostic, ...]]:
    """The objects (none where something is an error) and what is said."""
    chosen = Settings(**settings)
    checked = compiler.check(SourceFile("flow.py", text), lambda _: None, chosen)
    if has_errors(list(checked.diagnostics)):
        return [], checked.diagnostics
    made = compiler.compile_flow(*checked.flows[0], "kubernetes", chosen)
    return [dict(artifact.object) for artifact in made.artifacts], made.diagnostics


def objects(text: str, **settings: Any) -> list[Object]:
    """The objects of a flow that has no errors."""
    made, said = result(text, **settings)
    assert made, said
    return made


def one(made: list[Object], kind: str) -> Object:
    """The object of that kind; of the ConfigMaps the one with the plan."""
    return next(each for each in made if each["kind"] == kind and (kind != "ConfigMap" or "plan.json" in each["data"]))


def plan_of(made: list[Object]) -> Object:
    return dict(json.loads(one(made, "ConfigMap")["data"]["plan.json"]))


def manifest(text: str, step: str, **settings: Any) -> Object:
    """The whole Job or JobSet of a step, as the coordinator takes it."""
    return jobs.manifest(plan_of(objects(text, **settings)), step)


def pod(job: Object) -> Object:
    """The pod of a Job: `metadata` and `spec`."""
    return next(jobs.pods(job))


def container(job: Object) -> Object:
    found = pod(job)["spec"]["containers"]
    assert [each["name"] for each in found] == ["main"]
    return dict(found[0])


def environment(job: Object) -> dict[str, Any]:
    """The variables by name: the text, or the field that they are taken from."""
    entries = container(job)["env"]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {e["name"]: e["value"] if "value" in e else e["valueFrom"]["fieldRef"]["fieldPath"] for e in entries}
