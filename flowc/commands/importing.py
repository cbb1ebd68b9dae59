"""In: what `terraform output -json` says. Out: values of settings, a settings file's text with them in it, Kubernetes manifests.

OUTPUTS is the one table of the outputs that flowc reads; the roots under terraform/examples and docs/terraform.md are held against it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowc import config
from flowc.config import SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLATFORMS = ("kubernetes", "aws-native")
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
ROOT = r"s3://[a-z0-9][a-z0-9.-]+(/[^\s/]+)*"
ROLE = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
QUEUE = r"(arn:aws[a-z-]*:batch:[a-z0-9-]+:[0-9]{12}:job-queue/)?[A-Za-z0-9_-]{1,128}"


@dataclass(frozen=True, slots=True)
class Output:
    """An output of Terraform: the setting that it becomes ("" where it is for manifests or people), where it must be, its form.

    `of`: the platforms whose outputs have it; `needed`: whether they must. `pattern` is a regular expression for the whole text.
    """

    name: str
    of: tuple[str, ...]
    what: str
    setting: str = ""
    needed: bool = False
    pattern: str = r".+"
    manifests: bool = False


OUTPUTS = (
    Output("platform", PLATFORMS, "what the outputs are for", needed=True, pattern="|".join(PLATFORMS)),
    Output("datastore_root", PLATFORMS, "where artifacts are kept", "datastore_root", True, ROOT, manifests=True),
    Output("metadata", PLATFORMS, "the metadata provider", "metadata", pattern=r"local|service@https?://[^\s@]+", manifests=True),
    Output("namespace", ("kubernetes",), "the namespace of flows", "namespace", True, LABEL, manifests=True),
    Output("service_account", ("kubernetes",), "the account of flows' pods", "service_account", True, SUBDOMAIN, manifests=True),
    Output("events_event", ("kubernetes",), "the Argo event of @trigger", "events_event", pattern=SUBDOMAIN, manifests=True),
    Output("events_event_source", ("kubernetes",), "its EventSource", "events_event_source", pattern=LABEL, manifests=True),
    Output("events_service_account", ("kubernetes",), "the Sensors' account", "events_service_account", pattern=SUBDOMAIN, manifests=True),
    Output("task_role_arn", ("kubernetes",), "the IAM role of flows' pods", pattern=ROLE, manifests=True),
    Output("controller_role_arn", ("kubernetes",), "the IAM role of Argo", pattern=ROLE, manifests=True),
    Output("batch_queue", ("aws-native",), "the job queue", "batch_queue", True, QUEUE),
    Output("batch_job_role_arn", ("aws-native",), "the role of jobs", "batch_job_role", True, ROLE),
    Output("batch_execution_role_arn", ("aws-native",), "the role that starts them", "batch_execution_role", True, ROLE),
)
PEOPLE = (
    "batch_queues",
    "ci_role_arn",
    "cluster_autoscaler_role_arn",
    "cluster_name",
    "event_bus",
    "events_role_arn",
    "executions_log_group_arn",
    "image_repository",
    "karpenter",
    "log_group",
    "permissions_boundary_arn",
    "region",
    "scheduler_role_arn",
    "states_role_arn",
    "table",
)
"""Outputs of the examples that no setting takes: nothing is said of them."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read: texts by output (those of OUTPUTS that have a value), and notes for the user on what was passed over."""

    platform: str
    values: Mapping[str, str]
    notes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


def read(text: str, path: str) -> Imported:
    """The outputs in the JSON of `terraform output -json`. SettingsError says what is wrong, all of it."""
    try:
        outputs = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is no JSON: {error}; pipe in `terraform output -json`") from error
    if not isinstance(outputs, dict) or any(not isinstance(each, dict) or "value" not in each for each in outputs.values()):
        raise SettingsError(f"{path} is not what `terraform output -json` writes: an object of objects with a value each")
    if not outputs:
        raise SettingsError(f"{path} has no outputs; has `terraform apply` been run in this folder?")
    secret = [name for name, each in outputs.items() if each.get("sensitive")]
    known = {name: each["value"] for name, each in outputs.items() if name not in secret}
    notes = [f"the output {name} is sensitive and was not read" for name in secret]
    platform = known.get("platform")
    if platform is None:
        raise SettingsError(f"{path}: the output platform is missing; take the outputs of terraform/examples into your root")
    if platform not in PLATFORMS:
        raise SettingsError(f"{path}: the output platform must be {' or '.join(PLATFORMS)}, not {platform!r}")
    wanted = {output.name: output for output in OUTPUTS if platform in output.of}
    notes += [
        f"the output {name} is none that flowc knows{did_you_mean(name, wanted)}; it was passed over"
        for name in sorted(set(known) - set(wanted) - set(PEOPLE))
    ]
    values, wrong = _values(wanted, known)
    if wrong:
        raise SettingsError(f"{path}: " + "; ".join(wrong))
    settings = {"datastore": "s3"} | {output.setting: values[name] for name, output in wanted.items() if output.setting and name in values}
    return Imported(platform, values, tuple(notes), settings)


