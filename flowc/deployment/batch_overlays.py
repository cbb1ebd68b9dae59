"""In: a job definition and the overlays of Settings. Out: the definition with those of kind JobDefinition; which steps differ by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowc.target import Overlaid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.ir import Flow
    from flowc.settings import Overlay, Settings

KIND = "JobDefinition"
FIXED = (
    *("jobDefinitionName", "type", "retryStrategy.attempts", "platformCapabilities"),
    *("containerProperties.command", "containerProperties.environment.*"),
    *("nodeProperties.numNodes", "nodeProperties.mainNode", "nodeProperties.nodeRangeProperties.*.targetNodes"),
    *("nodeProperties.nodeRangeProperties.*.container.command", "nodeProperties.nodeRangeProperties.*.container.environment.*"),
)


def names(flow: Flow, settings: Settings, step: str) -> list[str]:
    """The overlays for the jobs of a step: steps with other ones have job definitions of their own."""
    if not settings.overlays:
        return []
    from flowc.deployment import overlays

    return [name for name, each in overlays.meant(flow, settings, KIND, step) if each.steps]


def laid(flow: Flow, settings: Settings, step: str, body: Mapping[str, Any]) -> Overlaid:
    """The job definition of a step with its overlays. `containerProperties` are those of each node, where there are several."""
    if not settings.overlays:
        return Overlaid(dict(body))
    from flowc.deployment import overlays

    found = overlays.meant(flow, settings, KIND, step)
    meant = {name: _of_nodes(each, body) if "nodeProperties" in body else each for name, each in found}
    return overlays.plain(flow, replace(settings, overlays=meant), KIND, body, FIXED, step)


def _of_nodes(overlay: Overlay, body: Mapping[str, Any]) -> Overlay:
    if "containerProperties" not in overlay.patch:
        return overlay
    from flowc.deployment import strategic

    patch = {key: value for key, value in overlay.patch.items() if key != "containerProperties"}
    own = strategic.with_nulls(overlay.patch["containerProperties"])
    ranges = [{**each, "container": strategic.simple(each["container"], own)} for each in body["nodeProperties"]["nodeRangeProperties"]]
    return replace(overlay, patch=strategic.simple({"nodeProperties": {"nodeRangeProperties": ranges}}, patch))
