"""In: Documents (template, values, schema). Out: Artifacts: objects that were rendered, parsed back and judged by upstream's schema, with their canonical text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowc.diagnostics import Diagnostic
from flowc.ir import Flow
from flowc.output.bug import OutputBug
from flowc.output.dump import dump
from flowc.output.parse import parse
from flowc.output.render import render
from flowc.output.validate import violations
from flowc.target import Document

__all__ = ["Artifact", "OutputBug", "Written", "stream", "write"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One finished object: the name of its file, the object, and the object's YAML text (ends in a newline)."""

    file: str
    object: Mapping[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """The artifacts in the order of their documents, and what is wrong with them."""

    artifacts: tuple[Artifact, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


def write(documents: Sequence[Document], flow: Flow) -> Written:
    """Render, judge and dump every document. OutputBug where flowc itself went wrong: an object that its schema refuses, too."""
    artifacts = []
    for document in documents:
        value = parse(render(document.template, document.values), f"templates/{document.template}")
        wrong = violations(document.schema, value)
        if wrong:
            listed = "; ".join(f"{path or 'the object'} {what}" for path, what in wrong[:5])
            raise OutputBug(f"{document.file}: refused by schemas/{document.schema}: {listed}")
        artifacts.append(Artifact(document.file, value, dump(value)))
    return Written(tuple(artifacts))


def stream(artifacts: Sequence[Artifact]) -> str:
    """All artifacts as one multi-document YAML text."""
    return "---\n".join(artifact.text for artifact in artifacts)
