"""The drawing of a graph: nothing stands on anything, arrows run around steps, bodies of foreaches stand in boxes of their own."""

from __future__ import annotations

from itertools import pairwise

import pytest
from graph_html.pictures import apart, drawn, flow_text, inside, long, points, wide, within
from hypothesis import HealthCheck, given, settings
from strategies import FlowText, flows

from flowc.report.html_drawing import Drawing
from flowc.report.html_layout import Rectangle

PAIRS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def page_of(drawing: Drawing) -> Rectangle:
    return Rectangle(0, 0, drawing.width, drawing.height)


def crossings(drawing: Drawing) -> int:
    """How many pairs of arrows without a common step cross: their points change sides between two heights."""
    found = 0
    for number, one in enumerate(drawing.arrows):
        for other in drawing.arrows[number + 1 :]:
            if set(one.ends.split()) & set(other.ends.split()):
                continue
            a = {round(y): x for x, y in points(one.curve, 80)}
            b = {round(y): x for x, y in points(other.curve, 80)}
            sides = [a[y] < b[y] for y in sorted(a.keys() & b.keys())]
            found += sum(left != right for left, right in pairwise(sides))
    return found


@PAIRS
@given(flows())
def test_nothing_stands_on_anything(text: FlowText) -> None:
    """In the picture of any flow all steps and texts are on the page, and no step touches another."""
    _, _, drawing = drawn(text.text)
    page = page_of(drawing)
    shapes = drawing.shapes
    assert all(within(shape.place, page) for shape in shapes)
    assert all(within(arrow.pill.place, page) for arrow in drawing.arrows if arrow.pill)
    assert all(apart(one.place, other.place) for n, one in enumerate(shapes) for other in shapes[n + 1 :])
    cases = [arrow.pill.place for arrow in drawing.arrows if arrow.pill]
    assert all(apart(case, shape.place) for case in cases for shape in shapes)
    assert all(apart(one, other) for n, one in enumerate(cases) for other in cases[n + 1 :])


@PAIRS
@given(flows())
def test_arrows_run_around_steps(text: FlowText) -> None:
    """No arrow runs through a step, and every transition of the flow is on some arrow."""
    _, graph, drawing = drawn(text.text)
    ends = {name: set[str]() for name in graph.order}
    for arrow in drawing.arrows:
        names = arrow.ends.split()
        for point in points(arrow.curve):
            assert not any(inside(point, shape.place) for shape in drawing.shapes)
        for name in names:
            ends[name] |= set(names)
    assert all(after in ends[name] for name in graph.order for after in graph.nodes[name].next)


@PAIRS
@given(flows())
def test_bodies_of_foreaches_stand_in_boxes(text: FlowText) -> None:
    """A step stands in the boxes of the foreaches around it, and outside all others."""
    _, graph, drawing = drawn(text.text)
    scopes = sorted({scope for name in graph.order for scope in graph.nodes[name].scope})
    assert len(drawing.frames) == len(scopes)
    for shape in drawing.shapes:
        around = [frame for frame in drawing.frames if within(shape.place, frame.place)]
        touched = [frame for frame in drawing.frames if not apart(shape.place, frame.place)]
        assert len(around) == len(touched) == len(graph.nodes[shape.name].scope)


@PAIRS
@given(flows())
def test_the_same_flow_has_the_same_picture(text: FlowText) -> None:
    """The picture depends on nothing but the flow."""
    assert drawn(text.text)[2] == drawn(text.text)[2]


def test_a_flat_flow_has_no_crossings() -> None:
    """Branches whose steps stand in any order in the text are drawn without a crossing where there is such a drawing."""
    text = flow_text(
        "Knot",
        {
            "start": "self.next(self.a, self.b, self.c)",
            "a": 'self.next({"x": self.a1, "y": self.a2}, condition="k")',
            "a2": "self.next(self.a3)",
            "a1": "self.next(self.a3)",
            "a3": "self.next(self.join)",
            "c": "self.next(self.c1, self.c2)",
            "c2": "self.next(self.c3)",
            "c1": "self.next(self.c3)",
            "c3": "join:self.next(self.join)",
            "b": "self.next(self.join)",
            "join": "join:self.next(self.end)",
            "end": "pass",
        },
    )
    _, _, drawing = drawn(text)
    assert not drawing.sideways
    assert crossings(drawing) == 0


def test_a_wide_split_is_drawn_sideways() -> None:
    """Forty branches stand under one another, so that the page is scrolled one way only; a few stand side by side."""
    _, _, drawing = drawn(wide(40))
    assert drawing.sideways
    assert drawing.width < 900
    assert not drawn(wide(4))[2].sideways


@pytest.mark.parametrize("count", [1, 2, 50, 200])
def test_a_chain_is_a_straight_line(count: int) -> None:
    """The steps of a chain stand exactly under one another, however many there are."""
    text = long(count) if count > 1 else flow_text("One", {"start": "pass"})
    _, _, drawing = drawn(text)
    middles = {round(shape.place.x + shape.place.width / 2, 1) for shape in drawing.shapes}
    assert len(drawing.shapes) == count
    assert max(middles) - min(middles) < 1


def test_a_long_arrow_is_straight() -> None:
    """An arrow past many steps bends where it leaves and where it arrives, and nowhere between."""
    chain = {f"s{number}": f"self.next(self.s{number + 1})" for number in range(12)}
    start = 'self.next({"long": self.s0, "short": self.end, "back": self.s12}, condition="k")'
    _, _, drawing = drawn(flow_text("Past", {"start": start, **chain, "s12": "self.next(self.end)", "end": "pass"}))
    past = [arrow for arrow in drawing.arrows if arrow.ends in ("start end", "start s12")]
    assert [arrow.curve.count("C") <= 3 for arrow in past] == [True, True]


def test_a_loop_has_its_own_arrow() -> None:
    """A step that may choose itself has an arrow to itself, beside it, with the cases that lead there."""
    tail = 'self.next({"again": self.start, 1: self.start, True: self.end}, condition="k")'
    _, _, drawing = drawn(flow_text("Loop", {"start": tail, "end": "pass"}))
    (loop,) = [arrow for arrow in drawing.arrows if arrow.ends == "start"]
    assert loop.pill is not None
    assert (loop.pill.full, loop.head) == ("again", True)
    shape = drawing.shapes[0].place
    assert all(x >= shape.x + shape.width - 0.1 for x, _ in points(loop.curve))


def test_long_texts_are_cut_in_the_middle() -> None:
    """A long name keeps its beginning and its end in the picture, and is whole for screen readers."""
    name = "a_long_name_" * 8 + "x"
    _, _, drawing = drawn(flow_text("Cut", {"start": f"self.next(self.{name})", name: "self.next(self.end)", "end": "pass"}))
    shape = drawing.shapes[1]
    assert len(shape.text) == 30
    assert shape.text.startswith("a_long_name_a_long_n")
    assert shape.text.endswith("name_x")
    assert shape.told.startswith(f"{name}, ")
