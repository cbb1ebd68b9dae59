"""In: `flowc graph FLOW.py`. Out: the flow's graph on stdout: Metaflow's own facts as JSON, or a picture as DOT or Mermaid."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.files import expand
from flowc.commands.options import Command, Source, given, with_settings
from flowc.commands.session import Talk, judge, with_report
from flowc.graph import Graph, Node, as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.ir import Flow


@click.command("graph", cls=Command, short_help="Print a flow's graph.")
@with_settings
@click.argument("flow", metavar="FLOW.py[:NAME]")
@click.option(
    "--format", "form", type=click.Choice(["json", "dot", "mermaid"]), default="json", show_default=True, help="How to write the graph."
)
@with_report
def graph_command(flow: str, form: str, output_format: str, color: str, **flags: Any) -> None:
    """Print the graph of the flow in FLOW.py (the one called NAME, where it holds several). Where it has an error nothing is printed."""
    wanted = expand(flow)
    if len(wanted) != 1:
        raise click.UsageError(f"{flow} names {len(wanted)} files; graph takes one flow")
    judged = judge(wanted[0], Source(given(flags), flags["settings"], flags["isolated"], flags["env"]))
    Talk(output_format, color, sys.stderr).report([judged])
    if judged.failed:
        raise click.exceptions.Exit(1)
    if len(judged.checked.flows) != 1:
        names = [each.name for each, _ in judged.checked.flows]
        raise click.UsageError(f"{flow} holds the flows {', '.join(names)}; name one: {flow}:{names[0]}")
    sys.stdout.buffer.write(draw(*judged.checked.flows[0], form).encode())
    sys.stdout.buffer.flush()


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
    word = ""
    if node.parallel_foreach:
        word = f"num_parallel {node.num_parallel}" if node.num_parallel else "num_parallel"
    elif node.type == "foreach":
        word = f"foreach {node.foreach_param}" if node.foreach_param else "foreach"
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
