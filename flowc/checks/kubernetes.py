"""In: a Step. Out: values of @kubernetes and @resources that Metaflow's @kubernetes refuses (FC317 to FC322, FC336)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowc.checks.attributes import as_float, as_int, not_a_dict, not_a_number, not_whole, problem, shown
from flowc.checks.example import END, START_END, example
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.ir import Decorator, Step

QOS = ("Guaranteed", "Burstable")
GPU_VENDORS = ("amd", "nvidia")
TOLERATION_KEYS = ("effect", "key", "operator", "toleration_seconds", "value")
SECURITY_KEYS = (
    "allow_privilege_escalation",
    "app_armor_profile",
    "capabilities",
    "privileged",
    "proc_mount",
    "read_only_root_filesystem",
    "run_as_group",
    "run_as_non_root",
    "run_as_user",
    "se_linux_options",
    "seccomp_profile",
    "windows_options",
)
_LABEL = r"^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$"


def _on(arguments: str, *, error: bool = False) -> Example:
    return example(f"@kubernetes({arguments}){'  # error' if error else ''}{START_END}{END}", imports="kubernetes")


SIZE = Code(
    "FC317",
    "resource that is no amount",
    "cpu, memory and disk (MB) must be above zero, gpu a whole number, tmpfs_size (MB) and shared_memory (MiB) whole numbers above zero. "
    "@resources and @kubernetes of a step count together: the larger cpu, memory and disk, and the gpu and shared_memory of @resources.",
    bad=_on("memory=0", error=True),
    good=_on("memory=512"),
)
QOS_CLASS = Code(
    "FC318",
    "unknown quality of service",
    "`qos` decides whether a pod's limits equal its requests (Guaranteed) or are left open (Burstable). Metaflow knows these two.",
    bad=_on('qos="best effort"', error=True),
    good=_on('qos="Guaranteed"'),
)
GPU_VENDOR = Code(
    "FC319",
    "unknown GPU vendor",
    "`gpu_vendor` becomes the resource's name, `nvidia.com/gpu` or `amd.com/gpu`.",
    bad=_on('gpu=1, gpu_vendor="intel"', error=True),
    good=_on('gpu=1, gpu_vendor="amd"'),
)
TOLERATION = Code(
    "FC320",
    "toleration in no known form",
    f"`tolerations` is a list of dicts with the keys {', '.join(TOLERATION_KEYS)}, as the Kubernetes client for Python spells them.",
    bad=_on('tolerations=[{"name": "gpu"}]', error=True),
    good=_on('tolerations=[{"key": "gpu", "operator": "Exists"}]'),
)
LABEL = Code(
    "FC321",
    "label value that Kubernetes does not take",
    "A label's value is empty, or at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.",
    bad=_on('labels={"team": "data science"}', error=True),
    good=_on('labels={"team": "data-science"}'),
)
NODE_SELECTOR = Code(
    "FC322",
    "node selector in no known form",
    "`node_selector` is a dict, or text of the form `key=value,key=value` that names each key once.",
    bad=_on('node_selector="gpu"', error=True),
    good=_on('node_selector="gpu=yes,zone=a"'),
)
SECURITY = Code(
    "FC336",
    "unknown key in security_context",
    "`security_context` becomes the security context of the container; its keys are those of Kubernetes' Python client, in snake case.",
    bad=_on('security_context={"runAsUser": 1000}', error=True),
    good=_on('security_context={"run_as_user": 1000}'),
)


def check(step: Step) -> list[Diagnostic]:
    """What the step would ask of Kubernetes. A step with only @batch asks nothing of it."""
    written, resources = step.decorator("kubernetes"), step.decorator("resources")
    if written is None and (resources is None or step.decorator("batch")):
        return []
    found = _amounts(step, written, resources)
    if written is not None:
        found += _choices(written) + _labels(written) + _tolerations(written) + _node_selector(written) + _security(written)
        found += not_a_dict(written, ("annotations", "persistent_volume_claims", "extended_resources"))
        found += not_whole(written, ("port",)) if written.get("port") else []
    return found


def _amounts(step: Step, written: Decorator | None, resources: Decorator | None) -> list[Diagnostic]:
    found = not_a_number(written, ("cpu", "memory", "disk"), empty=resources is not None) if written else []
    for name in ("cpu", "memory", "disk"):
        given = [d for d in (written, resources) if d is not None and name in d.attributes]
        amounts = [as_float(d.get(name) or 0) for d in (written, resources) if d is not None and name in d.attributes]
        # the decorator that does not name it stands for Metaflow's default, which is above zero (@resources has none for disk)
        default = (
            written is None
            or name not in written.attributes
            or (resources is not None and name not in resources.attributes and name != "disk")
        )
        if given and not default and None not in amounts and not any(a is not None and a > 0 for a in amounts):
            message = f"{name} of step {step.name} is {shown(given[0].get(name))}, it should be above zero"
            found.append(problem(SIZE, given[0], name, message, f"Give {name} an amount above zero, or leave it out for the default."))
    for name, takes, rule in (
        ("gpu", _whole_number, "a whole number"),
        ("shared_memory", _memory, "a whole number above zero, without quotes"),
    ):
        giver = next((d for d in (resources, written) if d is not None and d.get(name) is not None), None)
        if giver is not None and not takes(giver.get(name)):
            message = f"{name} of step {step.name} is {shown(giver.get(name))}, it should be {rule}"
            found.append(problem(SIZE, giver, name, message, f"Give {name} {rule}."))
    return found + (_tmpfs(step, written) if written else [])


def _whole_number(value: Any) -> bool:
    number = as_float(value)
    return isinstance(value, (int, str)) and number is not None and number.is_integer()


def _memory(value: Any) -> bool:
    return not value or (isinstance(value, int) and value > 0)


def _tmpfs(step: Step, written: Decorator) -> list[Diagnostic]:
    size = written.get("tmpfs_size")
    if size:
        whole = as_int(size) if isinstance(size, (int, str)) else None
        if whole is None or whole <= 0:
            message = f"tmpfs_size of step {step.name} is {shown(size)}, it should be a whole number above zero"
            return [problem(SIZE, written, "tmpfs_size", message, "Give tmpfs_size a whole number of MB.")]
    elif written.get("use_tmpfs") and ((memory := as_int(written.get("memory", 4096))) is None or memory < 0):
        message = f"use_tmpfs of step {step.name} takes half the memory, but memory is {shown(written.get('memory'))}"
        return [problem(SIZE, written, "use_tmpfs", message, "Give tmpfs_size in MB, or memory as a whole number.")]
    return []


def _choices(written: Decorator) -> list[Diagnostic]:
    found = []
    for name, choices, code in (("qos", QOS, QOS_CLASS), ("gpu_vendor", GPU_VENDORS, GPU_VENDOR)):
        value = written.get(name)
        absent = value is None or (name == "gpu_vendor" and not value)
        if not absent and (not isinstance(value, str) or value.lower() not in [c.lower() for c in choices]):
            found.append(problem(code, written, name, f"@kubernetes {name} {shown(value)} is unknown", f"Choose {' or '.join(choices)}."))
    return found


def _labels(written: Decorator) -> list[Diagnostic]:
    wrong = not_a_dict(written, ("labels",))
    labels = written.get("labels")
    if wrong or not labels:
        return wrong
    return [
        problem(
            LABEL,
            written,
            "labels",
            f"value {shown(value)} of label {key} is not one that Kubernetes takes",
            "Use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends, as a string.",
        )
        for key, value in labels.items()
        if value and (not isinstance(value, str) or not re.search(_LABEL, value))
    ]


def _tolerations(written: Decorator) -> list[Diagnostic]:
    tolerations = written.get("tolerations")
    if not tolerations:
        return []
    help_ = 'Write a list of dicts, such as [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}].'
    if not isinstance(tolerations, list) or not all(isinstance(t, Mapping) for t in tolerations):
        return [problem(TOLERATION, written, "tolerations", f"tolerations is {shown(tolerations)}, not a list of dicts", help_)]
    unknown = list(dict.fromkeys(key for t in tolerations for key in t if key not in TOLERATION_KEYS))
    return [
        problem(
            TOLERATION,
            written,
            "tolerations",
            f"a toleration has the unknown key {shown(key)}",
            f"Use the keys {', '.join(TOLERATION_KEYS)}.",
        )
        for key in unknown
    ]


def _node_selector(written: Decorator) -> list[Diagnostic]:
    selector = written.get("node_selector")
    if selector is None or isinstance(selector, Mapping):
        return []
    pairs = [item.split("=", 1) for item in selector.split(",")] if isinstance(selector, str) else [[]]
    keys = [pair[0] for pair in pairs if len(pair) == 2]
    if len(keys) == len(pairs) and len(set(keys)) == len(keys):
        return []
    reason = "names a key twice" if len(keys) == len(pairs) else "is neither a dict nor of the form key=value,key=value"
    help_ = 'Write a dict, such as node_selector={"zone": "a"}.'
    return [problem(NODE_SELECTOR, written, "node_selector", f"node_selector {shown(selector)} {reason}", help_)]


def _security(written: Decorator) -> list[Diagnostic]:
    wrong = not_a_dict(written, ("security_context",))
    return wrong or [
        problem(
            SECURITY,
            written,
            "security_context",
            f"security_context has the unknown key {shown(key)}",
            f"Use the keys {', '.join(SECURITY_KEYS)}.",
        )
        for key in written.get("security_context") or {}
        if key not in SECURITY_KEYS
    ]
