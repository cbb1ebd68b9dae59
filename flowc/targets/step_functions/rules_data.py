"""In: a state machine whose states and targets exist. Out: paths that cannot be read, or lead to data that is not there when they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowc.targets.step_functions import rules_jsonata, rules_services, rules_shapes
from flowc.targets.step_functions.rules_paths import Call, Malformed, Path, expression, path, reference
from flowc.targets.step_functions.rules_shapes import ANYTHING, NOTHING, SCALAR, Fields, List, Missing, Shape

_CONTEXT: Mapping[str, tuple[str, ...]] = {
    "Execution": ("Id", "Name", "RedriveCount", "RedriveTime", "RoleArn", "StartTime"),
    "State": ("EnteredTime", "Name", "RetryCount"),
    "StateMachine": ("Id", "Name"),
    "Task": ("Token",),
}
_ERROR = Fields({"Error": SCALAR, "Cause": SCALAR})
_ROUNDS = 50
"""How often a state is looked at again before nothing is taken to be known about its input; loops settle in a few rounds."""
_TEMPLATES = ("Parameters", "ItemSelector", "ResultSelector", "Assign", "Credentials")


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the states of one machine can see beside their input: the execution's input, a Map's item, variables; and where they stand."""

    where: str
    strict: bool
    names: frozenset[str]
    given: Shape
    item: Shape | None = None
    child: bool = False
    variables: frozenset[str] = frozenset()

    def context(self) -> Fields:
        parts: dict[str, Shape] = {part: Fields(dict.fromkeys(names, SCALAR)) for part, names in _CONTEXT.items()}
        execution = parts["Execution"]
        assert isinstance(execution, Fields)
        parts["Execution"] = Fields({**execution.known, "Input": self.given})
        if self.item is not None:
            parts["Map"] = Fields({"Item": Fields({"Index": SCALAR, "Value": self.item, "Key": SCALAR, "Source": SCALAR})})
        return Fields(parts)


@dataclass(slots=True)
class _Reader:
    """Reads the paths of one state, and keeps what is wrong with them."""

    scope: _Scope
    here: str
    found: list[str] = field(default_factory=list)

    def value(self, text: Any, shape: Shape, place: str, parse: Any = path) -> Shape:
        """What a path or an intrinsic function gives."""
        try:
            parsed: Path | Call = parse(text)
        except Malformed as error:
            self.found.append(f"{self.here}.{place}: {text!r} is no path: {error}")
            return ANYTHING
        if isinstance(parsed, Path):
            return self.at(parsed, shape, text, place)
        for each in parsed.paths():
            self.at(each, shape, text, place)
        return List(ANYTHING) if parsed.name in ("Array", "ArrayPartition", "ArrayRange", "ArrayUnique", "StringSplit") else ANYTHING

    def at(self, parsed: Path, shape: Shape, text: str, place: str) -> Shape:
        scope = self.scope
        if parsed.root not in ("$", "$$"):
            if parsed.root not in scope.variables:
                self.found.append(f"{self.here}.{place}: {text!r}: the variable ${parsed.root} is not assigned on every way here")
            return ANYTHING
        if parsed.root == "$$" and scope.child and scope.strict and parsed.steps[:1] == ("Execution",):
            self.found.append(f"{self.here}.{place}: {text!r}: in a distributed Map this is the child's execution, not the run's")
        try:
            return rules_shapes.at(scope.context() if parsed.root == "$$" else shape, parsed)
        except Missing as error:
            # Whether an array really comes here is certain only where the input is known.
            if scope.strict or "is an array" not in str(error) or not set(parsed.steps) & scope.names:
                self.found.append(f"{self.here}.{place}: {text!r} finds nothing: {error}")
            return ANYTHING

    def template(self, value: Any, shape: Shape, place: str) -> Shape:
        """What a payload template makes: fields whose name ends in `.$` are replaced by what their path finds."""
        if isinstance(value, list):
            return List(rules_shapes.joined([self.template(item, shape, f"{place}[{i}]") for i, item in enumerate(value)]))
        if not isinstance(value, Mapping):
            return SCALAR
        made: dict[str, Shape] = {}
        for name, inner in value.items():
            if not name.endswith(".$"):
                made[name] = self.template(inner, shape, f"{place}.{name}")
            elif isinstance(inner, str):
                made[name.removesuffix(".$")] = self.value(inner, shape, f"{place}.{name}", expression)
            else:
                self.found.append(f"{self.here}.{place}.{name}: is no text, so no path")
        return Fields(made)


