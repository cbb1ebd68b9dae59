"""In: a Flow, its Graph, and what each target said of it by version. Out: a table: each feature of the flow on each target."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowc.diagnostics import Diagnostic, Severity
from flowc.graph import Graph, Node
from flowc.ir import Flow, NoNext
from flowc.source import Span

Said = Mapping[str, Mapping[str, Sequence[Diagnostic]]]
"""Target -> version of its engine, oldest first ("" where it knows none) -> what the target's own checks said of the flow."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that a flow has, and every place where it has it."""

    name: str
    places: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A feature on a target. `since` and `until` are versions, where not all carry it; `codes` of one that is carried are warnings."""

    carried: bool
    since: str | None
    until: str | None
    codes: tuple[str, ...]
    messages: tuple[str, ...]

    def __str__(self) -> str:
        if not self.carried:
            return f"refused {', '.join(self.codes)}"
        words = ["carried"]
        words += [f"from {self.since}"] if self.since else []
        words += [f"up to {self.until}"] if self.until else []
        return " ".join(words) + (f", see {', '.join(self.codes)}" if self.codes else "")


@dataclass(frozen=True, slots=True)
class Table:
    """What a flow has, by target."""

    flow: str
    targets: tuple[str, ...]
    rows: tuple[tuple[Feature, tuple[Cell, ...]], ...]


def features(flow: Flow, graph: Graph) -> list[Feature]:
    """What of the flow a target might not carry: decorators, parameters, how steps go on; each once, in the order of the flow."""
    found: dict[str, list[Span]] = {}
    for name, span in _found(flow, graph):
        found.setdefault(name, []).append(span)
    return [Feature(name, tuple(spans)) for name, spans in found.items()]


def _found(flow: Flow, graph: Graph) -> Iterator[tuple[str, Span]]:
    yield from ((f"@{each.name}", each.span) for each in flow.decorators)
    yield from (("Config", each.span) for each in flow.configs)
    yield from (("IncludeFile" if each.type == "File" else "Parameter", each.span) for each in flow.parameters)
    for name in graph.order:
        step = flow.steps[name]
        yield from ((f"@{each.name}", each.span) for each in step.decorators)
        if not isinstance(step.transition, NoNext):
            yield _goes_on(graph.nodes[name], graph), step.transition.span


def _goes_on(node: Node, graph: Graph) -> str:
    """The name of the way in which a step goes on."""
    if node.type == "split-switch":
        return "recursion" if node.loops else "switch"
    if node.parallel_foreach:
        return "num_parallel" if node.num_parallel is not None else "num_parallel of a width that the run decides"
    if node.type == "foreach":
        return "nested foreach" if any(not graph.nodes[name].parallel_foreach for name in node.scope) else "foreach"
    return "split" if node.type == "split" else "linear"


def table(flow: Flow, graph: Graph, said: Said) -> Table:
    """The table of a flow. What a target says of no feature in particular gets a row of its own, named by the code's title."""
    known = features(flow, graph)
    extra: dict[str, list[Span]] = {}
    placed: dict[int, str] = {}
    for diagnostic in (each for versions in said.values() for found in versions.values() for each in found):
        feature = _feature(known, diagnostic.span)
        placed[id(diagnostic)] = feature.name if feature else diagnostic.code.title
        if feature is None:
            extra.setdefault(diagnostic.code.title, [] if diagnostic.span is None else [diagnostic.span])
    rows = [*known, *(Feature(name, tuple(spans)) for name, spans in extra.items())]
    cells = [(row, tuple(_cell(row.name, versions, placed) for versions in said.values())) for row in rows]
    return Table(flow.name, tuple(said), tuple(cells))


def _feature(known: Sequence[Feature], span: Span | None) -> Feature | None:
    """The feature at whose narrowest place the span begins."""
    if span is None:
        return None
    fits = [(_lines(place), feature) for feature in known for place in feature.places if _holds(place, span)]
    return min(fits, key=lambda fit: fit[0])[1] if fits else None


def _lines(place: Span) -> tuple[int, int]:
    return place.end_line - place.line, place.end_column - place.column


def _holds(place: Span, span: Span) -> bool:
    begins = (place.line, place.column) <= (span.line, span.column)
    return place.path == span.path and begins and (span.line, span.column) <= (place.end_line, place.end_column)


def _cell(name: str, versions: Mapping[str, Sequence[Diagnostic]], placed: Mapping[int, str]) -> Cell:
    here = {version: [each for each in found if placed[id(each)] == name] for version, found in versions.items()}
    errors = {version: [each for each in found if each.code.severity is Severity.ERROR] for version, found in here.items()}
    carrying = [version for version, found in errors.items() if not found]
    told = next(iter(errors.values())) if not carrying else here[carrying[-1]]
    every = list(versions)
    since = carrying[0] if carrying and carrying[0] != every[0] else None
    until = carrying[-1] if carrying and carrying[-1] != every[-1] else None
    codes = tuple(dict.fromkeys(each.code.id for each in told))
    return Cell(bool(carrying), since, until, codes, tuple(dict.fromkeys(each.message for each in told)))


def as_text(whole: Table) -> str:
    """The table for people, with the words of the targets below it."""
    lines = [["feature", *whole.targets], *([feature.name, *map(str, cells)] for feature, cells in whole.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    told = []
    for feature, cells in whole.rows:
        for target, cell in zip(whole.targets, cells, strict=True):
            told += [f"{target}, {feature.name}: {message}" for message in cell.messages]
    return "\n".join([whole.flow, "", *shown, *(["", *told] if told else [])]) + "\n"


def as_json(whole: Table) -> dict[str, Any]:
    """The same for programs."""
    rows = []
    for feature, cells in whole.rows:
        by_target = {target: _plain(cell) for target, cell in zip(whole.targets, cells, strict=True)}
        places = [{"path": place.path, "line": place.line} for place in feature.places]
        rows.append({"feature": feature.name, "places": places, "targets": by_target})
    return {"flow": whole.flow, "features": rows}


def _plain(cell: Cell) -> dict[str, Any]:
    range_ = {"carried": cell.carried, "since": cell.since, "until": cell.until}
    return {**range_, "codes": list(cell.codes), "messages": list(cell.messages)}


def dump(tables: Sequence[Table]) -> str:
    return json.dumps([as_json(each) for each in tables], indent=2, ensure_ascii=False) + "\n"
