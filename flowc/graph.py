"""In: a Flow, right or wrong. Out: its Graph: Metaflow's own facts of each step, and the order, scopes and arrivals that targets need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowc.ir import Flow, Foreach, InvalidNext, Linear, NoNext, NumParallel, Split, Step, Switch, targets_of

SPLITS = ("split", "foreach")
GANGS = ("parallel", "pytorch_parallel")
"""The decorators of Metaflow whose step runs as a gang of tasks."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step in its flow. Up to `is_inside_foreach` all values are those of Metaflow's `DAGNode` (`next` is its `out_funcs`).

    `type`: start, linear, split, foreach, split-switch, join, end, or None where Metaflow cannot tell.
    `scope`: the foreach and num_parallel steps whose tasks enclose this step's tasks, outermost first; a foreach step and its join
    stand outside its scope. `loops`: a switch case names the step itself.
    """

    name: str
    type: str | None
    next: tuple[str, ...]
    num_args: int
    has_tail_next: bool = False
    invalid_tail_next: bool = False
    foreach_param: str | None = None
    num_parallel: int | None = 0
    parallel_foreach: bool = False
    parallel_step: bool = False
    condition: str | None = None
    switch_cases: Mapping[str | int | float | bool, str] = field(default_factory=dict)
    in_funcs: tuple[str, ...] = ()
    split_parents: tuple[str, ...] = ()
    split_branches: tuple[str, ...] = ()
    matching_join: str | None = None
    is_inside_foreach: bool = False
    scope: tuple[str, ...] = ()
    loops: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """The steps of a flow and how they hang together.

    `order`: the steps that can be reached from `start`, each after all that lead to it (self-loops aside), as Metaflow sorts them.
    `closers`: for each split and foreach step, the joins that may close it (more than one only behind switches).
    `skippable`: steps that a run of their scope may leave out. `shared`: steps that Metaflow's linter lets several branches of one split,
    or several foreach steps, lead to: one run may start them more than once, or in different scopes.
    """

    nodes: Mapping[str, Node]
    start: str | None
    end: str | None
    order: tuple[str, ...]
    closers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skippable: frozenset[str] = frozenset()
    shared: tuple[str, ...] = ()

    def closes(self, name: str) -> str | None:
        """The split or foreach step that this join closes; None for any other step."""
        node = self.nodes[name]
        return node.split_parents[-1] if node.type == "join" and node.split_parents else None

    def arrivals(self, name: str) -> tuple[tuple[str, ...], ...]:
        """When the step runs: from every group one step ran and went on to this one. () for the start step.

        The join of a static split has a group a branch, in the order of the split: the steps that can end the branch, sorted.
        Any other step has one group, of all steps that lead to it; the step itself is left out.
        """
        node = self.nodes[name]
        before = tuple(n for n in node.in_funcs if n != name)
        closed = self.closes(name)
        if not before or closed is None or self.nodes[closed].type != "split":
            return (before,) if before else ()
        ends: dict[str, list[str]] = {branch: [] for branch in self.nodes[closed].next}
        for n in before:
            ends.setdefault(self.branch(n), []).append(n)
        return tuple(tuple(group) for group in ends.values() if group)

    def branch(self, name: str) -> str:
        """The first step of the innermost branch that is still open after this step; "" at the top level."""
        branches = self.nodes[name].split_branches
        return branches[-1] if branches else ""

    def conditional(self, name: str) -> bool:
        """May a run of the step's scope leave it out? True only behind switches."""
        return name in self.skippable

    def members(self, split: str) -> tuple[str, ...]:
        """The steps whose innermost scope is that of this foreach step, in order."""
        return tuple(n for n in self.order if self.nodes[n].scope[-1:] == (split,))


def fan(node: Node) -> str:
    """What a foreach step fans out over, for people: `foreach xs`, `num_parallel 4`."""
    if node.parallel_foreach:
        return f"num_parallel {node.num_parallel}" if node.num_parallel else "num_parallel"
    return f"foreach {node.foreach_param}" if node.foreach_param else "foreach"


def build(flow: Flow) -> Graph:
    """The graph of a flow. Never fails: unknown targets are ignored, edges that close a cycle too."""
    start, end = _ends(flow)
    nodes = {name: _node(step, start, end) for name, step in flow.steps.items()}
    order, tree = _order(nodes, start)
    entries = _entries(nodes, order, tree)
    closers = _closers(nodes, order)
    arrived = _in_funcs(nodes, order, start)
    for name in order:
        nodes[name] = _placed(nodes[name], nodes, entries[name], closers, arrived[name])
    shared = _shared(nodes, order, entries)
    draft = Graph(nodes, start, end, order, closers, frozenset(), shared)
    return replace(draft, skippable=_skippable(draft))


