"""In: decorators as text. Out: a flow that has them, and what flowc and Metaflow hold of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reading import imported

if TYPE_CHECKING:
    from pathlib import Path

    from flowc.frontend import Reading

HEAD = "import functools\nimport os\nfrom metaflow import *\nfrom metaflow.user_decorators.mutable_step import MutableStep\n"
END = "        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"


def flow(decorators: str, before: str = "", on_class: str = "", body: str = "") -> str:
    """A flow with decorators on `start`; a blank line ends `before`."""
    lines = "".join(f"    {line}\n" for line in decorators.splitlines())
    return f"{HEAD}{before}\n\n{on_class}class F(FlowSpec):\n{body}{lines}    def start(self):\n{END}"


def held(found: Reading) -> dict[str, Any]:
    """Decorators with the attributes given, by step ("" is the flow)."""
    (read,) = found.flows
    every = {"": read.decorators} | {name: step.decorators for name, step in read.steps.items()}
    return {name: [(d.name, {k: v.data for k, v in d.attributes.items()}) for d in ds] for name, ds in every.items()}


def held_by_metaflow(files: dict[str, str | bytes], folder: Path) -> dict[str, Any]:
    """The same, of the class that Metaflow makes, JSON's types only."""
    cls = imported(files, folder).F
    flat = [d for many in cls._flow_state[_key()].values() for d in many]
    every = {"": flat} | {node.name: step.decorators for node, step in zip(cls._graph, cls._steps, strict=True)}
    made = {name: [(d.name, {k: d.attributes[k] for k in sorted(d._user_defined_attributes)}) for d in ds] for name, ds in every.items()}
    plain = json.loads(json.dumps(made, default=lambda f: f.__name__))
    return {name: [(d, attributes) for d, attributes in ds] for name, ds in plain.items()}


def _key() -> Any:
    from metaflow.flowspec import FlowStateItems

    return FlowStateItems.FLOW_DECORATORS
