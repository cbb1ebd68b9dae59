"""In: nothing. Out: Hypothesis strategies of flow files: right ones of every shape Metaflow has, and wrong ones made from them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

WORDS = tuple(
    "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa quebec romeo sierra tango uniform victor "
    "whiskey xray yankee zulu load clean train score merge split report publish fetch filter rank embed tune sample shard pack ship audit notify "
    "a b c aa ab z9 zz0 x_1 x_2 step1 step2 step10 n y on no yes null true false e1 o7".split()
)
IMPORTS = ("from metaflow import {names}", "import metaflow", "import metaflow as mf", "from metaflow import {renamed}")
DECORATORS = (
    ("retry", "times=2"),
    ("retry", "times=0, minutes_between_retries=1"),
    ("timeout", "minutes=5"),
    ("resources", "cpu=2, memory=512"),
    ("kubernetes", 'cpu=1, image="python:3.11"'),
    ("environment", 'vars={{"A": "1"}}'),
    ("card", 'type="blank"'),
)
TAILS = (
    "self.y = 2",
    "self.next()",
    "self.next({0})",
    "self.next({0}, {0})",
    "self.next({1}, {0})",
    "self.next({0}, retries=1)",
    'self.next({1}, foreach="items")',
    'self.next({0}, {0}, foreach="items")',
    'self.next({{"x": {0}}}, condition="c")',
    'self.next({{"x": {1}, "y": {0}}}, condition="c")',
    'self.next({{name: {0}}}, condition="c")',
    'self.next({{}}, condition="c")',
)
"""Last statements of a spoilt step: {0} is a step of the flow, {1} the first that the step led to, if any."""


@dataclass(frozen=True)
class StepText:
    """A step as text: `tail` is its last statement, `home` the class that it stands in (0: the flow's own)."""

    name: str
    tail: str = "pass"
    arguments: str = "self"
    decorators: tuple[tuple[str, str], ...] = ()
    marks: str = ""
    home: int = 0


@dataclass(frozen=True)
class FlowText:
    """A flow file. `steps` in the order of the text; `imports` picks one of IMPORTS, `bases` counts the classes that steps are inherited from."""

    steps: tuple[StepText, ...]
    name: str = "Made"
    imports: int = 0
    bases: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        used = {"FlowSpec", "step", "Parameter", "Config"} | {name for s in self.steps for name, _ in s.decorators}
        names = {n: n for n in sorted(used)}
        if self.imports in (1, 2):
            names = {n: f"{'metaflow' if self.imports == 1 else 'mf'}.{n}" for n in names}
        elif self.imports == 3:
            names = {n: f"_{n}" for n in names}
        renamed = ", ".join(f"{n} as _{n}" for n in names)
        parts = [IMPORTS[self.imports].format(names=", ".join(names), renamed=renamed)]
        for number, kind in reversed(list(enumerate(self.bases, 1))):
            above = f"Base{number + 1}" if number < len(self.bases) else (names["FlowSpec"] if kind == "flow" else "")
            if kind == "mixin":
                above = ""
            parts.append(self._class(f"Base{number}", above, number, names))
        parents = [f"Base{n}" for n, kind in enumerate(self.bases, 1) if kind == "mixin"]
        flows = [f"Base{n}" for n, kind in enumerate(self.bases, 1) if kind == "flow"]
        parts.append(self._class(self.name, ", ".join([*parents, flows[0] if flows else names["FlowSpec"]]), 0, names))
        parts.append(f'if __name__ == "__main__":\n    {self.name}()\n')
        return "\n\n\n".join(parts)

    def _class(self, name: str, bases: str, home: int, names: dict[str, str]) -> str:
        lines = [f"class {name}({bases}):" if bases else f"class {name}:"]
        body = [f"    {m.format(**names)}" for m in self.members] if home == 0 else []
        for step in self.steps:
            if step.home == home:
                body += ["", *(f"    @{names[d]}({a.format()})" if a else f"    @{names[d]}" for d, a in step.decorators)]
                body += [
                    f"    @{names['step']}{step.marks}",
                    f"    def {step.name}({step.arguments}):",
                    "        self.x = 1",
                    f"        {step.tail}",
                ]
        return "\n".join(lines + (body or ["    pass"]))


@dataclass
class Maker:
    """Builds blocks from their end to their start: each is given the step that follows, and gives the step that it begins with."""

    pick: Callable[[int], int]
    names: list[str]
    budget: int
    steps: list[StepText] = field(default_factory=list)
    config: bool = False

    def step(self, tail: str, arguments: str = "self", decorators: tuple[tuple[str, str], ...] = ()) -> str:
        name = self.names.pop()
        return self.named(name, tail, arguments, decorators)

    def named(self, name: str, tail: str, arguments: str = "self", decorators: tuple[tuple[str, str], ...] = ()) -> str:
        self.budget -= 1
        if not decorators and self.pick(5) == 0:
            decorators = (DECORATORS[self.pick(len(DECORATORS))],)
        self.steps.append(StepText(name, tail, arguments, decorators))
        return name

    def blocks(self, depth: int, follow: str, joins: bool) -> str:
        """A sequence of blocks. `joins`: the step that follows is a join, which no switch may lead to directly."""
        for _ in range(1 + (self.pick(2) if depth else self.pick(4))):
            follow = self.block(depth, follow, joins)
            joins = False
        return follow

    def block(self, depth: int, follow: str, joins: bool) -> str:
        kind = self.pick(7) if self.budget > 4 and depth < 4 else self.pick(2)
        if kind in (0, 1):
            return self.step(f"self.next(self.{follow})")
        if kind == 2:
            return self.split(depth, follow)
        if kind == 3:
            join = self.step(f"self.next(self.{follow})", "self, inputs")
            return self.step(f'self.next(self.{self.blocks(depth + 1, join, joins=True)}, foreach="items")')
        if kind == 4:
            join = self.step(f"self.next(self.{follow})", "self, inputs")
            gang = self.step(f"self.next(self.{join})", decorators=(("parallel", ""),))
            return self.step(f"self.next(self.{gang}, num_parallel=3)")
        if joins and self.pick(2):
            follow, joins = self.step(f"self.next(self.{follow})"), False
        return self.switch(depth, follow, joins)

    def split(self, depth: int, follow: str) -> str:
        join = self.step(f"self.next(self.{follow})", "self, inputs")
        branches = [self.blocks(depth + 1, join, joins=True) for _ in range(2 + self.pick(2))]
        return self.step(f"self.next({', '.join(f'self.{b}' for b in branches)})")

    def switch(self, depth: int, follow: str, joins: bool) -> str:
        """Cases that run a block and meet, at different steps of what follows, or lead there directly; maybe one that repeats the step."""
        meets = [follow]
        for _ in range(self.pick(3)):
            meets.append(self.block(depth + 1, meets[-1], joins and meets[-1] == follow))
        targets = [] if joins and len(meets) == 1 else [meets[-1]]
        for _ in range(1 + self.pick(3) + (not targets)):
            meet = meets[self.pick(len(meets))]
            at_join = joins and meet == follow
            targets.append(self.blocks(depth + 1, meet, at_join) if at_join or (self.pick(2) and self.budget > 0) else meet)
        name = self.names.pop()
        if self.pick(4) == 0:
            targets.insert(self.pick(len(targets) + 1), name)
        keys = self.keys(len(targets))
        cases = ", ".join(f"{key}: self.{target}" for key, target in zip(keys, targets, strict=True))
        return self.named(name, f'self.next({{{cases}}}, condition="choice")')

    def keys(self, count: int) -> list[str]:
        kind = self.pick(4)
        if kind == 0 and count == 2:
            return ["True", "False"]
        if kind == 1:
            return [str(n * 10) for n in range(count)]
        if kind == 2:
            self.config = True
            return [f"self.config.key_{n}" for n in range(count)]
        return [f'"case {n}"' for n in range(count)]


def make(pick: Callable[[int], int], budget: int) -> FlowText:
    """A right flow from choices; `pick(n)` gives a number below n."""
    names = list(WORDS)
    random.Random(pick(1 << 16)).shuffle(names)
    names = [f"{w}_{n}" for n in range(4) for w in reversed(names)] + names
    if pick(30) == 0:
        return FlowText((StepText(names.pop()),), imports=pick(4))
    maker = Maker(pick, names, budget)
    end = maker.step("pass")
    start = maker.blocks(0, end, joins=False)
    last = maker.steps[-1]
    if f"self.{last.name}" in last.tail or last.arguments != "self" or pick(3) == 0:
        start = maker.step(f"self.next(self.{start})")
    steps = list(maker.steps)
    steps = _ends(steps, start, end, pick)
    random.Random(pick(1 << 16)).shuffle(steps)
    bases = (("flow",), ("mixin",), ("flow", "flow"), ("mixin", "flow"))[pick(4)] if pick(4) == 0 else ()
    if bases:
        steps = [replace(s, home=pick(len(bases) + 1)) for s in steps]
    members = ['config = {Config}("config", default_value={{"key_0": "a", "key_1": "b"}})'] if maker.config else []
    if pick(3) == 0:
        members.append('rate = {Parameter}("rate", default=0.1)')
    return FlowText(tuple(steps), imports=pick(4), bases=bases, members=tuple(members))


def _ends(steps: list[StepText], start: str, end: str, pick: Callable[[int], int]) -> list[StepText]:
    """Start and end by their marks, or by their names."""
    for name, kind in ((start, "start"), (end, "end")):
        if pick(5) == 0:
            steps = [replace(s, marks=f"({kind}=True)") if s.name == name else s for s in steps]
        else:
            steps = renamed(steps, {name: kind})
    return steps


def renamed(steps: list[StepText], names: dict[str, str]) -> list[StepText]:
    """The same flow with other step names."""
    pattern = re.compile(r"self\.(\w+)")

    def tail(text: str) -> str:
        return pattern.sub(lambda m: f"self.{names.get(m[1], m[1])}", text)

    return [replace(s, name=names.get(s.name, s.name), tail=tail(s.tail)) for s in steps]


def spoil(flow: FlowText, pick: Callable[[int], int]) -> FlowText:
    """A flow with one thing changed that is wrong, in most cases."""
    steps = list(flow.steps)
    at = pick(len(steps))
    step, other = steps[at], steps[pick(len(steps))]
    words = step.tail.replace("(", " ").replace(")", " ").replace(",", " ").replace("}", " ").split()
    targets = [w for w in words if w.startswith("self.") and not w.startswith(("self.next", "self.config"))]
    kind = pick(16)
    if kind == 0:
        steps[at] = replace(step, arguments="self" if "inputs" in step.arguments else "self, inputs")
    elif kind in (1, 2) and targets:
        steps[at] = replace(step, tail=step.tail.replace(targets[pick(len(targets))], f"self.{other.name}", 1))
    elif kind == 3 and targets:
        steps[at] = replace(step, tail=step.tail.replace(targets[0], "self.nowhere", 1))
    elif kind == 4:
        steps[at] = replace(step, arguments=("", "self, inputs, more")[pick(2)])
    elif kind == 5:
        steps = renamed(steps, {step.name: ("Upper", "index", "_x", "input", "größe")[pick(5)]})
    elif kind == 6 and len(steps) > 1:
        del steps[at]
    elif kind == 7 and len(targets) > 1:
        steps[at] = replace(step, tail=step.tail.replace(targets[0], targets[1], 1))
    elif kind == 8:
        parallel = ("parallel", "")
        steps[at] = replace(step, decorators=() if parallel in step.decorators else (*step.decorators, parallel))
    elif kind == 9:
        steps[at] = replace(step, marks=("(start=True)", "(end=True)", "(start=True, end=True)")[pick(3)])
    elif kind == 10:
        steps[at] = replace(step, tail=step.tail.replace("self.next({", f'self.next({{"more": self.{other.name}, ', 1))
    elif kind > 10:
        steps[at] = replace(step, tail=TAILS[pick(len(TAILS))].format(f"self.{other.name}", *targets, f"self.{other.name}"))
    return replace(flow, steps=tuple(steps))


@st.composite
def flows(draw: Any, budget: int = 24) -> FlowText:
    """Right flows: Metaflow's linter takes each of them."""
    return make(_picker(draw), budget)


@st.composite
def wrong_flows(draw: Any, budget: int = 14) -> FlowText:
    """Flows with one or two things changed. Some are still right."""
    pick = _picker(draw)
    flow = spoil(make(pick, budget), pick)
    return spoil(flow, pick) if pick(3) == 0 else flow


def _picker(draw: Any) -> Callable[[int], int]:
    return lambda n: draw(st.integers(0, n - 1))
