"""In: a state machine that its schema accepts. Out: what Step Functions refuses, or could never run: `States.x.Next: what is wrong`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowc.targets.step_functions import rules_data, rules_jsonata, rules_services

Machine = Mapping[str, Any]
_TERMINAL = ("Succeed", "Fail")
_GOES_ON = ("Task", "Pass", "Wait", "Parallel", "Map")
_ERRORS = {
    *("States.ALL", "States.BranchFailed", "States.DataLimitExceeded", "States.ExceedToleratedFailureThreshold", "States.HeartbeatTimeout"),
    *("States.Http.Socket", "States.IntrinsicFailure", "States.ItemReaderFailed", "States.NoChoiceMatched", "States.ParameterPathFailure"),
    *("States.Permissions", "States.QueryEvaluationError", "States.ResultPathMatchFailure", "States.ResultWriterFailed", "States.Runtime"),
    *("States.TaskFailed", "States.Timeout"),
}
_TESTS = ("And", "Or", "Not")


def problems(machine: Machine, given: Mapping[str, Any] | None = None) -> list[str]:
    """All that is wrong, in the order of the machine; nothing where it can be created and finds the data that it asks for.

    `given` says which fields an execution's input has (nested as in the input; None for a field of any content). With it every
    path must lead to data that is there for certain. Without it the input may hold anything.
    """
    found = list(_machine(machine, ""))
    found += _unique(machine)
    for where, state in states(machine):
        if state.get("Type") == "Task":
            found += rules_services.problems(state, where)
    if not found:
        # what a state finds depends on which comes before it
        found += rules_jsonata.problems(machine)
        found += rules_data.problems(machine, given)
    return found


def states(machine: Machine, where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state, with those inside Parallel and Map, and where it stands (`States.each.ItemProcessor.States.body`)."""
    for name, state in machine["States"].items():
        here = f"{where}States.{name}"
        yield here, state
        for field, inner in nested(state):
            yield from states(inner, f"{here}.{field}.")


def nested(state: Mapping[str, Any]) -> Iterator[tuple[str, Machine]]:
    """The machines inside a state, each with the field that holds it."""
    if "ItemProcessor" in state:
        yield "ItemProcessor", state["ItemProcessor"]
    yield from ((f"Branches[{index}]", branch) for index, branch in enumerate(state.get("Branches", ())))


def targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The states that may follow, each with the field that names it."""
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        yield from ((f"{field}[{index}].Next", item["Next"]) for index, item in enumerate(state.get(field, ())) if "Next" in item)


def _machine(machine: Machine, where: str) -> Iterator[str]:
    """A machine and those inside it: names, ends, reachability."""
    known = machine["States"]
    start = machine["StartAt"]
    if start not in known:
        yield f"{where}StartAt: there is no state {start!r} here"
    for name, state in known.items():
        here = f"{where}States.{name}"
        for field, target in targets(state):
            if target not in known:
                yield f"{here}.{field}: there is no state {target!r} here"
        yield from _state(state, here)
        for field, inner in nested(state):
            yield from _machine(inner, f"{here}.{field}.")
    seen = _reached(known, start)
    yield from (f"{where}States.{name}: no state leads here" for name in known if name not in seen)
    ends = {name for name, state in known.items() if state.get("End") or state.get("Type") in _TERMINAL}
    if not ends & seen and seen:
        yield f"{where}States: no state that ends the machine can be reached"
    elif ends:
        ending = _leading(known, ends)
        yield from (f"{where}States.{name}: from here no end can be reached" for name in known if name in seen and name not in ending)


def _reached(known: Mapping[str, Mapping[str, Any]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in known and name not in seen:
            seen.add(name)
            waiting += (target for _, target in targets(known[name]))
    return seen


def _leading(known: Mapping[str, Mapping[str, Any]], ends: set[str]) -> set[str]:
    """The states from which one of `ends` can be reached."""
    before: dict[str, list[str]] = {}
    for name, state in known.items():
        for _, target in targets(state):
            before.setdefault(target, []).append(name)
    found, waiting = set(ends), list(ends)
    while waiting:
        for name in before.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _state(state: Mapping[str, Any], here: str) -> Iterator[str]:
    kind = state.get("Type")
    if kind in _GOES_ON and ("Next" in state) == ("End" in state):
        yield f"{here}: has {'both Next and End' if 'Next' in state else 'neither Next nor End'}"
    if kind == "Choice":
        if "Default" not in state:
            yield f"{here}.Default: is missing; a value that no rule matches ends the execution with States.NoChoiceMatched"
        for index, rule in enumerate(state["Choices"]):
            if "Condition" not in rule:
                yield from _test(rule, f"{here}.Choices[{index}]")
    if kind == "Wait" and sum(field in state for field in ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")) != 1:
        yield f"{here}: needs exactly one of Seconds, SecondsPath, Timestamp and TimestampPath"
    for field in ("Error", "Cause", "TimeoutSeconds", "HeartbeatSeconds", "MaxConcurrency"):
        if field in state and f"{field}Path" in state:
            yield f"{here}: has both {field} and {field}Path"
    for field in ("Retry", "Catch"):
        yield from _handlers(state.get(field, ()), f"{here}.{field}")
    if kind == "Map":
        yield from _map(state, here)


def _test(rule: Mapping[str, Any], here: str) -> Iterator[str]:
    """A rule of a Choice: one test, which compares a variable, or combines others."""
    tests = [field for field in rule if field not in ("Variable", "Next", "Assign", "Comment")]
    if len(tests) != 1:
        yield f"{here}: has {' and '.join(tests) or 'no comparison'}; it must be exactly one"
        return
    if (tests[0] in _TESTS) == ("Variable" in rule):
        yield f"{here}: {tests[0]} {'takes no Variable' if 'Variable' in rule else 'needs a Variable'}"
    inner = rule[tests[0]]
    if tests[0] == "Not":
        yield from _test(inner, f"{here}.Not")
    elif tests[0] in _TESTS:
        for index, part in enumerate(inner):
            yield from _test(part, f"{here}.{tests[0]}[{index}]")


def _handlers(handlers: Any, here: str) -> Iterator[str]:
    for index, handler in enumerate(handlers):
        errors = handler["ErrorEquals"]
        for name in errors:
            if name.startswith("States.") and name not in _ERRORS:
                yield f"{here}[{index}].ErrorEquals: Step Functions has no error {name}"
        if "States.ALL" in errors and (len(errors) > 1 or index < len(handlers) - 1):
            yield f"{here}[{index}].ErrorEquals: States.ALL must stand alone, in the last of them"
        if handler.get("MaxDelaySeconds", 10**9) <= handler.get("IntervalSeconds", 1):
            yield f"{here}[{index}].MaxDelaySeconds: must be more than IntervalSeconds"


def _map(state: Mapping[str, Any], here: str) -> Iterator[str]:
    config = state["ItemProcessor"].get("ProcessorConfig", {})
    if config.get("Mode") == "DISTRIBUTED":
        if "ExecutionType" not in config:
            yield f"{here}.ItemProcessor.ProcessorConfig: a distributed Map needs an ExecutionType"
        return
    if "ExecutionType" in config:
        yield f"{here}.ItemProcessor.ProcessorConfig.ExecutionType: is for distributed Maps only"
    for field in ("ItemReader", "ItemBatcher", "ResultWriter", "Label", "ToleratedFailureCount", "ToleratedFailurePercentage"):
        if field in state:
            yield f"{here}.{field}: is for distributed Maps only"


def _unique(machine: Machine) -> Iterator[str]:
    """Names are those of the whole machine, not of the part that a state stands in."""
    first: dict[str, str] = {}
    for where, _ in states(machine):
        name = where.rpartition("States.")[2]
        if name in first:
            yield f"{where}: the name {name!r} is that of {first[name]} too"
        first.setdefault(name, where)
