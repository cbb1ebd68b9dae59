"""In: `flowc graph FLOW.py`. Out: the flow's graph: Metaflow's own facts as JSON, a picture as DOT or Mermaid, or a page of HTML."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.options import Command, Source, given, known_targets, with_settings
from flowc.commands.session import Talk, judge, one_file, one_flow, with_report
from flowc.graph import Graph, Node, as_json, fan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.ir import Flow


@click.command("graph", cls=Command, short_help="Draw a flow's graph: text, JSON or a page.")
@with_settings
@click.argument("flow", metavar="FLOW.py[:NAME]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "dot", "mermaid", "html"]),
    default="json",
    show_default=True,
    help="How to write the graph; html is a page with the source, manifest and settings of each step.",
)
@click.option("-o", "--output", metavar="FILE", help="Write to this file instead of stdout.")
@click.option(
    "-t",
    "--target",
    "targets",
    multiple=True,
    callback=known_targets,
    metavar="TARGET",
    help="Whose manifest the page of html shows; unset: those of the settings file, else argo. Repeatable.",
)
@with_report
def graph_command(flow: str, form: str, output: str | None, targets: tuple[str, ...], output_format: str, color: str, **flags: Any) -> None:
    """Print the graph of the flow in FLOW.py (the one called NAME, where it holds several). Where it has an error nothing is printed.

    With html, a target that cannot carry the flow is no error: the page says why in place of the manifest.
    """
    if targets and form != "html":
        raise click.UsageError(f"--target is for --format html; a graph as {form} is the same for all targets")
    wanted = one_file(flow, "graph takes one flow")
    sources = Source(given(flags), flags["settings"], flags["isolated"], flags["env"])
    talk = Talk(output_format, color, sys.stderr)
    judged = judge(wanted, sources)
    if judged.failed or form != "html":
        talk.report([judged])
    if judged.failed:
        raise click.exceptions.Exit(1)
    one_flow(flow, [each for each, _ in judged.checked.flows])
    if form == "html":
        from flowc.commands import graph_html
        from flowc.commands.project import targets_of

        wished = targets or targets_of(sources, os.path.dirname(wanted.path))
        text, verdicts = graph_html.page(wanted, sources, judged, wished)
        talk.report(verdicts)
    else:
        # the key of a switch may be half a character, which no file holds: its escape is JSON's own
        text = draw(*judged.checked.flows[0], form).encode(errors="backslashreplace").decode()
    if output is None or output == "-":
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    else:
        from flowc.commands.writing import write

        write({output: text})


def draw(flow: Flow, graph: Graph, form: str) -> str:
    """The graph as json, dot or mermaid; ends in a newline."""
    if form == "json":
        return json.dumps(as_json(graph, flow), indent=2, ensure_ascii=False) + "\n"
    lines = _dot(flow, graph) if form == "dot" else _mermaid(graph)
    return "\n".join(lines) + "\n"


def _edges(node: Node) -> Iterator[tuple[str, str]]:
    """(next step, what is written on the arrow), in the order of the source."""
    if node.type == "split-switch":
        for case, name in node.switch_cases.items():
            yield name, str(case)
        return
    word = fan(node) if node.parallel_foreach or node.type == "foreach" else ""
    for name in dict.fromkeys(node.next):
        yield name, word


def _dot(flow: Flow, graph: Graph) -> Iterator[str]:
    shapes = {"split-switch": "diamond", "foreach": "box3d", "join": "invhouse"}
    yield f"digraph {_quoted(flow.name)} {{"
    yield "  rankdir=LR;"
    for name in graph.order:
        yield f"  {_quoted(name)} [shape={shapes.get(graph.nodes[name].type or '', 'box')}];"
    for name in graph.order:
        for following, word in _edges(graph.nodes[name]):
            yield f"  {_quoted(name)} -> {_quoted(following)}{f' [label={_quoted(word)}]' if word else ''};"
    yield "}"


def _mermaid(graph: Graph) -> Iterator[str]:
    """Steps get numbers for ids: a step called `end` would close a block of Mermaid's."""
    ids = {name: f"s{number}" for number, name in enumerate(graph.order)}
    shapes = {"split-switch": ("{", "}"), "foreach": ("[[", "]]"), "join": ("[/", "\\]")}
    yield "flowchart LR"
    for name, key in ids.items():
        left, right = shapes.get(graph.nodes[name].type or "", ("[", "]"))
        yield f'  {key}{left}"{_entities(name)}"{right}'
    for name, key in ids.items():
        for following, word in _edges(graph.nodes[name]):
            arrow = f'-->|"{_entities(word)}"|' if word else "-->"
            yield f"  {key} {arrow} {ids[following]}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entities(text: str) -> str:
    """Mermaid has no escapes but entity codes."""
    return "".join(character if character.isalnum() or character in " _-.:" else f"#{ord(character)};" for character in text)
