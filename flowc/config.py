"""In: the text of a settings file. Out: values for Settings by field; and OPTIONS, the table of settings that the flags are made of too."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from flowc.option import Option, SettingsError, check_choice, check_integer, did_you_mean, taken, typed
from flowc.settings import ARGO_VERSIONS

__all__ = [
    "BY_KEY", "FILES", "OPTIONS", "PROJECT", "TOPICS", "Option", "Project", "SettingsError",
    "check_choice", "check_integer", "did_you_mean", "lines", "overlaid", "parse", "project",
]  # fmt: skip

FILES = ("flowc.toml", "pyproject.toml")
"""Where settings are looked for in a folder; the first that has them counts."""


TOPICS: dict[str, tuple[Option, ...]] = {
    "What a pod runs": (
        Option("image", "text", "Image of steps that name none.", metavar="IMAGE"),
        Option("image_pull_policy", "text", "When nodes pull the image.", choices=("Always", "IfNotPresent", "Never")),
        Option("image_pull_secrets", "list", "A Secret that can pull the image. Repeatable.", flag="image-pull-secret", metavar="NAME"),
        Option("code", "text", "How the code reaches the pods: in the manifest, or baked into the image.", choices=("embedded", "image")),
        Option("code_path", "text", "The flow's folder in the image, with --code image.", metavar="DIR"),
        Option("install", "switch", "Whether pods install metaflow where the image lacks it."),
        Option("metaflow_version", "text", "The metaflow that pods install.", metavar="VERSION"),
    ),
    "Where artifacts are kept": (
        Option("datastore", "text", "Where artifacts are kept; unset: as the ConfigMap says.", choices=("s3", "gs", "azure", "local")),
        Option("datastore_root", "text", "Root of the datastore: s3://bucket/prefix, a folder, ...", metavar="ROOT"),
        Option("datastore_claim", "text", "PersistentVolumeClaim that holds a local datastore.", metavar="NAME"),
        Option("metadata", "text", "Metadata provider of the pods: local, or a service as service@URL.", metavar="PROVIDER"),
        Option("config_map", "text", "ConfigMap (and Secret) of METAFLOW_* keys that pods read.", metavar="NAME"),
    ),
    "What pods get": (
        Option("environment", "map", "An environment variable of every pod. Repeatable.", metavar="NAME=VALUE"),
        Option("secrets", "list", "A Kubernetes Secret that becomes environment in every pod. Repeatable.", flag="secret", metavar="NAME"),
        Option("service_account", "text", "ServiceAccount of the pods.", metavar="NAME"),
        Option("labels", "map", "A label of every object and pod. Repeatable.", flag="label", metavar="KEY=VALUE"),
        Option("annotations", "map", "An annotation of every object and pod. Repeatable.", flag="annotation", metavar="KEY=VALUE"),
        Option("profile", "text", "Pod Security Standard that the pods keep to; unset: none.", choices=("restricted",)),
    ),
    "Names and @project": (
        Option("name", "text", "Name of the workflow, instead of the one made from the flow's.", metavar="NAME"),
        Option("namespace", "text", "Namespace of the objects.", metavar="NAME"),
        Option("owner", "text", "Owner noted on the objects (metaflow/owner) and the user of the runs.", metavar="NAME"),
        Option("branch", "text", "Branch of a @project flow.", metavar="NAME"),
        Option("production", "switch", "Whether a @project flow is the production deployment."),
        Option("production_token", "text", "Metaflow's production token, which guards the deployment; no secret.", metavar="TOKEN"),
        Option("tags", "list", "A tag of every run. Repeatable.", flag="tag", metavar="TAG"),
        Option("title", "text", "Title shown in the Argo UI.", metavar="TEXT"),
        Option("description", "text", "Description shown in the Argo UI.", metavar="TEXT"),
    ),
    "Argo Workflows": (
        Option("argo_version", "text", "Argo Workflows of the cluster.", choices=ARGO_VERSIONS),
        Option("max_workers", "integer", "How many tasks run at once.", metavar="N", minimum=1),
        Option("workflow_timeout", "integer", "Seconds after which a run is stopped.", metavar="SECONDS", minimum=1),
        Option("workflow_priority", "integer", "Priority of runs in Argo's queue.", metavar="N"),
        Option("auto_emit_events", "switch", "Whether runs emit Argo events for @trigger_on_finish."),
    ),
    "Step Functions and AWS Batch": (
        Option("use_distributed_map", "switch", "Whether a foreach is a distributed Map, which takes any width; else inline: 40 at once."),
        Option("format", "text", "What is written: a stack, or state machine and job definitions.", choices=("cloudformation", "asl")),
        Option("batch_platform", "text", "What the queue's compute environment is.", choices=("ec2", "fargate")),
        Option("batch_queue", "text", "Job queue of steps whose @batch names none: name or ARN.", metavar="QUEUE"),
        Option("batch_job_role", "text", "Role of the jobs where @batch names none; unset: the stack makes one.", metavar="ARN"),
        Option("batch_execution_role", "text", "Role with which Fargate starts jobs; unset: the stack makes one.", metavar="ARN"),
        Option("aws_partition", "text", "Partition of AWS that the state machine is for.", choices=("aws", "aws-cn", "aws-us-gov")),
        Option("stack_bucket", "switch", "Whether the stack makes the bucket of the datastore, instead of taking its name."),
    ),
    "Kubernetes Jobs": (
        Option("coordinator_image", "text", "Image of the pod that starts the Jobs (Python 3.10 on); unset: --image.", metavar="IMAGE"),
        Option("kueue_queue", "text", "LocalQueue of Kueue that admits the Jobs.", metavar="NAME"),
        Option("job_ttl", "integer", "Seconds after which finished Jobs are removed; unset: never.", metavar="SECONDS", minimum=0),
    ),
    "Notifications": (
        Option("notify_on_error", "switch", "Whether to notify when a run fails."),
        Option("notify_on_success", "switch", "Whether to notify when a run succeeds."),
        Option("notify_slack_webhook_url", "text", "Slack webhook of the notifications.", metavar="URL", secret=True),
        Option("notify_pager_duty_integration_key", "text", "PagerDuty Events v2 key of the notifications.", metavar="KEY", secret=True),
        Option("notify_incident_io_api_key", "text", "Incident.io API key of the notifications.", metavar="KEY", secret=True),
        Option("incident_io_alert_source_config_id", "text", "Incident.io alert source config.", metavar="ID"),
        Option("incident_io_metadata", "map", "Metadata of Incident.io alerts. Repeatable.", metavar="KEY=VALUE"),
    ),
    "Events": (
        Option("events_event", "text", "Name of the Argo event that @trigger listens to.", metavar="NAME"),
        Option("events_event_bus", "text", "EventBus of the Sensor.", metavar="NAME"),
        Option("events_event_source", "text", "EventSource of the Sensor.", metavar="NAME"),
        Option("events_service_account", "text", "ServiceAccount of the Sensor.", metavar="NAME"),
        Option("events_namespace", "text", "Namespace of the Sensor.", metavar="NAME"),
    ),
    "More objects": (
        Option("rbac", "switch", "Whether to write the ServiceAccount, Role and RoleBinding too."),
        Option("suspend_schedule", "switch", "Whether the schedule is written suspended."),
        Option("overlays", "overlays", "Patches of the objects and pods that are written, by name: see docs/overlays.md."),
        Option("templates", "folder", "Folder of templates that extend flowc's, or stand in for them.", metavar="DIR"),
    ),
    "What is reported": (Option("require_guard", "switch", "Whether a file that does not launch its one flow is reported (FC111)."),),
    "What the flow's text leaves open": (
        Option(
            "values",
            "json",
            "A value that the flow's text leaves open, as JSON. Repeatable.",
            flag="value",
            metavar="NAME=JSON",
            dotted=True,
        ),
        Option(
            "decorators",
            "json",
            "What a decorator that flowc cannot read stands for, as JSON. Repeatable.",
            flag="decorator",
            metavar="NAME=JSON",
        ),
        Option("configs", "json pairs", "Value of a Config, as JSON. Repeatable.", flag="config-value", metavar="NAME JSON"),
        Option("config_files", "pairs", "File of a Config. Repeatable.", flag="config", metavar="NAME FILE"),
        Option(
            "with_decorators", "list", "Add a decorator to every step, as Metaflow's --with. Repeatable.", flag="with", metavar="DECORATOR"
        ),
    ),
}
"""Every setting, under the headings of `flowc compile --help`."""

OPTIONS: tuple[Option, ...] = tuple(option for options in TOPICS.values() for option in options)
_WORD = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_DOTTED = rf"(?:{_WORD.pattern})(?:\s*\.\s*(?:{_WORD.pattern}))*"
_HEAD = re.compile(rf"\s*(?:\[\[?\s*(?P<table>{_DOTTED})\s*\]|(?P<key>{_DOTTED})\s*=)")
BY_KEY = {option.key: option for option in OPTIONS}


@dataclass(frozen=True, slots=True)
class Project:
    """What `flowc compile` without a flow compiles: globs of flows, the folder of outputs, targets. Paths are relative to the file.

    `per_file_ignores`: codes, or the beginnings of codes, that are not reported for files that match a glob. `said`: the file itself
    says `targets`.
    """

    flows: tuple[str, ...] = ()
    out: str = "manifests"
    targets: tuple[str, ...] = ("argo",)
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    said: bool = False


PROJECT = ("flows", "out", "targets", "per-file-ignores")
"""The keys of a settings file that are about the repository and no setting of a flow."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A table of settings. `name`: `` for the file's own, `env.prod`, `argo`, `env.prod.argo`; `target`: it is one target's."""

    name: str
    table: Mapping[str, Any]
    target: bool = False

    def place(self, path: str, text: str, key: str) -> str:
        """`path:line` of the key, as a message begins."""
        return _place(path, text, f"{self.name}.{key}".lstrip("."))

    def what(self, key: str) -> str:
        """The key as a message names it: `env.prod: image`."""
        return f"{self.name}: {key}" if self.name else key


