"""In: a container and the pod around it, as Kubernetes knows them. Out: facts of a step: image, resources, variables, volumes, ..."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flowc.comparison import tasks
from flowc.comparison.records import Reading, rows, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.comparison.tasks import Task

SUFFIXES: dict[str, Decimal | int] = {"m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
SUFFIXES |= {f"{name}i": 2 ** (10 * (i + 1)) for i, name in enumerate("KMGTP")}
LONGEST = 24
"""Digits of an amount; more, as in `1e999999`, are no amount, and nothing to write out."""
ASKED = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "disk"}
OUT, CODE = "/mnt/out", "/flowc"
"""Where both compilers' pods leave results for Argo; where flowc's find their code."""
METAFLOWS = re.compile(r"metaflow/.*|workflows\.argoproj\.io/.*|app\.kubernetes\.io/(part-of|name)|task_id_entropy|num_parallel")


def container(
    value: dict[str, Any], volumes: Sequence[Mapping[str, Any]], reading: Reading, path: str
) -> tuple[Task | None, dict[str, Any]]:
    """What the container of a step runs, and the facts that it has. Takes from `value` what it knows."""
    env = tasks.variables(rows(value.pop("env", None)))
    sources = rows(value.pop("envFrom", None))
    maps = [str(table(each["configMapRef"]).get("name")) for each in sources if "configMapRef" in each]
    fallback = f"as the ConfigMap {maps[0]} says" if maps else ""
    command, args = value.pop("command", []), value.pop("args", [])
    ran = tasks.task([str(word) for word in command], [str(word) for word in args], env, fallback)
    # a Secret of the ConfigMap's name is part of what the ConfigMap says
    secrets = [
        str(table(each["secretRef"]).get("name"))
        for each in sources
        if "secretRef" in each and table(each["secretRef"]).get("name") not in maps
    ]
    value.pop("name", None)
    if value.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        value.pop("terminationMessagePolicy")
    resources = table(value.pop("resources", None))
    requests = {name: quantity(name, amount) for name, amount in table(resources.pop("requests", None)).items()}
    facts = {
        "image": value.pop("image", None),
        "image_pull_policy": value.pop("imagePullPolicy", None),
        **{fact: requests.pop(name, None) for name, fact in ASKED.items()},
        "requests": requests,
        "limits": {name: quantity(name, amount) for name, amount in table(resources.pop("limits", None)).items()},
        "secrets": sorted(set(secrets)),
        "config_maps": sorted(maps[1:]),
        "ports": sorted(int(port.get("containerPort", 0)) for port in rows(value.pop("ports", None))),
        "security_context": table(value.pop("securityContext", None)),
        "volumes": mounted(rows(value.pop("volumeMounts", None)), volumes),
    }
    if ran is not None:
        facts |= {**ran.facts, "env": ran.known}
        facts.pop("image_of_with")
        reading.leave(ran.unread, f"{path}.command")
    else:
        facts["env"] = env
    reading.leave(resources, f"{path}.resources")
    reading.leave(value, path)
    return ran, facts


def quantity(name: str, amount: Any) -> str:
    """An amount in one spelling for each value: `4096 MB`, `4 MiB`, `0.5`."""
    match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([a-zA-Z]*)", str(amount))
    try:
        number = Decimal(match[1]) * (SUFFIXES[match[2]] if match[2] else 1) if match else None
        if number is None or number.adjusted() > LONGEST:
            return str(amount)
        if name in ("memory", "ephemeral-storage"):
            for size, unit in ((10**6, "MB"), (2**20, "MiB")):
                if number % size == 0:
                    return f"{_plain(number / size)} {unit}"
    except (ArithmeticError, KeyError):
        return str(amount)
    return _plain(number)


def _plain(number: Decimal) -> str:
    """Without an exponent and zeros that say nothing."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def mounted(mounts: Sequence[dict[str, Any]], volumes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What stands at which path of the container."""
    by_name = {volume.get("name"): {key: each for key, each in volume.items() if key != "name"} for volume in volumes}
    found = {}
    for mount in mounts:
        place, volume = str(mount.pop("mountPath", "")), by_name.get(mount.pop("name", None), {})
        if (place == OUT and volume == {"emptyDir": {}}) or (place == CODE or place.startswith(f"{CODE}/")):
            continue
        extra = f" {json.dumps(mount, sort_keys=True)}" if mount else ""
        found[place] = f"{_volume(volume)}{extra}"
    return found


def _volume(volume: Mapping[str, Any]) -> str:
    empty, claim = volume.get("emptyDir"), volume.get("persistentVolumeClaim")
    if empty is not None and set(empty) <= {"medium", "sizeLimit"}:
        size = f" {quantity('memory', empty['sizeLimit'])}" if "sizeLimit" in empty else ""
        return f"{'memory' if empty.get('medium') == 'Memory' else 'an empty folder'}{size}"
    if claim is not None and set(claim) == {"claimName"}:
        return f"the claim {claim['claimName']}"
    return json.dumps(volume, sort_keys=True)


def own(names: Any) -> dict[str, str]:
    """Labels or annotations without those by which Metaflow and Argo know their own."""
    return {key: str(value) for key, value in table(names).items() if not METAFLOWS.fullmatch(key)}


def placement(value: dict[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of the pod or template around a container; `shared` holds what the workflow says for all. Takes what it knows."""
    metadata = table(value.pop("metadata", None))
    pull = rows(value.pop("imagePullSecrets", None)) or rows(shared.get("imagePullSecrets"))
    return {
        "labels": {**own(table(shared.get("podMetadata")).get("labels")), **own(metadata.get("labels"))},
        "annotations": {**own(table(shared.get("podMetadata")).get("annotations")), **own(metadata.get("annotations"))},
        "service_account": value.pop("serviceAccountName", None) or shared.get("serviceAccountName"),
        "node_selector": {**table(shared.get("nodeSelector")), **table(value.pop("nodeSelector", None))},
        "tolerations": sorted(
            json.dumps(each, sort_keys=True) for each in rows(value.pop("tolerations", None)) or rows(shared.get("tolerations"))
        ),
        "image_pull_secrets": sorted(str(each.get("name")) for each in pull),
        "timeout_seconds": value.pop("activeDeadlineSeconds", None),
    }


def retries(value: dict[str, Any]) -> dict[str, Any]:
    """Facts of a `retryStrategy`; takes it where it is of the kind that both compilers write."""
    strategy = table(value.pop("retryStrategy", None))
    backoff = table(strategy.pop("backoff", None))
    found = {
        "retries": int(strategy.pop("limit", 0) or 0),
        "retry_policy": strategy.pop("retryPolicy", None),
        "retry_wait": backoff.pop("duration", None),
    }
    more = {**strategy, **({"backoff": backoff} if backoff else {})}
    return {**found, **({"retry_more": json.dumps(more, sort_keys=True)} if more else {})}
