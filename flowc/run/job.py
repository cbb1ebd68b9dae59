"""In: `flowc run` as it was typed. Out: what an executor is made of, and how the module that makes one is found."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from flowc.diagnostics import Diagnostic
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.run.executor import Executor
    from flowc.settings import Settings

PLATFORMS: Mapping[str, str] = {"local": "flowc.run.local", "kubernetes": "flowc.run.kubernetes_laptop", "batch": "flowc.run.batch"}
"""Where `--on NAME` finds its executor: a module that is a Platform, imported when it is asked for."""


class UsageError(Exception):
    """What was asked for cannot be; the message stands alone. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a flow. `path` is the flow's file as the user named it, `run` the run's id as given or made up.

    `resume`: the run exists; what has finished counts, what failed is tried again. `parameters`: texts as the bootstrap reads them, of
    those that were given. `options`: what `-O NAME=VALUE` gave, for the executor alone. `flags`: the settings that were typed, by field,
    for an executor to which those of the settings file mean something else. `max_workers`: None where nobody said.
    """

    flow: Flow
    graph: Graph
    settings: Settings
    plan: Mapping[str, Any]
    path: str
    run: str
    resume: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Any] = field(default_factory=dict)
    max_workers: int | None = None

    @property
    def encoded(self) -> str:
        """The value of FLOWC_PARAMETERS on the first step; "" where all defaults count."""
        return base64.b64encode(json.dumps(dict(self.parameters)).encode()).decode() if self.parameters else ""

    def option(self, name: str, otherwise: str = "") -> str:
        return self.options.get(name, otherwise)


class Platform(Protocol):
    """The module of an executor. Heavy imports (clients) belong into its functions."""

    PREFIX: str
    """What the ids of its runs begin with: `local`, `k8s`, `batch`."""
    OPTIONS: Mapping[str, str]
    """The names that `-O NAME=VALUE` may have, each with what it says, for the message about an unknown one."""
    check: Callable[[Flow, Graph, Settings], list[Diagnostic]]
    """What the platform cannot carry, beyond what `flowc check` says."""
    executor: Callable[[Job], Executor]
    """Its Executor. UsageError where the job cannot be as it was asked for.

    It may have more than the protocol: `run_id: str`, how Metaflow knows the run (default: job.run), and `end(succeeded: bool)`, called
    once, when the run has ended or was interrupted.
    """


def load(name: str) -> Platform:
    """The module of a platform. UsageError where this installation lacks it."""
    try:
        module: Any = importlib.import_module(PLATFORMS[name])
    except ModuleNotFoundError as error:
        raise UsageError(f"--on {name} needs the package {error.name}, which is not installed") from error
    found: Platform = module
    return found
