"""In: a Step and Settings. Out: the parts of its pod that no engine changes: container fields, volumes, mounts, environment."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from flowc.merging import KUBERNETES_DEFAULTS, kubernetes
from flowc.runtime import safe_json
from flowc.target import short_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.ir import Step
    from flowc.settings import Settings

CARRIER = "FLOWC_ENVIRONMENT"
TMPFS, SHARED = "tmpfs-ephemeral-volume", "dhsm"
# Volumes that the workflow gives to all pods.
SHARED_BY_ALL = ("out", "datastore")
# What Metaflow notes of the pod that a task ran in.
FIELDS = {
    "METAFLOW_KUBERNETES_NAMESPACE": "metadata.namespace",
    "METAFLOW_KUBERNETES_POD_NAMESPACE": "metadata.namespace",
    "METAFLOW_KUBERNETES_POD_NAME": "metadata.name",
    "METAFLOW_KUBERNETES_POD_ID": "metadata.uid",
    "METAFLOW_KUBERNETES_SERVICE_ACCOUNT_NAME": "spec.serviceAccountName",
    "METAFLOW_KUBERNETES_NODE_IP": "status.hostIP",
}
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

# What Metaflow sets itself, whatever @environment says.
METAFLOWS_OWN = frozenset(
    {
        "METAFLOW_CODE_METADATA",
        "METAFLOW_CODE_URL",
        "METAFLOW_CODE_SHA",
        "METAFLOW_CODE_DS",
        "METAFLOW_SERVICE_URL",
        "METAFLOW_SERVICE_HEADERS",
        "METAFLOW_USER",
        "METAFLOW_DATASTORE_SYSROOT_S3",
        "METAFLOW_DATATOOLS_S3ROOT",
        "METAFLOW_DEFAULT_DATASTORE",
        "METAFLOW_DEFAULT_METADATA",
        "METAFLOW_CARD_S3ROOT",
        "METAFLOW_KUBERNETES_WORKLOAD",
        "METAFLOW_KUBERNETES_FETCH_EC2_METADATA",
        "METAFLOW_RUNTIME_ENVIRONMENT",
        "METAFLOW_OWNER",
        "METAFLOW_ARGO_EVENTS_EVENT",
        "METAFLOW_ARGO_EVENTS_EVENT_BUS",
        "METAFLOW_ARGO_EVENTS_EVENT_SOURCE",
        "METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT",
        "METAFLOW_ARGO_EVENTS_WEBHOOK_URL",
        "METAFLOW_ARGO_EVENTS_WEBHOOK_AUTH",
        "METAFLOW_FLOW_FILENAME",
        "METAFLOW_FLOW_NAME",
        "METAFLOW_STEP_NAME",
        "METAFLOW_RUN_ID",
        "METAFLOW_RETRY_COUNT",
        "METAFLOW_PRODUCTION_TOKEN",
        "METAFLOW_S3_ENDPOINT_URL",
        "METAFLOW_INIT_SCRIPT",
        "METAFLOW_RUNTIME_NAME",
        "METAFLOW_KUBERNETES_SANDBOX_INIT_SCRIPT",
        "METAFLOW_DEFAULT_SECRETS_BACKEND_TYPE",
        "METAFLOW_AWS_SECRETS_MANAGER_DEFAULT_REGION",
        "METAFLOW_GCP_SECRET_MANAGER_PREFIX",
        "METAFLOW_AZURE_KEY_VAULT_PREFIX",
        "METAFLOW_AZURE_STORAGE_BLOB_SERVICE_ENDPOINT",
        "METAFLOW_DATASTORE_SYSROOT_AZURE",
        "METAFLOW_CARD_AZUREROOT",
        "METAFLOW_ARGO_WORKFLOWS_KUBERNETES_SECRETS",
        "METAFLOW_DATASTORE_SYSROOT_GS",
        "METAFLOW_ARGO_WORKFLOWS_ENV_VARS_TO_SKIP",
        "METAFLOW_CARD_GSROOT",
        "METAFLOW_VERSION",
        "METAFLOW_FLOW_CONFIG_VALUE",
        "METAFLOW_KUBERNETES_NAMESPACE",
        "METAFLOW_KUBERNETES_POD_NAMESPACE",
        "METAFLOW_KUBERNETES_POD_NAME",
        "METAFLOW_KUBERNETES_POD_ID",
        "METAFLOW_KUBERNETES_SERVICE_ACCOUNT_NAME",
        "METAFLOW_KUBERNETES_NODE_IP",
        "ARGO_WORKFLOW_TEMPLATE",
        "ARGO_WORKFLOW_NAME",
        "ARGO_WORKFLOW_NAMESPACE",
    }
)


def is_reserved(name: str) -> bool:
    """Whether the platform sets a variable of that name, so that @environment's value never counts."""
    return name in METAFLOWS_OWN or name.startswith("FLOWC_")


# --- what all steps share ----------------------------------------------------------------------------------------------


def default_resources() -> dict[str, Any]:
    """`resources` of a step that asks for nothing: Metaflow's cpu, memory and disk."""
    return resources_of(KUBERNETES_DEFAULTS)


def default_env_from(settings: Settings) -> list[dict[str, Any]]:
    """`envFrom` of every step: the namespace's ConfigMap and Secret where no setting names the datastore, then the secrets of Settings."""
    found: list[dict[str, Any]] = []
    if not settings.has_datastore():
        found = [
            {"configMapRef": {"name": settings.config_map}},
            {"secretRef": {"name": settings.config_map, "optional": True}},
        ]
    return found + [{"secretRef": {"name": name}} for name in settings.secrets]


