"""In: a state machine, Metaflow's or flowc's. Out: the order of its steps: when each runs, in which foreach, and the state of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowc.comparison.conditions import NEVER, Atom, Condition, both, either, one
from flowc.comparison.records import Reading, rows, table

SUBMIT = "arn:aws:states:::batch:submitJob.sync"
State = dict[str, Any]


@dataclass(slots=True)
class Machine:
    """Reads the order of states into a Reading; `step_of` is the step that a state's job runs, None for states between.

    `states`: those of steps by step, as they are; `maps`: the Map over the items of a step.
    """

    step_of: Callable[[State], str | None]
    reading: Reading
    states: dict[str, State] = field(default_factory=dict)
    maps: dict[str, State] = field(default_factory=dict)
    others: dict[str, State] = field(default_factory=dict)

    def read(self, machine: Mapping[str, Any], start: Condition, scope: tuple[str, ...]) -> Condition:
        """Note the steps of a machine, a branch or a Map's processor; returns what it means that it has ended."""
        states = {name: table(state) for name, state in table(machine.get("States")).items()}
        into: dict[str, list[tuple[str, str | None]]] = {name: [] for name in states}
        for name, state in states.items():
            for case, target in self._arrows(state):
                into.setdefault(target, []).append((name, case))
        known: dict[str, tuple[Condition, Condition]] = {}
        first = str(machine.get("StartAt"))
        for name in states:
            self._visit(name, states, into, known, first, start, scope, ())
        ends = [
            known[name][1]
            for name, state in states.items()
            if (state.get("End") or state.get("Type") == "Succeed") and self._reached(known[name])
        ]
        return either(*ends) if ends else NEVER

    def _reached(self, value: tuple[Condition, Condition]) -> bool:
        return value[0] != NEVER

    def _arrows(self, state: State) -> Iterator[tuple[str | None, str]]:
        """(case, next state); errors that are caught lead to no step."""
        if "Next" in state:
            yield None, str(state["Next"])
        for rule in rows(state.get("Choices")):
            yield str(rule.get("StringEquals", rule)), str(rule.get("Next"))

    def _visit(
        self,
        name: str,
        states: Mapping[str, State],
        into: Mapping[str, list[tuple[str, str | None]]],
        known: dict[str, tuple[Condition, Condition]],
        first: str,
        start: Condition,
        scope: tuple[str, ...],
        under: tuple[str, ...],
    ) -> tuple[Condition, Condition]:
        """When the state is entered, and what it means that it was left."""
        if name in known:
            return known[name]
        ways = [start] if name == first else []
        step = self.step_of(states[name])
        loops = False
        for before, case in into.get(name, ()):
            if before in (*under, name):
                loops = True
                continue
            entered, left = self._visit(before, states, into, known, first, start, scope, (*under, name))
            ways.append(left if case is None else self._chosen(left, case))
        entered = either(*ways) if ways else NEVER
        if step is not None:
            self._note(step, states[name], entered, scope, loops)
            left = one(Atom("ran", step))
        else:
            left = self._between(name, states[name], entered, scope)
        known[name] = (entered, left)
        return known[name]

    def _chosen(self, left: Condition, case: str) -> Condition:
        """A Choice after a step: the step chose the case."""
        atoms = [atom for clause in left for atom in clause]
        return (
            one(Atom("chose", atoms[0].name, case)) if len(atoms) == 1 and atoms[0].kind == "ran" else both(left, one(Atom("text", case)))
        )

    def _between(self, name: str, state: State, entered: Condition, scope: tuple[str, ...]) -> Condition:
        self.others[name] = state
        if state.get("Type") == "Parallel":
            return both(*(self.read(branch, entered, scope) for branch in rows(state.get("Branches"))))
        if state.get("Type") == "Map":
            atoms = [atom for clause in entered for atom in clause]
            owner = atoms[0].name if len(atoms) == 1 else name
            self.maps[owner] = state
            self.read(table(state.get("ItemProcessor") or state.get("Iterator")), one(Atom("each", owner)), (*scope, owner))
            return one(Atom("all", owner))
        return entered

    def _note(self, step: str, state: State, entered: Condition, scope: tuple[str, ...], loops: bool) -> None:
        if step in self.states:
            self.reading.leave("a second state", f"states.{step}")
            return
        self.states[step] = state
        self.reading.runs_after[step], self.reading.scopes[step] = entered, scope
        self.reading.steps[step] = {"loops": True if loops else None}
