"""In: an object before and after a patch. Out: what the patch changed that the run needs, as the end of a sentence; else nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowc.settings import Settings

ALWAYS = ("apiVersion", "kind", "metadata.name", "metadata.namespace", "metadata.generateName")
MARKS = ("metaflow/", "flowc/", "app.kubernetes.io/")
"""Beginnings of the labels and annotations by which flowc and Metaflow find what they made."""
VARIABLES = ("FLOWC_", "METAFLOW_", "ARGO_", "MF_", "UBF_", "JOBSET_")
_SHOWN = 120
NAMED = ("priorityClassName", "serviceAccountName", "runtimeClassName")
_KEY = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
Object = Mapping[str, Any]


def of_object(before: Object, after: Object, fixed: Sequence[str] = ()) -> str:
    """Of an object of Kubernetes: its name and namespace, its marks, and all that stands at the paths `fixed`."""
    if "namespace" not in before.get("metadata", {}) and "namespace" in _map(after.get("metadata")):
        return "sets metadata.namespace, which is the setting `namespace`: other objects name it too"
    return changed(before, after, (*ALWAYS, *fixed)) or marks(before, after)


def changed(before: Object, after: Object, fixed: Sequence[str]) -> str:
    """The first of the paths that had something which is not there any more, or not as it was. `*` is each item or field.

    Items that have a name are known by it, others by what they are, or by their place where the path goes on into them.
    """
    for path in fixed:
        now = dict(_at(after, path.split(".")))
        for place, value in _at(before, path.split(".")):
            if place not in now:
                return f"removes {place[:_SHOWN]}, which the run needs"
            if now[place] != value:
                return f"changes {place}, which the run needs as it is"
    return ""


def _at(value: Any, path: Sequence[str], place: str = "") -> Iterator[tuple[str, Any]]:
    if not path:
        yield place, value
    elif path[0] != "*":
        if isinstance(value, Mapping) and path[0] in value:
            yield from _at(value[path[0]], path[1:], f"{place}.{path[0]}".lstrip("."))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _at(item, path[1:], f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            known = item.get("name") if isinstance(item, Mapping) else None
            itself = number if path[1:] else json.dumps(item, default=dict)
            yield from _at(item, path[1:], f"{place}[{known or itself}]")


def marks(before: Any, after: Any) -> str:
    """Labels and annotations of flowc's own and Metaflow's, at any depth, that are not as they were."""
    if not isinstance(before, Mapping):
        return ""
    for key, value in before.items():
        now = after.get(key) if isinstance(after, Mapping) else None
        if key in ("labels", "annotations") and isinstance(value, Mapping):
            for mark in (mark for mark in value if mark.startswith(MARKS)):
                if not isinstance(now, Mapping) or now.get(mark) != value[mark]:
                    return f"changes the {key[:-1]} {mark}, by which flowc and Metaflow find what they made"
        elif isinstance(value, Mapping) and (found := marks(value, now)):
            return found
    return ""


def of_pod(before: Object, after: Object, main: str, settings: Settings) -> str:
    """Of a pod template: that it runs the task, with flowc's variables and volumes, once."""
    about, now = _map(after.get("metadata")), _map(after.get("spec"))
    named = next((key for key in ("name", "generateName", "namespace") if key in about), None)
    if named:
        return f"sets metadata.{named} of a pod, which its engine gives it"
    spec = before.get("spec", {})
    whole = changed(before, after, ("spec.restartPolicy",)) or marks(before.get("metadata", {}), about)
    container, changed_to = _named(spec.get("containers"), main), _named(now.get("containers"), main)
    return whole or of_container(container, changed_to, settings) or volumes(spec, now)


