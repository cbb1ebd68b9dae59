"""In: an emitted state machine and a run to imitate. Out: the tasks that Step Functions would start, what each waited for, what its job was told."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from argo.engine import Run, Started, read_by
from oracle.runtime import Task

from flowc.deployment import batch
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import EMPTY, Settings
from flowc.targets.step_functions import jobs

EXECUTION = "42"
PATH = re.compile(r"\$\$?(\.\w+)*")
CALL = re.compile(r"States\.(\w+)\((.*)\)")
# what a state may say beside its type's own fields
COMMON = {"Type", "Next", "End", "OutputPath", "ResultPath", "ResultSelector", "Parameters", "Retry", "Catch", "Comment"}
OWN = {
    "Task": {"Resource"},
    "Pass": {"Result"},
    "Choice": {"Choices", "Default"},
    "Parallel": {"Branches"},
    "Map": {"ItemsPath", "ItemSelector", "ItemProcessor", "MaxConcurrency"},
    "Succeed": set(),
    "Fail": {"Error", "Cause", "ErrorPath", "CausePath"},
}


class Failed(Exception):
    """The machine came to a Fail state: its error, then its cause."""


def bodies(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A machine, and all that stand in its Parallel and Map states."""
    yield body
    for state in body["States"].values():
        for inner in [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]:
            yield from bodies(inner)


def gangs(flow: Flow, graph: Graph) -> dict[str, Any]:
    """The definitions of multi-node jobs, by what stands for them in a machine."""
    where = batch.places(flow, Settings())
    found = jobs.definitions(flow, graph, Settings(), prefix="x", where=where)
    return {f"${{{name}}}": each.body["nodeProperties"] for name, each in found.items() if "nodeProperties" in each.body}


def words_of(parameters: Mapping[str, Any], gang: Mapping[str, Any] | None) -> tuple[list[str], dict[str, str]]:
    """The bootstrap's arguments, and the environment that a job has beyond its definition's; a gang's as the loader takes it from its command."""
    if gang is None:
        words, env = parameters["ContainerOverrides"]["Command"], parameters["ContainerOverrides"]["Environment"]
        given = {item["Name"]: item["Value"] for item in env}
        assert len(given) == len(env)
    else:
        assert "ContainerOverrides" not in parameters
        (nodes,) = gang["nodeRangeProperties"]
        assert nodes["targetNodes"] == "0:"
        words = [parameters["Parameters"][w[5:]] if w.startswith("Ref::") else w for w in nodes["container"]["command"]]
        given = {name: value for name, value in pairwise(words) if name.startswith("FLOWC_")}
    steps = [place for place, word in enumerate(words) if word.startswith(("--first", "--from", "--split", "--gather", "--hook"))]
    return words[steps[0] - 1 :], given


