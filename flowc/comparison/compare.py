"""In: two Readings, of Metaflow's output and of flowc's. Out: a Comparison: what differs, what differs by design, what was not compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowc.comparison.conditions import cases, settled, told
from flowc.comparison.records import EVERY, UNKNOWN, Reading
from flowc.comparison.suggest import Suggestion, suggest
from flowc.meaning import Change
from flowc.settings import Settings

OF_STEP = re.compile(r"(steps|states)\.(\w+)\.(.*)", re.DOTALL)
SECRET = re.compile(
    r"(?i)token(?!iz)|secret|passw|(?<![a-z])pwd(?![a-z])|(api|access|signing|encryption|ssh)[-_]?key"
    r"|private|credential|webhook|headers|(?<![a-z])auth(?!or)"
)
OPEN = ("secrets", "image_pull_secrets", "production_token", "METAFLOW_ARGO_EVENTS_WEBHOOK_URL")
"""Facts that are names, or stand in the open on every object; and where Argo Events listens in the cluster."""
HIDDEN, OTHER = "(hidden)", "(hidden, another one)"
USERINFO = re.compile(r"://[^/@\s]+@")
STARTS = "How a pod starts: Metaflow's shell command fetches a code package from the datastore; flowc's bootstrap comes with the manifest."
IDS = "Task ids: Metaflow's are hashes or job ids, flowc's say where the task stands (`train`, `work-3`)."
NAMES = (
    "Names of templates, of the entrypoint and of the file of parameters, and what tasks pass on; of DAGs the order of steps is compared."
)
STAMP = "metaflow/deployment_timestamp: flowc's output is the same on any day."
CAPTURE = (
    "Metaflow's pod that prints the error of a failed run (error-msg-capture-hook): flowc has none; Argo shows the message of the step."
)
CONFIGS = "The values of Configs: Metaflow's output keeps them in the package of the code."
HELD = (
    "The production token: Metaflow's output has a placeholder in its place. flowc writes {token}; "
    "`production-token` sets the one that is deployed."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`changes`: before is Metaflow's, after flowc's. `by_design`, `absent`: sentences. `not_compared`: paths with a side, old or new."""

    changes: tuple[Change, ...]
    suggestion: Suggestion
    by_design: tuple[str, ...]
    absent: tuple[str, ...]
    not_compared: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs, and nothing is left that could."""
        return not self.changes and not self.not_compared


def compare(old: Reading, new: Reading, settings: Settings) -> Comparison:
    """What the two mean, held against each other. `settings` are those of the new."""
    one, two = _facts(old, new)
    found = _gathered(list(differences(one, two)), old, new)
    left = [*_left(old, new), *(f"{path} (flowc's)" for path in _left(new, old))]
    suggestion = suggest(found, settings, old, new, {id(change): masked(change).before != change.before for change in found})
    by_design, absent = (tuple(dict.fromkeys(sentences)) for sentences in (_by_design(old, new), _absent(old, new)))
    return Comparison(tuple(map(masked, found)), suggestion, by_design, absent, tuple(left))


def _left(reading: Reading, other: Reading) -> Iterator[str]:
    """The paths that were not read, where the other side has not the same there; one that each step has is said once."""
    of_steps: dict[str, list[str]] = {}
    for path, value in reading.unread.items():
        if path in other.unread and other.unread[path] == value:
            continue
        match = OF_STEP.fullmatch(path)
        key = f"{match[1]}.*.{match[3]}" if match and match[2] in reading.steps else path
        of_steps.setdefault(key, []).append(path)
    for key, paths in of_steps.items():
        yield from [key] if len(paths) == len(reading.steps) > 1 else paths


def _facts(old: Reading, new: Reading) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both as plain data in one shape."""
    known = cases([*old.runs_after.values(), *new.runs_after.values()])
    sides = []
    for reading in (old, new):
        flow = {key: value for key, value in reading.flow.items() if key != "objects"}
        steps: dict[str, Any] = {}
        for name, facts in reading.steps.items():
            condition = settled(reading.runs_after[name], known) if name in reading.runs_after else None
            order = {
                "runs_after": "it is in no DAG" if condition is None else told(condition),
                "foreach": list(reading.scopes.get(name, ())),
            }
            steps[name] = {**order, **facts}
        sides.append({"flow": flow, "steps": steps, "parameters": reading.parameters, "hooks": reading.hooks})
    return sides[0], sides[1]


