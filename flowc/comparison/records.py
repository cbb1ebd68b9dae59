"""In: compiled objects as JSON data. Out: the record of what they mean; and what of them no reader took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowc.comparison.conditions import Condition


EVERY = "every step"
"""Where a Change begins that all steps have alike."""
CODE = "The code: Metaflow's output names a package in the datastore ({code}); whether it is the code of this flow was not compared."


class Unknown:
    """A fact that one side's output cannot tell: it equals whatever the other says."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()


@dataclass(slots=True)
class Reading:
    """What the objects of one side mean. Readers fill it.

    `steps`: facts by step; `runs_after`: when each step runs, and `scopes`: the foreach steps around it; `flow`: facts of the whole;
    `parameters`, `hooks`: facts by name; `by_design`: sentences on what differs because flowc works otherwise, `absent`: what the
    output cannot tell; `unread`: fields that no reader knows, text or number by path.
    """

    flow: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs_after: dict[str, Condition] = field(default_factory=dict)
    scopes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    hooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_design: dict[str, None] = field(default_factory=dict)
    absent: dict[str, None] = field(default_factory=dict)
    unread: dict[str, Any] = field(default_factory=dict)

    def note(self, dialect: str, code: str) -> None:
        """Note which compiler wrote a task, and by which digest Metaflow knows its package of the code."""
        self.by_design[f"dialect {dialect}"] = None
        if dialect == "metaflow":
            self.absent[CODE.format(code=code[:12])] = None

    def leave(self, value: Any, path: str) -> None:
        """Note what is left of a value, after readers have taken from it what they know."""
        self.unread.update(leaves(value, path))


def without_nulls(value: Any) -> Any:
    """A copy without fields that are null, which Kubernetes takes for absent, so that readers may take from it."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each text, number or boolean with its path; what is empty says nothing."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            name = item.get("name") if isinstance(item, dict) else None
            yield from leaves(item, f"{path}[{name if isinstance(name, str) else index}]")
    elif value not in ("", None):
        yield path, value


def table(value: Any) -> dict[str, Any]:
    """The value where it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """The maps of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def merged(
    below: Mapping[str, Any], above: Mapping[str, Any], by_name: tuple[str, ...] = ("env", "volumeMounts", "volumes")
) -> dict[str, Any]:
    """A strategic merge patch, as far as Argo's templateDefaults use it: maps by key, the lists named by their items' `name`."""
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            found[key] = merged(old, value, by_name)
        elif key in by_name and isinstance(old, list) and isinstance(value, list):
            key_of = "mountPath" if key == "volumeMounts" else "name"
            mine = {item.get(key_of) for item in value}
            found[key] = [*(item for item in old if item.get(key_of) not in mine), *value]
        else:
            found[key] = value
    return found
