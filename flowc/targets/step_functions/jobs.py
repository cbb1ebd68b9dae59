"""In: a Flow and its Graph. Out: the Batch jobs of steps and exit hooks: their definitions and queues, as the state machine names them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowc import merging
from flowc.deployment import batch
from flowc.deployment.hooks import Hook, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.deployment.batch import Definition, Places
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

QUEUE = "${JobQueue}"


def by_step(flow: Flow, graph: Graph, settings: Settings) -> dict[str, str]:
    """What stands for the ARN of each step's job definition: `${JobDefinition}` or `${JobDefinitionTrain}`."""
    return {step: batch.hole(name) for step, name in batch.logical_names(flow, graph, settings).items()}


def queue(flow: Flow, name: str) -> str:
    """The queue that the step's @batch names, else what stands for the deployment's."""
    return str(merging.batch(flow.steps[name])["queue"] or QUEUE)


# --- exit hooks ------------------------------------------------------------------------------------------------------


def hook_command(flow: Flow, graph: Graph, hook: Hook) -> list[str]:
    """As in Metaflow's own deployments, a hook runs where the first step does, which is known to work."""
    return [*batch.launcher(flow.steps[graph.start or ""]), hook.function, "--hook"]


def by_hook_image(flow: Flow, graph: Graph, settings: Settings) -> dict[str | None, str]:
    """What stands for the ARN of the hooks' job definitions, by the image that the hook names (None: the first step's definition)."""
    first = batch.logical_names(flow, graph, settings)[graph.start or ""]
    own = merging.batch(flow.steps[graph.start or ""])["image"]
    images = [image for image in dict.fromkeys(hook.image for hook in hooks(flow)) if image not in (None, own)]
    named = {image: f"JobDefinitionOfHook{number if len(images) > 1 else ''}" for number, image in enumerate(images, 1)}
    return {image: batch.hole(name) for image, name in {None: first, own: first, **named}.items()}


def definitions(flow: Flow, graph: Graph, settings: Settings, *, prefix: str, where: Places) -> dict[str, Definition]:
    """All job definitions that the state machine names, by their logical names: those of steps, then those of hooks with other images."""
    found = batch.definitions(flow, graph, settings, prefix=prefix, name="step-functions", where=where)
    first = next(each for each in found.values() if graph.start in each.steps)
    for image, text in by_hook_image(flow, graph, settings).items():
        logical = text[2:-1]
        if image is not None and logical not in found:
            body = {**first.body, "jobDefinitionName": batch.definition_name(f"{prefix}-{logical.removeprefix('JobDefinition')}")}
            found[logical] = replace(first, logical=logical, steps=(), body=_with_image(body, image))
    return found


def _with_image(body: Mapping[str, object], image: str) -> dict[str, object]:
    container = body["containerProperties"]
    return {**body, "containerProperties": {**container, "image": image}}  # type: ignore[dict-item]
