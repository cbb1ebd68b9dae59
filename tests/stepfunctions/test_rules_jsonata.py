"""flowc's reader of JSONata says yes and no where a JSONata library does, and finds the variables that an expression reads."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.targets.step_functions.rules_jsonata_grammar import Malformed, read

jsonata = pytest.importorskip("jsonata.jsonata")

PLACES = st.sampled_from(["$states.input.x", "a", "`b c`", "$v", "$states.result.Body", "*", "a.**.b", "'text'", "12", "-1.5", "true", "null", "[1..3]"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "%", "&", "=", "!=", "<", "<=", ">", ">=", "and", "or", "in"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(" ".join),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
        inner.map(lambda t: f"a[{t}]"),
        inner.map(lambda t: f"$sum(a.({t}))"),
        st.tuples(inner, inner).map(lambda t: f"{{'k': {t[0]}, 'l': {t[1]}}}"),
        st.tuples(inner, inner).map(lambda t: f"[{t[0]}, {t[1]}]"),
        st.tuples(inner, inner).map(lambda t: f"($x := {t[0]}; $x & {t[1]})"),
        inner.map(lambda t: f"$map(a, function($i, $n) {{ {t} }})"),
        inner.map(lambda t: f"a^(>b, {t})"),
        inner.map(lambda t: f"a{{b: {t}}}"),
        inner.map(lambda t: f"$split('a b', /x+/)[{t}]"),
        st.tuples(inner, inner).map(lambda t: f"|{t[0]}|{{'n': {t[1]}}}|"),
    )


EXPRESSIONS = st.recursive(PLACES, _larger, max_leaves=6)


def ours(text: str) -> bool:
    try:
        read(text)
    except Malformed:
        return False
    return True


def theirs(text: str) -> bool:
    try:
        jsonata.Jsonata(text)
    except Exception:  # noqa: BLE001 - whatever the library says no with
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, st.data())
def test_agrees_with_a_library(text: str, data: st.DataObject) -> None:
    """What is well formed is read, and without one of its brackets or operators it is refused where the library refuses it."""
    assert theirs(text), text
    assert ours(text), text
    marks = [index for index, character in enumerate(text) if character in "()[]{}|:;,?"]
    if marks:
        at = data.draw(st.sampled_from(marks))
        broken = text[:at] + text[at + 1 :]
        assert ours(broken) == theirs(broken), broken


@pytest.mark.parametrize(
    "text",
    ["", " ", "1 +", "(1;", "[1,", "{'a' 1}", "a b", "'open", "5 := 3", "a.1", "1 2", "a..b", "a == 1", "$f(1", "a[1", "a ? : b", "/open", "`open", "a.(", "^a", "~", "true.a", "a.null", "1[0].a", "a{b: c}{d: e}", "a[0]@$w"],
)
def test_refused(text: str) -> None:
    """What no JSONata reads, flowc does not read either."""
    assert not theirs(text)
    assert not ours(text)


GROUPED = st.recursive(
    st.sampled_from(["a", "`b`", "$v", "$f()", "{'k': 1}", "[1]", "*", "(a)", "'t'", "(a{b: c})"]),
    lambda inner: st.builds("{}{}".format, inner, st.sampled_from(["{b: c}", "[0]", ".c", "^(b)", ".$g()", "@$w", "#$i", ".(b)", " + 1", ".b{c: d}"])),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(GROUPED)
def test_groupings(text: str) -> None:
    """A step is grouped once, and what is filtered or sorted after that is a path, as the library has it."""
    assert ours(text) == theirs(text)


@pytest.mark.parametrize(
    ("text", "reads", "context"),
    [
        ("$states.input.x + $n", [("states", "input"), ("n", None)], False),
        ("($x := $y; $x)", [("y", None)], False),
        ("($x := 1; $x) & $x", [("x", None)], False),
        ("$map($states.result.a, function($v) { $v + $w })", [("map", None), ("states", "result"), ("w", None)], False),
        ("$states.input.a[$ > 1].b@$c.d[$c = 1]", [("states", "input")], False),
        ("$.a", [], True),
        ("$states", [("states", None)], False),
        ("/* $no */ '$no' & `$no`", [], False),
    ],
)
def test_reads(text: str, reads: list[tuple[str, str | None]], context: bool) -> None:
    """Variables from outside are found with the field asked of them; those that the expression makes itself are not among them."""
    found = read(text)
    assert (found.variables, found.context) == (reads, context)
