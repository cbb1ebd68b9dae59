"""In: `depends` and `when` of a DAG's tasks, or the arrows of a state machine. Out: when a step runs, in one form for each meaning.

A Condition is a conjunction of clauses, each a set of atoms of which one must hold: `(left) and (right)`, `(small or big)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Atom:
    """One thing to wait for. `kind`: ran (the step succeeded), chose (it succeeded and its switch went on to `case`), all (all tasks of
    the foreach that it starts did), each (there is a task for each item of it), text (anything else, `name` says it).
    """

    kind: str
    name: str
    case: str = ""

    def __str__(self) -> str:
        return {
            "ran": self.name,
            "chose": f"{self.name} choosing {self.case}",
            "all": f"the foreach of {self.name}",
            "each": f"each item of {self.name}",
        }.get(self.kind, self.name)


Clause = frozenset[Atom]
Condition = frozenset[Clause]
ALWAYS: Condition = frozenset()
NEVER: Condition = frozenset([frozenset()])
LIMIT = 1_000
"""Clauses that a condition may have; one of more is no condition that a compiler writes."""


class ConditionError(ValueError):
    """An expression that is none of those that are understood."""


def one(atom: Atom) -> Condition:
    return frozenset([frozenset([atom])])


def both(*parts: Condition) -> Condition:
    """All of them hold."""
    return _without_weaker(frozenset().union(*parts))


def either(*parts: Condition) -> Condition:
    """At least one of them holds; ConditionError where that would be too long to say."""
    found: Condition = NEVER
    for part in parts:
        if len(found) * len(part) > LIMIT:
            raise ConditionError("the condition is too long")
        found = _without_weaker(frozenset(_without_stronger(a | b) for a in found for b in part))
    return found


def _implies(atom: Atom, other: Atom) -> bool:
    """A step that chose a case ran."""
    return atom == other or (atom.kind == "chose" and other.kind == "ran" and atom.name == other.name)


def _without_stronger(clause: Clause) -> Clause:
    """`x or (x choosing a)` is `x`."""
    return frozenset(atom for atom in clause if not any(atom != other and _implies(atom, other) for other in clause))


def _without_weaker(clauses: Condition) -> Condition:
    """Clauses that no other clause implies."""
    by_name: dict[str, list[Clause]] = {}
    for clause in clauses:
        for name in {atom.name for atom in clause}:
            by_name.setdefault(name, []).append(clause)

    def implied(clause: Clause) -> bool:
        # a clause that implies this one has atoms of the same steps only
        near = (other for name in {atom.name for atom in clause} for other in by_name[name])
        return any(other != clause and all(any(_implies(a, b) for b in clause) for a in other) for other in near)

    return frozenset(clause for clause in clauses if not implied(clause)) if NEVER - clauses else NEVER


def cases(conditions: Iterable[Condition]) -> dict[str, set[str]]:
    """By step, the cases that others wait for."""
    found: dict[str, set[str]] = {}
    for atom in (atom for condition in conditions for clause in condition for atom in clause):
        if atom.kind == "chose":
            found.setdefault(atom.name, set()).add(atom.case)
    return found


def settled(condition: Condition, known: Mapping[str, set[str]]) -> Condition:
    """With a switch that leads to one step only taken for what it is, no choice."""

    def plain(atom: Atom) -> Atom:
        return Atom("ran", atom.name) if atom.kind == "chose" and len(known.get(atom.name, ())) == 1 else atom

    return _without_weaker(frozenset(_without_stronger(frozenset(map(plain, clause))) for clause in condition))


def told(condition: Condition) -> str:
    """For people: `left and right`, `(a or b) and c`; empty where there is nothing to wait for."""
    texts = sorted(" or ".join(str(atom) for atom in sorted(clause)) or "never" for clause in condition)
    return " and ".join(f"({text})" if " or " in text and len(texts) > 1 else text for text in texts)


# --- expressions ---------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\s*(&&|\|\||[()!]|[^\s()&|!]+)")


def parsed(text: str, meaning: Callable[[str], Condition]) -> Condition:
    """The condition of an expression of `&&`, `||` and parentheses; `meaning` says what a word means. ConditionError where it is none."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s+", "", text):
        raise ConditionError(f"{text!r} is no expression")
    condition, at = _either(tokens, 0, meaning)
    if at != len(tokens):
        raise ConditionError(f"{text!r} does not end where it should")
    return condition


def _either(tokens: list[str], at: int, meaning: Callable[[str], Condition]) -> tuple[Condition, int]:
    condition, at = _both(tokens, at, meaning)
    parts = [condition]
    while at < len(tokens) and tokens[at] == "||":
        condition, at = _both(tokens, at + 1, meaning)
        parts.append(condition)
    return (either(*parts) if len(parts) > 1 else condition), at


def _both(tokens: list[str], at: int, meaning: Callable[[str], Condition]) -> tuple[Condition, int]:
    condition, at = _term(tokens, at, meaning)
    parts = [condition]
    while at < len(tokens) and tokens[at] == "&&":
        condition, at = _term(tokens, at + 1, meaning)
        parts.append(condition)
    return both(*parts), at


def _term(tokens: list[str], at: int, meaning: Callable[[str], Condition]) -> tuple[Condition, int]:
    if at >= len(tokens) or tokens[at] in ("&&", "||", ")", "!"):
        raise ConditionError("a word is missing")
    if tokens[at] != "(":
        return meaning(tokens[at]), at + 1
    condition, at = _either(tokens, at + 1, meaning)
    if at >= len(tokens) or tokens[at] != ")":
        raise ConditionError("a parenthesis is open")
    return condition, at + 1
