"""In: merged attributes of @batch that Metaflow takes. Out: those whose value AWS Batch refuses, why, and what to write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowc.deployment.batch_container import has_tmpfs
from flowc.deployment.pods import names
from flowc.merging import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Problem = tuple[str, str, str]
"""The attribute, what is wrong with it, and the remedy."""

LEAST_MEMORY = 4
"""MiB: AWS Batch takes no less."""
DRIVERS = ("awsfirelens", "awslogs", "fluentd", "gelf", "json-file", "journald", "logentries", "syslog", "splunk")
FARGATE_DRIVERS = ("awsfirelens", "awslogs", "splunk")
ROLE = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/\S+")
VOLUME = re.compile(r"[A-Za-z0-9_-]{1,255}")

# vCPUs -> the memory in MiB that Fargate has with them: first, last, step (two of them where all are listed).
FARGATE: Mapping[str, tuple[int, ...]] = {
    "0.25": (512, 1024, 2048),
    "0.5": (1024, 2048, 3072, 4096),
    "1": tuple(range(2048, 8192 + 1, 1024)),
    "2": tuple(range(4096, 16384 + 1, 1024)),
    "4": tuple(range(8192, 30720 + 1, 1024)),
    "8": tuple(range(16384, 61440 + 1, 4096)),
    "16": tuple(range(32768, 122880 + 1, 8192)),
}


def problems(asked: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with the attributes on any platform."""
    yield from _amounts(asked)
    yield from _limits(asked)
    yield from _texts(asked)
    yield from _volumes(asked)


def _whole(value: Any) -> int | None:
    found = number(value)
    return int(found) if found is not None and found.is_integer() and not isinstance(value, bool) else None


def _amounts(asked: Mapping[str, Any]) -> Iterator[Problem]:
    cpu, memory, gpu = (number(asked[name]) for name in ("cpu", "memory", "gpu"))
    if cpu is None or not 0 < cpu < float("inf"):
        yield "cpu", f"cpu is `{asked['cpu']}`, which is no number of CPUs", "give a number above 0"
    if memory is None or not LEAST_MEMORY <= memory < float("inf"):
        text = f"memory is `{asked['memory']}`, and AWS Batch takes {LEAST_MEMORY} MiB or more"
        yield "memory", text, "give the memory in MiB: memory=4096"
    if gpu is None or gpu < 0 or not gpu.is_integer():
        yield "gpu", f"gpu is `{asked['gpu']}`, which is no number of GPUs", "give the number of GPUs: gpu=1"
    for name, what in (("inferentia", "Neuron devices"), ("efa", "network adapters")):
        if asked[name] is not None and (_whole(asked[name]) is None or int(asked[name]) < 0):
            yield name, f"{name} is `{asked[name]}`, which is no number of {what}", f"give a whole number: {name}=1"


def _limits(asked: Mapping[str, Any]) -> Iterator[Problem]:
    ranges = (
        ("shared_memory", 1, None, "MiB"),
        ("max_swap", 0, None, "MiB"),
        ("swappiness", 0, 100, ""),
        ("ephemeral_storage", 21, 200, "GiB"),
        ("tmpfs_size", 0, None, "MiB"),
    )
    for name, low, high, unit in ranges:
        value = asked[name]
        if value is None:
            continue
        found = _whole(value)
        if found is None or found < low or (high is not None and found > high):
            bounds = f"{low} or more" if high is None else f"{low} to {high}"
            yield name, f"{name} is `{value}`, and AWS Batch takes {bounds}{f' {unit}' if unit else ''}", f"give a whole number, {bounds}"