def problems(machine: Mapping[str, Any], given: Mapping[str, Any] | None) -> list[str]:
    """See rules_machine.problems."""
    shape = ANYTHING if given is None else _given(given)
    names = frozenset(_named(machine))
    scope = _Scope("", given is not None, names, shape)
    found: list[str] = []
    _machine(machine, shape, scope, machine.get("QueryLanguage", "JSONPath"), found)
    return list(dict.fromkeys(found))


def _given(value: Mapping[str, Any] | None) -> Shape:
    return ANYTHING if value is None else Fields({name: _given(inner) for name, inner in value.items()})


def _named(value: Any) -> Iterator[str]:
    """Every name that something in the machine gives to data: fields of templates and results, result paths."""
    if isinstance(value, list):
        for inner in value:
            yield from _named(inner)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if key in _TEMPLATES or key == "Result":
            yield from _keys(inner)
        elif key == "ResultPath" and isinstance(inner, str):
            yield from inner.split(".")[1:]
        elif key == "Resource" and isinstance(inner, str):
            yield from rules_services.results(inner) or ()
        yield from _named(inner)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key.removesuffix(".$")
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _machine(machine: Mapping[str, Any], given: Shape, scope: _Scope, language: str, found: list[str]) -> Shape:
    """The shape of what the machine puts out; adds to `found` what is wrong with each state, given all that may come in."""
    known = machine["States"]
    assigned = rules_jsonata.before(machine, scope.variables)
    # states before those that follow them, so that most are looked at once
    place = {name: index for index, name in enumerate(_order(machine))}
    inputs: dict[str, Shape] = {machine["StartAt"]: given}
    seen: dict[str, tuple[list[Shape], list[str]]] = {}
    rounds = dict.fromkeys(known, 0)
    waiting = {machine["StartAt"]}
    while waiting:
        name = min(waiting, key=place.__getitem__)
        waiting.remove(name)
        rounds[name] += 1
        here = replace(scope, where=f"{scope.where}States.{name}", variables=assigned[name])
        wrong: list[str] = []
        ways, ends = _leaves(known[name], inputs[name], here, language, wrong)
        seen[name] = ends, wrong
        for target, shape in ways:
            reaches = shape if target not in inputs else rules_shapes.joined((inputs[target], shape))
            if rounds[target] > _ROUNDS:
                reaches = ANYTHING
            if target not in inputs or reaches != inputs[target]:
                inputs[target] = reaches
                waiting.add(target)
    for name in known:
        found += seen[name][1] if name in seen else []
    return rules_shapes.joined(shape for ends, _ in seen.values() for shape in ends)


def _order(machine: Mapping[str, Any]) -> list[str]:
    """The states, each before those that follow it, as far as there are no loops."""
    known = machine["States"]
    done: list[str] = []
    seen = {machine["StartAt"]}
    stack = [(machine["StartAt"], _follow(known[machine["StartAt"]]))]
    while stack:
        name, rest = stack[-1]
        following = next((target for target in rest if target not in seen), None)
        if following is None:
            stack.pop()
            done.append(name)
        else:
            seen.add(following)
            stack.append((following, _follow(known[following])))
    return done[::-1]


