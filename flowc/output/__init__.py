"""In: Documents (template, values, schema). Out: Artifacts: objects rendered, parsed back, judged by upstream's schema, as YAML or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowc.deployment.validate import violations
from flowc.diagnostics import Code, Diagnostic, Example, OutputBug
from flowc.output.dump import dump
from flowc.output.parse import parse
from flowc.output.render import render
from flowc.settings import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowc.ir import Flow
    from flowc.target import Document, Overlaid

    Overlay = Callable[[Document, Mapping[str, Any]], Overlaid]

__all__ = ["Artifact", "Written", "stream", "write"]

_SHOWN = 5


def _flow(note: str) -> Example:
    text = f"""\
from metaflow import FlowSpec, kubernetes, step


class Hello(FlowSpec):
    @kubernetes(annotations={{"note": {note}}})
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
    return Example({"flow.py": text}, line=4, target="argo")


_HELLO = _flow('"a"')
_OWN = "argo/workflowtemplate.yaml.j2"
OVERRIDDEN = Code(
    "FC501",
    "a template of one's own that gives no right manifest",
    "What comes of overridden templates is judged like all output: it must be YAML, fit the schema of its kind, and pass the rules of "
    "its engine.",
    bad=replace(_HELLO, line=0, settings={"templates": {_OWN: "kind: WorkflowTemplate\nspec: 5\n"}}),
    good=replace(_HELLO, line=0, settings={"templates": {_OWN: f'{{% extends "flowc/{_OWN}" %}}'}}),
)
NOT_TEXT = Code(
    "FC500",
    "text that no file can hold",
    "Half of a surrogate pair (`\\ud800` to `\\udfff`) is no character: YAML, JSON and UTF-8 have no way to write it.",
    bad=_flow(r'"caf\udce9"'),
    good=_flow(r'"caf\u00e9"'),
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One finished object: its file, the object, and its text (ends in a newline): JSON where the file is `.json`, else YAML."""

    file: str
    object: Mapping[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """The artifacts in the order of their documents, and what is wrong with them."""

    artifacts: tuple[Artifact, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


def write(documents: Sequence[Document], flow: Flow, own: Mapping[str, str] = EMPTY, overlay: Overlay | None = None) -> Written:
    """Render, judge and dump every document, by a team's `own` templates where there are any; `overlay` lays those of settings over each.

    OutputBug where flowc itself (or such a template) went wrong: an object that its schema refuses, too.
    """
    artifacts: list[Artifact] = []
    found: list[Diagnostic] = []
    for document in documents:
        rendered = render(document.template, document.values, own)
        try:
            rendered.encode()
        except UnicodeEncodeError as error:
            shown = rendered[error.start : error.end].encode("unicode_escape").decode()
            message = f"a text of this flow has `{shown}`, half of a surrogate pair, which no file can hold"
            found.append(Diagnostic(NOT_TEXT, message, flow.span, help="write the character itself, or keep bytes as base64"))
            continue
        value = _judged(document, parse(rendered, f"templates/{document.template}"))
        if overlay is not None:
            laid = overlay(document, value)
            found += laid.diagnostics
            value = _judged(document, laid.value)
        artifacts.append(Artifact(document.file, value, as_json(value) if document.file.endswith(".json") else dump(value)))
    return Written(tuple(artifacts), tuple(found))


def _judged(document: Document, value: dict[str, Any]) -> dict[str, Any]:
    """The value, which its schema takes."""
    wrong = violations(document.schema, value)
    if wrong:
        listed = "; ".join(f"{path or 'the object'}: {what}" for path, what in wrong[:_SHOWN])
        raise OutputBug(f"{document.file}: refused by schemas/{document.schema}: {listed}")
    return value


def as_json(value: Mapping[str, Any]) -> str:
    """JSON as people read and compare it: one field a line, in the order of the template, text as it is."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def stream(artifacts: Sequence[Artifact]) -> str:
    """All artifacts as one text: a stream of YAML documents, or JSON texts one after the other where all are JSON.

    JSON is YAML too, so a mixed stream is YAML.
    """
    if all(artifact.file.endswith(".json") for artifact in artifacts):
        return "".join(artifact.text for artifact in artifacts)
    return "---\n".join(artifact.text for artifact in artifacts)
