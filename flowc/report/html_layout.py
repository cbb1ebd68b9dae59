"""In: a Graph and the sizes of its steps and texts. Out: the picture: where all stands, foreach bodies in boxes of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowc.report.html_layers import Arranged, Item, Link, Point, arrange

if TYPE_CHECKING:
    from flowc.graph import Graph

Size = tuple[float, float]
Scope = tuple[str, ...]
Edge = tuple[str, str]
ENTRY, EXIT = "\0entry", "\0exit"
MARGIN, PADDING = 14.0, 18.0
LOOP = 30.0
"""How far the arrow of a step that may choose itself stands out."""
NARROW = 720.0
"""A picture from top to bottom may be that wide; a wider one is drawn from left to right where that is narrower by half."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Widths and heights: of steps; of what is written on the arrow between two, on that of a step to itself, and on a foreach's box."""

    steps: Mapping[str, Size]
    arrows: Mapping[Edge, Size]
    scopes: Mapping[str, Size]


@dataclass(frozen=True, slots=True)
class Rectangle:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """A drawn arrow, or the piece of several that run together. `curve` is an SVG path; `head`: it ends at a step."""

    edges: tuple[Edge, ...]
    curve: str
    head: bool
    label: Point | None = None


@dataclass(slots=True)
class Picture:
    """Everything in pixels from the upper left corner. `scopes` are outermost first; `pins` the middle of the texts on their boxes."""

    sideways: bool
    width: float = 0.0
    height: float = 0.0
    steps: dict[str, Rectangle] = field(default_factory=dict)
    scopes: dict[str, Rectangle] = field(default_factory=dict)
    pins: dict[str, Point] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)


def lay_out(graph: Graph, sizes: Sizes) -> Picture:
    """The picture from top to bottom, or from left to right where the flow is so wide that people would have to scroll both ways."""
    down = _Drawing(graph, sizes, sideways=False).draw()
    if down.width <= NARROW:
        return down
    across = _Drawing(graph, sizes, sideways=True).draw()
    return across if across.width * 2 < down.width else down


@dataclass(frozen=True, slots=True)
class _Level:
    """One scope, arranged: its own picture, where it is entered and left, and the edges that each link stands for."""

    scope: Scope
    arranged: Arranged
    links: list[tuple[Link, list[Edge]]]
    item: Item
    shift: Point


