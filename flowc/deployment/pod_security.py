"""In: the spec of a pod. Out: what Kubernetes' Pod Security Standard `restricted` (as of 1.33) refuses of it, in its own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
)
SELINUX_TYPES = (None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
SECCOMP = ("RuntimeDefault", "Localhost")

Object = Mapping[str, Any]


def violations(pod: Object) -> Iterator[str]:
    """What is refused, each by its field (`containers[main].securityContext.privileged is true`); nothing where the pod may run."""
    shared = _map(pod.get("securityContext"))
    yield from (f"{name} is true" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for each in pod.get("volumes") or ():
        if _host(each):
            yield f"volumes[{each.get('name')}] is of a type other than {', '.join(VOLUMES)}"
    for each in shared.get("sysctls") or ():
        if each.get("name") not in SYSCTLS:
            yield f"securityContext.sysctls has {each.get('name')}, which is not safe"
    yield from _either("securityContext", shared)
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind) or ():
            place = f"{kind}[{container.get('name')}]"
            yield from _container(place, container)
            yield from _inherited(f"{place}.securityContext", _map(container.get("securityContext")), shared)


def _map(value: Any) -> Object:
    """What is no map is told by the schema."""
    return value if isinstance(value, Mapping) else {}


def _host(volume: Object) -> bool:
    """Whether a volume is none of those that are the pod's own. One without a source is an emptyDir."""
    return any(key not in VOLUMES for key, value in volume.items() if key != "name" and value is not None)


def _either(place: str, context: Object) -> Iterator[str]:
    """What neither a pod nor a container may say."""
    if context.get("runAsUser") == 0:
        yield f"{place}.runAsUser is 0"
    if context.get("runAsNonRoot") is False:
        yield f"{place}.runAsNonRoot is false"
    kind = _map(context.get("seccompProfile")).get("type")
    if kind not in (None, *SECCOMP):
        yield f"{place}.seccompProfile.type is {kind}"
    if _map(context.get("appArmorProfile")).get("type") == "Unconfined":
        yield f"{place}.appArmorProfile.type is Unconfined"
    label = _map(context.get("seLinuxOptions"))
    if label.get("type") not in SELINUX_TYPES or label.get("user") or label.get("role"):
        yield f"{place}.seLinuxOptions name a user, a role, or a type that is no container's"
    if _map(context.get("windowsOptions")).get("hostProcess"):
        yield f"{place}.windowsOptions.hostProcess is true"


def _container(place: str, container: Object) -> Iterator[str]:
    """What a container says by itself."""
    context = _map(container.get("securityContext"))
    where = f"{place}.securityContext"
    yield from _either(where, context)
    if context.get("privileged"):
        yield f"{where}.privileged is true"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{where}.allowPrivilegeEscalation is not false"
    capabilities = _map(context.get("capabilities"))
    if "ALL" not in (capabilities.get("drop") or ()):
        yield f"{where}.capabilities.drop has no ALL"
    added = [name for name in capabilities.get("add") or () if name != "NET_BIND_SERVICE"]
    if added:
        yield f"{where}.capabilities.add has {', '.join(added)}"
    if context.get("procMount") not in (None, "", "Default"):
        yield f"{where}.procMount is {context['procMount']}"
    yield from (f"{place}.ports have the hostPort {port['hostPort']}" for port in container.get("ports") or () if port.get("hostPort"))


def _inherited(where: str, context: Object, shared: Object) -> Iterator[str]:
    """What a container takes from its pod where it does not say it itself. What it says wrong has been told."""
    if context.get("runAsNonRoot") is None and shared.get("runAsNonRoot") is not True:
        yield f"{where}.runAsNonRoot is not true, nor is the pod's"
    if not context.get("seccompProfile") and not shared.get("seccompProfile"):
        yield f"{where}.seccompProfile is not set, nor is the pod's"
