"""In: a Flow and its Graph, whose transitions are sound. Out: splits and joins that do not match (FC219 to FC230)."""

from __future__ import annotations

from collections.abc import Iterable

from flowc.checks.joins_codes import (
    BRANCHES_MISSING,
    EMPTY_BRANCH,
    EMPTY_FOREACH,
    NO_SPLIT,
    NOT_JOINED,
    SHARED,
    SWITCH_TO_JOIN,
    UNRELATED,
)
from flowc.diagnostics import Diagnostic, Label
from flowc.graph import SPLITS, Graph
from flowc.ir import Flow, NoNext
from flowc.source import Span


def check(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """Edges that lead to a join too early; where there are none, whether every split meets its join."""
    if found := _too_early(flow, graph):
        return found
    unrelated = {name for name, node in graph.nodes.items() if node.type == "join" and len({_lineage(graph, n) for n in node.in_funcs}) > 1}
    found = [_unrelated(flow, graph, join) for join in sorted(unrelated)]
    found += _unjoined(flow, graph, unrelated) + _without_split(flow, graph) + _unmatched(flow, graph, unrelated)
    return found or _shared(flow, graph)


def _span(flow: Flow, name: str) -> Span:
    """The transition of a step; its name where it has none."""
    transition = flow.steps[name].transition
    return flow.steps[name].span if isinstance(transition, NoNext) else transition.span


def _too_early(flow: Flow, graph: Graph) -> list[Diagnostic]:
    found = []
    for name, node in graph.nodes.items():
        for join in dict.fromkeys(t for t in node.next if t in graph.nodes and graph.nodes[t].type == "join"):
            label = (Label(flow.steps[join].span, "this is a join"),)
            if node.type == "foreach":
                message = f"step {name} fans out straight into the join {join}"
                help_ = f"Add a step between {name} and {join}, to run for each item."
                found.append(Diagnostic(EMPTY_FOREACH, message, _span(flow, name), labels=label, help=help_))
            elif node.type == "split":
                message = f"step {name} splits straight into the join {join}"
                help_ = f"Add a step between {name} and {join}, or leave {join} out of the split."
                found.append(Diagnostic(EMPTY_BRANCH, message, _span(flow, name), labels=label, help=help_))
            elif node.type == "split-switch" and name in graph.nodes[join].in_funcs:
                message = f"step {name} switches straight to the join {join}"
                help_ = f"Add a step between {name} and {join}: the case leads to it, and it goes on to {join}."
                found.append(Diagnostic(SWITCH_TO_JOIN, message, _span(flow, name), labels=label, help=help_))
    return found


def _unrelated(flow: Flow, graph: Graph, join: str) -> Diagnostic:
    before = graph.nodes[join].in_funcs
    labels = tuple(Label(_span(flow, n), f"inside the split of {_and(_lineage(graph, n)) or 'no step'}") for n in before)
    help_ = "Join each split by a join of its own, the inner one first."
    return Diagnostic(UNRELATED, f"step {join} joins steps of different splits", flow.steps[join].span, labels=labels, help=help_)


def _unjoined(flow: Flow, graph: Graph, unrelated: set[str]) -> list[Diagnostic]:
    """Splits that are still open on a path to the end step, the innermost where several are; not those that an unrelated join left open.

    `open_` holds the steps from which a path leads to the end without closing the split that was open there.
    """
    assert graph.end is not None
    found = []
    open_: set[str] = set()
    after_join: set[str] = set()
    for name in reversed(graph.order):
        node = graph.nodes[name]
        goes_on = any(t in open_ for t in node.next)
        if node.type == "end":
            open_.add(name)
        elif node.type == "join":
            if goes_on and name not in unrelated:
                after_join.add(name)
        elif node.type in SPLITS:
            if goes_on:
                found.append(_not_joined(flow, graph, name, [t for t in node.next if t in open_]))
            if any(j in after_join for j in graph.closers[name]):
                open_.add(name)
        elif goes_on:
            open_.add(name)
    return found


def _not_joined(flow: Flow, graph: Graph, split: str, branches: list[str]) -> Diagnostic:
    assert graph.end is not None
    return Diagnostic(
        NOT_JOINED,
        f"the end step {graph.end} is reached before the split of {split} is joined, by way of {_and(branches)}",
        _span(flow, split),
        labels=(Label(flow.steps[graph.end].span, "reached while the split is open"),),
        help=f"Add a join, `def join(self, inputs):`, that all branches of {split} lead to before {graph.end}.",
    )


def _without_split(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """Joins that some path reaches with no split open."""
    found = []
    outside = {graph.start}
    for name in graph.order:
        if name not in outside:
            continue
        node = graph.nodes[name]
        if node.type in SPLITS:
            outside.update(t for join in graph.closers[name] for t in graph.nodes[join].next)
            continue
        outside.update(node.next)
        if node.type == "join":
            help_ = f"Take `inputs` away from {name}, or lead to it from the branches of a split."
            labels = tuple(Label(_span(flow, n), "leads here") for n in node.in_funcs)
            message = f"step {name} is a join, as it takes a second argument, but no split leads to it"
            found.append(Diagnostic(NO_SPLIT, message, flow.steps[name].span, labels=labels, help=help_))
    return found


def _unmatched(flow: Flow, graph: Graph, unrelated: set[str]) -> list[Diagnostic]:
    """Joins whose branches are not those of the split that they close."""
    found: list[Diagnostic] = []
    told = set(unrelated)
    for split in graph.order:
        for join in graph.closers.get(split, ()):
            arrived = {graph.branch(n) for n in graph.nodes[join].in_funcs}
            expected = graph.nodes[split].next
            if join not in told and (len(arrived) != len(expected) or arrived != set(expected)):
                told.add(join)
                found.append(_branches_missing(flow, graph, split, join, arrived))
    return found


def _branches_missing(flow: Flow, graph: Graph, split: str, join: str, arrived: set[str]) -> Diagnostic:
    expected = graph.nodes[split].next
    missing = [b for b in dict.fromkeys(expected) if b not in arrived]
    strange = sorted(arrived - set(expected))
    twice = sorted({b for b in expected if expected.count(b) > 1})
    if twice:
        message = f"the split of {split} names {_and(twice)} more than once, so the join {join} can never have all its branches"
        help_ = f"Name each step once in the self.next() of {split}; to run a step several times, use foreach."
    elif missing:
        message = f"the join {join} does not join all branches of {split}: {_and(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        help_ = f"Let the branches that begin with {_and(missing)} lead to {join} too."
    else:
        message = f"the join {join} joins {_and(strange) if strange != [''] else 'steps'} besides the branches of {split}"
        help_ = f"Let only the branches of {split} lead to {join}."
    label = Label(_span(flow, split), "the split that it closes")
    return Diagnostic(BRANCHES_MISSING, message, flow.steps[join].span, labels=(label,), help=help_)


def _lineage(graph: Graph, name: str) -> tuple[str, ...]:
    """The splits that are open after a step, as Metaflow compares them."""
    node = graph.nodes[name]
    return node.split_parents[:-1] if node.type == "join" else node.split_parents


def _shared(flow: Flow, graph: Graph) -> list[Diagnostic]:
    shared = set(graph.shared)
    found = []
    for name in graph.shared:
        node = graph.nodes[name]
        if any(n in shared for n in node.in_funcs if n != name):
            continue
        found.append(
            Diagnostic(
                SHARED,
                f"several branches or foreach steps lead to {name}, which is no join",
                flow.steps[name].span,
                labels=tuple(Label(_span(flow, n), "leads here") for n in node.in_funcs if n != name),
                help=f"Give each branch a step of its own in place of {name}; the steps can call one method.",
            )
        )
    return found


def _and(names: Iterable[str]) -> str:
    *others, last = list(names) or [""]
    return f"{', '.join(others)} and {last}" if others else last
