"""In: the merged compute attributes of a step. Out: those whose value Metaflow or Kubernetes refuses, why, and what to write."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flowc.merging import number
from flowc.targets.argo.pods import has_tmpfs, names

Problem = tuple[str, str, str]
"""The attribute, what is wrong with it, and the remedy."""

LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")
LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
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


def problems(asked: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with the attributes, one problem an attribute and value."""
    yield from _amounts(asked)
    yield from _choices(asked)
    yield from _memory(asked)
    yield from _names(asked)
    yield from _labels(asked)
    yield from _structures(asked)


def _is_whole(value: Any) -> bool:
    """An int, or the text of one: what Metaflow's own options give."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.strip().isdecimal())


def _amounts(asked: Mapping[str, Any]) -> Iterator[Problem]:
    for name, unit in (("cpu", "cores: cpu=2"), ("memory", "megabytes: memory=4096"), ("disk", "megabytes: disk=10240")):
        found = number(asked[name])
        if found is None or not math.isfinite(found) or found <= 0:
            yield name, f"{name} is `{asked[name]}`, which is no positive number", f"give it in {unit}"
    gpu = asked["gpu"]
    if gpu is not None:
        found = number(gpu)
        if isinstance(gpu, float) or found is None or not found.is_integer() or found < 0:
            yield "gpu", f"gpu is `{gpu}`, which is no whole number", "give the number of GPUs: gpu=1"
    if asked["port"] and not (_is_whole(asked["port"]) and 0 < int(asked["port"]) < 65_536):
        yield "port", f"port is `{asked['port']}`, which is no port", "give a number from 1 to 65535"
    timeout = asked["hostname_resolution_timeout"]
    if not _is_whole(timeout):
        yield "hostname_resolution_timeout", f"hostname_resolution_timeout is `{timeout}`, which is no number of seconds", "give seconds"


def _choices(asked: Mapping[str, Any]) -> Iterator[Problem]:
    if str(asked["qos"]).lower() not in ("guaranteed", "burstable"):
        yield "qos", f"`{asked['qos']}` is no QoS class that Metaflow supports", "use Guaranteed or Burstable"
    if str(asked["gpu_vendor"]).lower() not in ("amd", "nvidia"):
        yield "gpu_vendor", f"GPUs of `{asked['gpu_vendor']}` are not supported", "use nvidia or amd"
    policy = asked["image_pull_policy"]
    if policy and policy not in ("Always", "IfNotPresent", "Never"):
        yield "image_pull_policy", f"`{policy}` is no pull policy", "use Always, IfNotPresent or Never"


def _memory(asked: Mapping[str, Any]) -> Iterator[Problem]:
    if has_tmpfs(asked):
        size, path = asked["tmpfs_size"], asked["tmpfs_path"]
        if not (_is_whole(size) and int(size) > 0):
            yield "tmpfs_size", f"tmpfs_size is `{size}`, which is no positive whole number", "give it in MiB: tmpfs_size=1024"
        if not (isinstance(path, str) and path.startswith("/")):
            yield "tmpfs_path", f"tmpfs_path is `{path}`, which is no absolute path", "give a path like /metaflow_temp"
    shared = asked["shared_memory"]
    if shared and (not isinstance(shared, int) or isinstance(shared, bool) or shared < 0):
        yield "shared_memory", f"shared_memory is `{shared}`, which is no positive whole number", "give it in MiB: shared_memory=1024"


def _names(asked: Mapping[str, Any]) -> Iterator[Problem]:
    image = asked["image"]
    if image is not None and not (isinstance(image, str) and re.fullmatch(r"\S+", image)):
        yield "image", f"image is `{image}`, which is no image", "give a reference like registry/name:tag"
    for name in ("service_account", "namespace"):
        value = asked[name]
        if value is not None and not (isinstance(value, str) and OBJECT_NAME.fullmatch(value)):
            yield name, f"{name} is `{value}`, which is no name of Kubernetes", "use lower-case letters, digits, `-` and `.`"
    for name in ("secrets", "image_pull_secrets"):
        value = asked[name]
        several = names(value) if value is None or isinstance(value, (str, list)) else [value]
        if not all(isinstance(item, str) and OBJECT_NAME.fullmatch(item) for item in several):
            yield name, f"{name} is `{value}`, which are no names of Secrets", "give a list of names of Secrets"
    if asked["executable"] is not None and not (isinstance(asked["executable"], str) and asked["executable"]):
        yield "executable", f"executable is `{asked['executable']}`, which is no path", "give the path of a Python in the image"


def is_key(key: Any) -> bool:
    """Whether Kubernetes takes it as the key of a label or annotation: a name, with a DNS prefix or without."""
    if not isinstance(key, str):
        return False
    prefix, slash, name = key.rpartition("/")
    return LABEL_NAME.fullmatch(name) is not None and (not slash or OBJECT_NAME.fullmatch(prefix) is not None)


def _labels(asked: Mapping[str, Any]) -> Iterator[Problem]:
    for name in ("labels", "annotations", "node_selector"):
        value = asked[name]
        if value is None:
            continue
        if not isinstance(value, dict):
            yield name, f"{name} is `{value}`, which is no map of keys to texts", "give a dict of strings"
            continue
        for key, text in value.items():
            if not is_key(key):
                yield name, f"`{key}` is no key that Kubernetes takes in {name}", "use letters, digits, `-`, `_` and `.`, at most 63"
            if name == "labels" and text is None:
                continue
            if not isinstance(text, str) or (name != "annotations" and not LABEL_VALUE.fullmatch(text)):
                yield name, f"`{text}` is no value that Kubernetes takes in {name}", _value_form(name)


def _value_form(name: str) -> str:
    return "give a string" if name == "annotations" else "give a string of letters, digits, `-`, `_` and `.`, at most 63"


def _structures(asked: Mapping[str, Any]) -> Iterator[Problem]:
    tolerations = asked["tolerations"] or []
    if not isinstance(tolerations, list) or not all(isinstance(item, dict) for item in tolerations):
        yield "tolerations", f"tolerations are `{tolerations}`, which is no list of maps", "give a list of dicts"
    else:
        for key in (key for item in tolerations for key in item if key not in TOLERATION_KEYS):
            yield "tolerations", f"`{key}` is no key of a toleration", f"use {', '.join(TOLERATION_KEYS)}"
    claims = asked["persistent_volume_claims"] or {}
    if not isinstance(claims, dict) or not all(OBJECT_NAME.fullmatch(c) and str(p).startswith("/") for c, p in claims.items()):
        yield "persistent_volume_claims", f"`{claims}` maps no claims to absolute paths", "give a dict like {'claim': '/mnt/data'}"
    extended = asked["extended_resources"] or {}
    if not isinstance(extended, Mapping) or not all(is_key(k) and isinstance(v, (int, str)) for k, v in extended.items()):
        yield "extended_resources", f"`{extended}` maps no resources to amounts", "give a dict like {'vendor.com/device': 1}"
    context = asked["security_context"] or {}
    if not isinstance(context, dict):
        yield "security_context", f"security_context is `{context}`, which is no map", "give a dict like {'run_as_user': 1000}"
    else:
        for key in (key for key in context if key not in SECURITY_KEYS):
            snake = re.sub(r"(?<!^)([A-Z])", lambda m: "_" + m[1].lower(), str(key))
            remedy = f"write `{snake}`" if snake in SECURITY_KEYS else f"use one of {', '.join(SECURITY_KEYS)}"
            yield "security_context", f"`{key}` is no field of a security context", remedy
