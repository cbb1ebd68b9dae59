"""In: the @exit_hook of a Flow. Out: the Jobs that run its functions when a run has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment import hooks, pods
from flowc.merging import kubernetes
from flowc.runtime import SCRIPT
from flowc.targets.kubernetes.jobs import MAIN
from flowc.targets.kubernetes.names import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings


def templates(flow: Flow, graph: Graph, settings: Settings) -> dict[str, Any]:
    """`hooks` of the plan: `on` (success or error), `function`, and `job`, which is laid over `shared` as a step's is.

    The coordinator starts those that apply side by side when the run has ended, names them by `on` and `function`, waits for them, and
    does not let them change the run's result. They take FLOWC_RUN_ID alone.
    """
    found = list(_hooks(flow, graph, settings))
    return {"hooks": found} if found else {}


def _hooks(flow: Flow, graph: Graph, settings: Settings) -> Iterator[dict[str, Any]]:
    """As in Metaflow, a hook has the image, service account and secrets of the first step, which are known to work."""
    first = flow.steps[graph.start or ""]
    asked = kubernetes(first)
    for hook in hooks.hooks(flow):
        container = {
            "name": MAIN,
            "image": hook.image or asked["image"],
            "imagePullPolicy": asked["image_pull_policy"],
            "command": [asked["executable"], SCRIPT] if asked["executable"] else None,
            "args": [hook.function, "--hook"],
            "envFrom": pods.env_from(first, settings) if pods.secrets(asked) else None,
            "securityContext": pods.security_context(asked),
        }
        pull_secrets = [*settings.image_pull_secrets, *pods.names(asked["image_pull_secrets"])]
        pod = {
            "serviceAccountName": asked["service_account"],
            "imagePullSecrets": [{"name": name} for name in dict.fromkeys(pull_secrets)] if asked["image_pull_secrets"] else None,
            "containers": [pods.given(container)],
        }
        label = {"labels": {"flowc/hook": label_value(hook.function)}}
        job = {"metadata": label, "spec": {"template": {"metadata": label, "spec": pods.given(pod)}}}
        yield {"on": hook.kind, "function": hook.function, "job": job}