def as_json(graph: Graph, flow: Flow) -> dict[str, Any]:
    """What `flowc graph --format json` prints: the values of Metaflow's FlowGraph, with its own names."""
    steps = {
        name: {
            "type": node.type,
            "next": list(node.next),
            "in_funcs": list(node.in_funcs),
            "matching_join": node.matching_join,
            "split_parents": list(node.split_parents),
            "split_branches": list(node.split_branches),
            "foreach_param": node.foreach_param,
            "condition": node.condition,
            "switch_cases": dict(node.switch_cases),
            "parallel_foreach": node.parallel_foreach,
            "is_inside_foreach": node.is_inside_foreach,
        }
        for name, node in graph.nodes.items()
    }
    return {"flow": flow.name, "steps": steps}


def _ends(flow: Flow) -> tuple[str | None, str | None]:
    """The start and end step as Metaflow finds them: the one that is marked, else by name; the only step is both."""
    if len(flow.steps) == 1:
        (only,) = flow.steps
        return only, only

    def resolve(marked: list[str], fallback: str) -> str | None:
        if len(marked) == 1:
            return marked[0]
        return fallback if not marked and fallback in flow.steps else None

    return (
        resolve([n for n, s in flow.steps.items() if s.marked_start], "start"),
        resolve([n for n, s in flow.steps.items() if s.marked_end], "end"),
    )


def _node(step: Step, start: str | None, end: str | None) -> Node:
    """The facts of a step that need no other step."""
    transition = step.transition
    kind: str | None = None
    facts: dict[str, Any] = {}
    match transition:
        case Linear():
            kind = "join" if step.arguments > 1 else "linear"
        case Split():
            kind = "split"
        case Foreach():
            kind, facts = "foreach", {"foreach_param": transition.artifact}
        case NumParallel():
            kind, facts = "foreach", {"num_parallel": transition.count, "parallel_foreach": True}
        case Switch():
            kind, facts = "split-switch", {"condition": transition.condition, "switch_cases": dict(transition.cases)}
        case InvalidNext():
            parallel = transition.kind == "num_parallel"
            kind = "foreach" if parallel else transition.kind
            facts = {"invalid_tail_next": True, "parallel_foreach": parallel}
        case NoNext():
            pass
    if step.name == end:
        kind = "end"
    elif step.name == start and kind in (None, "linear"):
        kind = "start"
    targets = targets_of(transition)
    return Node(
        step.name,
        kind,
        targets,
        step.arguments,
        has_tail_next=not isinstance(transition, NoNext),
        parallel_step=any(d.name in GANGS for d in step.decorators),
        loops=isinstance(transition, Switch) and step.name in targets,
        **facts,
    )


def _order(nodes: Mapping[str, Node], start: str | None) -> tuple[tuple[str, ...], dict[str, str | None]]:
    """The steps by their last visit in Metaflow's walk over all paths, and the step that each was then reached from.

    Metaflow walks every path, so its time can be exponential; a step keeps what its last visit wrote. Seen backwards in time that
    walk takes the targets from last to first, and a step's first visit emits everything below it: a plain depth-first search.
    """
    if start is None:
        return (), {}
    tree: dict[str, str | None] = {start: None}
    done: list[str] = []
    stack = [(start, iter(reversed(nodes[start].next)))]
    while stack:
        name, targets = stack[-1]
        target = next((t for t in targets if t in nodes and t not in tree), None)
        if target is None:
            done.append(name)
            stack.pop()
        else:
            tree[target] = name
            stack.append((target, iter(reversed(nodes[target].next))))
    return tuple(reversed(done)), tree


Entry = tuple[tuple[str, ...], tuple[str, ...]]
"""The split steps that are open where a step is entered, and the branches taken, outermost first."""


def _left(node: Node, entry: Entry) -> Entry:
    """What is open after a step that was entered so, before the branch of a split is named."""
    parents, branches = entry
    if node.type in SPLITS:
        return (*parents, node.name), branches
    if node.type == "join":
        return parents[:-1], branches[:-1]
    return entry


def _edge(node: Node, left: Entry, target: str) -> Entry:
    return (left[0], (*left[1], target)) if node.type in SPLITS else left


def _entries(nodes: Mapping[str, Node], order: Iterable[str], tree: Mapping[str, str | None]) -> dict[str, Entry]:
    """For each step what is open where Metaflow's last visit enters it."""
    entries: dict[str, Entry] = {}
    left: dict[str, Entry] = {}
    for name in order:
        before = tree[name]
        entries[name] = ((), ()) if before is None else _edge(nodes[before], left[before], name)
        left[name] = _left(nodes[name], entries[name])
    return entries


