"""In: the text of a flow file, a Reader for what stands beside it, and Settings. Out: a Reading: its Flows, and diagnostics."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowc.diagnostics import Diagnostic, in_order
from flowc.frontend.classes import TOO_DEEP, Lineage, Lineages, no_flow, not_named, select, top_level_classes
from flowc.frontend.flows import read_flow, step_names
from flowc.frontend.members import made_elsewhere
from flowc.frontend.modules import SYNTAX, Program

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.source import Reader, SourceFile

__all__ = ["Reading", "read"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. A flow with problems is among `flows` as long as its steps and parameters are all known."""

    flows: tuple[Flow, ...]
    diagnostics: tuple[Diagnostic, ...]


def read(source: SourceFile, reader: Reader, settings: Settings, name: str | None = None) -> Reading:
    """Read the flows of a file, or the one called `name`.

    Without a name: the flows that the file launches (`Hello()`), else all that are no mere base of another one. Whatever the text is, the
    answer is a Reading; a file without a flow, and a name that is none of its flows, are diagnostics.
    """
    if name is None and not _may_hold_flow(source.text):
        return Reading((), (no_flow(source),))
    try:
        return _read(source, reader, settings, name)
    except RecursionError:
        message = f"{source.path} nests expressions or imports too deep to be read"
        remedy = "Write the deepest expression as a loop, or read its value from a file."
        return Reading((), (Diagnostic(TOO_DEEP, message, source.at_line(1), help=remedy),))


def _may_hold_flow(text: str) -> bool:
    """A cheap filter for hooks that see every file of a repository. A file that only launches what it imports names neither."""
    return "FlowSpec" in text or "metaflow" in text or ("__main__" in text and "class " in text)


def _read(source: SourceFile, reader: Reader, settings: Settings, name: str | None) -> Reading:
    program = Program(source, reader)
    if program.entry.broken:
        return Reading((), _placed(program.diagnostics))
    lineages = Lineages(program)
    lines = [lineages.of(cls) for cls in top_level_classes(program)]
    chosen, found = _choose(lineages, lines, settings, name)
    found += made_elsewhere(lineages)
    if not chosen:
        return Reading((), _placed(found))
    flows = []
    for line in chosen:
        flow, problems = read_flow(lineages, line, settings)
        found += problems
        if flow is not None:
            flows.append(flow)
    return Reading(tuple(flows), _placed([*program.diagnostics, *found]))


def _choose(lineages: Lineages, lines: list[Lineage], settings: Settings, name: str | None) -> tuple[list[Lineage], list[Diagnostic]]:
    flows = [line for line in lines if line.is_flow]
    if name is not None:
        named = [line for line in lines if line.head.name == name and (line.is_flow or line.problems)]
        return named, [] if named else [not_named(lineages.program, name, [line.head.name for line in flows])]
    if flows:
        steps = {line.head.name: step_names(lineages, line, settings) for line in flows} if len(flows) > 1 else {}
        return (select(lineages.program, flows, steps) if len(flows) > 1 else flows), []
    # a class whose bases are not in sight may be a flow: it is, when it has steps
    perhaps = [line for line in lines if line.problems and step_names(lineages, line, settings)]
    return perhaps, [] if perhaps or made_elsewhere(lineages) else [no_flow(lineages.program.entry.source, lineages)]


def _placed(found: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In order; a syntax error says which Python's grammar it broke."""
    grammar = f"flowc reads with the grammar of Python {sys.version_info.major}.{sys.version_info.minor}, on which it runs"
    return tuple(in_order([replace(d, note=grammar) if d.code is SYNTAX and not d.note else d for d in found]))
