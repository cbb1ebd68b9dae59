"""In: the finished objects of a flow. Out: which states and which job definition carry which step, for people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowc.deployment import batch
from flowc.target import Part
from flowc.targets.step_functions import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.target import Objects

MACHINE = "Resources.StateMachine.Properties.Definition"
ROLES = ("", "first round", "outcome", "split", "foreach", "choice", "next round", "end", "no case", "at once")
"""What the states are for that may stand around the job of a step: see `names.state`."""


def parts(flow: Flow, graph: Graph, settings: Settings, objects: Objects) -> Iterator[Part]:
    """Of a step its states, then the definition of its jobs, which other steps may share; the rest is the flow's."""
    owners = {names.state(name, role): name for name in graph.order for role in ROLES}
    steps: dict[str, list[str]] = {}
    for step, logical in batch.logical_names(flow, graph, settings).items():
        steps.setdefault(logical, []).append(step)
    definitions: list[Part] = []
    machine = names.state_machine_name(flow, settings)
    for file, value in objects.items():
        if "Resources" in value:
            resources = value["Resources"]
            rest = {name: each for name, each in resources.items() if name not in steps}
            properties = resources["StateMachine"]["Properties"]
            bare = {**resources["StateMachine"], "Properties": {**properties, "Definition": _bare(properties["Definition"])}}
            yield Part(None, file, "", {**value, "Resources": {**rest, "StateMachine": bare}})
            yield from _states(file, f"{MACHINE}.States", properties["Definition"], owners)
            definitions += [Part(step, file, f"Resources.{name}", resources[name]) for name in steps for step in steps[name]]
        elif "States" in value:
            yield Part(None, file, "", _bare(value), json=True)
            yield from (replace(part, json=True) for part in _states(file, "States", value, owners))
        else:
            logical = file.removeprefix(f"{machine}.").removesuffix(".json")
            definitions += [Part(step, file, "", value, json=True) for step in steps.get(logical, [None])]
    yield from definitions


def _states(file: str, place: str, body: Mapping[str, Any], owners: Mapping[str, str]) -> Iterator[Part]:
    """Every state of a machine and of what is nested in it."""
    for name, state in body["States"].items():
        here = f"{place}[{name}]"
        yield Part(owners.get(name), file, here, _bare(state))
        for number, branch in enumerate(state.get("Branches", ())):
            yield from _states(file, f"{here}.Branches[{number}].States", branch, owners)
        if "ItemProcessor" in state:
            yield from _states(file, f"{here}.ItemProcessor.States", state["ItemProcessor"], owners)


def _bare(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state without the states in it, which are shown by themselves: their names stand for them."""
    found = dict(state)
    if "States" in found:
        found["States"] = list(found["States"])
    if "Branches" in found:
        found["Branches"] = [_bare(branch) for branch in found["Branches"]]
    if "ItemProcessor" in found:
        found["ItemProcessor"] = _bare(found["ItemProcessor"])
    return found
