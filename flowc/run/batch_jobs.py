"""In: a Group of tasks and the Setup of a run. Out: the jobs that run them, as SubmitJob takes them: array, single, or of several nodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flowc.run.executor import Group, Task

ARRAY_LIMIT = 10_000
OVERRIDES_LIMIT = 8_192
"""Characters that AWS Batch takes as container overrides."""
STARTUP = 300
"""Seconds that a container has beside the step's limit: Metaflow ends the step by itself, so that @catch still has its turn."""
SPARE = 200
"""Characters of the overrides that are kept free: how Batch counts them is not said."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the jobs of one step are submitted. `definition` is an ARN, `launcher` what stands before the bootstrap's arguments."""

    definition: str
    queue: str
    launcher: tuple[str, ...]
    log_group: str = "/aws/batch/job"


@dataclass(frozen=True, slots=True)
class Setup:
    """What the jobs of a run have in common. Results are below s3://`bucket`/`prefix`/`run`/.

    `first` are variables of the start step. At most `limit` tasks run at once, so no job has more. `hooks`: the functions of @exit_hook,
    each with whether it is for a run that succeeded.
    """

    plan: Mapping[str, Any]
    run: str
    bucket: str
    prefix: str
    kinds: Mapping[str, Kind]
    first: Mapping[str, str]
    limit: int | None = None
    hooks: tuple[tuple[str, bool], ...] = ()

    @property
    def results(self) -> str:
        return f"{self.prefix}/{self.run}"

    def result_id(self, task: Task) -> str:
        """The name under which the task leaves its result: its id, of a gang that of the first node."""
        return replace(task, path=f"{task.path}-0" if task.path else "0").id if self.plan["steps"][task.step]["gang"] else task.id


@dataclass(frozen=True, slots=True)
class Piece:
    """The tasks of one job. `counted`: their paths are the parent's and the index in the array, so that no list of them is needed.

    `earlier`: how many attempts these tasks had before the run was resumed. Metaflow reads the last one, so they are counted on.
    """

    step: str
    parent: str
    round: int | None
    paths: tuple[str, ...]
    counted: bool = False
    gang: int = 0
    earlier: int = 0

    def tasks(self) -> list[Task]:
        return [Task(self.step, path, self.round) for path in self.paths]

    def name(self, launch: int) -> str:
        """Of this work in the run; the `launch`-th time that it is submitted, after earlier jobs for it ended in vain."""
        listed = hashlib.sha256(json.dumps(self.paths).encode()).hexdigest()[:12]
        return "/".join((self.step, self.parent or "top", "once" if self.round is None else f"r{self.round}", f"{launch}-{listed}"))

    def about(self) -> dict[str, Any]:
        """As JSON, for the ledger."""
        whole = len(self.paths) if self.counted else list(self.paths)
        return {"step": self.step, "parent": self.parent, "round": self.round, "paths": whole, "gang": self.gang, "earlier": self.earlier}


def piece_of(about: Mapping[str, Any]) -> Piece:
    """The Piece that `about` was made of."""
    paths, counted = about["paths"], isinstance(about["paths"], int)
    listed = _counted(about["parent"], paths) if counted else tuple(paths)
    return Piece(about["step"], about["parent"], about["round"], listed, counted, about["gang"], about["earlier"])


def _counted(parent: str, width: int) -> tuple[str, ...]:
    return tuple(f"{parent}-{index}" if parent else str(index) for index in range(width))


