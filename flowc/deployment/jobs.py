"""In: a plan with the Job templates of its steps. Out: the whole manifest of a step's Job or JobSet, with what only the run knows.

Travels into the coordinator's pod, so it takes the standard library only. flowc/targets/kubernetes/jobs.py says what the templates hold.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

Object = dict[str, Any]

NAME_LIMIT = 40
"""Characters of a Job's or JobSet's name: a pod of a gang is called `<name>-worker-<index>-0-<5 random>`, and may have 63."""


def manifest(plan: Mapping[str, Any], step: str) -> Object:
    """The complete Job (or JobSet, where the step is @parallel) of a step, still without a name. A copy: change it as you like."""
    return whole(plan, plan["jobs"][step])


def whole(plan: Mapping[str, Any], own: Object) -> Object:
    """A copy of a Job of the plan: what says its kind is complete, else it is laid over the shared one."""
    found: Object = own if "kind" in own else merged(plan["shared"], own)
    return copy.deepcopy(found)


def merged(shared: Any, own: Any) -> Any:
    """`own` laid over `shared`: mappings by key, lists of named things (containers, variables, volumes) by name; else `own` counts.

    Mounts are told apart by their path, as Kubernetes does: a volume may appear at several.
    """
    if isinstance(shared, dict) and isinstance(own, dict):
        return {**shared, **{key: merged(shared[key], value) if key in shared else value for key, value in own.items()}}
    key = merge_key(shared, own)
    if key:
        mine, known = {item[key]: item for item in own}, {item[key] for item in shared}
        both = [_over(item, mine[item[key]]) if item[key] in mine else item for item in shared]
        return both + [item for item in own if item[key] not in known]
    return own


def _over(shared: Object, own: Object) -> Any:
    """A variable is replaced whole: one with `value` and one with `valueFrom` must not become one with both."""
    return own if "value" in own or "valueFrom" in own else merged(shared, own)


def merge_key(one: Any, other: Any) -> str | None:
    """By which field two lists are merged item by item; None for what is no such list."""
    return next((key for key in ("mountPath", "name") if _keyed(one, key) and _keyed(other, key)), None)


def _keyed(value: Any, key: str) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and key in item for item in value)


def pods(job: Object) -> Iterator[Object]:
    """The pod templates in a Job or JobSet."""
    if job["kind"] == "JobSet":
        for each in job["spec"]["replicatedJobs"]:
            yield each["template"]["spec"]["template"]
    else:
        yield job["spec"]["template"]


def with_env(job: Object, values: Mapping[str, str]) -> Object:
    """The job, changed: every container has these variables, texts that Kubernetes would expand (`$(X)`) kept as they are."""
    for pod in pods(job):
        for container in pod["spec"]["containers"]:
            kept = [entry for entry in container.get("env", []) if entry["name"] not in values]
            container["env"] = kept + [{"name": name, "value": _literal(value)} for name, value in values.items()]
    return job


def _literal(text: str) -> str:
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text


def with_labels(job: Object, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> Object:
    """The job, changed: it and its pods carry these too."""
    for place in [job, *pods(job)]:
        about = place.setdefault("metadata", {})
        about["labels"] = {**about.get("labels", {}), **labels}
        if annotations:
            about["annotations"] = {**about.get("annotations", {}), **annotations}
    return job


def with_width(job: Object, width: int, at_once: int | None = None) -> Object:
    """The job, changed: so many indexes, `at_once` pods at a time. Of a JobSet so many nodes, the control one among them."""
    if job["kind"] == "JobSet":
        for each in job["spec"]["replicatedJobs"]:
            each["replicas"] = 1 if each["name"] == "control" else width - 1
        job["spec"]["replicatedJobs"] = [each for each in job["spec"]["replicatedJobs"] if each["replicas"]]
    else:
        job["spec"] |= {"completions": width, "parallelism": min(width, at_once or width)}
    return job


def name(run: str, *place: object) -> str:
    """A DNS label for a Job: readable, at most NAME_LIMIT characters, and another for every run and place (step, path, round, attempt).

    `name("hello-1a2b", "train", "3-0")` starts with `hello-1a2b-train-3-0` and ends with a hash of exactly these parts.
    """
    parts = [run, *(str(part) for part in place if part not in (None, ""))]
    exact = "/".join([run, *("" if part is None else str(part) for part in place)])
    return label("-".join(parts), NAME_LIMIT, exact)


def label(text: str, limit: int, exact: str) -> str:
    """The text as lower-case letters, digits and `-`, cut to leave room for `-` and ten hex digits of the hash of `exact`."""
    ending = "-" + hashlib.sha256(exact.encode()).hexdigest()[:10]
    clean = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    clean = clean if clean[:1].isalpha() else f"f-{clean}".strip("-")
    return clean[: limit - len(ending)].strip("-") + ending
