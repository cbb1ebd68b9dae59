"""In: a job definition and the overlays of Settings. Out: the definition with those of kind JobDefinition; which steps differ by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowc.target import Overlaid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.diagnostics import Diagnostic
    from flowc.ir import Flow
    from flowc.settings import Settings

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
    value = dict(body)
    if not settings.overlays:
        return Overlaid(value)
    from flowc.deployment import overlays, strategic

    problems: list[Diagnostic] = []
    for name, each in overlays.meant(flow, settings, KIND, step):
        try:
            patches = _patches(strategic.with_nulls(each.patch), value)
        except strategic.PatchError as error:
            problems.append(overlays.told(flow, name, each, overlays.UNMERGEABLE, f"cannot be merged: {error}"))
            continue
        for patch in patches:
            made = overlays.plain(flow, replace(settings, overlays={name: replace(each, patch=patch)}), KIND, value, FIXED, step)
            value = made.value
            problems += made.diagnostics
    return Overlaid(value, tuple(problems))


def _patches(patch: Mapping[str, Any], body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The patches that say of this definition what `patch` says: of one with several nodes, first that of their containers."""
    if "containerProperties" not in patch or "nodeProperties" not in body:
        return [patch]
    from flowc.deployment import strategic

    own = {"container": patch["containerProperties"]}
    ranges = [strategic.simple(each, own) for each in body["nodeProperties"]["nodeRangeProperties"]]
    rest = {key: value for key, value in patch.items() if key != "containerProperties"}
    return [{"nodeProperties": {"nodeRangeProperties": ranges}}, *([rest] if rest else [])]
