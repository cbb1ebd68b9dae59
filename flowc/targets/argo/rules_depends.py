"""In: the `depends` of DAG tasks. Out: which tasks each one waits for, and what Argo would have against the expressions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TOKEN = re.compile(r"\s*(?:(&&|\|\||[!()])|([A-Za-z0-9][-A-Za-z0-9]*)(?:\.([A-Za-z]+))?)")
_RESULTS = frozenset(("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned"))
_RESULTS_OF_ITEMS = frozenset(("AnySucceeded", "AllFailed"))
_ITEMS = ("withItems", "withParam", "withSequence")


class DependsError(Exception):
    """A `depends` that is not in the grammar."""


def names(depends: str) -> list[tuple[str, str | None]]:
    """The tasks that an expression names, each with the result it asks for or None; DependsError where it does not parse."""
    tokens = _tokens(depends)
    end = _either(tokens, 0)
    if end != len(tokens):
        raise DependsError(f"does not parse at {tokens[end][0] or tokens[end][1]!r}")
    return [(name, result) for _, name, result in tokens if name]


def _tokens(text: str) -> list[tuple[str, str, str | None]]:
    tokens = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise DependsError(f"does not parse at {text[at:]!r}")
        tokens.append((match[1] or "", match[2] or "", match[3]))
        at = match.end()
    return tokens


def _either(tokens: Sequence[tuple[str, str, str | None]], at: int) -> int:
    """`a && b || c`, whichever binds tighter: both are chains of terms. Returns the position behind it."""
    at = _term(tokens, at)
    while at < len(tokens) and tokens[at][0] in ("&&", "||"):
        at = _term(tokens, at + 1)
    return at


def _term(tokens: Sequence[tuple[str, str, str | None]], at: int) -> int:
    while at < len(tokens) and tokens[at][0] == "!":
        at += 1
    if at >= len(tokens):
        raise DependsError("ends where a task is due")
    operator, name, _ = tokens[at]
    if name:
        return at + 1
    if operator != "(":
        raise DependsError(f"has {operator!r} where a task is due")
    at = _either(tokens, at + 1)
    if at >= len(tokens) or tokens[at][0] != ")":
        raise DependsError("has a parenthesis that nothing closes")
    return at + 1


def problems(tasks: Sequence[Mapping[str, Any]], parents: dict[str, list[str]]) -> Iterator[str]:
    """What is wrong with the dependencies of a DAG's tasks. Fills `parents`: the tasks (that exist) which each task waits for."""
    by_name = {task["name"]: task for task in tasks}
    mixed = any("depends" in task for task in tasks) and any("dependencies" in task for task in tasks)
    if mixed:
        yield "has both `depends` and `dependencies`"
    ordered = any(task.get("depends") or task.get("dependencies") for task in tasks)
    for task in tasks:
        name = task["name"]
        if ordered and name[:1].isdigit():
            yield f"task {name} starts with a digit, which `depends` cannot name"
        if "depends" in task and "continueOn" in task:
            yield f"task {name} has continueOn beside `depends`"
        waits = parents.setdefault(name, [])
        try:
            named = names(task["depends"]) if task.get("depends") else [(d, None) for d in task.get("dependencies", ())]
        except DependsError as refused:
            yield f"task {name}: depends {task['depends']!r} {refused}"
            continue
        for other, result in named:
            if other not in by_name:
                yield f"task {name} depends on {other}, which is no task here"
                continue
            waits.append(other)
            if result in _RESULTS_OF_ITEMS:
                if not any(key in by_name[other] for key in _ITEMS):
                    yield f"task {name} asks {other} for {result}, but it has no items"
            elif result is not None and result not in _RESULTS:
                yield f"task {name} asks {other} for the unknown result {result}"


def order(parents: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """The tasks in topological order, and those on or behind a cycle (which have none)."""
    missing = {name: len(set(waits)) for name, waits in parents.items()}
    children: dict[str, list[str]] = {name: [] for name in parents}
    for name, waits in parents.items():
        for other in set(waits):
            children[other].append(name)
    ready = [name for name, count in missing.items() if not count]
    for name in ready:
        for child in children[name]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
    done = set(ready)
    return ready, [name for name in parents if name not in done]


class Ancestors:
    """The tasks that finished before a task, as bits of an int: chains share nothing else, so that 10,000 tasks stay cheap."""

    __slots__ = ("_bits", "_position")

    def __init__(self, bits: int, position: Mapping[str, int]) -> None:
        self._bits = bits
        self._position = position

    def __contains__(self, name: str) -> bool:
        position = self._position.get(name)
        return position is not None and bool(self._bits >> position & 1)


def ancestors(parents: Mapping[str, Sequence[str]]) -> dict[str, Ancestors]:
    """For each task all that finished before it; tasks on a cycle have no entry."""
    ordered, _ = order(parents)
    position = {name: index for index, name in enumerate(ordered)}
    bits: dict[str, int] = {}
    for name in ordered:
        seen = 0
        for other in parents[name]:
            seen |= bits[other] | 1 << position[other]
        bits[name] = seen
    return {name: Ancestors(seen, position) for name, seen in bits.items()}
