"""In: the finished objects of a flow. Out: what AWS would refuse: diagnostics where a flow can cause it, OutputBug where not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowc.diagnostics import Diagnostic, OutputBug
from flowc.targets.step_functions import rules_machine, rules_size, rules_stack

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings

_EXPLAINED = 5


def rules(flow: Flow, objects: Sequence[Mapping[str, Any]], settings: Settings) -> list[Diagnostic]:  # noqa: ARG001 - the contract of a target
    """Judge state machines and stacks, after their schemas: names, ways through the machine, data, calls, references, sizes.

    What a flow or a setting can cause is a diagnostic. Anything else is a mistake of flowc's: OutputBug.
    """
    found: list[Diagnostic] = []
    wrong: list[str] = []
    for value in objects:
        for what, machine in _machines(value):
            # flowc's machines read the execution's input as a whole, so that it may be anything
            wrong += (f"{what}: {problem}" for problem in rules_machine.problems(machine, {}))
            found += rules_size.sizes(flow, machine)
        if "Resources" in value:
            wrong += (f"the stack: {problem}" for problem in rules_stack.problems(value))
            found += rules_size.stack(flow, value)
    if wrong and not found:
        more = f" (and {len(wrong) - _EXPLAINED} more)" if len(wrong) > _EXPLAINED else ""
        raise OutputBug("Step Functions would refuse the output: " + "; ".join(wrong[:_EXPLAINED]) + more)
    return list(dict.fromkeys(found))


def _machines(value: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The state machines in an object: itself, or those of a stack's resources."""
    if "StartAt" in value:
        yield "the state machine", value
    for name, resource in value.get("Resources", {}).items():
        definition = resource.get("Properties", {}).get("Definition")
        if resource["Type"] == "AWS::StepFunctions::StateMachine" and isinstance(definition, Mapping):
            yield f"the state machine of {name}", definition