def pieces(group: Group, setup: Setup) -> Iterator[Piece]:
    """The jobs of a group, in the order of its tasks; the same for the rest of a group as for all of it, up to where the rest begins.

    An array has 2 to 10,000 children. The first, where it holds the first indices of a foreach, needs no list of paths; any other has
    as many children as its list has room for.
    """
    if group.gang or len(group.paths) == 1:
        yield Piece(group.step, group.parent, group.round, group.paths, gang=group.gang)
        return
    paths: Sequence[str] = group.paths
    most = ARRAY_LIMIT if setup.limit is None else min(ARRAY_LIMIT, setup.limit)
    start = min(len(paths), most)
    if group.whole and start > 1:
        yield Piece(group.step, group.parent, group.round, tuple(paths[:start]), counted=True)
        paths = paths[start:]
    room = OVERRIDES_LIMIT - SPARE - _size(_overrides(Piece(group.step, group.parent, group.round, ("@", "@")), setup))
    while paths:
        taken = _fitting(paths[:most], room)
        yield Piece(group.step, group.parent, group.round, tuple(paths[:taken]))
        paths = paths[taken:]


def _fitting(paths: Sequence[str], room: int) -> int:
    used = 0
    for number, path in enumerate(paths):
        used += len(path) + 5  # two quotes, each with a backslash, and a comma
        if used > room:
            return max(number, 1)
    return len(paths)


def request(piece: Piece, setup: Setup) -> dict[str, Any]:
    """What SubmitJob takes, but the job's name."""
    step, kind = setup.plan["steps"][piece.step], setup.kinds[piece.step]
    overrides = _overrides(piece, setup)
    job: dict[str, Any] = {
        "jobQueue": kind.queue,
        "jobDefinition": kind.definition,
        "retryStrategy": {"attempts": 1 if piece.earlier else min(int(step["retries"]) + 1, 10)},
        "propagateTags": True,
        "tags": {"flowc/flow": setup.plan["flow"], "flowc/run": setup.run[:256], "flowc/step": piece.step},
    }
    job["timeout"] = {"attemptDurationSeconds": max(int(step["timeout_seconds"]), 60) + STARTUP}
    if piece.gang:
        nodes = [{"targetNodes": "0:", "containerOverrides": overrides}]
        return {**job, "nodeOverrides": {"numNodes": piece.gang, "nodePropertyOverrides": nodes}}
    if len(piece.paths) > 1:
        job["arrayProperties"] = {"size": len(piece.paths)}
    return {**job, "containerOverrides": overrides}


def hook_request(function: str, setup: Setup) -> dict[str, Any]:
    """The job of an exit hook: a container of the start step."""
    kind = setup.kinds[setup.plan["start"]]
    environment = [{"name": "FLOWC_RUN_ID", "value": setup.run}]
    overrides = {"command": [*kind.launcher, function, "--hook"], "environment": environment}
    return {"jobQueue": kind.queue, "jobDefinition": kind.definition, "containerOverrides": overrides}


def _overrides(piece: Piece, setup: Setup) -> dict[str, Any]:
    step = setup.plan["steps"][piece.step]
    environment = {"FLOWC_RUN_ID": setup.run, "FLOWC_RESULT": f"s3://{setup.bucket}/{setup.prefix}", "FLOWC_ONCE": "1"}
    path = piece.paths[0]
    if len(piece.paths) > 1:
        path = f"{piece.parent}-@" if piece.parent else "@"
        if not piece.counted:
            environment["FLOWC_PATHS"] = json.dumps(piece.paths, separators=(",", ":"))
    if piece.step == setup.plan["start"]:
        environment |= setup.first
    options = [*([f"--path={path}"] if path else []), *([] if piece.round is None else [f"--round={piece.round}"])]
    if piece.earlier:
        options += [f"--attempt={piece.earlier}", f"--user-retries={step['user_retries'] + piece.earlier}"]
    listed = [{"name": name, "value": value} for name, value in environment.items()]
    return {"command": [*setup.kinds[piece.step].launcher, *step["arguments"], *options], "environment": listed}


def _size(overrides: Mapping[str, Any]) -> int:
    return len(json.dumps(overrides, ensure_ascii=False))


def too_big(setup: Setup) -> int:
    """By how many characters the start step's overrides, which hold the parameters, exceed what AWS Batch takes; at most 0: they fit."""
    return _size(_overrides(Piece(setup.plan["start"], "", None, ("",)), setup)) - OVERRIDES_LIMIT