# --- one step ------------------------------------------------------------------------------------------------------------


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value: Kubernetes takes what is absent for its default, and nobody reviews an empty list."""
    return {name: value for name, value in fields.items() if value not in (None, [], (), {})}


def resources(step: Step) -> dict[str, Any]:
    """The whole `resources` of a step's container."""
    return resources_of(kubernetes(step))


def resources_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    amounts = {"cpu": str(asked["cpu"]), "memory": f"{asked['memory']}M", "ephemeral-storage": f"{asked['disk']}M"}
    extended = {name: str(amount) for name, amount in (asked["extended_resources"] or {}).items()}
    limits = {**(amounts if str(asked["qos"]).lower() == "guaranteed" else {}), **extended}
    if asked["gpu"] is not None:
        limits[f"{asked['gpu_vendor'].lower()}.com/gpu"] = str(int(float(asked["gpu"])))
    return {"requests": {**amounts, **extended}, **({"limits": limits} if limits else {})}


def environment(step: Step, *, expands: bool = True) -> list[dict[str, Any]]:
    """The variables of @environment, and where a tmpfs is Metaflow's temporary folder.

    Values that the engine `expands` (Argo, wherever it finds `{{`) travel together as base64 of a JSON
    object in FLOWC_ENVIRONMENT, from which bootstrap.py sets them.
    """
    decorator = step.decorator("environment")
    given = (decorator.get("vars") or {}) if decorator else {}
    texts = {str(name): str(value) for name, value in given.items() if value is not None and not is_reserved(str(name))}
    carried = {name: text for name, text in texts.items() if expands and "{{" in text}
    found = [{"name": name, "value": literal(text)} for name, text in texts.items() if name not in carried]
    if carried:
        encoded = base64.b64encode(safe_json(carried).encode()).decode()
        found.append({"name": CARRIER, "value": encoded})
    asked = kubernetes(step)
    if has_tmpfs(asked) and asked["tmpfs_tempdir"]:
        found = [entry for entry in found if entry["name"] != "METAFLOW_TEMPDIR"]
        found.append({"name": "METAFLOW_TEMPDIR", "value": asked["tmpfs_path"]})
    return found


def literal(text: str) -> str:
    """A value that Kubernetes leaves alone: it would take `$(NAME)` for a variable and `$$` for `$`."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text


def names(value: Any) -> list[str]:
    """One name, or several."""
    return [value] if isinstance(value, str) and value else list(value or [])


def secrets(asked: Mapping[str, Any]) -> list[str]:
    return names(asked["secrets"])


def env_from(step: Step, settings: Settings) -> list[dict[str, Any]]:
    """The whole `envFrom` of a step's container."""
    own = [name for name in secrets(kubernetes(step)) if name not in settings.secrets]
    return default_env_from(settings) + [{"secretRef": {"name": name}} for name in own]


def ports(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"containerPort": int(asked["port"])}] if asked["port"] else []


def camel_case(value: Any) -> Any:
    """Keys of Python's Kubernetes client as Kubernetes writes them, at every depth."""
    if isinstance(value, dict):
        return {re.sub(r"(?!^)_([a-zA-Z])", lambda m: m[1].upper(), key): camel_case(item) for key, item in value.items()}
    return [camel_case(item) for item in value] if isinstance(value, list) else value


def security_context(asked: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = camel_case({key: value for key, value in (asked["security_context"] or {}).items() if value is not None})
    return found


def tolerations(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [camel_case({key: value for key, value in item.items() if value is not None}) for item in asked["tolerations"] or []]


def has_tmpfs(asked: Mapping[str, Any]) -> bool:
    """A size alone asks for a tmpfs as well."""
    return bool(asked["use_tmpfs"] or asked["tmpfs_size"])


def volume_name(claim: str) -> str:
    """A claim's name may have dots and 253 characters, a volume's may not; and some names are taken."""
    taken = claim in (TMPFS, SHARED, *SHARED_BY_ALL) or claim.startswith("flowc")
    return claim if LABEL.fullmatch(claim) and not taken else f"claim-{short_hash(claim)}"


def volumes(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Memory volumes (sizes in MiB) and claims."""
    found = []
    if has_tmpfs(asked):
        found.append({"name": TMPFS, "emptyDir": {"medium": "Memory", "sizeLimit": f"{int(asked['tmpfs_size'])}Mi"}})
    if asked["shared_memory"]:
        found.append({"name": SHARED, "emptyDir": {"medium": "Memory", "sizeLimit": f"{int(asked['shared_memory'])}Mi"}})
    claims = asked["persistent_volume_claims"] or {}
    return found + [{"name": volume_name(claim), "persistentVolumeClaim": {"claimName": claim}} for claim in claims]


def mounts(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where the volumes of `volumes` appear."""
    found = []
    if has_tmpfs(asked):
        found.append({"name": TMPFS, "mountPath": asked["tmpfs_path"]})
    if asked["shared_memory"]:
        found.append({"name": SHARED, "mountPath": "/dev/shm"})  # noqa: S108 - the path is the kernel's
    return found + [{"name": volume_name(claim), "mountPath": path} for claim, path in (asked["persistent_volume_claims"] or {}).items()]


def labels(asked: Mapping[str, Any]) -> dict[str, str]:
    return {key: value or "" for key, value in (asked["labels"] or {}).items()}
