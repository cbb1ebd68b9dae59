"""In: flows as text, and the paths of SVG. Out: their graphs with sizes as a page would draw them, and points along a curve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from reading import reading

from flowc import graph
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.report.html_drawing import Drawing, draw
from flowc.report.html_layout import Rectangle

COMMAND = re.compile(r"([MLC])([-\d. ]+)")


def drawn(text: str) -> tuple[Flow, Graph, Drawing]:
    """The only flow of a file, its graph and its picture."""
    (flow,) = reading(text).flows
    shape = graph.build(flow)
    return flow, shape, draw(flow, shape, kubernetes=True)


def points(curve: str, steps: int = 12) -> Iterator[tuple[float, float]]:
    """Points along a path of moves, lines and cubic curves."""
    here = (0.0, 0.0)
    for command, numbers in COMMAND.findall(curve):
        values = [float(each) for each in numbers.split()]
        ends = list(zip(values[::2], values[1::2], strict=True))
        for number in range(1, steps + 1):
            t = number / steps
            if command == "L":
                yield (here[0] + (ends[0][0] - here[0]) * t, here[1] + (ends[0][1] - here[1]) * t)
            elif command == "C":
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                corners = [here, *ends]
                yield (
                    sum(w * x for w, (x, _) in zip(weights, corners, strict=True)),
                    sum(w * y for w, (_, y) in zip(weights, corners, strict=True)),
                )
        here = ends[-1]
        if command == "M":
            yield here


def apart(one: Rectangle, other: Rectangle) -> bool:
    return (
        one.x + one.width <= other.x or other.x + other.width <= one.x or one.y + one.height <= other.y or other.y + other.height <= one.y
    )


def within(one: Rectangle, outer: Rectangle) -> bool:
    return (
        one.x >= outer.x
        and one.y >= outer.y
        and one.x + one.width <= outer.x + outer.width
        and one.y + one.height <= outer.y + outer.height
    )


def inside(point: tuple[float, float], box: Rectangle, margin: float = 1.5) -> bool:
    return box.x + margin < point[0] < box.x + box.width - margin and box.y + margin < point[1] < box.y + box.height - margin


def flow_text(name: str, steps: dict[str, str]) -> str:
    """A flow of steps by name, each with its last statement; one that begins with `join:` takes inputs."""
    lines = ["from metaflow import FlowSpec, parallel, step", "", "", f"class {name}(FlowSpec):"]
    for step, tail in steps.items():
        arguments = "self, inputs" if tail.startswith("join:") else "self"
        lines += ["    @step", f"    def {step}({arguments}):", f"        {tail.removeprefix('join:')}", ""]
    return "\n".join(lines)


def wide(count: int) -> str:
    """A split into that many branches."""
    branches = [f"branch_{number}" for number in range(count)]
    steps = {"start": f"self.next({', '.join(f'self.{name}' for name in branches)})"}
    steps |= dict.fromkeys(branches, "self.next(self.join)")
    return flow_text("Wide", {**steps, "join": "join:self.next(self.end)", "end": "pass"})


def long(count: int) -> str:
    """A chain of that many steps."""
    names = ["start", *(f"s{number}" for number in range(count - 2)), "end"]
    return flow_text("Long", {**{a: f"self.next(self.{b})" for a, b in pairwise(names)}, "end": "pass"})
