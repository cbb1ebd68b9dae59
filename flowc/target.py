"""In: a proven Flow, its Graph and the Settings. Out: the contract that a target fulfils, and Documents that await rendering."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowc import data

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from flowc.diagnostics import Diagnostic
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings


@dataclass(frozen=True, slots=True)
class Document:
    """One object to write: a template under templates/, the values for it, the schema under schemas/ that judges it.

    `file` is its name in a folder of outputs (`hello.workflowtemplate.yaml`). `overlaid`: the target itself has laid overlays over it.
    """

    template: str
    values: Mapping[str, Any]
    schema: str
    file: str
    overlaid: bool = False


@dataclass(frozen=True, slots=True)
class Lowered:
    """What a target made of a flow: documents in the order written, and the problems it met (then no document counts)."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Overlaid:
    """An object with its overlays, and what is wrong with some of them, which are not in it."""

    value: dict[str, Any]
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the output that a step gave rise to, for people to read: where it stands (`spec.templates[train]` of `file`), and it.

    `step` is None for what belongs to the flow as a whole. What a piece holds of other steps is left out of it. `json`: it is JSON there.
    """

    step: str | None
    file: str
    place: str
    value: Any
    json: bool = False


Objects = Mapping[str, Mapping[str, Any]]
"""The finished objects of a flow by file, in the order written."""


def whole(_flow: Flow, _graph: Graph, _settings: Settings, objects: Objects) -> Iterable[Part]:
    """What a target says of its parts that does not tell steps apart: every object is the flow's."""
    return [Part(None, file, "", value) for file, value in objects.items()]


@dataclass(frozen=True, slots=True)
class Target:
    """A target is this value, named TARGET, in the package flowc.targets.<module>; it is found by name, there is no table.

    A package of its own can bring one as an entry point of the group `flowc.targets`, which names the value; its folder has
    `templates/<target>/` and `schemas/<target>/`, as flowc's own has.

    `check` says what of the flow cannot be carried (FC4). `lower` makes documents of a flow that passed. `rules` judges the
    finished objects as the engine would (names, references, sizes), in the order of the documents. `kubernetes`: the objects are
    Kubernetes', so that a folder of them is a kustomization, and they can be applied. `parts` tells for people which piece of the
    finished objects carries which step; it decides nothing. `kinds`: what overlays may patch, each with the paths in it that the run
    needs as they are (`spec.templates.*.dag`). `overlay` lays overlays over a finished object; None: the objects are Kubernetes', which
    say their kind.
    """

    name: str
    summary: str
    check: Callable[[Flow, Graph, Settings], Sequence[Diagnostic]]
    lower: Callable[[Flow, Graph, Settings], Lowered]
    rules: Callable[[Flow, Sequence[Mapping[str, Any]], Settings], Sequence[Diagnostic]]
    kubernetes: bool = True
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    overlay: Callable[[Flow, Settings, Document, Mapping[str, Any]], Overlaid] | None = None
    parts: Callable[[Flow, Graph, Settings, Objects], Iterable[Part]] = whole


GROUP = "flowc.targets"


def names() -> list[str]:
    """The targets there are, flowc's own and those of plug-ins, sorted, as the command line spells them."""
    return sorted({*own(), *(each.name for each in _plugins())})


def exists(name: str) -> bool:
    """Whether there is a target of that name. Plug-ins are looked for where flowc has none: that costs a cold start 10 ms."""
    return name in own() or any(each.name == name for each in _plugins())


def load(name: str) -> Target:
    """The target of that name, flowc's own before a plug-in's; KeyError where there is none."""
    if name in own():
        target: Target = importlib.import_module(f"flowc.targets.{name.replace('-', '_')}").TARGET
        return target
    plugin = next((each for each in _plugins() if each.name == name), None)
    if plugin is None:
        raise KeyError(name)
    target = plugin.load()
    place = importlib.import_module(plugin.value.partition(":")[0]).__file__
    if place is not None and (folder := Path(place).parent) not in data.PLUGINS:
        data.PLUGINS.append(folder)
    return target


def places(name: str) -> list[str]:
    """The folders, or the file, of the package that brings a target which is none of flowc's own; none for those."""
    from importlib.util import find_spec

    modules = [] if name in own() else [each.value.partition(":")[0] for each in _plugins() if each.name == name]
    specs = [spec for module in modules if (spec := find_spec(module.partition(".")[0])) is not None]
    return [place for spec in specs for place in (spec.submodule_search_locations or [spec.origin or ""])]


def own() -> list[str]:
    """flowc's own targets, sorted."""
    package = importlib.import_module(GROUP)
    return [m.name.replace("_", "-") for m in pkgutil.iter_modules(package.__path__)]


def _plugins() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda each: each.name)


def short_hash(text: str, length: int = 8) -> str:
    """A stable suffix for names that must be cut or content-addressed: hex of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
