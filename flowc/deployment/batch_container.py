"""In: merged attributes of @batch, and the platform. Out: the container of a job definition as AWS Batch takes it, but image and roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment.pods import given, names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def container(asked: Mapping[str, Any], platform: str, nodes: bool) -> dict[str, Any]:
    """The fields that Metaflow's own job definition and overrides together have, each only where it says something.

    `platform` is ec2 or fargate; `nodes`: the container is that of every node of a multi-node job.
    """
    return given(
        {
            "resourceRequirements": resources(asked),
            "linuxParameters": given(linux(asked, platform, nodes)),
            "privileged": True if asked["privileged"] else None,
            "volumes": [volume for volume, _ in volumes(asked)],
            "mountPoints": [mount for _, mount in volumes(asked)],
            "logConfiguration": given({"logDriver": asked["log_driver"], "options": log_options(asked)}),
            **(fargate(asked) if platform == "fargate" else {}),
        }
    )


def resources(asked: Mapping[str, Any]) -> list[dict[str, str]]:
    """cpu as a number without a needless fraction, which EC2 refuses; memory in MiB."""
    found = [{"type": "VCPU", "value": f"{float(asked['cpu']):g}"}, {"type": "MEMORY", "value": str(int(float(asked["memory"])))}]
    if float(asked["gpu"]) > 0:
        found.append({"type": "GPU", "value": str(int(float(asked["gpu"])))})
    return found


def linux(asked: Mapping[str, Any], platform: str, nodes: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"devices": list(devices(asked, nodes))}
    if platform == "ec2":
        if asked["shared_memory"] is not None:
            found["sharedMemorySize"] = int(float(asked["shared_memory"]))
        for field, attribute in (("maxSwap", "max_swap"), ("swappiness", "swappiness")):
            if asked[attribute] is not None:
                found[field] = int(asked[attribute])
        if has_tmpfs(asked):
            size = asked["tmpfs_size"] or float(asked["memory"]) / 2
            found["tmpfs"] = [{"containerPath": asked["tmpfs_path"], "size": int(size), "mountOptions": ["defaults"]}]
    return found


def has_tmpfs(asked: Mapping[str, Any]) -> bool:
    """A size alone asks for a tmpfs as well."""
    return bool(asked["use_tmpfs"] or asked["tmpfs_size"])


def devices(asked: Mapping[str, Any], nodes: bool) -> Iterator[dict[str, Any]]:
    """Neuron chips, and network adapters: all of them where there are several nodes to connect, else one, as Metaflow has it."""
    for index in range(int(asked["inferentia"] or 0)):
        path = f"/dev/neuron{index}"
        yield {"containerPath": path, "hostPath": path, "permissions": ["READ", "WRITE"]}
    if nodes:
        for index in range(int(asked["efa"] or 0)):
            path = f"/dev/infiniband/uverbs{index}"
            yield {"hostPath": path, "containerPath": path, "permissions": ["READ", "WRITE", "MKNOD"]}
    elif asked["efa"] and int(asked["efa"]):
        yield {"hostPath": "/dev/infiniband/uverbs0"}


def volumes(asked: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Volume and mount of each `host:container` and `fs-id:container`; alone, a folder of the host keeps its path, EFS is below /mnt."""
    for text in names(asked["host_volumes"]):
        host, _, inside = text.partition(":")
        name = host.replace("/", "_").replace(".", "_")
        yield {"name": name, "host": {"sourcePath": host}}, {"sourceVolume": name, "containerPath": inside or host}
    for text in names(asked["efs_volumes"]):
        system, _, inside = text.partition(":")
        where = {"fileSystemId": system, "transitEncryption": "ENABLED"}
        name = f"efs_{system}"
        yield {"name": name, "efsVolumeConfiguration": where}, {"sourceVolume": name, "containerPath": inside or f"/mnt/{system}"}


def log_options(asked: Mapping[str, Any]) -> dict[str, str]:
    return dict(text.split(":", 1) for text in names(asked["log_options"]))


def fargate(asked: Mapping[str, Any]) -> dict[str, Any]:
    storage = asked["ephemeral_storage"]
    return {
        "networkConfiguration": {"assignPublicIp": "ENABLED"},
        "ephemeralStorage": {"sizeInGiB": int(storage)} if storage else None,
    }
