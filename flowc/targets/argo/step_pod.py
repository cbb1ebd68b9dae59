"""In: a Step, its Flow and Settings. Out: the fields of the step's template and container that differ from those all steps share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.deployment import pods, profile
from flowc.merging import kubernetes, retries
from flowc.runtime import SCRIPT, safe_json
from flowc.targets.argo.retries import DEFAULT_DEADLINE, attempt, deadline, retry_strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.ir import Step
    from flowc.settings import Settings


@dataclass(frozen=True, slots=True)
class Pod:
    """What a step adds to the template that all steps share: fields of its `container`, and fields beside it."""

    container: Mapping[str, Any]
    template: Mapping[str, Any]


def default_metadata() -> dict[str, Any]:
    """`metadata` of every step's template: a step that is never tried again has one attempt, 0."""
    return {"annotations": {"metaflow/attempt": "0"}}


def pod(step: Step, settings: Settings) -> Pod:
    """The fields in which a step that passed `pods_check` differs from the shared ones.

    Maps (resources, metadata) and lists that Argo merges by name (env, volumeMounts, volumes) hold the step's own entries only;
    `envFrom`, which does not merge, is whole.
    """
    asked = kubernetes(step)
    container = {
        "image": asked["image"] if asked["image"] != settings.image else None,
        "imagePullPolicy": asked["image_pull_policy"] if asked["image_pull_policy"] != settings.image_pull_policy else None,
        "command": [asked["executable"], SCRIPT] if asked["executable"] else None,
        "env": pods.environment(step),
        "envFrom": pods.env_from(step, settings) if pods.secrets(asked) else None,
        "ports": pods.ports(asked),
        "resources": _difference(pods.resources_of(asked), pods.default_resources()),
        "securityContext": pods.security_context(asked),
        "volumeMounts": pods.mounts(asked),
    }
    pull_secrets = pods.names(asked["image_pull_secrets"])
    template = {
        "metadata": metadata(step),
        "activeDeadlineSeconds": deadline(step) if deadline(step) != DEFAULT_DEADLINE else None,
        "retryStrategy": retry_strategy(step),
        "nodeSelector": asked["node_selector"],
        "tolerations": pods.tolerations(asked),
        "serviceAccountName": asked["service_account"] if asked["service_account"] != settings.service_account else None,
        "volumes": pods.volumes(asked),
        "podSpecPatch": pod_spec_patch(settings, pull_secrets) if pull_secrets else None,
    }
    return Pod(pods.given(container), pods.given(template))


def pod_spec_patch(settings: Settings, pull_secrets: Sequence[str] = (), *, resource: bool = False) -> str | None:
    """What no field of a template says: Secrets for the image; and with a profile, that Argo's own containers keep to it too.

    `resource`: of a pod that makes an object. It has no `wait`, and a patch of a container that a pod lacks would be a container
    without an image; its `main` is Argo's, and its `init` writes the object's manifest to /tmp.
    """
    found: dict[str, Any] = {"imagePullSecrets": [{"name": name} for name in pull_secrets]}
    if profile.restricted(settings):
        writes = {"volumeMounts": profile.mounts(settings)} if resource else {}
        found["initContainers"] = [{"name": "init", "securityContext": profile.of_container(settings), **writes}]
        found["containers"] = [{"name": "main" if resource else "wait", "securityContext": profile.of_container(settings)}]
        found["volumes"] = profile.volumes(settings) if resource else []
    return safe_json(pods.given(found)) if pods.given(found) else None


def _difference(mine: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of two-level maps that are not shared. A shared entry is never absent in `mine`: Metaflow always asks for all three."""
    found = {part: {k: v for k, v in entries.items() if shared.get(part, {}).get(k) != v} for part, entries in mine.items()}
    return {part: entries for part, entries in found.items() if entries}


def metadata(step: Step) -> dict[str, Any]:
    """The labels and annotations of the step's pods beside those of `default_metadata`. The user's win, as in Metaflow."""
    asked = kubernetes(step)
    counted = {"metaflow/attempt": attempt(step)} if retries(step).total else {}
    found: dict[str, Any] = {"annotations": {"metaflow/step_name": step.name, **counted, **(asked["annotations"] or {})}}
    if pods.labels(asked):
        found["labels"] = pods.labels(asked)
    return found