@dataclass
class Engine:
    """Executes states as Step Functions does, JSONPath mode, and remembers for each task what had ended for certain before it began.

    Jobs of the steps and hooks named in `failing` fail. `hooks` are the exit hooks that ran, `events` what was told.
    """

    run: Run
    gangs: Mapping[str, Any] = field(default_factory=dict)
    input: Any = field(default_factory=dict)
    objects: dict[tuple[str, str], str] = field(default_factory=dict)
    started: dict[Task, list[Started]] = field(default_factory=dict)
    left: int = 20_000
    failing: frozenset[str] = frozenset()
    hooks: list[str] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    def body(self, body: Mapping[str, Any], data: Any, knows: frozenset[Task], execution: str = EXECUTION) -> tuple[Any, frozenset[Task]]:
        """The output of a machine, branch or item, and all tasks that have ended when it has."""
        name = body["StartAt"]
        while True:
            self.left -= 1
            assert self.left, "the machine does not end"
            state = body["States"][name]
            kind = state["Type"]
            assert set(state) <= COMMON | OWN[kind], f"{name}: {set(state) - COMMON - OWN[kind]}"
            context = {"Execution": {"Name": execution, "Input": self.input}}
            if kind == "Choice":
                name = self._choice(state, data)
                continue
            if kind == "Fail":
                error, cause = (
                    _value(state[f"{each}Path"], data, context) if f"{each}Path" in state else state[each] for each in ("Error", "Cause")
                )
                raise Failed(error, cause)
            if kind == "Succeed":
                return _value(state.get("OutputPath", "$"), data, context), knows
            try:
                result, knows = getattr(self, f"_{kind.lower()}")(state, data, context, knows)
            except Failed as failed:
                if "Catch" not in state:
                    raise
                (catch,) = state["Catch"]
                assert catch["ErrorEquals"] == ["States.ALL"]
                data = _placed(catch.get("ResultPath", "$"), data, {"Error": failed.args[0], "Cause": failed.args[1]})
                name = catch["Next"]
                continue
            if "ResultSelector" in state:
                result = _template(state["ResultSelector"], result, context)
            data = _placed(state.get("ResultPath", "$"), data, result)
            data = _value(state.get("OutputPath", "$"), data, context)
            assert ("Next" in state) != ("End" in state), name
            if "End" in state:
                return data, knows
            name = state["Next"]

    def _pass(self, state: Mapping[str, Any], data: Any, context: Any, knows: frozenset[Task]) -> tuple[Any, frozenset[Task]]:
        given = _template(state["Parameters"], data, context) if "Parameters" in state else data
        return copy.deepcopy(state.get("Result", given)), knows

    def _task(self, state: Mapping[str, Any], data: Any, context: Any, knows: frozenset[Task]) -> tuple[Any, frozenset[Task]]:
        parameters = _template(state["Parameters"], data, context)
        if state["Resource"].endswith(":s3:getObject"):
            return {"Body": self.objects[parameters["Bucket"], parameters["Key"]]}, knows
        if state["Resource"].endswith(":events:putEvents"):
            (event,) = parameters["Entries"]
            self.events.append(event["Detail"])
            if "Announce" in self.failing:
                raise Failed("EventBridge.Failed", "no bus")
            return {}, knows
        assert state["Resource"].endswith(":batch:submitJob.sync")
        return self._job(parameters, knows)

    def _job(self, parameters: Mapping[str, Any], knows: frozenset[Task]) -> tuple[Any, frozenset[Task]]:
        gang = self.gangs.get(parameters["JobDefinition"])
        arguments, env = words_of(parameters, gang)
        assert env["FLOWC_RUN_ID"] == f"sfn-{EXECUTION}"
        assert all(isinstance(value, str) for value in env.values())
        if arguments[1:] == ["--hook"]:
            self.hooks.append(arguments[0])
        if arguments[0] in self.failing:
            raise Failed("States.TaskFailed", f"{arguments[0]} failed")
        if arguments[1:] == ["--hook"]:
            return {"JobId": "0"}, knows
        options = {word.partition("=")[0] for word in arguments}
        assert ("--gang" in options) == (gang is not None)
        path = tuple(int(index) for index in env.get("FLOWC_PATH", "").split("-") if index)
        ran = [(arguments[0], path)]
        if gang is not None:
            parent = self.run.graph.nodes[arguments[0]].in_funcs[0]
            assert gang["numNodes"] == self.run.graph.nodes[parent].num_parallel
            # runs are imagined with any width, also where the flow says one
            ran = [(arguments[0], (*path, index)) for index in range(self.run.width((parent, path)))]
        turn = int(env.get("FLOWC_ROUND", "0"))
        for task in ran:
            assert task in self.run.ran, f"{task} is started, and no run of the flow has it so"
            self.started.setdefault(task, []).append(Started(turn, knows - {task}, tuple(arguments)))
        if "FLOWC_RESULT" in env:
            self._tell(env["FLOWC_RESULT"], ran[0], turn, "FLOWC_ROUND" in env)
        return {"JobId": "0"}, knows | set(ran)

    def _tell(self, place: str, task: Task, turn: int, loops: bool) -> None:
        """As the bootstrap does."""
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        step, path = task
        parts = [step, *(["-".join(map(str, path))] if path else []), *([f"r{turn}"] if loops else [])]
        wide = self.run.graph.nodes[step].type == "foreach"
        width = self.run.width(task) if wide else None
        case = self.run.case(task, turn) if self.run.ran[task] else None
        outcome = {"splits": width, "case": case, "indices": list(range(width or 0))}
        self.objects[bucket, f"{prefix}/sfn-{EXECUTION}/{'-'.join(parts)}.json"] = json.dumps(outcome)

    def _choice(self, state: Mapping[str, Any], data: Any) -> str:
        for rule in state["Choices"]:
            assert set(rule) == {"Variable", "StringEquals", "Next"}
            if _value(rule["Variable"], data, None) == rule["StringEquals"]:
                return str(rule["Next"])
        return str(state["Default"])

    def _parallel(self, state: Mapping[str, Any], data: Any, context: Any, knows: frozenset[Task]) -> tuple[Any, frozenset[Task]]:
        given = _template(state["Parameters"], data, context) if "Parameters" in state else data
        ended = [self.body(branch, copy.deepcopy(given), knows, context["Execution"]["Name"]) for branch in state["Branches"]]
        return [output for output, _ in ended], knows.union(*(known for _, known in ended))

    def _map(self, state: Mapping[str, Any], data: Any, context: Any, knows: frozenset[Task]) -> tuple[Any, frozenset[Task]]:
        processor = state["ItemProcessor"]
        # a distributed Map runs each item as an execution of its own
        execution = "child" if processor["ProcessorConfig"]["Mode"] == "DISTRIBUTED" else context["Execution"]["Name"]
        outputs, after = [], knows
        for item in _value(state["ItemsPath"], data, context):
            given = _template(state["ItemSelector"], data, {**context, "Map": {"Item": {"Value": item}}})
            output, known = self.body(processor, given, knows, execution)
            outputs.append(output)
            after |= known
        return outputs, after


