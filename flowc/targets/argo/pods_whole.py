"""In: the parts of a WorkflowTemplate that make pods. Out: the pod of each template as Argo will make it, as far as the manifest says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from flowc import data
from flowc.deployment import strategic
from flowc.deployment.overlays import shape_of_pod
from flowc.deployment.strategic import PatchError, Shape

Object = dict[str, Any]

INSTEAD = (
    *("nodeSelector", "tolerations", "affinity", "securityContext"),
    *("schedulerName", "serviceAccountName", "automountServiceAccountToken"),
)
"""Fields of the workflow that count where a template has none of its own; one of a template's replaces the workflow's whole."""
OF_ALL = ("imagePullSecrets", "dnsPolicy", "dnsConfig", "hostNetwork")
"""Fields of the workflow that no template has."""
PRIORITY, OF_PRIORITY = "priorityClassName", "podPriorityClassName"
"""What templates and pods call it, and what the workflow does."""


@dataclass
class Template:
    """A template that makes pods: a step's, or (`step` None) a hook's or that of the pod which creates a JobSet.

    `fields` are those beside `container`; a template without a `container` runs a pod of Argo's own.
    """

    name: str
    step: str | None
    fields: Object
    container: Object | None


@dataclass
class Workflow:
    """`spec` and `pod_metadata` of the workflow, its `templateDefaults` (the container among them), and the templates that make pods.

    `claimed` are volumes that the workflow will have besides: of `volumeClaimTemplates`, for each run its own.
    """

    spec: Object
    pod_metadata: Object
    defaults: Object
    templates: list[Template] = field(default_factory=list)
    claimed: tuple[str, ...] = ()

    def pod(self, template: Template) -> Object:
        """The pod template; Argo's own containers are in it where a patch names them. `main` runs the task.

        PatchError where a `podSpecPatch` is none.
        """
        own = {**template.fields, **({"container": template.container} if template.container is not None else {})}
        fields = strategic.merged({k: v for k, v in self.defaults.items() if k in own or k != "container"}, own, shape_of_template())
        about = strategic.merged(self.pod_metadata, fields.get("metadata", {}), shape_of_pod().field("metadata"))
        spec: Object = {"restartPolicy": "Never"}
        spec |= {key: self.spec[key] for key in (*INSTEAD, *OF_ALL) if key in self.spec}
        spec |= {PRIORITY: self.spec[OF_PRIORITY]} if OF_PRIORITY in self.spec else {}
        spec |= {key: fields[key] for key in (*INSTEAD, PRIORITY, "activeDeadlineSeconds", "initContainers") if key in fields}
        for key in ("volumes", "hostAliases"):
            spec[key] = [*self.spec.get(key, ()), *fields.get(key, ())]
        spec["volumes"] += [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in self.claimed]
        spec["containers"] = [{"name": "main", **fields.get("container", {})}, *fields.get("sidecars", ())]
        for patch in (self.spec.get("podSpecPatch"), fields.get("podSpecPatch")):
            spec = strategic.merged(spec, _pod_spec_patch(patch), shape_of_pod("PodSpec")) if patch else spec
        return {"metadata": about, "spec": {key: value for key, value in spec.items() if value not in ([], None)}}


def loaded(text: str) -> Any:
    """The data of a text that Argo takes as JSON or YAML; None where it is neither before Argo fills in its tags."""
    try:
        return json.loads(text)
    except ValueError:
        import yaml
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _pod_spec_patch(text: str) -> Object:
    found = loaded(text)
    if not isinstance(found, dict):
        raise PatchError("a podSpecPatch is no map in JSON or YAML before Argo fills in its tags")
    return found


@cache
def shape_of_template() -> Shape:
    """How Argo lays a template over templateDefaults."""
    definitions: Mapping[str, Any] = data.schema("argo/3.7.json")["definitions"]
    return Shape(definitions, {"$ref": "#/definitions/io.argoproj.workflow.v1alpha1.Template"})
