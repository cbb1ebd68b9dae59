"""In: a Step with its decorators. Out: what they mean together, merged as Metaflow does: attempts, time limit, compute attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowc.ir import Step

FALLBACK_RETRIES = 3
DEFAULT_TIME_LIMIT = 5 * 24 * 60 * 60

KUBERNETES_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "cpu": "1",
        "memory": "4096",
        "disk": "10240",
        "image": None,
        "image_pull_policy": None,
        "image_pull_secrets": None,
        "service_account": None,
        "secrets": None,
        "node_selector": None,
        "namespace": None,
        "gpu": None,
        "gpu_vendor": "nvidia",
        "tolerations": None,
        "labels": None,
        "annotations": None,
        "use_tmpfs": None,
        "tmpfs_tempdir": True,
        "tmpfs_size": None,
        "tmpfs_path": "/metaflow_temp",
        "persistent_volume_claims": None,
        "shared_memory": None,
        "port": None,
        "compute_pool": None,
        "executable": None,
        "hostname_resolution_timeout": 600,
        "qos": "burstable",
        "extended_resources": MappingProxyType({}),
        "security_context": None,
    }
)
BATCH_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "cpu": None,
        "gpu": None,
        "memory": None,
        "image": None,
        "queue": None,
        "iam_role": None,
        "execution_role": None,
        "shared_memory": None,
        "max_swap": None,
        "swappiness": None,
        "inferentia": None,
        "efa": None,
        "host_volumes": None,
        "efs_volumes": None,
        "use_tmpfs": False,
        "aws_batch_tags": None,
        "tmpfs_tempdir": True,
        "tmpfs_size": None,
        "tmpfs_path": "/metaflow_temp",
        "ephemeral_storage": None,
        "log_driver": None,
        "log_options": None,
        "executable": None,
        "privileged": False,
    }
)
BATCH_RESOURCES: Mapping[str, str] = MappingProxyType({"cpu": "1", "gpu": "0", "memory": "4096"})
RESOURCES_DEFAULTS: Mapping[str, Any] = MappingProxyType({"cpu": "1", "gpu": None, "disk": None, "memory": "4096", "shared_memory": None})


@dataclass(frozen=True, slots=True)
class Retries:
    """Attempts after the first: `user` run the user's code again, the rest (of `total`) are for @catch's fallback. Minutes in between."""

    user: int
    total: int
    backoff_minutes: int


def whole(value: Any, otherwise: int) -> int:
    """`int(value)` as Metaflow takes it from a number or its text; `otherwise` where that fails (a check reports it)."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return otherwise


def retries(step: Step) -> Retries:
    """The largest count of each kind over all decorators of the step."""
    user = error = 0
    minutes = 2
    for decorator in step.decorators:
        if decorator.name == "retry":
            user = max(user, whole(decorator.get("times", 3), 3))
            minutes = whole(decorator.get("minutes_between_retries", 2), 2)
        elif decorator.name == "catch":
            error = FALLBACK_RETRIES
    return Retries(user, user + error, minutes)


def timeout_seconds(step: Step) -> int:
    """Seconds that one attempt may take: the parts of @timeout added up, else Metaflow's five days."""
    timeout = step.decorator("timeout")
    if timeout is None:
        return DEFAULT_TIME_LIMIT
    return sum(whole(timeout.get(part, 0), 0) * seconds for part, seconds in (("hours", 3600), ("minutes", 60), ("seconds", 1)))


def number(value: Any) -> float | None:
    """The number that a resource attribute holds, as a number or as its text; None where it holds none."""
    if isinstance(value, (int, float, str)):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def number_text(value: Any) -> str:
    """A number without a needless `.0`: 8192.0 and "8192.0" are 8192; text that is no number stays as it is."""
    found = number(value)
    return str(int(found)) if found is not None and found.is_integer() else str(value)


def key_values(value: Any) -> dict[str, str] | None:
    """A node selector written as `{"a": "b"}` or as `"a=b,c=d"`; None where it is neither or names a key twice."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if not isinstance(value, str):
        return None
    pairs = [item.split("=", 1) for item in value.split(",")]
    if any(len(pair) != 2 for pair in pairs) or len({pair[0] for pair in pairs}) != len(pairs):
        return None
    return {pair[0]: pair[1] for pair in pairs}


def kubernetes(step: Step) -> dict[str, Any]:
    """Every attribute of @kubernetes with the value that counts for the step: given, from @resources, or Metaflow's default.

    cpu, memory (MB) and disk (MB) are the larger of both decorators, gpu and shared_memory (MiB) are @resources' where it gives them.
    """
    written = step.decorator("kubernetes")
    merged = {**KUBERNETES_DEFAULTS, **({k: v.data for k, v in written.attributes.items()} if written else {})}
    merged["gpu_vendor"] = merged["gpu_vendor"] or KUBERNETES_DEFAULTS["gpu_vendor"]
    merged["qos"] = merged["qos"] or KUBERNETES_DEFAULTS["qos"]
    if isinstance(merged["node_selector"], str):
        merged["node_selector"] = key_values(merged["node_selector"]) if merged["node_selector"] else None
    if merged["compute_pool"]:
        merged["node_selector"] = {**(merged["node_selector"] or {}), "outerbounds.co/compute-pool": merged["compute_pool"]}
    if merged["use_tmpfs"] and not merged["tmpfs_size"]:
        # Metaflow halves the memory of @kubernetes before @resources joins in.
        merged["tmpfs_size"] = whole(merged["memory"], 0) // 2
    for decorator in step.decorators:
        if decorator.name == "resources":
            _join_resources(merged, {**RESOURCES_DEFAULTS, **{k: v.data for k, v in decorator.attributes.items()}})
    for name in ("cpu", "memory", "disk"):
        merged[name] = number_text(merged[name])
    return merged


def _join_resources(merged: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    for name in ("gpu", "shared_memory"):
        if wanted.get(name) is not None:
            merged[name] = wanted[name]
    for name in ("cpu", "memory", "disk"):
        mine, theirs = number(merged[name] or 0), number(wanted.get(name) or 0)
        if theirs is None or (mine is not None and theirs > mine):
            merged[name] = wanted[name]


def batch(step: Step) -> dict[str, Any]:
    """Every attribute of @batch with the value that counts for the step: given, from @resources, or Metaflow's default.

    cpu, gpu, memory (MB) and shared_memory (MiB) are the larger of both decorators; `trainium` is read as `inferentia`.
    """
    written = step.decorator("batch")
    given = {k: v.data for k, v in written.attributes.items()} if written else {}
    trainium = given.pop("trainium", None)
    if trainium is not None:
        given["inferentia"] = trainium
    merged = {**BATCH_DEFAULTS, **given}
    for decorator in step.decorators:
        if decorator.name == "resources":
            wanted = {**RESOURCES_DEFAULTS, **{k: v.data for k, v in decorator.attributes.items()}}
            for name in ("cpu", "gpu", "memory", "shared_memory"):
                merged[name] = _larger(merged[name], wanted.get(name))
    for name, otherwise in BATCH_RESOURCES.items():
        merged[name] = number_text(otherwise if merged[name] is None else merged[name] or "0")
    return merged


def _larger(mine: Any, theirs: Any) -> Any:
    """The larger of two amounts, the only one where one is None; what is no number is kept, so that a check can name it."""
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    left, right = number(mine or 0), number(theirs or 0)
    return theirs if left is not None and (right is None or right > left) else mine