def _follow(state: Mapping[str, Any]) -> Iterator[str]:
    yield from (state[name] for name in ("Next", "Default") if name in state)
    yield from (item["Next"] for name in ("Choices", "Catch") for item in state.get(name, ()))


Leaving = tuple[list[tuple[str, Shape]], list[Shape]]
"""Where a state goes on to and what that gets, and what the machine puts out where it ends here."""


def _leaves(state: Mapping[str, Any], given: Shape, scope: _Scope, language: str, found: list[str]) -> Leaving:
    reader = _Reader(scope, scope.where)
    if state.get("QueryLanguage", language) == "JSONata":
        _inside(state, ANYTHING, scope, language, found)
        out: Shape = ANYTHING if state["Type"] not in ("Choice", "Wait", "Succeed") or "Output" in state else given
        caught: list[tuple[str, Shape]] = [(c["Next"], ANYTHING) for c in state.get("Catch", ())]
        ways = [(rule["Next"], out) for rule in state.get("Choices", ())] + caught
    else:
        seen = _selected(reader, state, "InputPath", given)
        result = _result(state, seen, reader, language, found)
        if "ResultSelector" in state:
            result = reader.template(state["ResultSelector"], result, "ResultSelector")
        placed = _placed(reader, state.get("ResultPath", "$"), given, seen, result, state, "ResultPath")
        out = _selected(reader, state, "OutputPath", placed)
        if "Assign" in state:
            reader.template(state["Assign"], result, "Assign")
        ways = _choices(reader, state, seen, out)
        for index, catcher in enumerate(state.get("Catch", ())):
            place = f"Catch[{index}].ResultPath"
            ways.append((catcher["Next"], _placed(reader, catcher.get("ResultPath", "$"), given, given, _ERROR, {"Type": "Task"}, place)))
    found += reader.found
    ways += [(state[name], out) for name in ("Next", "Default") if name in state]
    return ways, [out] if state.get("End") or state["Type"] == "Succeed" else []


def _selected(reader: _Reader, state: Mapping[str, Any], place: str, shape: Shape) -> Shape:
    text = state.get(place, "$")
    return NOTHING if text is None else reader.value(text, shape, place)


def _placed(reader: _Reader, text: str | None, given: Shape, seen: Shape, result: Shape, state: Mapping[str, Any], place: str) -> Shape:
    """What a state has made, put where its ResultPath says: over its input, into it, or nowhere."""
    if state["Type"] not in ("Task", "Parallel", "Map", "Pass"):
        return seen
    if text is None:
        return given
    try:
        target = reference(text)
    except Malformed as error:
        reader.found.append(f"{reader.here}.{place}: {text!r} is no path: {error}")
        return ANYTHING
    return rules_shapes.put(given, target.steps, result)


def _result(state: Mapping[str, Any], seen: Shape, reader: _Reader, language: str, found: list[str]) -> Shape:
    """What the state itself makes of its input, before any selection."""
    if state["Type"] == "Map":
        return _map(state, seen, reader, language, found)
    template = reader.template(state["Parameters"], seen, "Parameters") if "Parameters" in state else seen
    for name in ("TimeoutSecondsPath", "HeartbeatSecondsPath", "SecondsPath", "TimestampPath", "ErrorPath", "CausePath"):
        if name in state:
            reader.value(state[name], seen, name, expression)
    if state["Type"] == "Parallel":
        return List(rules_shapes.joined(_inside(state, template, reader.scope, language, found)))
    if state["Type"] == "Task":
        fields = rules_services.results(state["Resource"])
        return ANYTHING if fields is None else Fields(dict.fromkeys(fields, ANYTHING))
    if state["Type"] == "Pass" and "Result" in state:
        return rules_shapes.of(state["Result"])
    return template


