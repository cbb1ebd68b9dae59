"""In: a plan, a run and a group of its tasks. Out: the Job or JobSet of the group, whole, under a name that these alone decide."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowc.deployment import jobs
from flowc.run.kubernetes_facts import GROUP, RUN, Object

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
LAST = 5
"""The last attempt of a task that Metaflow's datastore keeps, counted from 0."""
ARGUMENT = 120_000
"""Bytes that the list of a group's paths may take in a pod's environment; Linux allows a variable 131,072."""


@dataclass(frozen=True, slots=True)
class Run:
    """What all objects of a run share. `owner`: an ownerReference; `parameters`: texts by name, empty where all defaults count."""

    plan: Mapping[str, Any]
    run_id: str
    namespace: str
    owner: Object | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        return {RUN: label_value(self.run_id)}

    @property
    def selector(self) -> str:
        return f"{RUN}={label_value(self.run_id)}"

    @property
    def lease(self) -> str:
        return jobs.name(self.run_id, "lease")


def label_value(text: str) -> str:
    """The text, or where a label cannot hold it, its hash."""
    return text if LABEL_VALUE.fullmatch(text) else f"h-{digest(text)}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def group_of(step: str, paths: Sequence[str], turn: str, **more: int) -> Object:
    """What is noted of a group: its step, the paths of its tasks (short where they are one foreach's, in order), the round, and `more`.

    `more`: `generation` counts resumptions, `earlier` the attempts that failed before, `attempt` and `again` the JobSets of a gang, `size`
    is how many nodes it has, `tell` is there where tasks only tell.
    """
    base, _, last = paths[0].rpartition("-")
    whole = last == "0" and list(paths) == [f"{base}-{i}" if base else str(i) for i in range(len(paths))]
    place: Object = {"base": base, "width": len(paths)} if whole else {"paths": list(paths)}
    return {"step": step, **place, **({"round": turn} if turn else {}), **{key: value for key, value in more.items() if value}}


def name(run: Run, group: Object) -> str:
    """The same for the same group of the same run, whoever asks: the second to create it finds it there."""
    paths = group.get("paths")
    place = group.get("base", "") if paths is None else paths[0] if len(paths) == 1 else ""
    shown = "-".join(filter(None, (run.run_id, group["step"], place, group.get("round", ""))))
    return jobs.label(shown, jobs.NAME_LIMIT, json.dumps([run.run_id, group], sort_keys=True))


def build(run: Run, group: Object, paths: Sequence[str], at_once: int) -> Object:
    """The manifest. `at_once`: how many pods it may have now; 0 is none yet (a JobSet is then suspended)."""
    step = group["step"]
    made = jobs.manifest(run.plan, step)
    gang = made["kind"] == "JobSet"
    made["spec"].pop("ttlSecondsAfterFinished", None)  # what is finished is what the run remembers
    about = made.setdefault("metadata", {})
    about["name"], about["namespace"] = name(run, group), run.namespace
    if run.owner:
        about["ownerReferences"] = [run.owner]
    jobs.with_labels(made, run.labels)
    about.setdefault("annotations", {})[GROUP] = json.dumps(group, separators=(",", ":"))
    env = {"FLOWC_RUN_ID": run.run_id, **_place(group, paths)}
    if step == run.plan["start"] and run.parameters:
        env["FLOWC_PARAMETERS"] = base64.b64encode(json.dumps(dict(run.parameters)).encode()).decode()
    if gang:
        size = int(group["size"])
        jobs.with_width(made, size)
        env |= {"FLOWC_ATTEMPT": str(min(group.get("earlier", 0) + group.get("attempt", 0), LAST)), "MF_WORLD_SIZE": str(size)}
        env["MF_MASTER_ADDR"] = f"{about['name']}-control-0-0.{about['name']}"
        if not at_once:
            made["spec"]["suspend"] = True
    else:
        jobs.with_width(made, len(paths))
        made["spec"]["parallelism"] = at_once
    jobs.with_env(made, env)
    for pod in jobs.pods(made):
        for container in pod["spec"]["containers"]:
            container["args"] = _arguments(run, group, container["args"], gang=gang)
    if "earlier" in group and not gang:
        made["spec"]["backoffLimitPerIndex"] = 0
    return made


def _arguments(run: Run, group: Object, arguments: Sequence[str], *, gang: bool) -> list[str]:
    """Those of the template. Of tasks that failed before the run was resumed, attempts are counted on: Metaflow reads the last one."""
    found = [*arguments, *(["--tell"] if "tell" in group else [])]
    if earlier := group.get("earlier", 0):
        user = run.plan["steps"][group["step"]]["user_retries"] + earlier
        own = ("--user-retries=",) if gang else ("--user-retries=", "--attempt=")
        found = [argument for argument in found if not argument.startswith(own)]
        found += [f"--user-retries={user}", *([] if gang else [f"--attempt={min(earlier, LAST)}"])]
    return found


def _place(group: Object, paths: Sequence[str]) -> dict[str, str]:
    env = {"FLOWC_ROUND": group["round"]} if "round" in group else {}
    if "base" in group:
        return {**env, "FLOWC_PATH": f"{group['base']}-@" if group["base"] else "@"}
    if len(paths) == 1:
        return {**env, "FLOWC_PATH": paths[0]} if paths[0] else env
    return {**env, "FLOWC_PATH": "@", "FLOWC_PATHS": json.dumps(list(paths), separators=(",", ":"))}


def portions(paths: Sequence[str]) -> Iterable[Sequence[str]]:
    """The paths in as few lists as each fits a pod's environment."""
    size = 1 + max(len(path) + 3 for path in paths)
    room = max(1, ARGUMENT // size)
    for start in range(0, len(paths), room):
        yield paths[start : start + room]
