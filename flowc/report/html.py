"""In: a Flow, its Graph, and what each target made of it. Out: one HTML page: the graph, and each step's source, manifest and settings."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc import data, target
from flowc.graph import fan
from flowc.output import Artifact, as_json
from flowc.output.dump import dump
from flowc.report import Texts, html_drawing, html_settings, printable
from flowc.report.html_code import Excerpt, Piece, document, excerpt
from flowc.settings import Settings
from flowc.target import Part

if TYPE_CHECKING:
    from jinja2 import Environment

    from flowc.diagnostics import Diagnostic
    from flowc.graph import Graph
    from flowc.ir import Flow, Step

LINES, COLUMNS = 400, 1000
"""Longest piece of a manifest that is shown whole, and longest line of one: the code that pods run is neither."""


@dataclass(frozen=True, slots=True)
class View:
    """What one target made of the flow: its artifacts, none where it cannot carry the flow; what was reported; the settings that counted
    and where each comes from.
    """

    target: str
    artifacts: tuple[Artifact, ...]
    diagnostics: tuple[Diagnostic, ...]
    settings: Settings
    told: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of a manifest: its file, its place in it, its lines in colours, how many lines are left out."""

    file: str
    place: str
    lines: tuple[tuple[Piece, ...], ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Panel:
    """What one target says of a step, or of the flow as a whole: pieces of its manifest, and settings."""

    target: str
    carried: bool
    pieces: tuple[Shown, ...]
    groups: tuple[html_settings.Group, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A diagnostic; `step` is the one that it is about."""

    severity: str
    code: str
    message: str
    where: str
    help: str
    step: str | None
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """What is shown of one step. `source` is None where the text of its file is not at hand."""

    name: str
    kind: str
    doc: str
    source: Excerpt | None
    before: tuple[str, ...]
    after: tuple[tuple[str, str], ...]
    within: tuple[str, ...]
    told: tuple[Told, ...]
    panels: tuple[Panel, ...]


def page(flow: Flow, graph: Graph, views: Sequence[View], texts: Texts) -> str:
    """The page. It asks for nothing outside itself, and no text of the flow can act in it: see docs/decisions/0026."""
    first = target.load(views[0].target)
    parts = {view.target: _parts(flow, graph, view) for view in views}
    sources = {name: _source(flow.steps[name], texts) for name in graph.order}
    told = _told(views, sources)
    steps = [_detail(flow, graph, name, views, parts, sources[name], told) for name in graph.order]
    style, script = data.read("templates/graph/page.css"), data.read("templates/graph/page.js")
    values = {
        "flow": flow,
        "title": printable(flow.name),
        "doc": _paragraphs(flow.doc),
        "path": printable(flow.source.path),
        "drawing": html_drawing.draw(flow, graph, kubernetes=first.kubernetes),
        "kinds": html_drawing.KINDS,
        "used": sorted({html_drawing.kind_of(graph, name) for name in graph.order}, key=list(html_drawing.KINDS).index),
        "targets": [view.target for view in views],
        "steps": steps,
        "told": told,
        "panels": [_panel(flow, None, view, parts[view.target]) for view in views],
        "style": style,
        "script": script,
        "style_hash": _digest(style),
        "script_hash": _digest(script),
    }
    text = _environment().get_template("graph/page.html.j2").render(values)
    # half of a surrogate pair has no bytes
    return text.encode(errors="replace").decode()


def _parts(flow: Flow, graph: Graph, view: View) -> list[Part]:
    if not view.artifacts:
        return []
    return list(target.load(view.target).parts(flow, graph, view.settings, {each.file: each.object for each in view.artifacts}))


def _source(step: Step, texts: Texts) -> Excerpt | None:
    source = texts(step.span.path)
    return excerpt(source, step.span) if source else None


def _told(views: Sequence[View], sources: Mapping[str, Excerpt | None]) -> tuple[Told, ...]:
    """Every diagnostic once, with the targets that it is about."""
    found: dict[Diagnostic, list[str]] = {}
    for view in views:
        for diagnostic in view.diagnostics:
            found.setdefault(diagnostic, []).append(view.target)
    return tuple(_one(each, sources, tuple(targets)) for each, targets in found.items())


def _one(each: Diagnostic, sources: Mapping[str, Excerpt | None], targets: tuple[str, ...]) -> Told:
    span = each.span
    where = f"{printable(span.path)}:{span.line}" if span else ""
    steps = (name for name, code in sources.items() if span and code and code.path == span.path and code.first <= span.line <= code.last)
    return Told(each.severity.value, each.code.id, printable(each.message), where, printable(each.help), next(steps, None), targets)


def _detail(
    flow: Flow,
    graph: Graph,
    name: str,
    views: Sequence[View],
    parts: Mapping[str, Sequence[Part]],
    source: Excerpt | None,
    told: Sequence[Told],
) -> Detail:
    node = graph.nodes[name]
    cases: dict[str, list[str]] = {}
    for case, after in node.switch_cases.items():
        cases.setdefault(after, []).append(printable(str(case)))
    return Detail(
        name=name,
        kind=html_drawing.KINDS[html_drawing.kind_of(graph, name)],
        doc=_paragraphs(flow.steps[name].doc),
        source=source,
        before=node.in_funcs,
        after=tuple((after, ", ".join(cases.get(after, ()))) for after in dict.fromkeys(node.next)),
        within=tuple(f"{fan(graph.nodes[scope])} of {scope}" for scope in node.scope),
        told=tuple(each for each in told if each.step == name),
        panels=tuple(_panel(flow, name, view, parts[view.target]) for view in views),
    )


def _panel(flow: Flow, name: str | None, view: View, parts: Sequence[Part]) -> Panel:
    if name is None:
        groups = html_settings.of_flow(flow, view.settings, view.told)
    else:
        groups = html_settings.of_step(flow, flow.steps[name], view.settings, view.told, target.load(view.target))
    pieces = tuple(_shown(part) for part in parts if part.step == name)
    return Panel(view.target, bool(view.artifacts), pieces, tuple(groups))


def _shown(part: Part) -> Shown:
    """The piece as its file has it; the code in it, which is long, is left out and says so."""
    value = _short(part.value)
    lines = document(as_json(value) if part.json else dump(value))
    return Shown(printable(part.file), printable(part.place), lines[:LINES], max(len(lines) - LINES, 0))


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(item) for item in value]
    if isinstance(value, str) and len(value) > COLUMNS:
        return f"{value[:80].rstrip()}… ({len(value):,} characters)"
    return value


def _paragraphs(doc: str) -> str:
    """A docstring without the indentation that its lines share, what could hide text made visible."""
    lines = doc.strip().splitlines()
    return "\n".join(printable(line) for line in lines)


def _digest(text: str) -> str:
    """The hash by which the page's policy lets an inline text pass."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(lambda name: data.read(f"templates/{name}"))
    made = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader, autoescape=True)
    made.filters["printable"] = printable
    return made