class _Drawing:
    """Lays out one flow. All is computed from top to bottom; `sideways` swaps width and height before and after."""

    def __init__(self, graph: Graph, sizes: Sizes, *, sideways: bool) -> None:
        self.graph, self.sizes, self.sideways = graph, sizes, sideways
        self.levels: dict[Scope, _Level] = {}
        self.picture = Picture(sideways)
        self.edges = [(name, after) for name in graph.order for after in dict.fromkeys(graph.nodes[name].next) if after in graph.nodes]
        scopes = {graph.nodes[name].scope[:depth] for name in graph.order for depth in range(len(graph.nodes[name].scope) + 1)}
        self.scopes: list[Scope] = sorted(scopes | {()}, key=lambda scope: (len(scope), scope))

    def draw(self) -> Picture:
        for scope in reversed(self.scopes):
            self.levels[scope] = self.level(scope)
        whole = self.levels[()]
        self.place((), (MARGIN, MARGIN))
        width, height = whole.arranged.width + 2 * MARGIN, whole.arranged.height + 2 * MARGIN
        self.picture.width, self.picture.height = self.swapped((width, height))
        return self.picture

    def swapped(self, pair: tuple[float, float]) -> tuple[float, float]:
        return (pair[1], pair[0]) if self.sideways else pair

    def member(self, name: str, scope: Scope) -> str | None:
        """What stands for a step in the drawing of a scope: the step, or the box that it is in; None where it stands outside."""
        own = self.graph.nodes[name].scope
        if own[: len(scope)] != scope:
            return None
        return name if len(own) == len(scope) else _box(own[: len(scope) + 1])

    def level(self, scope: Scope) -> _Level:
        """Arrange one scope, the scopes in it being done."""
        items = {name: self.item(name) for name in self.graph.order if self.graph.nodes[name].scope == scope}
        items |= {_box(s): self.levels[s].item for s in self.scopes if len(s) == len(scope) + 1 and s[:-1] == scope}
        joined: dict[tuple[str, str], list[Edge]] = {}
        for edge in self.edges:
            ends = [self.member(name, scope) for name in edge]
            if scope and ends[0] is None and ends[1] is not None:
                joined.setdefault((ENTRY, ends[1]), []).append(edge)
            elif scope and ends[0] is not None and ends[1] is None:
                joined.setdefault((ends[0], EXIT), []).append(edge)
            elif ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
                joined.setdefault((ends[0], ends[1]), []).append(edge)
        used = {end for pair in joined for end in pair}
        spare = Item(0, 0, 0, 0, True)
        items = {**({ENTRY: spare} if ENTRY in used else {}), **items, **({EXIT: spare} if EXIT in used else {})}
        links = [(Link(*pair, self.label(pair[0], edges)), edges) for pair, edges in joined.items()]
        arranged = arrange(items, [link for link, _ in links], EXIT if EXIT in used else None)
        return self.boxed(scope, arranged, links)

    def label(self, start: str, edges: list[Edge]) -> Size | None:
        """The size of the text on an arrow, where the arrow leaves the step that it comes from."""
        found = [self.sizes.arrows[edge] for edge in edges if edge in self.sizes.arrows and edge[0] == start]
        return self.swapped(found[0]) if found else None

    def item(self, name: str) -> Item:
        width, height = self.swapped(self.sizes.steps[name])
        middle = width / 2
        if self.graph.nodes[name].loops:
            width += LOOP + (self.swapped(self.sizes.arrows[name, name])[0] if (name, name) in self.sizes.arrows else 0.0)
        return Item(width, height, middle, middle)

    def boxed(self, scope: Scope, arranged: Arranged, links: list[tuple[Link, list[Edge]]]) -> _Level:
        """The scope as one item of the scope around it: its text stands on its upper edge, half above it."""
        if not scope:
            return _Level(scope, arranged, links, Item(0, 0, 0, 0), (0.0, 0.0))
        text, rise = self.swapped(self.sizes.scopes.get(scope[-1], (0.0, 0.0)))
        enter = arranged.places[ENTRY][0] if ENTRY in arranged.places else arranged.width / 2
        leave = arranged.places[EXIT][0] if EXIT in arranged.places else arranged.width / 2
        left = max(PADDING, text / 2 + 8 - enter)
        right = max(PADDING, text / 2 + 8 - (arranged.width - enter))
        shift = (left, rise)
        item = Item(left + arranged.width + right, arranged.height + rise + PADDING / 2, left + enter, left + leave)
        return _Level(scope, arranged, links, item, shift)

    # --- from levels to the page -----------------------------------------------------------------------------------------

    def place(self, scope: Scope, corner: Point) -> None:
        """Put a scope, and those in it, where its corner is."""
        level = self.levels[scope]
        x, y = corner[0] + level.shift[0], corner[1] + level.shift[1]
        if scope:
            self.frame(level, corner)
        for name, (left, top) in level.arranged.places.items():
            if name in self.sizes.steps:
                width, height = self.swapped(self.sizes.steps[name])
                self.picture.steps[name] = self.rectangle(x + left, y + top, width, height)
        for inner in [s for s in self.scopes if len(s) == len(scope) + 1 and s[: len(scope)] == scope]:
            left, top = level.arranged.places[_box(inner)]
            self.place(inner, (x + left, y + top))
        for number, (link, edges) in enumerate(level.links):
            route = level.arranged.routes[number]
            if link.end == EXIT:
                route = [*route[:-1], (route[-1][0], route[-1][1] + PADDING / 2)]
            points = [self.swapped((x + a, y + b)) for a, b in route]
            written = level.arranged.labels.get(number)
            label = self.swapped((x + written[0], y + written[1])) if written else None
            head = link.end in self.sizes.steps
            self.picture.routes.append(Route(tuple(edges), _curve(points, self.sideways), head, label))
        for name in level.arranged.places:
            if name in self.graph.nodes and self.graph.nodes[name].loops:
                self.loop(name)

    def frame(self, level: _Level, corner: Point) -> None:
        name = level.scope[-1]
        rise = self.swapped(self.sizes.scopes.get(name, (0.0, 0.0)))[1] / 2
        x, y = corner
        self.picture.scopes[name] = self.rectangle(x, y + rise, level.item.width, level.item.height - rise)
        self.picture.pins[name] = self.swapped((x + level.item.enter, y + rise))

    def rectangle(self, x: float, y: float, width: float, height: float) -> Rectangle:
        return Rectangle(*self.swapped((x, y)), *self.swapped((width, height)))

    def loop(self, name: str) -> None:
        """The arrow of a step that may choose itself: out at its right, and in again above; below it where the picture runs sideways."""
        step = self.picture.steps[name]
        size = self.sizes.arrows.get((name, name), (0.0, 0.0))
        if self.sideways:
            x, y, far = step.x + step.width / 2, step.y + step.height, step.y + step.height + LOOP - 6
            curve = f"M{_n(x + 14)} {_n(y)}C{_n(x + 22)} {_n(far)} {_n(x - 22)} {_n(far)} {_n(x - 14)} {_n(y)}"
            label = (x, y + LOOP - 8 + size[1] / 2)
        else:
            x, y, far = step.x + step.width, step.y + step.height / 2, step.x + step.width + LOOP - 4
            curve = f"M{_n(x)} {_n(y + 8)}C{_n(far)} {_n(y + 18)} {_n(far)} {_n(y - 18)} {_n(x)} {_n(y - 8)}"
            label = (x + LOOP - 8 + size[0] / 2, y)
        self.picture.routes.append(Route(((name, name),), curve, True, label if size[0] else None))


def _box(scope: Scope) -> str:
    return "\0box " + "/".join(scope)


def _curve(points: list[Point], sideways: bool) -> str:
    """Straight between the two points of a pair, a smooth bend from pair to pair."""
    words = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    here = points[0]
    for at, (x, y) in enumerate(points[1:], 1):
        if (x, y) == here:
            continue
        cross = 1 if sideways else 0
        if at % 2 or abs((x, y)[cross] - here[cross]) < 0.2:
            if words[-1].startswith("L"):
                words.pop()
            words.append(f"L{_n(x)} {_n(y)}")
        elif sideways:
            middle = (here[0] + x) / 2
            words.append(f"C{_n(middle)} {_n(here[1])} {_n(middle)} {_n(y)} {_n(x)} {_n(y)}")
        else:
            middle = (here[1] + y) / 2
            words.append(f"C{_n(here[0])} {_n(middle)} {_n(x)} {_n(middle)} {_n(x)} {_n(y)}")
        here = (x, y)
    return "".join(words)


def _n(value: float) -> str:
    """A coordinate: one decimal, and none where it is whole."""
    return f"{round(value, 1):g}" if abs(value) < 1e5 else str(round(value))
