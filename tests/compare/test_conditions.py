"""Facts about conditions: those that hold in the same runs are one and the same, however they are written."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.comparison.conditions import Atom, Condition, ConditionError, both, cases, either, one, parsed, settled, told

ATOMS = [Atom("ran", "a"), Atom("ran", "b"), Atom("chose", "a", "x"), Atom("chose", "a", "y"), Atom("all", "c")]
Truth = Callable[[set[Atom]], bool]
Expression = tuple[Condition, Truth]


def joined(parts: tuple[Expression, Expression], alternative: bool) -> Expression:
    """Two expressions with `and` or `or`, as a Condition and as what it stands for."""
    (left, is_left), (right, is_right) = parts
    if alternative:
        return either(left, right), lambda world: is_left(world) or is_right(world)
    return both(left, right), lambda world: is_left(world) and is_right(world)


EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    st.sampled_from(ATOMS).map(lambda atom: (one(atom), lambda world: atom in world)),
    lambda inner: st.builds(joined, st.tuples(inner, inner), st.booleans()),
    max_leaves=8,
)


def worlds() -> list[set[Atom]]:
    """All that can have happened: who chose ran, and chose one case."""
    found = []
    for size in range(len(ATOMS) + 1):
        for each in itertools.combinations(ATOMS, size):
            happened = set(each)
            chose = {atom.case for atom in happened if atom.kind == "chose"}
            if len(chose) <= 1 and (not chose or Atom("ran", "a") in happened):
                found.append(happened)
    return found


def holds(condition: Condition, world: set[Atom]) -> bool:
    return all(clause & world for clause in condition)


@given(EXPRESSIONS)
def test_a_condition_holds_when_its_expression_does(expression: Expression) -> None:
    """Nothing that was simplified changed what is waited for."""
    condition, truth = expression
    assert all(holds(condition, world) == truth(world) for world in worlds())


@given(EXPRESSIONS, EXPRESSIONS)
def test_one_form_for_each_meaning(left: Expression, right: Expression) -> None:
    """Two expressions that hold in the same worlds, where a switch may have chosen more than once in a loop, are equal."""
    possible = [set(each) for size in range(len(ATOMS) + 1) for each in itertools.combinations(ATOMS, size)]
    every = [world for world in possible if Atom("ran", "a") in world or not any(atom.kind == "chose" for atom in world)]
    same = all(left[1](world) == right[1](world) for world in every)
    assert (left[0] == right[0]) == same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a && b", "a and b"),
        ("b || a", "a or b"),
        ("(a || b) && c", "(a or b) and c"),
        ("a && a || b && a", "a"),
        ("((a))", "a"),
        ("a || b && c", "(a or b) and (a or c)"),
    ],
)
def test_expressions_in_words(text: str, expected: str) -> None:
    """`&&` binds tighter than `||`; what says nothing more is left out."""
    assert told(parsed(text, lambda word: one(Atom("ran", word)))) == expected


@pytest.mark.parametrize("text", ["", "a &&", "(a", "a b", "!a", "a)", "|| a"])
def test_what_is_no_expression(text: str) -> None:
    """Whatever is no chain of words is refused, so that it is compared as it stands."""
    with pytest.raises(ConditionError):
        parsed(text, lambda word: one(Atom("ran", word)))


def test_a_switch_with_one_way() -> None:
    """Where a switch leads to one step only, to wait for its choice is to wait for it."""
    chose = one(Atom("chose", "a", "x"))
    assert settled(chose, cases([chose])) == one(Atom("ran", "a"))
    assert settled(chose, cases([chose, one(Atom("chose", "a", "y"))])) == chose


def test_a_condition_that_is_too_long() -> None:
    """A condition whose form would not end is refused; a join of sixty branches is not."""
    wide = [both(*(one(Atom("ran", f"s{i}-{j}")) for j in range(40))) for i in range(4)]
    with pytest.raises(ConditionError):
        either(*wide)
    assert len(both(*(either(one(Atom("ran", f"a{i}")), one(Atom("ran", f"b{i}"))) for i in range(60)))) == 60


def test_a_join_of_many_branches() -> None:
    """A join of two thousand branches takes no time that anybody notices: what implies a clause is looked for among its own steps."""
    names = [f"s{number}" for number in range(2000)]
    found = parsed(" && ".join(names), lambda word: one(Atom("ran", word)))
    assert len(found) == len(names)