def parse(text: str, path: str, env: str | None = None, target: str | None = None) -> dict[str, Any] | None:
    """Values by field of Settings; None where a pyproject.toml has no `[tool.flowc]`. SettingsError says what is wrong, and where.

    `[tool.flowc.TARGET]` is laid over the rest for that target, `[tool.flowc.env.NAME]` over both for that environment, and
    `[tool.flowc.env.NAME.TARGET]` over all: it replaces, in a table name by name.
    """
    layers = _layers(text, path, env)
    if layers is None:
        return None
    found: dict[str, Any] = {}
    for layer in layers:
        values = _values(layer, text, path)  # of those too that do not count here, so that no mistake waits
        if layer in _chosen(layers, env, target):
            found.update({name: overlaid(found.get(name), value) for name, value in values.items()})
    return found


def lines(text: str, path: str, env: str | None, target: str | None = None) -> Iterator[tuple[str, dict[str, int]]]:
    """The name of each layer that counts, the lowest first, and the lines where it gives fields of Settings or keys of PROJECT."""
    for layer in _chosen(_layers(text, path, env) or [], env, target):
        places = {key: layer.place("", text, key).removeprefix(":") for key in layer.table if key in BY_KEY or key in PROJECT}
        yield layer.name, {BY_KEY[key].field if key in BY_KEY else key: int(place or 1) for key, place in places.items()}


