"""In: a proven Flow, its Graph and the Settings. Out: the contract that a target fulfils, and Documents that await rendering."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowc.diagnostics import Diagnostic
from flowc.graph import Graph
from flowc.ir import Flow
from flowc.settings import Settings


@dataclass(frozen=True, slots=True)
class Document:
    """One object to write: a template under templates/, the values for it, the schema under schemas/ that judges it.

    `file` is its name in a folder of outputs (`hello.workflowtemplate.yaml`).
    """

    template: str
    values: Mapping[str, Any]
    schema: str
    file: str


@dataclass(frozen=True, slots=True)
class Lowered:
    """What a target made of a flow: documents in the order written, and the problems it met (then no document counts)."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A target is this value, named TARGET, in the package flowc.targets.<module>; it is found by name, there is no table.

    `check` says what of the flow cannot be carried (FC4). `lower` makes documents of a flow that passed. `rules` judges the
    finished objects as the engine would (names, references, sizes), in the order of the documents. `kubernetes`: the objects are
    Kubernetes', so that a folder of them is a kustomization, and they can be applied.
    """

    name: str
    summary: str
    check: Callable[[Flow, Graph, Settings], Sequence[Diagnostic]]
    lower: Callable[[Flow, Graph, Settings], Lowered]
    rules: Callable[[Flow, Sequence[Mapping[str, Any]], Settings], Sequence[Diagnostic]]
    kubernetes: bool = True


def names() -> list[str]:
    """The targets there are, sorted, as the command line spells them."""
    package = importlib.import_module("flowc.targets")
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(package.__path__))


def load(name: str) -> Target:
    """The target of that name; KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    target: Target = importlib.import_module(f"flowc.targets.{name.replace('-', '_')}").TARGET
    return target


def short_hash(text: str, length: int = 8) -> str:
    """A stable suffix for names that must be cut or content-addressed: hex of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
