"""In: a Python file's text, a Reader of its folder, and Settings. Out: objects of a target, or diagnostics; the phases' order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowc import checks, frontend, graph, output, target
from flowc.diagnostics import Diagnostic, OutputBug, Severity, has_errors, in_order
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.output import Artifact
from flowc.settings import EMPTY, Settings
from flowc.source import Elsewhere, Reader, SourceFile


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


def check(source: SourceFile, reader: Reader, settings: Settings, name: str | None = None, elsewhere: Elsewhere | None = None) -> Checked:
    """Read a file and judge its flows (or the one called `name`) by the dialect's rules; of the settings, by `for_reading()` only."""
    reading = frontend.read(source, reader, settings.for_reading(), name, elsewhere)
    flows = tuple((flow, graph.build(flow)) for flow in reading.flows)
    found = list(reading.diagnostics)
    for flow, shape in flows:
        found += checks.run(flow, shape)
    return Checked(flows, tuple(in_order(found)))


def compile_flow(flow: Flow, shape: Graph, target_name: str, settings: Settings) -> Compiled:
    """Lower a flow that passed `check` to the objects of a target, rendered and proven valid."""
    chosen = target.load(target_name)
    if not settings.overlays:
        return _compiled(flow, shape, chosen, settings)
    from flowc.deployment import overlays  # who has none need not wait for it

    found = overlays.check(flow, settings, chosen.kinds, _all_kinds)
    if found:
        return Compiled((), tuple(in_order(found)))
    try:
        compiled = _compiled(flow, shape, chosen, settings)
    except OutputBug:
        return _blamed(flow, shape, chosen, settings)
    errors = [each for each in compiled.diagnostics if each.severity is Severity.ERROR]
    return compiled if all(each.code in overlays.OWN for each in errors) else _blamed(flow, shape, chosen, settings)


def _compiled(flow: Flow, shape: Graph, chosen: target.Target, settings: Settings) -> Compiled:
    found = list(chosen.check(flow, shape, settings))
    if has_errors(found):
        return Compiled((), tuple(in_order(found)))
    lowered = chosen.lower(flow, shape, settings)
    found += lowered.diagnostics
    written = output.Written(())

    def overlaid(document: target.Document, value: Mapping[str, Any]) -> target.Overlaid:
        if chosen.overlay is not None:
            return chosen.overlay(flow, settings, document, value)
        from flowc.deployment import overlays

        if document.overlaid or "kind" not in value:
            return target.Overlaid(dict(value))
        return overlays.whole(flow, settings, value, document.schema, chosen.kinds.get(value["kind"], ()))

    try:
        written = output.write(lowered.documents, flow, settings.templates, overlaid if settings.overlays else None)
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


def _blamed(flow: Flow, shape: Graph, chosen: target.Target, settings: Settings) -> Compiled:
    """What is wrong with a flow whose output is wrong: by itself, else with the first overlay after which it is, FC510.

    One overlay more at a time: the rules do not know where a field came from. OutputBug where flowc's own output is refused.
    """
    from flowc.deployment import overlays

    alone = _compiled(flow, shape, chosen, replace(settings, overlays=EMPTY))
    if has_errors(list(alone.diagnostics)):
        return alone
    names = list(settings.overlays)
    for count, name in enumerate(names, 1):
        overlay = settings.overlays[name]
        try:
            upto = _compiled(flow, shape, chosen, replace(settings, overlays={each: settings.overlays[each] for each in names[:count]}))
        except OutputBug as bug:
            found = overlays.told(flow, name, overlay, overlays.INVALID, f"gives no valid object: {bug}")
            return Compiled((), (found,))
        errors = [each for each in upto.diagnostics if each.severity is Severity.ERROR]
        if errors:
            said = [each if each.code in overlays.OWN else overlays.invalid(flow, name, overlay, each) for each in errors]
            return Compiled((), tuple(in_order(said)))
    raise AssertionError("an output was refused with all overlays, and is not")


def _all_kinds() -> set[str]:
    return {kind for name in target.names() for kind in target.load(name).kinds}
