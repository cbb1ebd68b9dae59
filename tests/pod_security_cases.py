"""In: nothing. Out: pods that Pod Security `restricted` takes, and what makes it refuse them: patches, each with a word of the verdict."""

from __future__ import annotations

from typing import Any

from flowc.deployment.profile import CONTAINER, POD

Object = dict[str, Any]
FINE: Object = {
    "restartPolicy": "Never",
    "securityContext": dict(POD),
    "containers": [{"name": "main", "image": "python:3.11", "securityContext": dict(CONTAINER)}],
}


def pod(**fields: Any) -> Object:
    """FINE with other fields."""
    return {**FINE, **fields}


def inside(*, field: str = "containers", **context: Any) -> Object:
    """FINE with a container whose security context says more; None takes a field away."""
    whole = {key: value for key, value in {**CONTAINER, **context}.items() if value is not None}
    made = {"name": "other", "image": "python:3.11", "securityContext": whole}
    return {**FINE, field: [*FINE.get(field, ()), made]}


def shared(**context: Any) -> Object:
    """FINE with another security context of the pod."""
    return {**FINE, "securityContext": {key: value for key, value in {**POD, **context}.items() if value is not None}}


TAKEN: dict[str, Object] = {
    "plain": FINE,
    "volumes of the pod's own": pod(
        volumes=[
            {"name": "a", "emptyDir": {}},
            {"name": "b", "configMap": {"name": "x"}},
            {"name": "c", "secret": {"secretName": "x"}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "x"}},
            {"name": "e", "projected": {"sources": []}},
            {"name": "f", "downwardAPI": {}},
            {"name": "g", "csi": {"driver": "x"}},
        ]
    ),
    "a port below 1024": inside(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
    "another user": inside(runAsUser=1234, runAsGroup=0),
    "a root that may be written": inside(readOnlyRootFilesystem=None),
    "seccomp by the container": {**shared(seccompProfile=None), "containers": inside(seccompProfile={"type": "RuntimeDefault"})["containers"][1:]},
    "a safe sysctl": shared(sysctls=[{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]),
    "not root by the container": {**shared(runAsNonRoot=None), "containers": inside(runAsNonRoot=True)["containers"][1:]},
    "an SELinux type of containers": shared(seLinuxOptions={"type": "container_t", "level": "s0:c1,c2"}),
}
REFUSED: dict[str, tuple[Object, str]] = {
    "the host's network": (pod(hostNetwork=True), "hostNetwork"),
    "the host's processes": (pod(hostPID=True), "hostPID"),
    "the host's IPC": (pod(hostIPC=True), "hostIPC"),
    "a folder of the host": (pod(volumes=[{"name": "a", "hostPath": {"path": "/"}}]), "volumes[a]"),
    "NFS": (pod(volumes=[{"name": "a", "nfs": {"server": "x", "path": "/"}}]), "volumes[a]"),
    "an unsafe sysctl": (shared(sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "kernel.msgmax"),
    "root": (shared(runAsUser=0), "securityContext.runAsUser is 0"),
    "root in a container": (inside(runAsUser=0), "containers[other].securityContext.runAsUser is 0"),
    "root allowed": (shared(runAsNonRoot=None), "runAsNonRoot"),
    "root allowed in a container": (inside(runAsNonRoot=False), "containers[other].securityContext.runAsNonRoot is false"),
    "no seccomp": (shared(seccompProfile=None), "seccompProfile"),
    "seccomp off": (inside(seccompProfile={"type": "Unconfined"}), "seccompProfile.type is Unconfined"),
    "AppArmor off": (shared(appArmorProfile={"type": "Unconfined"}), "appArmorProfile"),
    "another SELinux type": (shared(seLinuxOptions={"type": "spc_t"}), "seLinuxOptions"),
    "an SELinux user": (inside(seLinuxOptions={"user": "system_u"}), "seLinuxOptions"),
    "privileged": (inside(privileged=True, allowPrivilegeEscalation=None), "privileged"),
    "escalation": (inside(allowPrivilegeEscalation=True), "allowPrivilegeEscalation"),
    "escalation by default": (inside(allowPrivilegeEscalation=None), "allowPrivilegeEscalation"),
    "capabilities kept": (inside(capabilities={"drop": ["NET_RAW"]}), "capabilities.drop has no ALL"),
    "no word of capabilities": (inside(capabilities=None), "capabilities.drop has no ALL"),
    "a capability more": (inside(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}), "capabilities.add has NET_ADMIN"),
    "an init container": (inside(field="initContainers", capabilities=None), "initContainers[other]"),
    "a port of the host": (
        pod(containers=[{**FINE["containers"][0], "ports": [{"containerPort": 80, "hostPort": 80}]}]),
        "hostPort 80",
    ),
    "a bare sidecar": (pod(containers=[*FINE["containers"], {"name": "proxy", "image": "x:1"}]), "containers[proxy]"),
}
