"""In: the text of a flow file, a Reader for what stands beside it, and Settings. Out: a Reading: its Flows, and diagnostics."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowc.diagnostics import Diagnostic, in_order
from flowc.frontend.above import undelivered
from flowc.frontend.classes import TOO_DEEP, Lineage, Lineages, launched, no_flow, not_named, select, top_level_classes
from flowc.frontend.flows import is_stepless, read_flow, step_names
from flowc.frontend.launching import launching
from flowc.frontend.members import made_elsewhere
from flowc.frontend.modules import SYNTAX, Program
from flowc.frontend.values import Scope

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.source import Elsewhere, Reader, SourceFile

__all__ = ["Reading", "read"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. A flow with problems is among `flows` as long as its steps and parameters are all known."""

    flows: tuple[Flow, ...]
    diagnostics: tuple[Diagnostic, ...]


def read(source: SourceFile, reader: Reader, settings: Settings, name: str | None = None, elsewhere: Elsewhere | None = None) -> Reading:
    """Read the flows of a file, or the one called `name`. Without `elsewhere` nothing above the flow's folder is known of.

    Without a name: the flows that the file launches (`Hello()`), else all that have steps and are no mere base of another one. Whatever
    the text is, the answer is a Reading; a file without a flow, and a name that is none of its flows, are diagnostics.
    """
    if name is None and not _may_hold_flow(source.text):
        return Reading((), (no_flow(source),))
    try:
        return _read(source, reader, settings, name, elsewhere)
    except RecursionError:
        message = f"{source.path} nests expressions or imports too deep to be read"
        remedy = "Write the deepest expression as a loop, or read its value from a file."
        return Reading((), (Diagnostic(TOO_DEEP, message, source.at_line(1), help=remedy),))


def _may_hold_flow(text: str) -> bool:
    """A cheap filter for hooks that see every file of a repository. A file that only launches what it imports names neither."""
    return "FlowSpec" in text or "metaflow" in text or ("__main__" in text and "class " in text)


def _read(source: SourceFile, reader: Reader, settings: Settings, name: str | None, elsewhere: Elsewhere | None) -> Reading:
    program = Program(source, reader)
    if program.entry.broken:
        return Reading((), _placed(program.diagnostics))
    lineages, scope = Lineages(program), Scope(program, program.entry, settings)
    found = made_elsewhere(lineages, scope)
    lines = [lineages.of(cls) for cls in top_level_classes(scope)]
    chosen = _choose(lineages, lines, settings, name)
    if not chosen:
        names = [line.head.name for line in lines if line.is_flow]
        found = found or [no_flow(source, lineages, names) if name is None else not_named(program, name, names)]
        return Reading((), _placed(found))
    if name is None:
        found += launching(program, chosen, settings)
    if elsewhere is not None and settings.code != "image":
        found += undelivered(program, elsewhere)
    flows = []
    for line in chosen:
        flow, problems = read_flow(lineages, line, settings)
        found += problems
        if flow is not None:
            flows.append(flow)
    return Reading(tuple(flows), _placed([*program.diagnostics, *found]))


def _choose(lineages: Lineages, lines: list[Lineage], settings: Settings, name: str | None) -> list[Lineage]:
    flows = [line for line in lines if line.is_flow]
    if name is not None:
        return [line for line in lines if line.head.name == name and (line.is_flow or line.problems)]
    if len(flows) > 1:
        flows = select(lineages.program, flows, {line.head.name: step_names(lineages, line, settings) for line in flows})
    if not flows:
        # a class whose bases are not in sight may be a flow: it is, when it has steps
        return [line for line in lines if line.problems and step_names(lineages, line, settings)]
    called = launched(lineages.program.entry, [line.head.name for line in flows])
    return [line for line in flows if line.head.name in called or not is_stepless(lineages, line, settings)]


def _placed(found: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In order; a syntax error says which Python's grammar it broke."""
    grammar = f"flowc reads with the grammar of Python {sys.version_info.major}.{sys.version_info.minor}, on which it runs"
    return tuple(in_order([replace(d, note=grammar) if d.code is SYNTAX and not d.note else d for d in found]))