def _placed(path: str, data: Any, result: Any) -> Any:
    if path == "$":
        return result
    match = re.fullmatch(r"\$\.(\w+)", path)
    assert match, path
    return {**data, match[1]: result}


def _template(template: Any, data: Any, context: Any) -> Any:
    """A payload template: keys that end in `.$` hold paths and intrinsic functions."""
    if isinstance(template, dict):
        return {
            key.removesuffix(".$"): _value(value, data, context) if key.endswith(".$") else _template(value, data, context)
            for key, value in template.items()
        }
    return [_template(item, data, context) for item in template] if isinstance(template, list) else template


def _value(text: str, data: Any, context: Any) -> Any:
    """The value of a path or an intrinsic function; KeyError where the data has no such field."""
    if PATH.fullmatch(text):
        value = context if text.startswith("$$") else data
        for part in text.lstrip("$").split(".")[1:]:
            value = value[part]
        return value
    call = CALL.fullmatch(text)
    assert call, text
    arguments = [_argument(each, data, context) for each in _split(call[2])]
    match call[1], arguments:
        case "Format", [str() as pattern, *values]:
            return _format(pattern, values)
        case "MathAdd", [int() as left, int() as right]:
            return left + right
        case "StringToJson", [str() as value]:
            return json.loads(value)
        case "JsonToString", [value]:
            return json.dumps(value)
    raise AssertionError(text)


def _split(arguments: str) -> list[str]:
    return [match[0].strip() for match in re.finditer(r"(?:'(?:[^'\\]|\\.)*'|[^,'])+", arguments)]


def _argument(text: str, data: Any, context: Any) -> Any:
    if text.startswith("'"):
        return text[1:-1]
    return int(text) if text.isdigit() else _value(text, data, context)


def _format(pattern: str, values: Sequence[Any]) -> str:
    """Fills `{}`; a backslash takes what follows as it is."""
    left = list(values)

    def filled(match: re.Match[str]) -> str:
        if match[0] != "{}":
            return match[0][1:]
        value = left.pop(0)
        return value if isinstance(value, str) else json.dumps(value)

    text = re.sub(r"\\.|\{\}", filled, pattern)
    assert not left
    return text


def ancestors(run: Run) -> dict[Task, set[Task]]:
    """For each task all tasks that must have ended before it begins: its parents, and theirs."""
    parents, found = run.parents(), {}

    def known(task: Task) -> set[Task]:
        if task not in found:
            found[task] = set(parents[task]).union(*(known(parent) for parent in parents[task]))
        return found[task]

    for task in run.graph.order:
        for each in [t for t in run.ran if t[0] == task]:
            known(each)
    return found


def play(machine: Mapping[str, Any], run: Run, gangs: Mapping[str, Any] = EMPTY, left: int = 20_000) -> Engine:
    """Execute a state machine, at most `left` states of it; `gangs` as the function of that name makes them.

    AssertionError, KeyError or Failed where it does not do what the run is: the same tasks, in the same orders.
    """
    engine = Engine(run, gangs, left=left)
    engine.body(machine, engine.input, frozenset())
    assert set(engine.started) == set(run.ran)
    assert len(engine.events) == ("putEvents" in json.dumps(machine))
    parents, before = run.parents(), ancestors(run)
    for task, rounds in engine.started.items():
        assert [each.turn for each in rounds] == list(range(run.rounds[task] + 1)), task
        for each in rounds:
            assert each.knows == before[task], f"{task} waits for other tasks than in the flow"
            assert read_by(each, task, run) == parents[task], (task, each.arguments)
    return engine