def _closers(nodes: Mapping[str, Node], order: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """For each split the joins that close it on some path; first the one that Metaflow's walk meets last."""
    closing: dict[str, tuple[str, ...]] = {}
    after: dict[str, tuple[str, ...]] = {}
    closers: dict[str, tuple[str, ...]] = {}
    for name in reversed(order):
        node = nodes[name]
        below = _union(closing[t] for t in reversed(node.next) if t in closing)
        if node.type == "join":
            after[name], closing[name] = below, (name,)
        elif node.type in SPLITS:
            closers[name] = below
            closing[name] = _union(after[j] for j in below)
        else:
            closing[name] = below
    return closers


def _union(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """All names in order, each once; the very same tuple where one part says it all, so that long chains share it."""
    found: tuple[str, ...] = ()
    for part in parts:
        if part is not found and part != found:
            found = tuple(dict.fromkeys(found + part)) if found else part
    return found


def _in_funcs(nodes: Mapping[str, Node], order: tuple[str, ...], start: str | None) -> dict[str, list[str]]:
    """The reached steps that lead to each reached step. Metaflow leaves a self-loop out, save that of the start step."""
    arrived: dict[str, list[str]] = {name: [] for name in order}
    for name in sorted(order):
        for target in dict.fromkeys(nodes[name].next):
            if target in arrived and (target != name or name == start):
                arrived[target].append(name)
    return arrived


def _placed(node: Node, nodes: Mapping[str, Node], entry: Entry, closers: Mapping[str, tuple[str, ...]], arrived: list[str]) -> Node:
    """A step with the facts that come from where it stands."""
    parents, branches = entry
    if node.type == "join":
        branches = branches[:-1]
    open_foreach = [p for p in parents if nodes[p].type == "foreach"]
    outer = parents[:-1] if node.type == "join" else parents
    return replace(
        node,
        in_funcs=tuple(arrived),
        split_parents=parents,
        split_branches=branches,
        matching_join=next(iter(closers.get(node.name, ())), None),
        is_inside_foreach=any(closers[p][:1] != (node.name,) for p in open_foreach),
        scope=tuple(p for p in outer if nodes[p].type == "foreach"),
    )


def _shared(nodes: Mapping[str, Node], order: tuple[str, ...], entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Steps that different paths enter in different branches or scopes. A join is judged outside the split that it closes."""

    def place(name: str, entry: Entry) -> tuple[list[str], tuple[str, ...]]:
        parents, branches = entry
        return [p for p in parents if nodes[p].type == "foreach"], branches[:-1] if nodes[name].type == "join" else branches

    left = {name: _left(nodes[name], entries[name]) for name in order}
    return tuple(
        name
        for name in order
        if any(
            place(name, _edge(nodes[before], left[before], name)) != place(name, entries[name])
            for before in nodes[name].in_funcs
            if before != name
        )
    )


Chance = tuple[int, int]
"""A probability (m, e) = m / 2**e in lowest terms: exact, and small wherever few switches are open."""


def _total(parts: Iterable[Chance]) -> Chance:
    found, bits = 0, 0
    for part, shift in parts:
        common = max(bits, shift)
        found, bits = (found << (common - bits)) + (part << (common - shift)), common
    halvings = min(bits, (found & -found).bit_length() - 1) if found else bits
    return found >> halvings, bits - halvings


def _skippable(graph: Graph) -> frozenset[str]:
    """The steps that do not run in every run of their scope.

    Give every case of a switch a positive probability (1/2, 1/4, ..., the last two alike): then a step always runs exactly when it runs
    with probability one.
    """
    nodes = graph.nodes
    cases = {n: [t for t in dict.fromkeys(nodes[n].next) if t != n] for n in graph.order if nodes[n].type == "split-switch"}
    chance: dict[str, Chance] = {}
    openers: dict[str, list[str]] = {}
    for split, joins in graph.closers.items():
        for join in joins:
            openers.setdefault(join, []).append(split)

    def passed(before: str, name: str) -> Chance:
        found, bits = chance.get(before, (0, 0))
        if before not in cases:
            return found, bits
        return found, bits + min(cases[before].index(name) + 1, len(cases[before]) - 1)

    for name in graph.order:
        groups = graph.arrivals(name)
        if not groups or any(nodes[n].type == "foreach" for n in groups[0]):
            chance[name] = (1, 0)
            continue
        found, bits = _total(passed(n, name) for n in groups[0])
        closed = graph.closes(name)
        if closed is not None and nodes[closed].type == "foreach":
            # what the tasks of the scope did counts as often as the scope itself is entered
            outer, shift = _total(chance.get(s, (0, 0)) for s in openers.get(name, ()))
            found, bits = _total([(found * outer, bits + shift)])
        chance[name] = (found, bits)
    return frozenset(n for n in graph.order if chance[n] != (1, 0)) | frozenset(graph.shared)
