"""In: a Flow and its Graph. Out: the picture of it as values for the SVG in templates/graph/: shapes, arrows and texts in pixels."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowc.graph import fan
from flowc.report import html_settings, printable
from flowc.report.html_layout import Picture, Rectangle, Sizes, lay_out

if TYPE_CHECKING:
    from flowc.graph import Graph, Node
    from flowc.ir import Flow

HEIGHT, TALL = 44.0, 56.0
MONOSPACE, SMALL = 8.0, 6.2
"""Pixels of a character at 13 pixels of a monospaced font, and at 11 of any other."""
ICON = 22.0
"""An icon and the space after it."""
NAME, TEXT = 30, 34
"""Characters of a name, and of any other text, that are shown."""
KINDS = {
    "start": "first step",
    "end": "last step",
    "linear": "step",
    "split": "static split",
    "foreach": "foreach",
    "gang": "gang",
    "join": "join",
    "switch": "switch",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A step: its rectangle, what it is and the outline of that kind. `many`: it stands for many tasks. `left` is where its icon begins,
    `told` is for screen readers.
    """

    name: str
    kind: str
    place: Rectangle
    outline: str
    many: bool
    text: str
    below: str
    left: float
    told: str


@dataclass(frozen=True, slots=True)
class Pill:
    """A text in a rounded box around its middle; `full` is all of it where `text` is cut."""

    text: str
    full: str
    place: Rectangle


@dataclass(frozen=True, slots=True)
class Arrow:
    """`ends` are the names of all steps at either end of it, space between."""

    curve: str
    head: bool
    ends: str
    pill: Pill | None


@dataclass(frozen=True, slots=True)
class Frame:
    """The box around the body of a foreach."""

    place: Rectangle
    pill: Pill


@dataclass(frozen=True, slots=True)
class Drawing:
    """All of the picture."""

    width: float
    height: float
    sideways: bool
    frames: tuple[Frame, ...]
    arrows: tuple[Arrow, ...]
    shapes: tuple[Shape, ...]


def draw(flow: Flow, graph: Graph, *, kubernetes: bool) -> Drawing:
    """The picture of the steps that can be reached. `kubernetes`: what sets a step apart is told as @kubernetes has it, else @batch."""
    below = {name: html_settings.summary(flow.steps[name], kubernetes=kubernetes) for name in graph.order}
    words = {edge: text for name in graph.order for edge, text in _words(graph.nodes[name]).items()}
    fans = {name: fan(graph.nodes[name]) for name in graph.order if graph.nodes[name].type == "foreach"}
    sizes = Sizes(
        steps={name: _size(name, below[name]) for name in graph.order},
        arrows={edge: _pill_size(text) for edge, text in words.items()},
        scopes={name: _pill_size(text) for name, text in fans.items()},
    )
    picture = lay_out(graph, sizes)
    frames = tuple(Frame(place, _pill(fans[name], picture.pins[name])) for name, place in picture.scopes.items())
    shapes = tuple(_shape(graph, name, picture, below[name]) for name in graph.order)
    return Drawing(picture.width, picture.height, picture.sideways, frames, tuple(_arrows(picture, words)), shapes)


def kind_of(graph: Graph, name: str) -> str:
    """Which of KINDS a step is."""
    node = graph.nodes[name]
    if node.parallel_step:
        return "gang"
    if name == graph.end:
        return "end"
    named = {"split-switch": "switch", None: "linear"}.get(node.type, node.type or "linear")
    return named if named in KINDS else "linear"


def _words(node: Node) -> dict[tuple[str, str], str]:
    """The cases of a switch by the edge that they lead along."""
    found: dict[str, list[str]] = {}
    for case, after in node.switch_cases.items():
        found.setdefault(after, []).append(printable(str(case)) or '""')
    return {(node.name, after): ", ".join(cases) for after, cases in found.items()}


def _arrows(picture: Picture, words: dict[tuple[str, str], str]) -> list[Arrow]:
    found = []
    for route in picture.routes:
        ends = " ".join(dict.fromkeys(name for edge in route.edges for name in edge))
        text = next((words[edge] for edge in route.edges if edge in words), "") if route.label else ""
        found.append(Arrow(route.curve, route.head, ends, _pill(text, route.label) if route.label else None))
    return found


def _shape(graph: Graph, name: str, picture: Picture, below: str) -> Shape:
    kind = kind_of(graph, name)
    place = picture.steps[name]
    told = f"{name}, {KINDS[kind]}" + (f", {below.replace(' · ', ', ')}" if below else "")
    many = kind in ("foreach", "gang")
    text, under = _cut(name, NAME), _cut(below, TEXT)
    left = round((place.width - _wide(text, under) - ICON) / 2, 1)
    return Shape(name, kind, place, _outline(kind, place.width, place.height), many, text, under, left, told)


def _outline(kind: str, width: float, height: float) -> str:
    """The shape as an SVG path from 0,0: an end is round, a switch has points, a join narrows, all others are cards."""
    if kind == "switch":
        middle, point = height / 2, 12
        right = width - point
        return f"M{point} 0H{right:g}L{width:g} {middle:g}L{right:g} {height:g}H{point}L0 {middle:g}Z"
    if kind == "join":
        slant = 9
        return f"M4 0H{width - 4:g}Q{width:g} 0 {width - 1:g} 4L{width - slant:g} {height:g}H{slant}L1 4Q0 0 4 0Z"
    radius = height / 2 if kind in ("start", "end") else 8
    right, down = width - 2 * radius, height - 2 * radius
    arc = f"a{radius:g} {radius:g} 0 0 1 "
    corners = [f"{arc}{x} {y}" for x, y in (_pair(radius, radius), _pair(-radius, radius), _pair(-radius, -radius), _pair(radius, -radius))]
    return f"M{radius:g} 0h{right:g}{corners[0]}v{down:g}{corners[1]}h{-right:g}{corners[2]}v{-down:g}{corners[3]}z"


def _pair(x: float, y: float) -> tuple[str, str]:
    return f"{x:g}", f"{y:g}"


def _size(name: str, below: str) -> tuple[float, float]:
    return max(round(_wide(_cut(name, NAME), _cut(below, TEXT))) + ICON + 30.0, 100.0), TALL if below else HEIGHT


def _wide(text: str, below: str) -> float:
    """Pixels of a step's name and of what stands under it."""
    return max(_columns(text) * MONOSPACE, _columns(below) * SMALL)


def _pill_size(text: str) -> tuple[float, float]:
    return round(_columns(_cut(text, TEXT)) * SMALL) + 18.0, 20.0


def _pill(text: str, middle: tuple[float, float]) -> Pill:
    width, height = _pill_size(text)
    x, y = round(middle[0] - width / 2, 1), round(middle[1] - height / 2, 1)
    return Pill(_cut(text, TEXT), text, Rectangle(x, y, width, height))


def _columns(text: str) -> int:
    """How many narrow characters the text is wide."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _cut(text: str, room: int) -> str:
    """The text, or its beginning and end."""
    return text if len(text) <= room else f"{text[: room * 2 // 3]}…{text[len(text) - room // 3 + 1 :]}"