def differences(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[Change]:
    """Leaf by leaf; a step, parameter or hook that only one side has is one Change."""
    if before is UNKNOWN or after is UNKNOWN:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), (*path, str(key)))
    elif before != after and not (before in (None, {}, [], "") and after in (None, {}, [], "")):
        if len(path) > 2 and ((isinstance(before, dict) and not after) or (isinstance(after, dict) and not before)):
            yield from differences(before or {}, after or {}, path)
        else:
            yield Change(path, before, after)


def _gathered(found: list[Change], old: Reading, new: Reading) -> list[Change]:
    """What differs alike in all steps that both have is said once."""
    both = [name for name in old.steps if name in new.steps]
    alike: dict[str, list[Change]] = {}
    for change in found:
        if change.path[0] == "steps" and len(change.path) > 2:
            alike.setdefault(repr((change.path[2:], change.before, change.after)), []).append(change)
    told_once = {}
    for each in alike.values():
        if len(each) == len(both) > 1:
            told_once.update({id(change): each[0] for change in each})
    gathered = []
    for change in found:
        first = told_once.get(id(change))
        if first is None:
            gathered.append(change)
        elif first is change:
            gathered.append(Change((EVERY, *change.path[2:]), change.before, change.after))
    return gathered


def is_secret(change: Change) -> bool:
    """Whether the names that lead to a value say that it is secret. A step or hook may be called anything (`tokenize`)."""
    names = change.path[2 if change.path[0] in ("steps", "hooks") else 1 :]
    users_own = change.path[0] == "parameters" or "config_values" in names
    return any(SECRET.search(name) for name in names) and (users_own or names[-1] not in OPEN)


def masked(change: Change) -> Change:
    """The Change with what looks secret hidden: by its name, or as the user part of an address."""
    if is_secret(change):
        before = None if change.before is None else HIDDEN
        return Change(change.path, before, None if change.after is None else OTHER if before else HIDDEN)
    return Change(change.path, _masked(change.before), _masked(change.after))


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        known = {key: item for key, item in value.items() if item is not UNKNOWN}
        return {key: HIDDEN if _hides(str(key), item) else _masked(item) for key, item in known.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(item) for item in value]
    return USERINFO.sub("://(hidden)@", value) if isinstance(value, str) else value


def _hides(name: str, value: Any) -> bool:
    """Whether what stands under a name is secret; what is empty is none, and of OPEN only a text can be one."""
    return bool(value) and SECRET.search(name) is not None and (isinstance(value, str) or name not in OPEN)


def _by_design(old: Reading, new: Reading) -> Iterator[str]:
    if "dialect metaflow" in old.by_design and "dialect flowc" in new.by_design:
        yield STARTS
        yield IDS
        yield NAMES
        yield STAMP
    owners = [next((name.removeprefix("owner ") for name in each.by_design if name.startswith("owner ")), None) for each in (old, new)]
    if owners[0] is not None and owners[0] != owners[1]:
        yield f"The owner: {owners[0]} compiled with Metaflow; flowc writes {owners[1]}, or what `owner` says."
    if "capture" in old.by_design:
        yield CAPTURE
    yield from (sentence for each in (old, new) for sentence in each.by_design if sentence.endswith("."))


def _absent(old: Reading, new: Reading) -> Iterator[str]:
    if old.flow.get("production_token") is UNKNOWN:
        yield HELD.format(token=new.flow.get("production_token"))
    if any(facts.get("config_values") is UNKNOWN for facts in old.steps.values()):
        yield CONFIGS
    objects = new.flow.get("objects") or []
    if objects and not old.flow.get("objects"):
        yield f"The objects {', '.join(objects)}: Metaflow's output has only the WorkflowTemplate, whose annotations were compared."
    yield from (sentence for sentence in old.absent if sentence.endswith("."))
