"""In: generated flows. Out: proof that every task of any run finds exactly the tasks that led to it, from arguments alone."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import make

from flowc import bootstrap, frontend, graph, runtime
from flowc.settings import Settings
from flowc.source import SourceFile


@dataclass(frozen=True)
class Token:
    """A task on its way: step, foreach path, round of a looping step, and the tasks that led to it."""

    step: str
    path: tuple[int, ...] = ()
    turn: int = 0
    parents: tuple[tuple[str, str], ...] = ()


@dataclass
class Run(bootstrap.Store):
    """A run as Metaflow's own scheduler lets it happen: each task that ends starts those after it, a join waits for all it joins."""

    graph: graph.Graph
    chance: random.Random
    ended: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    widths: dict[tuple[str, str], int] = field(default_factory=dict)
    waiting: dict[tuple[str, tuple[int, ...]], list[tuple[tuple[int, ...], tuple[str, str]]]] = field(default_factory=dict)

    def done(self, tasks: list[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
        return {task: self.ended[task] for task in tasks if task in self.ended}

    def outcome(self, step: str, task: str) -> dict[str, Any]:
        return {"splits": self.widths[step, task], "case": None}

    def play(self) -> int:
        """Runs all tasks in some order; how many there were."""
        assert self.graph.start
        ready, count = deque([Token(self.graph.start, parents=(("_parameters", "params"),))]), 0
        while ready:
            ready.rotate(self.chance.randrange(len(ready)))
            token = ready.popleft()
            self.judge(token)
            ready.extend(self.end(token))
            count += 1
        assert not any(self.waiting.values()), "a join never came about"
        return count

    def judge(self, token: Token) -> None:
        """What the pod of this task would read is what led to it."""
        node = self.graph.nodes[token.step]
        path = token.path[:-1] if node.parallel_step else token.path
        place = {"path": "-".join(map(str, path)) or None, "round": str(token.turn) if node.loops else None}
        o = bootstrap.parsed(runtime.arguments(self.graph, token.step, **place))
        o.path = "-".join(map(str, token.path))
        found = bootstrap.inputs(o, self)
        if o.by_from:
            assert sorted(found) == sorted(token.parents)
        else:
            assert found == list(token.parents)

    def end(self, token: Token) -> list[Token]:
        node = self.graph.nodes[token.step]
        path = "-".join(map(str, token.path))
        me = (token.step, bootstrap.task_id(token.step, path, token.turn if node.loops else ""))
        after = list(node.next)
        if node.type == "split-switch":
            after = [self.chance.choice([n for n in after if n != node.name or token.turn < 2])]
        self.ended[me] = after
        if node.type == "foreach":
            self.widths[me] = self.chance.randint(1, 3)
            return [Token(after[0], (*token.path, i), parents=(me,)) for i in range(self.widths[me])]
        started = []
        for name in after:
            if self.graph.nodes[name].type == "join":
                started += self.arrive(name, token, me)
            else:
                started.append(Token(name, token.path, token.turn + 1 if name == node.name else 0, (me,)))
        return started

    def arrive(self, join: str, token: Token, me: tuple[str, str]) -> list[Token]:
        split = self.graph.nodes[self.graph.nodes[join].split_parents[-1]]
        path = token.path[:-1] if split.type == "foreach" else token.path
        here = self.waiting.setdefault((join, path), [])
        here.append((token.path, me))
        needed = self.widths[split.name, bootstrap.task_id(split.name, "-".join(map(str, path)))] if split.type == "foreach" else len(split.next)
        if len(here) < needed:
            return []
        parents = tuple(task for _, task in sorted(here))
        here.clear()
        return [Token(join, path, parents=parents)]


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), st.integers(3, 40))
def test_every_task_of_any_run_finds_what_led_to_it(seed: int, budget: int) -> None:
    """For flows of every shape and any choice of cases, widths, rounds and order, inputs are Metaflow's own."""
    text = make(random.Random(seed).randrange, budget).text
    reading = frontend.read(SourceFile("flow.py", text), lambda _: None, Settings())
    (flow,) = reading.flows
    built = graph.build(flow)
    assume(not built.shared)
    assert Run(built, random.Random(seed)).play() >= len(built.order) or any(built.conditional(n) for n in built.order)
