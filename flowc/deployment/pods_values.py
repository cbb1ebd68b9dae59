"""In: merged compute attributes that Metaflow takes. Out: those whose value Kubernetes refuses, why, and what to write."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from flowc.deployment.pods import has_tmpfs, names
from flowc.merging import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Problem = tuple[str, str, str]
"""The attribute, what is wrong with it, and the remedy."""

LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")
LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def problems(asked: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with the attributes, one problem an attribute and value."""
    yield from _amounts(asked)
    yield from _places(asked)
    yield from _names(asked)
    yield from _labels(asked)
    yield from _structures(asked)


def _is_whole(value: Any) -> bool:
    """An int, or the text of one: what Metaflow's own options give."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.strip().isdecimal())


def _amounts(asked: Mapping[str, Any]) -> Iterator[Problem]:
    for name in ("cpu", "memory", "disk"):
        if not math.isfinite(number(asked[name]) or 0):
            yield name, f"{name} is `{asked[name]}`, which is no amount", "give a number"
    if (number(asked["gpu"] or 0) or 0) < 0:
        yield "gpu", f"gpu is `{asked['gpu']}`, which is no number of GPUs", "give the number of GPUs: gpu=1"
    if asked["port"] and not (_is_whole(asked["port"]) and 0 < int(asked["port"]) < 65_536):
        yield "port", f"port is `{asked['port']}`, which is no port", "give a number from 1 to 65535"
    timeout = asked["hostname_resolution_timeout"]
    if not _is_whole(timeout):
        yield "hostname_resolution_timeout", f"hostname_resolution_timeout is `{timeout}`, which is no number of seconds", "give seconds"


def _places(asked: Mapping[str, Any]) -> Iterator[Problem]:
    policy = asked["image_pull_policy"]
    if policy and policy not in ("Always", "IfNotPresent", "Never"):
        yield "image_pull_policy", f"`{policy}` is no pull policy", "use Always, IfNotPresent or Never"
    path = asked["tmpfs_path"]
    if has_tmpfs(asked) and not (isinstance(path, str) and path.startswith("/")):
        yield "tmpfs_path", f"tmpfs_path is `{path}`, which is no absolute path", "give a path like /metaflow_temp"


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
        for key, text in (asked[name] or {}).items():
            if not is_key(key):
                yield name, f"`{key}` is no key that Kubernetes takes in {name}", "use letters, digits, `-`, `_` and `.`, at most 63"
            checked = name == "labels" or (isinstance(text, str) and (name == "annotations" or LABEL_VALUE.fullmatch(text)))
            if not checked:
                yield name, f"`{text}` is no value that Kubernetes takes in {name}", _value_form(name)


def _value_form(name: str) -> str:
    return "give a string" if name == "annotations" else "give a string of letters, digits, `-`, `_` and `.`, at most 63"


def _structures(asked: Mapping[str, Any]) -> Iterator[Problem]:
    claims = asked["persistent_volume_claims"] or {}
    if not all(OBJECT_NAME.fullmatch(claim) and str(path).startswith("/") for claim, path in claims.items()):
        yield "persistent_volume_claims", f"`{claims}` maps no claims to absolute paths", "give a dict like {'claim': '/mnt/data'}"
    extended = asked["extended_resources"] or {}
    if not all(is_key(name) and isinstance(amount, (int, str)) for name, amount in extended.items()):
        yield "extended_resources", f"`{extended}` maps no resources to amounts", "give a dict like {'vendor.com/device': 1}"