def _values(wanted: Mapping[str, Output], known: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    wrong = []
    for name, output in wanted.items():
        value = known.get(name)
        if value is None:
            if output.needed:
                wrong.append(f"the output {name} ({output.what}) is missing")
        elif not isinstance(value, str) or not re.fullmatch(output.pattern, value):
            wrong.append(f"the output {name} ({output.what}) cannot be {json.dumps(value)}")
        else:
            found[name] = value
    return found, wrong


# --- the settings file -----------------------------------------------------------------------------------------------------


def edited(text: str, path: str, settings: Mapping[str, str], env: str | None = None) -> str:
    """The text of a settings file with these values by field; all else in it stays, comments and order too.

    In a pyproject.toml they stand in `[tool.flowc]`, with `env` in the table of that environment. SettingsError where the file
    cannot be read, before or after.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    keys = {option.key: settings[option.field] for option in config.OPTIONS if option.field in settings}
    whole = path.rsplit("/", 1)[-1] == "pyproject.toml"
    where = (["tool", "flowc"] if whole else []) + ([] if env is None else ["env", env])
    if text.strip():
        config.parse(text, path)
    document = tomlkit.parse(text)
    wanted = document.unwrap()
    try:
        table: Any = document
        for name in where:
            if name not in table:
                inline = isinstance(table, tomlkit.items.InlineTable)
                table[name] = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=name != where[-1])
            table = table[name]
        for key, value in keys.items():
            if table.get(key) != value:
                table[key] = value
        new = tomlkit.dumps(document)
        kept = tomlkit.parse(new).unwrap() == _with(wanted, where, keys)
    except (TOMLKitError, ValueError):
        kept = False
    if not kept:
        lines = ", ".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        table_name = f"[{'.'.join(where)}]" if where else "before its tables"
        raise SettingsError(f"{path} is written in a way that flowc cannot edit without loss; put there, {table_name}: {lines}")
    config.parse(new, path, env)
    return new


def _with(data: dict[str, Any], where: Sequence[str], keys: Mapping[str, str]) -> dict[str, Any]:
    """The data of the file with these keys in that table."""
    table = data
    for name in where:
        table = table.setdefault(name, {})
    table.update(keys)
    return data


# --- manifests -------------------------------------------------------------------------------------------------------------


def manifests(imported: Imported) -> dict[str, str]:
    """The two files of deploy/eks that hold what Terraform made, by name: the ConfigMap of METAFLOW_* keys, and the accounts' roles."""
    values = imported.values
    namespace = values["namespace"]
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "metaflow-config", "namespace": namespace},
        "data": _metaflow(values),
    }
    accounts = {values["service_account"]: "task_role_arn", "argo": "controller_role_arn", "argo-server": "controller_role_arn"}
    objects = [_account(name, namespace, values.get(role)) for name, role in accounts.items()]
    return {"metaflow-config.yaml": _yaml([config_map]), "service-accounts.yaml": _yaml(objects)}


def _account(name: str, namespace: str, role: str | None) -> dict[str, Any]:
    """Without a role the account is as it is: EKS Pod Identity binds roles by itself."""
    annotations = {} if role is None else {"annotations": {"eks.amazonaws.com/role-arn": role}}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace, **annotations}}


def _metaflow(values: Mapping[str, str]) -> dict[str, str]:
    """Metaflow's own names of the settings."""
    found = {
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": values["datastore_root"],
        "METAFLOW_KUBERNETES_NAMESPACE": values["namespace"],
        "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": values["service_account"],
    }
    if "metadata" in values:
        provider, _, url = values["metadata"].partition("@")
        found["METAFLOW_DEFAULT_METADATA"] = provider
        if url:
            found["METAFLOW_SERVICE_URL"] = url
    if "events_event" in values and "events_event_source" in values:
        event, source = values["events_event"], values["events_event_source"]
        found["METAFLOW_ARGO_EVENTS_EVENT"] = event
        found["METAFLOW_ARGO_EVENTS_EVENT_BUS"] = "default"
        found["METAFLOW_ARGO_EVENTS_EVENT_SOURCE"] = source
        # the Service that Argo Events makes for an EventSource
        found["METAFLOW_ARGO_EVENTS_WEBHOOK_URL"] = f"http://{source}-eventsource-svc.{values['namespace']}:12000/{event}"
    if "events_service_account" in values:
        found["METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT"] = values["events_service_account"]
    return found


def _yaml(objects: Sequence[Mapping[str, Any]]) -> str:
    import yaml

    text: str = yaml.safe_dump_all(objects, sort_keys=False, width=10_000)
    return "# Written by flowc config import from Terraform's outputs.\n" + text