def project(text: str, path: str, env: str | None = None) -> Project | None:
    """What of the repository is compiled; None and SettingsError as `parse`."""
    layers = _layers(text, path, env)
    if layers is None:
        return None
    found: dict[str, Any] = {}
    for layer in layers:
        values = _of_repository(layer, text, path)  # of those too that do not count here, so that no mistake waits
        if layer in _chosen(layers, env, None):
            found.update({name: overlaid(found.get(name), value) for name, value in values.items()})
    return Project(**found, said="targets" in found)


def everywhere(text: str, path: str, key: str) -> Iterator[tuple[str, Any]]:
    """A key of the repository in each table, also those of environments that were not chosen: how a message on it begins, its value."""
    for layer in _layers(text, path, None) or []:
        found = _of_repository(layer, text, path)
        if key.replace("-", "_") in found:
            yield f"{layer.place(path, text, key)}: {layer.what(key)}", found[key.replace("-", "_")]


def _of_repository(layer: _Layer, text: str, path: str) -> dict[str, Any]:
    """What a layer says by field of Project; of a target's, where it is refused elsewhere, nothing."""
    keys = [] if layer.target else [key for key in PROJECT if key in layer.table]
    return {key.replace("-", "_"): _of_project(key, layer.table[key], layer.place(path, text, key)) for key in keys}


def environments(text: str, path: str) -> tuple[str, ...]:
    """The names of the environments, in their order; SettingsError as `parse`."""
    layers = _layers(text, path, None) or []
    return tuple(layer.name.removeprefix("env.") for layer in layers if layer.name.startswith("env.") and not layer.target)


def _of_project(key: str, value: Any, place: str) -> Any:
    if key != "per-file-ignores":
        found = taken(Option(key, "text" if key == "out" else "list", ""), value, place)
        if key == "targets" and not found:
            raise SettingsError(f"{place}: {key}: an empty list is for nothing; without the key it is argo")
        return found
    table = typed(value, dict, f"{place}: {key}", "a table of lists of codes")
    return {glob: taken(Option(key, "list", ""), codes, f"{place}: {glob}") for glob, codes in table.items()}


def overlaid(below: Any, above: Any) -> Any:
    """The value that counts: the upper one, of two tables both, name by name."""
    return {**below, **above} if isinstance(below, dict) and isinstance(above, dict) else above


