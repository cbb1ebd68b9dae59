"""In: a flow file. Out: what the engine of simulate.py has to know of it: the Flow, its Graph, retries and environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowc import frontend, graph, merging
from flowc.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings


def read(path: Path, settings: Settings, name: str | None = None) -> tuple[Flow, Graph]:
    """The one flow of a file, or that of the name."""

    def reader(name: str) -> bytes | None:
        file = path.parent / name
        return file.read_bytes() if file.is_file() else None

    reading = frontend.read(SourceFile(path.name, path.read_text()), reader, settings, name)
    assert not reading.diagnostics, reading.diagnostics
    (flow,) = reading.flows
    return flow, graph.build(flow)


def retries(flow: Flow, step: str) -> tuple[int, int]:
    """How often a step's code is tried again, and how often @catch and the like try once more."""
    found = merging.retries(flow.steps[step])
    return found.user, found.total - found.user


def variables(flow: Flow, step: str) -> dict[str, str]:
    """The variables of @environment, which targets put into the container."""
    decorator = flow.steps[step].decorator("environment")
    return {k: str(v) for k, v in (decorator.get("vars", {}) if decorator else {}).items()}