def of_container(before: Object, after: Object, settings: Settings) -> str:
    """Of the container that runs the task: its command, variables and mounts. One that is not there before is no concern."""
    if before and not after:
        return "removes the container main, which runs the task"
    for field in ("command", "args"):
        if before.get(field) != after.get(field):
            return f"changes `{field}` of the container main, which is how a task runs"
    now = {each.get("name"): each for each in _maps(after.get("env"))}
    for each in before.get("env", ()):
        name = each["name"]
        if name.startswith(VARIABLES) and name not in settings.environment and now.get(name) != each:
            return f"changes the variable {name}, which flowc sets"
    for field, what in (("volumeMounts", "the mount"), ("envFrom", "the source of variables")):
        lost = next((each for each in before.get(field, ()) if each not in _maps(after.get(field))), None)
        if lost is not None:
            shown = lost.get("mountPath") or json.dumps(lost)
            return f"drops or changes {what} {shown}, which flowc writes" + ("; `envFrom` is replaced whole" if field == "envFrom" else "")
    return ""


def volumes(before: Object, after: Object) -> str:
    """Volumes that flowc writes stay what they are; an emptyDir may be of another size or medium."""
    now = {each.get("name"): each for each in _maps(after.get("volumes"))}
    for each in before.get("volumes", ()):
        made = now.get(each["name"], {})
        if not ("emptyDir" in each and "emptyDir" in made) and made != each:
            return f"removes or changes the volume {each['name']}, which flowc writes"
    return ""


def refused(pod: Object) -> str:
    """What the API server would say of a pod template, beyond its schema, that a patch easily brings about."""
    problem = _named_wrongly(pod) or _mounts(pod)
    return f"gives no valid object: {problem}" if problem else ""


def _named_wrongly(pod: Object) -> str:
    spec = _map(pod.get("spec"))
    for key in NAMED:
        if key in spec and not _SUBDOMAIN.fullmatch(str(spec[key])):
            return f"spec.{key} is `{spec[key]}`, which is no name of Kubernetes"
    for key in ("volumes", "containers", "initContainers"):
        for each in _maps(spec.get(key)):
            if not (_LABEL.fullmatch(name := str(each.get("name"))) and len(name) <= 63):
                return f"an item of spec.{key} is called `{name}`, which is no name of Kubernetes"
    for part in ("labels", "annotations"):
        for key, text in _map(_map(pod.get("metadata")).get(part)).items():
            prefix, slash, name = key.rpartition("/")
            if not _KEY.fullmatch(name) or (slash and not _SUBDOMAIN.fullmatch(prefix)):
                return f"`{key}` is no key for {part}"
            # Argo fills its tags in when it makes the pod
            if part == "labels" and text and "{{" not in text and not _KEY.fullmatch(text):
                return f"the label `{key}` cannot have the value `{text}`"
    return ""


def _mounts(pod: Object) -> str:
    spec = _map(pod.get("spec"))
    there = {each.get("name") for each in _maps(spec.get("volumes"))}
    for container in (*_maps(spec.get("containers")), *_maps(spec.get("initContainers"))):
        where = f"container {container.get('name')}"
        lost = next((each for each in _maps(container.get("volumeMounts")) if each.get("name") not in there), None)
        if lost is not None:
            return f"{where} mounts the volume {lost.get('name')}, which the pod does not have"
        both = next((each for each in _maps(container.get("env")) if {"value", "valueFrom"} <= each.keys()), None)
        if both is not None:
            return f"{where} has the variable {both.get('name')} with both value and valueFrom; delete one: {{ \"$patch\" = \"delete\" }}"
        paths = [each.get("mountPath") for each in _maps(container.get("volumeMounts"))]
        twice = next((path for path in paths if paths.count(path) > 1), None)
        if twice is not None:
            return f"{where} mounts two volumes at {twice}"
    return ""


def _named(containers: Any, name: str) -> Object:
    return next((each for each in _maps(containers) if each.get("name") == name), {})


def _map(value: Any) -> Object:
    """What a patch left there, as far as it is of the right kind: the schema says what is wrong with the rest."""
    return value if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[Object]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []
