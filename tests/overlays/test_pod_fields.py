"""Facts about values in pods that the API server refuses although its schema takes them: an overlay that brings one is told so."""

from __future__ import annotations

from typing import Any

import pytest
from overlays.making import compiled

from flowc.deployment.pod_fields import refused
from flowc.settings import Overlay

TERM = {"matchExpressions": [{"key": "pool", "operator": "in", "values": ["a"]}]}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tolerations": [{"key": "gpu", "operator": "Exist"}]}, "spec.tolerations[0].operator must be one of Equal, Exists, not 'Exist'; did you mean 'Exists'?"),
    ({"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoRun"}]}, "spec.tolerations[0].effect must be one of NoSchedule"),
    ({"tolerations": [{"key": "gpu", "operator": "Exists", "value": "x"}]}, "spec.tolerations[0] has a value, and its operator Exists takes none"),
    ({"tolerations": [{"value": "x"}]}, "spec.tolerations[0] has no key, which only the operator Exists does without"),
    ({"tolerations": [{"operator": "Exists", "tolerationSeconds": 5}]}, "spec.tolerations[0] has tolerationSeconds, which go with the effect NoExecute only"),
    ({"dnsPolicy": "None "}, "spec.dnsPolicy must be one of ClusterFirst"),
    ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds must be from 1 to"),
    ({"securityContext": {"runAsUser": -1}}, "spec.securityContext.runAsUser must be from 0 to"),
    ({"nodeSelector": {"pool": "a b"}}, "spec.nodeSelector.pool is `a b`, which no label of a node can be"),
    ({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]}}}}, "operator must be one of In, NotIn"),
    ({"volumes": [{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}]}, "is of two kinds, emptyDir and secret; delete one"),
    ({"containers": [{"name": "proxy"}]}, ", `proxy`, has no image"),
    ({"containers": [{"name": "main", "imagePullPolicy": "always"}]}, ".imagePullPolicy must be one of Always, IfNotPresent, Never, not 'always'"),
    ({"containers": [{"name": "main", "ports": [{"containerPort": 99999}]}]}, ".ports[0].containerPort must be from 1 to 65535, not 99999"),
    (
        {"containers": [{"name": "main", "resources": {"requests": {"memory": "64Gi"}, "limits": {"memory": "1G"}}}]},
        " requests 64Gi of memory, more than its limit 1G: patch both",
    ),
    (
        {"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "main", "volumeMounts": [{"name": "v", "mountPath": ""}]}]},
        "mountPath is '', which is no path",
    ),
]


@pytest.mark.parametrize("target", ["argo", "kubernetes"])
@pytest.mark.parametrize(("spec", "message"), WRONG)
def test_refused(spec: dict[str, Any], message: str, target: str) -> None:
    """It is the overlay's mistake, for every target that makes pods, and nothing is written."""
    made = compiled({"mine": Overlay("Pod", {"spec": spec})}, target)
    (told, *_) = [each for each in made.diagnostics if each.severity.value == "error"]
    assert (told.code.id, made.artifacts) == ("FC510", ())
    assert told.message.startswith("overlay `mine` gives no valid object: ")
    assert message in told.message


@pytest.mark.parametrize(
    "spec",
    [
        {"tolerations": [{"operator": "Exists"}, {"key": "a", "operator": "", "value": "b", "effect": "NoExecute", "tolerationSeconds": 5}]},
        {"dnsPolicy": "Default", "activeDeadlineSeconds": 60, "nodeSelector": {"pool": ""}, "securityContext": {"runAsUser": 0}},
        {"nodeSelector": {"pool": "{{workflow.name}}"}, "dnsPolicy": "{{workflow.name}}"},
        {"containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "0.5", "memory": "1Gi"}}}]},
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w"}], "containers": [{"name": "proxy", "image": "p", "ports": [{"containerPort": 80}]}]},
    ],
)
def test_taken(spec: dict[str, Any]) -> None:
    """What the API server takes, and what Argo may yet fill in, passes."""
    assert [*refused({"spec": spec})] == []


def test_what_was_there_is_not_the_overlays() -> None:
    """A value that a decorator brought is no mistake of an overlay that changes something else."""
    from overlays import making

    text = making.FLOW.replace("from metaflow import ", "from metaflow import kubernetes, ", 1)
    at = text.index("    @step")
    flow = f"{text[:at]}    @kubernetes(tolerations=[{{'key': 'gpu', 'operator': 'Exist'}}])\n{text[at:]}"
    made = compiled({"mine": Overlay("Pod", {"spec": {"priorityClassName": "batch"}})}, "kubernetes", flow)
    assert not [each for each in made.diagnostics if each.code.id == "FC510"]
    assert made.artifacts
