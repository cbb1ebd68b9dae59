"""In: flows that events start. Out: proof that a cluster takes their Sensors as they are; nothing acts on them there."""

from __future__ import annotations

import pytest
import yaml
from e2e.cases import Case
from e2e.cluster import LOGS, Cluster
from e2e.runs import by_flowc, deploy


@pytest.mark.e2e
@pytest.mark.parametrize("flow", ["triggered", "after"])
def test_sensor_is_accepted(flow: str, cluster: Cluster) -> None:
    """The API server stores the Sensor without losing a field, and it starts the template that stands beside it."""
    flags = ("--events-event-source", "e2e", "--events-service-account", "argo-workflow", "--events-event", "e2e")
    manifest = by_flowc(Case(flow, flow, flags=flags), cluster)
    template = deploy(manifest, cluster, LOGS / cluster.argo_version / f"flowc-{flow}")
    written = next(o for o in yaml.safe_load_all(manifest) if o["kind"] == "Sensor")

    stored = cluster.get("sensor", written["metadata"]["name"])

    assert stored["spec"] == written["spec"]
    workflow = stored["spec"]["triggers"][0]["template"]["k8s"]["source"]["resource"]
    assert workflow["spec"]["workflowTemplateRef"]["name"] == template
