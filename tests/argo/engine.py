"""In: an emitted WorkflowTemplate and a run to imitate. Out: the tasks that Argo would start, what each waited for and what its pod was told."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from oracle.runtime import Path, Task, simulate

from flowc.graph import Graph

REFERENCE = re.compile(r"\{\{([^{}]*)\}\}")
ADD = re.compile(r"=asInt\((inputs\.parameters\.\w+)\) \+ 1")
EQUAL = re.compile(r"'(.*)' == '(.*)'")
LAST = re.compile(r"(steps\.round\.\S+) != '(.*)' \? (\S+) : (\S+)")
UNIT = re.compile(r"([A-Za-z0-9-]+)\.Succeeded")
OUTPUTS = {"/mnt/out/split_cardinality": "width", "/mnt/out/num_parallel": "width", "/mnt/out/switch_step": "case"}


class _View:
    """A Graph as the simulation of Metaflow's scheduler reads a FlowGraph."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.start_step = graph, graph.start

    def __getitem__(self, name: str) -> Any:
        node = self.graph.nodes[name]
        return SimpleNamespace(name=name, type=node.type, out_funcs=node.next, in_funcs=node.in_funcs, split_parents=node.split_parents)


@dataclass(frozen=True)
class Run:
    """One possible run of a flow: `ran` has each task with the steps that it goes on to, `rounds` how often a looping task repeats itself."""

    graph: Graph
    ran: Mapping[Task, list[str]]
    rounds: Mapping[Task, int]

    def width(self, task: Task) -> int:
        """How many tasks a foreach or num_parallel task starts."""
        step, path = task
        count = 0
        while (self.graph.nodes[step].next[0], (*path, count)) in self.ran:
            count += 1
        return count

    def case(self, task: Task, turn: int) -> str:
        return task[0] if turn < self.rounds[task] else self.ran[task][0]

    def parents(self) -> dict[Task, set[Task]]:
        """The tasks whose results each task reads."""
        found: dict[Task, set[Task]] = {task: set() for task in self.ran}
        for (step, path), targets in self.ran.items():
            for target in targets:
                closed = self.graph.closes(target)
                if self.graph.nodes[step].type == "foreach":
                    children = [(target, (*path, index)) for index in range(self.width((step, path)))]
                elif closed is not None and self.graph.nodes[closed].type == "foreach":
                    children = [(target, path[:-1])]
                else:
                    children = [(target, path)]
                for child in children:
                    found[child].add((step, path))
        return found


def imagine(graph: Graph, chance: random.Random) -> Run:
    """A run with random choices and widths."""

    def choose(name: str) -> str:
        return chance.choice([target for target in graph.nodes[name].next if target != name])

    ran = simulate(_View(graph), choose, lambda: chance.randint(1, 3))
    return Run(graph, ran, {task: chance.randrange(3) if graph.nodes[task[0]].loops else 0 for task in sorted(ran)})


@dataclass(frozen=True)
class Started:
    """A pod's task: its round, the tasks that had ended for certain when it began, and its arguments."""

    turn: int
    knows: frozenset[Task]
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class _Ended:
    succeeded: bool
    outputs: Mapping[str, str]
    knows: frozenset[Task]