def _layers(text: str, path: str, env: str | None) -> list[_Layer] | None:
    """All tables of settings, each before those that may be laid over it; None where a pyproject.toml has none."""
    loads, toml_error = _toml()
    try:
        data = loads(text)
    except (toml_error, RecursionError) as error:
        raise SettingsError(f"{path} is no TOML: {error}") from error
    if path.rsplit("/", 1)[-1] == "pyproject.toml":
        tool = data.get("tool", {})
        if not isinstance(tool, dict) or "flowc" not in tool:
            return None
        data = tool["flowc"]
        if not isinstance(data, dict):
            raise SettingsError(f"{path}: tool.flowc is no table")
    environments = typed(data.pop("env", {}), dict, f"{_place(path, text, 'env')}: env", "a table of tables of settings")
    if env is not None and env not in environments:
        known = f"; there are {', '.join(environments)}" if environments else "; a table of that name makes one, and may be empty"
        raise SettingsError(f"{path}: there is no environment {env!r}{did_you_mean(env, environments) or known}")
    layers = list(_split(data, ()))
    for name, table in environments.items():
        typed(table, dict, f"{_place(path, text, f'env.{name}')}: env.{name}", "a table of settings")
        layers += _split(table, ("env", name))
    return layers


def _split(table: Mapping[str, Any], name: tuple[str, ...]) -> Iterator[_Layer]:
    """The table without those of targets, then these."""
    from flowc.target import exists

    known = {*BY_KEY, *PROJECT}
    of_targets = [key for key, value in table.items() if isinstance(value, dict) and key not in known and exists(key)]
    yield _Layer(".".join(name), {key: value for key, value in table.items() if key not in of_targets})
    for key in of_targets:
        yield _Layer(".".join((*name, key)), table[key], target=True)


def _chosen(layers: Sequence[_Layer], env: str | None, target: str | None) -> list[_Layer]:
    """Those that count, the lowest first. An environment may be called `prod.argo`, so the name alone does not say which it is."""
    bases = ["", *([f"env.{env}"] if env is not None else [])]
    named = [each for base in bases for each in ((base, False), *([(f"{base}.{target}".lstrip("."), True)] if target is not None else []))]
    return [layer for each in named for layer in layers if (layer.name, layer.target) == each]


def _values(layer: _Layer, text: str, path: str) -> dict[str, Any]:
    """What a layer says, by field of Settings."""
    found = {}
    for key, value in layer.table.items():
        place = layer.place(path, text, key)
        if key in PROJECT and layer.target:
            raise SettingsError(f"{place}: {layer.what(key)} is about the repository, not one target")
        if key in BY_KEY:
            found[BY_KEY[key].field] = taken(BY_KEY[key], value, f"{place}: {layer.name}" if layer.name else place)
            if BY_KEY[key].kind == "overlays":
                found[key] = {name: replace(each, place=layer.place(path, text, f"{key}.{name}")) for name, each in found[key].items()}
        elif key == "tool" and not layer.name:
            raise SettingsError(f"{place}: only in pyproject.toml settings stand under tool.flowc; here [tool.flowc.labels] is [labels]")
        elif key not in PROJECT:
            raise SettingsError(f"{place}: there is no setting {key!r}{did_you_mean(key, _known(layer, value))}")
    return found


def _known(layer: _Layer, value: Any) -> list[str]:
    """What a key of the layer can be: with a table, also a target's, and `env` in the file's own."""
    from flowc.target import names

    tables = [] if layer.target or not isinstance(value, dict) else [*names(), *([] if layer.name else ["env"])]
    return [*BY_KEY, *PROJECT, *tables]


def _toml() -> tuple[Any, type[ValueError]]:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return toml.loads, toml.TOMLDecodeError


def _place(path: str, text: str, name: str) -> str:
    """`path:line` of the first line that can be that of `name`, a dotted key; of an inline table around it, if that is all there is.

    The TOML reader itself keeps no places.
    """
    around = (0, 0)
    for number, key in _keys(text):
        if f"{key}.".startswith(f"{name}."):
            return f"{path}:{number}"
        if name.startswith(f"{key}.") and len(key) > around[0]:
            around = (len(key), number)
    return f"{path}:{around[1]}" if around[1] else path


@lru_cache(8)
def _keys(text: str) -> tuple[tuple[int, str], ...]:
    """The lines that begin with a key or a table's head, with the whole key, dotted, below `tool.flowc`."""
    found, table = [], ""
    for number, line in enumerate(text.split("\n"), 1):
        match = _HEAD.match(line)
        if match is None:
            continue
        words = ".".join(word.strip("\"'") for word in _WORD.findall(match["table"] or match["key"]))
        if match["table"]:
            table = "" if words == "tool.flowc" else words.removeprefix("tool.flowc.")
            key = table
        else:
            key = f"{table}.{words}".lstrip(".")
        found.append((number, key))
    return tuple(found)
