"""Facts about names and images in the settings: what no cluster takes is a diagnostic of every target that writes it."""

from __future__ import annotations

from typing import Any

import pytest

from flowc import compiler
from flowc.deployment.samples import sample
from flowc.diagnostics import Severity
from flowc.settings import Settings
from flowc.source import SourceFile

CLUSTERS = ("argo", "kubernetes")


def errors(target: str, **settings: Any) -> list[str]:
    """The codes of what is wrong; nothing means that there are objects."""
    chosen = Settings(**{"datastore": "s3", "datastore_root": "s3://bucket/metaflow", "batch_queue": "queue", **settings})
    checked = compiler.check(SourceFile("flow.py", sample()), lambda _: None, chosen)
    made = compiler.compile_flow(*checked.flows[0], target, chosen)
    found = [each.code.id for each in made.diagnostics if each.severity is Severity.ERROR]
    assert bool(made.artifacts) is not bool(found)
    return found


@pytest.mark.parametrize("target", CLUSTERS)
@pytest.mark.parametrize("bad", ["Team_A", "a b", "-a", "a" * 254, ""])
@pytest.mark.parametrize("key", ["namespace", "service_account", "config_map", "datastore_claim", "secrets", "image_pull_secrets"])
def test_names_that_kubernetes_refuses(key: str, bad: str, target: str) -> None:
    """A namespace, account, claim or Secret that cannot exist is refused, for Argo as for Jobs, with RBAC and without."""
    value = (bad,) if key.endswith("secrets") else bad
    assert errors(target, **{key: value}) == ["FC564"]
    assert errors(target, **{key: value}, rbac=True) == ["FC564"]


@pytest.mark.parametrize("target", [*CLUSTERS, "step-functions"])
@pytest.mark.parametrize("image", ["", " ", "a b", "a\nb"])
def test_images_that_are_none(image: str, target: str) -> None:
    """An image that no node could pull is refused where it is said, as in a decorator."""
    assert errors(target, image=image) == ["FC471" if target == "step-functions" else "FC401"]


def test_the_image_of_the_coordinator() -> None:
    """It is held to the same."""
    assert errors("kubernetes", coordinator_image="a b") == ["FC401"]
    assert errors("kubernetes", coordinator_image="python:3.11") == []


def test_what_names_the_run() -> None:
    """On Argo a name may hold what Argo fills in, but not the name of an object that is written, nor its namespace."""
    assert errors("argo", service_account="runner-{{workflow.name}}", secrets=("of-{{workflow.uid}}",)) == []
    assert errors("argo", service_account="runner-{{workflow.name}}", rbac=True) == ["FC564"]
    assert errors("argo", namespace="{{workflow.namespace}}") == ["FC564"]
    assert errors("argo", datastore_claim="{{x}}") == ["FC402"]


@pytest.mark.parametrize("key", ["events_event_bus", "events_event_source", "events_service_account", "events_namespace"])
def test_names_of_a_sensor(key: str) -> None:
    """What a Sensor names is held to the same, and nothing is filled in there."""
    assert errors("argo", **{key: "events"}) == []
    assert errors("argo", **{key: "My_Events"}) == ["FC564"]
    assert errors("argo", **{key: "{{workflow.name}}"}) == ["FC564"]
