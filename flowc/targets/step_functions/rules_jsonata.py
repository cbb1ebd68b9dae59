"""In: a state machine. Out: JSONata expressions that cannot be read, and variables that they, or JSONPath, read before one is assigned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowc.targets.step_functions.rules_jsonata_grammar import Malformed, Reads, read

# JSONata 2.0.6 without $eval, and what Step Functions adds
FUNCTIONS = frozenset(
    "abs append assert average base64decode base64encode boolean ceil clone contains count decodeUrl decodeUrlComponent distinct each "
    "encodeUrl encodeUrlComponent error exists filter floor formatBase formatInteger formatNumber fromMillis hash join keys length lookup "
    "lowercase map match max merge millis min not now number pad parse parseInteger partition power random range reduce replace reverse "
    "round shuffle sift single sort split spread sqrt string substring substringAfter substringBefore sum toMillis trim type typeOf "
    "uppercase uuid zip".split()
)
_STATES = ("input", "context", "result", "errorOutput")
_HAVE_RESULT = ("Task", "Map", "Parallel")
_AFTER = ("Output", "Assign")
Variables = frozenset[str]


def problems(machine: Mapping[str, Any]) -> list[str]:
    """What is wrong with the expressions of a machine whose states and targets exist."""
    return list(_machine(machine, "", machine.get("QueryLanguage", "JSONPath"), frozenset()))


def _machine(machine: Mapping[str, Any], where: str, language: str, outer: Variables) -> Iterator[str]:
    assigned = before(machine, outer)
    for name, state in machine["States"].items():
        here = f"{where}States.{name}"
        spoken = state.get("QueryLanguage", language)
        if spoken == "JSONata":
            for place, text, field in _expressions(state, here):
                yield from _expression(text, place, state, field, assigned[name])
        if "ItemProcessor" in state:
            # a child execution of a distributed Map sees nothing of its parent
            child = state["ItemProcessor"].get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
            inner: Variables = frozenset() if child else assigned[name]
            yield from _machine(state["ItemProcessor"], f"{here}.ItemProcessor.", language, inner)
        for index, branch in enumerate(state.get("Branches", ())):
            yield from _machine(branch, f"{here}.Branches[{index}].", language, assigned[name])


def before(machine: Mapping[str, Any], outer: Variables) -> dict[str, Variables]:
    """The variables that are certain to be assigned when a state is entered, by the state's name."""
    known = machine["States"]
    every = outer | {name for state in known.values() for _, assigns in _leaving(state) for name in assigns}
    found: dict[str, Variables] = dict.fromkeys(known, every)
    found[machine["StartAt"]] = outer
    waiting = list(known)
    while waiting:
        name = waiting.pop()
        for target, assigns in _leaving(known[name]):
            reaches = found[target] & (found[name] | assigns)
            if reaches != found[target]:
                found[target] = reaches
                waiting.append(target)
    return found


def _leaving(state: Mapping[str, Any]) -> Iterator[tuple[str, Variables]]:
    """The ways out of a state: where to, and the variables assigned on the way."""
    own = _names(state)
    for field in ("Next", "Default"):
        if field in state:
            yield state[field], own
    for rule in state.get("Choices", ()):
        # a rule's own Assign stands in place of the state's
        yield rule["Next"], _names(rule) if "Assign" in rule else frozenset()
    yield from ((catcher["Next"], _names(catcher)) for catcher in state.get("Catch", ()))


def _names(holder: Mapping[str, Any]) -> Variables:
    return frozenset(name.removesuffix(".$") for name in holder.get("Assign", {}))


def _expressions(state: Mapping[str, Any], here: str) -> Iterator[tuple[str, str, str]]:
    """Every text in `{% %}`, with its place and the field of the state that it is in."""
    for field, value in state.items():
        if field in ("ItemProcessor", "Branches", "Comment", "Type", "Resource"):
            continue
        for place, text in _texts(value, f"{here}.{field}"):
            if text.startswith("{%"):
                yield place, text, field


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{place}[{index}]")


def _expression(text: str, place: str, state: Mapping[str, Any], field: str, assigned: Variables) -> Iterator[str]:
    if not text.endswith("%}"):
        yield f"{place}: `{{%` is not closed by `%}}` at the end of the text"
        return
    try:
        found: Reads = read(text[2:-2])
    except Malformed as error:
        yield f"{place}: is no JSONata: {error}"
        return
    if found.context:
        yield f"{place}: `$` is nothing outside of a path; the input is $states.input"
    for name, member in found.variables:
        if name == "eval":
            yield f"{place}: Step Functions has no $eval"
        elif name == "states":
            yield from _states(member, place, state, field)
        elif name not in FUNCTIONS and name not in assigned:
            yield f"{place}: the variable ${name} is not assigned on every way here"


def _states(member: str | None, place: str, state: Mapping[str, Any], field: str) -> Iterator[str]:
    if member is None:
        return
    if member not in _STATES:
        yield f"{place}: $states has no {member}; it has {', '.join(_STATES)}"
    elif member == "result" and (state.get("Type") not in _HAVE_RESULT or field not in _AFTER):
        yield f"{place}: $states.result is there only in Output and Assign of a Task, Map or Parallel"
    elif member == "errorOutput" and field != "Catch":
        yield f"{place}: $states.errorOutput is there only in Catch"