@dataclass
class Engine:
    """Runs templates as Argo does: a task of a DAG begins when all that its `depends` names have ended and it holds; then its `when` counts."""

    templates: Mapping[str, Mapping[str, Any]]
    run: Run
    started: dict[Task, list[Started]] = field(default_factory=dict)

    def template(self, name: str, inputs: Mapping[str, str], knows: frozenset[Task]) -> _Ended:
        template = self.templates[name]
        wanted = {parameter["name"] for parameter in template.get("inputs", {}).get("parameters", [])}
        assert set(inputs) == wanted, f"template {name} takes {wanted}, was given {set(inputs)}"
        scope = {f"inputs.parameters.{key}": value for key, value in inputs.items()}
        if "dag" in template:
            return self._dag(template["dag"]["tasks"], scope, knows)
        if "steps" in template:
            return self._steps(template, scope, knows)
        return self._pod(template, scope, knows)

    def _dag(self, tasks: Sequence[Mapping[str, Any]], scope: Mapping[str, str], knows: frozenset[Task]) -> _Ended:
        ended: dict[str, _Ended] = {}
        seen: dict[str, set[str]] = {}
        pending = {task["name"]: task for task in tasks}
        assert len(pending) == len(tasks), "two tasks have one name"
        while pending:
            ready = [name for name, task in pending.items() if set(UNIT.findall(task.get("depends", ""))) <= set(ended)]
            assert ready, f"these tasks wait for ever: {sorted(pending)}"
            for name in ready:
                task = pending.pop(name)
                before = set(UNIT.findall(task.get("depends", "")))
                seen[name] = before.union(*(seen[other] for other in before))
                known = knows.union(*(ended[other].knows for other in before))
                visible = {f"tasks.{n}.outputs.{key}": value for n in seen[name] for key, value in ended[n].outputs.items()}
                holds = _holds(task.get("depends"), {other: ended[other].succeeded for other in before})
                ended[name] = self._task(task, {**scope, **visible}, known) if holds else _Ended(False, {}, known)
        return _Ended(True, {}, knows.union(*(each.knows for each in ended.values())))

    def _steps(self, template: Mapping[str, Any], scope: Mapping[str, str], knows: frozenset[Task]) -> _Ended:
        visible = dict(scope)
        for (step,) in template["steps"]:
            result = self._task(step, visible, knows)
            knows = result.knows
            visible.update({f"steps.{step['name']}.outputs.{key}": value for key, value in result.outputs.items()})
        outputs = {}
        for parameter in template.get("outputs", {}).get("parameters", []):
            found = LAST.fullmatch(parameter["valueFrom"]["expression"])
            assert found, parameter
            outputs[f"parameters.{parameter['name']}"] = visible[found[3] if visible[found[1]] != found[2] else found[4]]
        return _Ended(True, outputs, knows)

    def _task(self, task: Mapping[str, Any], scope: Mapping[str, str], knows: frozenset[Task]) -> _Ended:
        """A task of a DAG or a step of a steps template: its `when`, its sequence, its template."""
        if not _chosen(task.get("when"), scope):
            return _Ended(False, {}, knows)
        given = {p["name"]: p["value"] for p in task.get("arguments", {}).get("parameters", [])}
        if "withSequence" not in task:
            return self.template(task["template"], {name: _filled(value, scope) for name, value in given.items()}, knows)
        after = knows
        for item in range(int(_filled(task["withSequence"]["count"], scope))):
            inputs = {name: _filled(value, {**scope, "item": str(item)}) for name, value in given.items()}
            after |= self.template(task["template"], inputs, knows).knows
        return _Ended(True, {}, after)

    def _pod(self, template: Mapping[str, Any], scope: Mapping[str, str], knows: frozenset[Task]) -> _Ended:
        words = template["container"]["args"] if "container" in template else _gang_arguments(template["resource"]["manifest"])
        arguments = tuple(_filled(word, {**scope, "retries": "0"}) for word in words)
        options = dict(word.removeprefix("--").partition("=")[::2] for word in arguments[1:])
        path = tuple(int(index) for index in options.get("path", "").split("-") if index)
        count = int(scope["inputs.parameters.num-parallel"]) if "gang" in options else None
        tasks = [(arguments[0], path)] if count is None else [(arguments[0], (*path, index)) for index in range(count)]
        turn = int(options.get("round", "0"))
        for task in tasks:
            assert task in self.run.ran, f"{task} is started, and no run of the flow has it so"
            self.started.setdefault(task, []).append(Started(turn, knows, arguments))
        outputs = {}
        for parameter in template.get("outputs", {}).get("parameters", []):
            kind = OUTPUTS[parameter["valueFrom"]["path"]]
            value = str(self.run.width(tasks[0])) if kind == "width" else self.run.case(tasks[0], turn)
            outputs[f"parameters.{parameter['name']}"] = value
        return _Ended(True, outputs, knows | set(tasks))


def _filled(text: str, scope: Mapping[str, str]) -> str:
    """The text with its references replaced; KeyError where one can not be read for certain."""

    def value(match: re.Match[str]) -> str:
        add = ADD.fullmatch(match[1])
        return str(int(scope[add[1]]) + 1) if add else scope[match[1]]

    return REFERENCE.sub(value, text)


def _holds(depends: str | None, succeeded: Mapping[str, bool]) -> bool:
    if depends is None:
        return True
    text = UNIT.sub(lambda match: str(succeeded[match[1]]), depends).replace("&&", " and ").replace("||", " or ")
    assert re.fullmatch(r"(True|False|and|or|[() ])+", text), depends
    return bool(eval(text))


def _chosen(when: str | None, scope: Mapping[str, str]) -> bool:
    if when in (None, "false"):
        return when is None
    sides = EQUAL.fullmatch(_filled(when or "", scope))
    assert sides, when
    return sides[1] == sides[2]


def _gang_arguments(manifest: str) -> list[str]:
    found = re.search(r'"args": (\[[^\]]*\])', manifest)
    assert found, "a gang without arguments"
    words: list[str] = json.loads(found[1])
    return words


def read_by(started: Started, task: Task, run: Run) -> set[Task]:
    """The tasks whose results the bootstrap reads, by the arguments that it was given."""
    options = dict(word.removeprefix("--").partition("=")[::2] for word in started.arguments[1:])
    step, path = task
    if "first" in options:
        return set()
    if "split" in options:
        return {(options["split"], path[:-1])}
    places: list[Path] = [path]
    if "gather" in options:
        places = [(*path, index) for index in range(run.width((options["over"], path)))]
    names = options.get("gather", options.get("from", "")).split(",")
    looping = {name for name in names if run.graph.nodes[name].loops}
    assert looping == set(filter(None, options.get("loops", "").split(",")))
    found = {(name, place) for place in places for name in names}
    return {each for each in found if step in run.ran.get(each, ())} if "choose" in options or len(names) > 1 < len(places) else found


def play(template: Mapping[str, Any], run: Run) -> None:
    """Run a WorkflowTemplate. AssertionError or KeyError where it does not do what the run is: the same tasks, each after and from its parents."""
    spec = template["spec"]
    engine = Engine({each["name"]: each for each in spec["templates"]}, run)
    engine.template(spec["entrypoint"], {}, frozenset())
    assert set(engine.started) == set(run.ran)
    parents = run.parents()
    for task, rounds in engine.started.items():
        assert [each.turn for each in rounds] == list(range(run.rounds[task] + 1)), task
        for each in rounds:
            assert parents[task] <= each.knows, f"{task} may begin before its parents have ended"
            assert read_by(each, task, run) == parents[task], (task, each.arguments)
