"""In: Jobs, JobSets and Pods as the API gives them. Out: the few facts of each that a run goes by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

RUN = "flowc/run"
GROUP = "flowc/group"
"""Annotation of a Job: which tasks it has, as JSON."""
RESULTS = "flowc/results"
"""Annotation of a Job: what its tasks told, as `pack` writes it."""
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
GAVE_UP = "flowc/gave-up"
"""Annotation of a Job: why the coordinator takes it for failed although Kubernetes does not."""
ROOM = 200_000
"""Characters that an annotation may have; all of an object's together may have 262,144 bytes."""

IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
STUCK = frozenset((*IMAGE, "CreateContainerConfigError", "CreateContainerError"))


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod. `attempt` counts from 0, `code` is None while it runs; `why` says in words what ended it or what it waits for.

    `disrupted`: the cluster took it (eviction, a lost node), it did not fail. `stuck`: it waits for what may never come. `stopped`: its
    Job no longer wants it.
    """

    name: str
    job: str
    index: int
    attempt: int
    phase: str
    code: int | None
    message: str
    why: str
    disrupted: bool
    stuck: bool
    container: str
    stopped: bool


def pod(item: Object) -> Pod:
    about, status = item["metadata"], item.get("status", {})
    labels, annotations = about.get("labels", {}), about.get("annotations", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    ended = [(c, c["state"]["terminated"]) for c in containers if "terminated" in c.get("state", {})]
    code, message, container = None, "", item.get("spec", {}).get("containers", [{}])[0].get("name", "")
    if status.get("phase") in ("Succeeded", "Failed"):
        failed = [pair for pair in ended if pair[1].get("exitCode")]
        code = failed[0][1]["exitCode"] if failed else 0 if status["phase"] == "Succeeded" else 1
        message = next((t.get("message", "") for c, t in ended if c["name"] == container), "")
    why, stuck = _waiting(status, containers) if code is None and "deletionTimestamp" not in about else (_ending(status, ended), False)
    gang = labels.get("jobset.sigs.k8s.io/jobset-name", "")
    disrupted = any(c.get("type") == "DisruptionTarget" and c.get("status") == "True" for c in status.get("conditions", []))
    return Pod(
        name=about["name"],
        job=gang or labels.get("batch.kubernetes.io/job-name", ""),
        index=0 if gang else int(labels.get(INDEX, 0)),
        attempt=int(annotations.get(FAILURES) or 0),
        phase=status.get("phase", "Pending"),
        code=code,
        message=message,
        why=why,
        disrupted=disrupted,
        stuck=stuck,
        container=container,
        stopped="deletionTimestamp" in about and not disrupted,
    )


def _waiting(status: Object, containers: Iterable[Object]) -> tuple[str, bool]:
    for container in containers:
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in STUCK:
            return f"{waiting['reason']}: {waiting.get('message', '')}".strip(": "), True
    for condition in status.get("conditions", []):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": "), False
    return "", False


def _ending(status: Object, ended: Iterable[tuple[Object, Object]]) -> str:
    """In words, why a pod failed: the node's or the cluster's reason, else the container's."""
    for condition in status.get("conditions", []):
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    if status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}".strip(": ")
    for container, state in ended:
        if state.get("exitCode"):
            reason = state.get("reason", "")
            return f"container {container['name']}: exit code {state['exitCode']}" + (f" ({reason})" if reason not in ("", "Error") else "")
    return ""


@dataclass(frozen=True, slots=True)
class Job:
    """A Job or JobSet. `ended` is "", "complete" or "failed"; `why` is the reason and message of the failure.

    `gave_up`: why the coordinator takes it for failed although Kubernetes does not.
    """

    name: str
    kind: str
    uid: str
    labels: Mapping[str, str]
    group: Mapping[str, Any]
    results: Mapping[int, Object]
    done: frozenset[int]
    failed: frozenset[int]
    ended: str
    why: str
    suspended: bool
    parallelism: int
    deleting: bool
    created: str
    gave_up: str


def job(item: Object) -> Job:
    about, status, spec = item["metadata"], item.get("status", {}), item["spec"]
    annotations = about.get("annotations", {})
    true = {c["type"]: c for c in status.get("conditions", []) if c.get("status") == "True"}
    complete, failed = true.get("Complete") or true.get("Completed"), true.get("Failed")
    # a JobSet has no `replicatedJobs` in a Job's sense: one group, one end
    gang = "replicatedJobs" in spec
    why = f"{failed.get('reason', '')}: {failed.get('message', '')}".strip(": ") if failed else ""
    return Job(
        name=about["name"],
        kind="jobsets" if gang else "jobs",
        uid=about.get("uid", ""),
        labels=about.get("labels", {}),
        group=json.loads(annotations.get(GROUP) or "{}"),
        results=dict(unpack(annotations.get(RESULTS, ""))),
        done=frozenset([0] if gang and complete else spans(status.get("completedIndexes", ""))),
        failed=frozenset([0] if gang and failed else spans(status.get("failedIndexes", ""))),
        ended="complete" if complete else "failed" if failed else "",
        why=why,
        suspended=bool(spec.get("suspend")),
        parallelism=int(spec.get("parallelism", 1)),
        deleting="deletionTimestamp" in about,
        created=about.get("creationTimestamp", ""),
        gave_up=annotations.get(GAVE_UP, ""),
    )


def spans(text: str) -> Iterator[int]:
    """The numbers of `1,3-5,7`, as a Job's status has them."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def spanned(numbers: Iterable[int]) -> str:
    """What `spans` reads."""
    out: list[list[int]] = []
    for number in sorted(numbers):
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def pack(results: Mapping[int, Object]) -> str:
    """Results by index as a text: equal ones are written once, with the indexes that they are of."""
    same: dict[str, list[int]] = {}
    for index, result in results.items():
        same.setdefault(json.dumps([result.get("splits"), result.get("case")]), []).append(index)
    return json.dumps({key: spanned(indexes) for key, indexes in sorted(same.items())}, separators=(",", ":"))


def unpack(text: str) -> Iterator[tuple[int, Object]]:
    """What `pack` wrote."""
    for key, indexes in json.loads(text or "{}").items():
        splits, case = json.loads(key)
        for index in spans(indexes):
            yield index, {"splits": splits, "case": case}


def outcome(message: str) -> Object | None:
    """What a task told in its termination message; None where that is lost."""
    try:
        told = json.loads(message)
    except ValueError:
        return None
    return {"splits": told.get("splits"), "case": told.get("case")} if isinstance(told, dict) else None
