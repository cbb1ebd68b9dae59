"""In: a pod template that its schema accepts. Out: values in it that the API server refuses all the same, as ends of sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from flowc.option import did_you_mean

Object = Mapping[str, Any]
_NODES = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.*"
_PREFERRED = "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution.*.preference"
_SECCOMP = ("Localhost", "RuntimeDefault", "Unconfined")
_ANY_ID = (0, 2**31 - 1)

# As of Kubernetes 1.33. What is empty or left out has a default.
_CHOICES: dict[str, tuple[str, ...]] = {
    "spec.dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "spec.preemptionPolicy": ("Never", "PreemptLowerPriority"),
    "spec.tolerations.*.operator": ("Equal", "Exists"),
    "spec.tolerations.*.effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
    "spec.topologySpreadConstraints.*.whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
    "spec.securityContext.seccompProfile.type": _SECCOMP,
    "spec.securityContext.fsGroupChangePolicy": ("Always", "OnRootMismatch"),
    f"{_TERMS}.matchExpressions.*.operator": _NODES,
    f"{_PREFERRED}.matchExpressions.*.operator": _NODES,
    "CONTAINER.imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "CONTAINER.terminationMessagePolicy": ("File", "FallbackToLogsOnError"),
    "CONTAINER.ports.*.protocol": ("TCP", "UDP", "SCTP"),
    "CONTAINER.securityContext.seccompProfile.type": _SECCOMP,
}
_RANGES: dict[str, tuple[int, int]] = {
    "spec.activeDeadlineSeconds": (1, 2**31 - 1),
    "spec.topologySpreadConstraints.*.maxSkew": (1, 2**31 - 1),
    "spec.securityContext.runAsUser": _ANY_ID,
    "spec.securityContext.runAsGroup": _ANY_ID,
    "spec.securityContext.fsGroup": _ANY_ID,
    "CONTAINER.securityContext.runAsUser": _ANY_ID,
    "CONTAINER.securityContext.runAsGroup": _ANY_ID,
    "CONTAINER.ports.*.containerPort": (1, 65_535),
}
_CONTAINERS = ("spec.containers.*", "spec.initContainers.*")
_OF_ARGO = ("init", "wait")
"""Argo adds these containers with their image, after the patch."""
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([numkMGTPE]?|[KMGTPE]i)", re.ASCII)
_UNITS = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(1000)}
_UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def refused(pod: Object) -> Iterator[str]:
    """All that is wrong; a text that Argo fills in (`{{...}}`) may become anything."""
    for path, choices in _CHOICES.items():
        for place, value in _found(pod, path):
            if isinstance(value, str) and value and "{{" not in value and value not in choices:
                yield f"{place} must be one of {', '.join(choices)}, not {value!r}{did_you_mean(value, choices)}"
    for path, (least, most) in _RANGES.items():
        for place, value in _found(pod, path):
            if isinstance(value, int) and not least <= value <= most:
                yield f"{place} must be from {least} to {most}, not {value}"
    for place, value in _at(pod, ("spec", "nodeSelector", "*")):
        if isinstance(value, str) and "{{" not in value and not _LABEL_VALUE.fullmatch(value):
            yield f"{place} is `{value}`, which no label of a node can be"
    yield from _tolerations(pod)
    for path in _CONTAINERS:
        for place, container in _at(pod, tuple(path.split("."))):
            if isinstance(container, Mapping):
                yield from _container(place, container)
    for place, volume in _at(pod, ("spec", "volumes", "*")):
        sources = sorted(volume.keys() - {"name"}) if isinstance(volume, Mapping) else []
        if len(sources) > 1:
            yield f"{place} is of two kinds, {' and '.join(sources)}; delete one: {{ \"$patch\" = \"delete\" }}"


def _tolerations(pod: Object) -> Iterator[str]:
    for place, each in _at(pod, ("spec", "tolerations", "*")):
        if not isinstance(each, Mapping):
            continue
        if each.get("operator") == "Exists" and each.get("value"):
            yield f"{place} has a value, and its operator Exists takes none"
        if not each.get("key") and each.get("operator") != "Exists":
            yield f"{place} has no key, which only the operator Exists does without"
        if "tolerationSeconds" in each and each.get("effect") != "NoExecute":
            yield f"{place} has tolerationSeconds, which go with the effect NoExecute only"


def _container(place: str, container: Object) -> Iterator[str]:
    if not container.get("image") and container.get("name") not in _OF_ARGO:
        yield f"{place}, `{container.get('name')}`, has no image"
    for where, path in _at(container, ("volumeMounts", "*", "mountPath")):
        if path == "" or (isinstance(path, str) and ":" in path and "{{" not in path):
            yield f"{place}.{where} is {path!r}, which is no path"
    requests, limits = (dict(_at(container, ("resources", key, "*"))) for key in ("requests", "limits"))
    for where, asked in requests.items():
        name = where.removeprefix("resources.requests.")
        limit = limits.get(f"resources.limits.{name}")
        amount, most = _amount(asked), _amount(limit)
        if amount is not None and most is not None and amount > most:
            yield f"{place} requests {asked} of {name}, more than its limit {limit}: patch both"


def _amount(value: Any) -> Decimal | None:
    match = _AMOUNT.fullmatch(str(value))
    return Decimal(match[1]) * _UNITS[match[2]] if match else None


def _found(pod: Object, path: str) -> Iterator[tuple[str, Any]]:
    head, dot, rest = path.partition("CONTAINER.")
    for full in [f"{container}.{rest}" for container in _CONTAINERS] if dot else [head]:
        yield from _at(pod, tuple(full.split(".")))


def _at(value: Any, path: tuple[str, ...], place: str = "") -> Iterator[tuple[str, Any]]:
    """What stands at a path, each with its place; `*` is each item or field. Nothing where something of another kind is on the way."""
    if not path:
        yield place, value
    elif path[0] == "*" and isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from _at(each, path[1:], f"{place}[{number}]")
    elif isinstance(value, Mapping):
        for key in value if path[0] == "*" else (path[0],) if path[0] in value else ():
            yield from _at(value[key], path[1:], f"{place}.{key}".lstrip("."))
