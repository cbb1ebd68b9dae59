"""In: a Python file's text, a Reader of its folder, and Settings. Out: objects of a target, or diagnostics; the phases' order."""

from __future__ import annotations

from dataclasses import dataclass

from flowc import checks, frontend, graph, output, target
from flowc.diagnostics import Diagnostic, OutputBug, has_errors, in_order
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.output import Artifact
from flowc.settings import Settings
from flowc.source import Reader, SourceFile


@dataclass(frozen=True, slots=True)
class Checked:
    """The flows of a file with their graphs, and every diagnostic about them, in order."""

    flows: tuple[tuple[Flow, Graph], ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The objects of one flow for one target, ready to write. There are none where a diagnostic is an error."""

    artifacts: tuple[Artifact, ...]
    diagnostics: tuple[Diagnostic, ...]


def check(source: SourceFile, reader: Reader, settings: Settings, name: str | None = None) -> Checked:
    """Read a file and judge its flows (or the one called `name`) by the dialect's rules."""
    reading = frontend.read(source, reader, settings, name)
    flows = tuple((flow, graph.build(flow)) for flow in reading.flows)
    found = list(reading.diagnostics)
    for flow, shape in flows:
        found += checks.run(flow, shape)
    return Checked(flows, tuple(in_order(found)))


def compile_flow(flow: Flow, shape: Graph, target_name: str, settings: Settings) -> Compiled:
    """Lower a flow that passed `check` to the objects of a target, rendered and proven valid."""
    chosen = target.load(target_name)
    found = list(chosen.check(flow, shape, settings))
    if has_errors(found):
        return Compiled((), tuple(in_order(found)))
    lowered = chosen.lower(flow, shape, settings)
    found += lowered.diagnostics
    written = output.Written(())
    try:
        written = output.write(lowered.documents, flow, settings.templates)
        found += written.diagnostics
        if not has_errors(found):
            found += chosen.rules(flow, [a.object for a in written.artifacts], settings)
    except OutputBug as bug:
        if not settings.templates:
            raise
        remedy = "mend the templates that `templates` names; without that setting flowc's own are used"
        found.append(Diagnostic(output.OVERRIDDEN, f"the templates of your own give no right output: {bug}", help=remedy))
    artifacts = () if has_errors(found) else written.artifacts
    return Compiled(artifacts, tuple(in_order(found)))
