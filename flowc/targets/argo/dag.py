"""In: a Graph. Out: the DAGs, gates and loops that make Argo run its steps in the flow's order, as plain records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowc.graph import Graph, Node
from flowc.targets.argo.identifiers import argo_name

PATH = "{{inputs.parameters.path}}"
ROUND = "{{inputs.parameters.round}}"
GATE = "Gate"
ENTRY = "Flow"
# Step names are lower case, so a name with a capital letter can never be a step's.


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a DAG. `arguments` are (parameter, value); `count` is the width of a fan-out, in tasks, as text for Argo to resolve."""

    name: str
    template: str
    depends: str | None = None
    when: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    count: str | None = None


@dataclass(frozen=True, slots=True)
class Dag:
    """The tasks of one scope: the flow's top level, or one iteration of a foreach (which takes the index path as `path`)."""

    name: str
    inputs: tuple[str, ...]
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A template that runs a step and, while the step chooses itself, itself again. `exits`: whether who follows asks for the choice."""

    name: str
    step: str
    template: str
    inputs: tuple[str, ...]
    exits: bool


def foreach_name(step: str) -> str:
    """The template and task that run one iteration of the foreach that `step` starts."""
    return f"{argo_name(step)}-Foreach"


def loop_name(step: str) -> str:
    return f"{argo_name(step)}-Loop"


def gate_name(switch: str, target: str) -> str:
    return f"{argo_name(switch)}-To-{argo_name(target)}"


def exits(node: Node) -> list[str]:
    """The distinct steps that a switch may go on to, itself left out, in the order of the cases."""
    return [n for n in dict.fromkeys(node.next) if n != node.name]


def in_foreach(graph: Graph, node: Node) -> bool:
    """Whether a task of the step needs an index path: a gang (num_parallel) is one task of the scope around it."""
    return any(not graph.nodes[s].parallel_foreach for s in node.scope)


def place(graph: Graph, node: Node) -> tuple[str, ...]:
    """The foreach steps whose iterations' DAG holds the step's task, outermost first."""
    return tuple(s for s in node.scope if not graph.nodes[s].parallel_foreach)


def dags(graph: Graph) -> Iterator[Dag]:
    """The top-level DAG, then one for each foreach, in the order of the flow."""
    tasks: dict[tuple[str, ...], list[Task]] = {(): []}
    for name in graph.order:
        node = graph.nodes[name]
        here = place(graph, node)
        tasks.setdefault(here, []).extend(_tasks(graph, node, here))
        if node.type == "foreach" and not node.parallel_foreach:
            tasks.setdefault((*here, name), [])
            tasks[here].append(_fan_out(node, here))
    for scope, found in tasks.items():
        yield Dag(foreach_name(scope[-1]) if scope else ENTRY, ("path",) if scope else (), tuple(found))


def loops(graph: Graph) -> Iterator[Loop]:
    """One Loop for each step that may choose itself."""
    for name in graph.order:
        node = graph.nodes[name]
        if node.loops:
            inputs = ("path",) if in_foreach(graph, node) else ()
            yield Loop(loop_name(name), name, argo_name(name), inputs, len(exits(node)) > 1)


def has_gates(graph: Graph) -> bool:
    return any(_gated(graph, graph.nodes[name]) for name in graph.order)


def _fan_out(node: Node, here: tuple[str, ...]) -> Task:
    path = f"{PATH}-{{{{item}}}}" if here else "{{item}}"
    name, template = argo_name(node.name), foreach_name(node.name)
    return Task(template, template, f"{name}.Succeeded", None, (("path", path),), f"{{{{tasks.{name}.outputs.parameters.splits}}}}")


def _tasks(graph: Graph, node: Node, here: tuple[str, ...]) -> Iterator[Task]:
    """The task of a step, after the gates that it needs."""
    name = argo_name(node.name)
    arguments = [("path", PATH)] if here else []
    if node.loops:
        arguments.append(("round", "0"))
    if node.parallel_step:
        parent = argo_name(node.in_funcs[0])
        arguments.append(("num-parallel", f"{{{{tasks.{parent}.outputs.parameters.num-parallel}}}}"))
    for switch in _gated(graph, node):
        yield Task(gate_name(switch, node.name), GATE, f"{argo_name(switch)}.Succeeded", _chosen(switch, node.name))
    yield Task(name, loop_name(node.name) if node.loops else name, _depends(graph, node, here), _when(graph, node), tuple(arguments))


def _asks(graph: Graph, switch: str) -> bool:
    """Whether a step after the switch must ask which case was chosen: with one exit there is no choice."""
    return graph.nodes[switch].type == "split-switch" and len(exits(graph.nodes[switch])) > 1


def _switches(graph: Graph, node: Node) -> list[str]:
    return [p for p in node.in_funcs if p != node.name and _asks(graph, p)]


def _gated(graph: Graph, node: Node) -> list[str]:
    """The switches whose choice of this step must be a task of its own, because the step can also be reached on other ways.

    A `when` may only read the outputs of a task that surely ran: what the outputs of a skipped task are differs between
    versions of Argo (empty, a hang, an error). A gate depends on its switch alone.
    """
    found = _switches(graph, node)
    return found if len([p for p in node.in_funcs if p != node.name]) > 1 else []


def _chosen(switch: str, target: str) -> str:
    return f"'{{{{tasks.{argo_name(switch)}.outputs.parameters.case}}}}' == '{target}'"


def _when(graph: Graph, node: Node) -> str | None:
    found = _switches(graph, node)
    return _chosen(found[0], node.name) if found and not _gated(graph, node) else None


def _depends(graph: Graph, node: Node, here: tuple[str, ...]) -> str | None:
    groups = []
    gated = _gated(graph, node)
    for group in graph.arrivals(node.name):
        units = []
        for parent in group:
            if len(place(graph, graph.nodes[parent])) < len(here) or parent in here:
                continue
            units.append(gate_name(parent, node.name) if parent in gated else _unit(graph, parent, here))
        if units:
            groups.append(list(dict.fromkeys(units)))
    if not groups:
        return None
    texts = [" || ".join(f"{u}.Succeeded" for u in units) for units in groups]
    return " && ".join(f"({t})" if len(units) > 1 and len(groups) > 1 else t for t, units in zip(texts, groups, strict=True))


def _unit(graph: Graph, parent: str, here: tuple[str, ...]) -> str:
    """The task of this DAG that stands for a parent: itself, or the fan-out that it ran in."""
    inner = place(graph, graph.nodes[parent])
    return foreach_name(inner[len(here)]) if len(inner) > len(here) else argo_name(parent)