def _map(state: Mapping[str, Any], seen: Shape, reader: _Reader, language: str, found: list[str]) -> Shape:
    items = ANYTHING if "ItemReader" in state else reader.value(state.get("ItemsPath", "$"), seen, "ItemsPath", reference)
    if isinstance(items, Fields) and reader.scope.strict:
        reader.found.append(f"{reader.here}.ItemsPath: {state.get('ItemsPath', '$')!r} is no array")
    for name in ("MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath"):
        if name in state:
            reader.value(state[name], seen, name, reference)
    if "ItemReader" in state:
        reader.template(state["ItemReader"].get("Parameters", {}), seen, "ItemReader.Parameters")
    item = items.item if isinstance(items, List) else ANYTHING
    outer = reader.scope
    reader.scope = replace(outer, item=item)
    for name in ("ItemSelector", "Parameters"):
        if name in state:
            item = reader.template(state[name], seen, name)
    made = _inside(state, item, reader.scope, language, found)
    reader.scope = outer
    return Fields({}, open=True) if "ResultWriter" in state else List(rules_shapes.joined(made))


def _inside(state: Mapping[str, Any], given: Shape, scope: _Scope, language: str, found: list[str]) -> list[Shape]:
    """What the machines inside the state put out."""
    made = []
    for index, branch in enumerate(state.get("Branches", ())):
        made.append(_machine(branch, given, replace(scope, where=f"{scope.where}.Branches[{index}]."), language, found))
    if "ItemProcessor" in state:
        processor = state["ItemProcessor"]
        where = f"{scope.where}.ItemProcessor."
        if processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
            inner = replace(scope, where=where, given=given, item=None, child=True, variables=frozenset())
        else:
            inner = replace(scope, where=where, item=scope.item or ANYTHING)
        made.append(_machine(processor, given, inner, language, found))
    return made


def _choices(reader: _Reader, state: Mapping[str, Any], seen: Shape, out: Shape) -> list[tuple[str, Shape]]:
    """Where the rules of a Choice lead, each with what is certain once its tests have passed."""
    ways = []
    for index, rule in enumerate(state.get("Choices", ())):
        shape = out
        certain = _tests(reader, rule, seen, f"Choices[{index}]")
        for parsed in certain:
            if parsed.root == "$" and parsed.definite and all(isinstance(step, str) for step in parsed.steps):
                shape = _with(shape, parsed)
        if "Assign" in rule:
            reader.template(rule["Assign"], seen, f"Choices[{index}].Assign")
        ways.append((rule["Next"], shape))
    return ways


def _with(shape: Shape, parsed: Path) -> Shape:
    try:
        rules_shapes.at(shape, parsed)
    except Missing:
        return rules_shapes.put(shape, parsed.steps, ANYTHING)
    return shape


def _tests(reader: _Reader, rule: Mapping[str, Any], seen: Shape, place: str) -> list[Path]:
    """Read the paths of a rule's tests; gives those that are certain to be there where the rule matches."""
    certain: list[Path] = []
    if rule.get("IsPresent") is True:
        return _parsed(reader, rule["Variable"], place)
    if "IsPresent" in rule:
        _parsed(reader, rule["Variable"], place)
        return []
    for index, part in enumerate(rule.get("And", ())):
        inner = _tests(reader, part, seen, f"{place}.And[{index}]")
        certain += inner
        for parsed in inner:
            seen = _with(seen, parsed) if parsed.root == "$" and parsed.definite else seen
    for index, part in enumerate(rule.get("Or", ())):
        _tests(reader, part, seen, f"{place}.Or[{index}]")
    if "Not" in rule:
        _tests(reader, rule["Not"], seen, f"{place}.Not")
    if "Variable" in rule:
        reader.value(rule["Variable"], seen, f"{place}.Variable")
    for name, value in rule.items():
        if name.endswith("Path"):
            reader.value(value, seen, f"{place}.{name}")
    return certain


def _parsed(reader: _Reader, text: str, place: str) -> list[Path]:
    try:
        return [path(text)]
    except Malformed as error:
        reader.found.append(f"{reader.here}.{place}.Variable: {text!r} is no path: {error}")
        return []