def _texts(asked: Mapping[str, Any]) -> Iterator[Problem]:
    image = asked["image"]
    if image is not None and not (isinstance(image, str) and re.fullmatch(r"\S{1,}", image)):
        yield "image", f"image is `{image}`, which is no image", "give a reference like registry/name:tag"
    for name in ("iam_role", "execution_role"):
        if asked[name] is not None and not (isinstance(asked[name], str) and ROLE.fullmatch(asked[name])):
            yield name, f"{name} is `{asked[name]}`, which is no ARN of a role", "give an ARN like arn:aws:iam::123456789012:role/jobs"
    if asked["queue"] is not None and not (isinstance(asked["queue"], str) and re.fullmatch(r"[A-Za-z0-9:/_-]+", asked["queue"])):
        yield "queue", f"queue is `{asked['queue']}`, which is neither name nor ARN of a job queue", "give its name or its ARN"
    if asked["executable"] is not None and not (isinstance(asked["executable"], str) and asked["executable"]):
        yield "executable", f"executable is `{asked['executable']}`, which is no path", "give the path of a Python in the image"
    if asked["log_driver"] is not None and asked["log_driver"] not in DRIVERS:
        yield "log_driver", f"`{asked['log_driver']}` is no log driver of AWS Batch", f"use one of {', '.join(DRIVERS)}"
    if not all(":" in str(text) for text in names(asked["log_options"])):
        yield "log_options", f"log_options is `{asked['log_options']}`, not a list of `option:value`", "write ['awslogs-group:jobs']"
    elif asked["log_options"] and asked["log_driver"] is None:
        yield "log_options", "log_options without a log_driver, which AWS Batch refuses", "name the driver too: log_driver='awslogs'"


def _volumes(asked: Mapping[str, Any]) -> Iterator[Problem]:
    if has_tmpfs(asked) and not str(asked["tmpfs_path"]).startswith("/"):
        yield "tmpfs_path", f"tmpfs_path is `{asked['tmpfs_path']}`, which is no absolute path", "give a path like /metaflow_temp"
    for name in ("host_volumes", "efs_volumes"):
        value = asked[name]
        for text in map(str, names(value) if value is None or isinstance(value, (str, list)) else [value]):
            outer, _, inner = text.partition(":")
            key = outer.replace("/", "_").replace(".", "_") if name == "host_volumes" else f"efs_{outer}"
            place = outer.startswith("/") if name == "host_volumes" else outer.startswith("fs-")
            if not (place and VOLUME.fullmatch(key) and (not inner or inner.startswith("/"))):
                form = "/data:/mnt/data" if name == "host_volumes" else "fs-0123456789abcdef0:/mnt/data"
                yield name, f"{name} has `{text}`, which names no volume", f"write it like {form}"


def ec2(asked: Mapping[str, Any]) -> Iterator[Problem]:
    """What EC2 lacks of the attributes, whose values are those of `problems`."""
    if asked["ephemeral_storage"]:
        remedy = "leave it out, or say that the queue is Fargate's: --batch-platform fargate"
        yield "ephemeral_storage", "ephemeral_storage is nothing that EC2 has", remedy
    if float(asked["cpu"]) < 1:
        yield "cpu", f"EC2 has no less than one vCPU, and cpu is `{asked['cpu']}`", "ask for 1, or for Fargate: --batch-platform fargate"


def fargate(asked: Mapping[str, Any]) -> Iterator[Problem]:
    """What Fargate lacks of the attributes, whose values are those of `problems`."""
    absent = ("shared_memory", "max_swap", "swappiness", "inferentia", "efa", "host_volumes", "privileged")
    for name in absent:
        if asked[name] not in (None, False, 0, "0", [], ""):
            yield name, f"{name} is nothing that Fargate has", "leave it out, or run the step on EC2: --batch-platform ec2"
    if float(asked["gpu"]) > 0:
        yield "gpu", "Fargate has no GPUs", "run the step on EC2: --batch-platform ec2"
    if has_tmpfs(asked):
        yield "use_tmpfs", "Fargate has no tmpfs", "leave it out, or run the step on EC2: --batch-platform ec2"
    if asked["log_driver"] is not None and asked["log_driver"] not in FARGATE_DRIVERS:
        yield "log_driver", f"Fargate has no log driver `{asked['log_driver']}`", f"use one of {', '.join(FARGATE_DRIVERS)}"


def fargate_size(cpu: Any, memory: Any) -> str:
    """What is wrong with the pair, "" where Fargate has it."""
    sizes = FARGATE.get(f"{float(cpu):g}")
    if sizes is None:
        return f"Fargate has no {float(cpu):g} vCPUs; it has {', '.join(FARGATE)}"
    if int(float(memory)) in sizes:
        return ""
    step = sizes[1] - sizes[0]
    listed = ", ".join(map(str, sizes)) if len(sizes) < 5 else f"{sizes[0]} to {sizes[-1]} in steps of {step}"
    return f"Fargate has no {int(float(memory))} MiB with {float(cpu):g} vCPUs; it has {listed}"
