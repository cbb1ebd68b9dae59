"""In: a proven Flow. Out: a list of its steps: the smallest target that a package of its own can bring to flowc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowc.deployment import overlays
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Settings
from flowc.target import Document, Lowered, Overlaid, Target

FLOW = "from metaflow import FlowSpec, step\nclass Hello(FlowSpec):\n    @step\n    def start(self): self.next(self.{0})\n    @step\n    def {0}(self): self.next(self.end)\n    @step\n    def end(self): pass\n"
SECRET = Code(
    "TINY1",
    "a step called secret",
    "The list is public.",
    bad=Example({"flow.py": FLOW.format("secret")}, line=6, target="tiny"),
    good=Example({"flow.py": FLOW.format("plain")}, target="tiny"),
)


def check(flow: Flow, _graph: Graph, _settings: Settings) -> Sequence[Diagnostic]:
    found = [step for step in flow.steps.values() if step.name == "secret"]
    return [Diagnostic(SECRET, "a step is called secret", step.span, help="call it otherwise") for step in found]


def lower(flow: Flow, graph: Graph, _settings: Settings) -> Lowered:
    values = {"name": flow.name, "steps": list(graph.order)}
    return Lowered((Document("tiny/list.yaml.j2", values, "tiny/list.json#List", f"{flow.name.lower()}.list.yaml"),))


def rules(_flow: Flow, _objects: Sequence[Mapping[str, Any]], _settings: Settings) -> Sequence[Diagnostic]:
    return []


KINDS = {"List": ("flow",)}


def overlay(flow: Flow, settings: Settings, _document: Document, value: Mapping[str, Any]) -> Overlaid:
    return overlays.plain(flow, settings, "List", value, KINDS["List"])


TARGET = Target("tiny", "a list of the flow's steps", check, lower, rules, kubernetes=False, kinds=KINDS, overlay=overlay)
