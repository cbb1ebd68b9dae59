"""In: a Graph, a Flow and the Settings. Out: what every target needs to run a step in a pod: arguments and environment of bootstrap.py."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from flowc import data
from flowc.ir import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.graph import Graph, Node
    from flowc.ir import Flow, Parameter
    from flowc.settings import Settings

CODE = "/flowc/code"
"""Where a pod finds the flow's code, when no setting says otherwise; files that had to travel as base64 stand in `/flowc/b64`."""

SCRIPT = "/flowc/boot.py"
"""Where a pod finds bootstrap.py."""

CLIENTS: Mapping[str, tuple[str, ...]] = {
    "s3": ("boto3",),
    "azure": ("azure-identity", "azure-storage-blob", "azure-keyvault-secrets"),
    "gs": ("google-cloud-storage", "google-auth", "google-cloud-secret-manager", "packaging"),
}
"""What Metaflow needs from PyPI for a datastore, as its own `metaflow_environment.py` has it."""


def bootstrap_text() -> str:
    """The text of bootstrap.py, from the installed package."""
    return data.own("bootstrap.py")


# --- arguments -------------------------------------------------------------------------------------------------------


def arguments(
    graph: Graph,
    step_name: str,
    *,
    path: str | None = None,
    attempt: str | None = None,
    user_retries: int = 0,
    round: str | None = None,  # noqa: A002 - Metaflow's users call it so
) -> list[str]:
    """What follows `python boot.py` for a task of the step: its name, then options, each one item (`--path=3-0`).

    `path` is the foreach index path (needed where the step's scope is not empty; of a gang the path of the whole gang),
    `attempt` the retry count, `round` the round of a looping step (needed where `node.loops`): digits, or the engine's
    expression for them. `user_retries` is Metaflow's --max-user-code-retries (without the retries that @catch adds).
    """
    node = graph.nodes[step_name]
    options = _parents(graph, node)
    if node.parallel_step:
        options.append("--gang")
    for name, value in (("path", path), ("round", round), ("attempt", attempt)):
        if value is not None:
            options.append(f"--{name}={value}")
    if user_retries:
        options.append(f"--user-retries={user_retries}")
    return [step_name, *options]


def _parents(graph: Graph, node: Node) -> list[str]:
    """The options that say whose results the task reads."""
    if node.name == graph.start:
        return ["--first"]
    parents = [name for name in node.in_funcs if name != node.name]
    closed = graph.closes(node.name)
    split = None if closed is None else graph.nodes[closed]
    if split is not None and split.type == "foreach":
        options = [f"--gather={','.join(parents)}", f"--over={split.name}"]
    elif all(graph.nodes[name].type == "foreach" for name in parents):
        options = [f"--split={','.join(parents)}"]
    else:
        options = [f"--from={','.join(parents)}"]
    if _must_choose(graph, node, split, parents):
        options.append("--choose")
    loops = [name for name in parents if graph.nodes[name].loops]
    if loops:
        options.append(f"--loops={','.join(loops)}")
    return options


def _must_choose(graph: Graph, node: Node, split: Node | None, parents: Sequence[str]) -> bool:
    """Whether only the run can tell which of the parents lead here."""
    if split is not None and split.type == "split":
        return any(len(group) > 1 for group in graph.arrivals(node.name))
    return len(parents) > 1


# --- environment -----------------------------------------------------------------------------------------------------


def environment(
    flow: Flow,
    settings: Settings,
    *,
    top: Sequence[str] = (),
    name: str = "argo-workflows",
) -> dict[str, str]:
    """Environment variables that are the same in every pod of the flow; no value holds `{{`, except where a setting does.

    `top` are further top-level options of Metaflow (`--with=...`). `name` is what Metaflow calls the orchestrator: it becomes
    METAFLOW_USER and the run's `runtime:` tag. A target adds FLOWC_RUN_ID, and on the first step FLOWC_PARAMETERS
    and `parameters_environment`.
    """
    env = {
        "FLOWC_FLOW": PurePosixPath(flow.source.path).name,
        "FLOWC_CLASS": flow.name,
        "METAFLOW_USER": name,
        "METAFLOW_OWNER": settings.owner,
        "METAFLOW_RUNTIME_NAME": name,
    }
    if settings.code == "image" and settings.code_path:
        env["FLOWC_CODE"] = settings.code_path
    if settings.install:
        env["FLOWC_INSTALL"] = safe_json(requirements(settings))
    if settings.tags:
        env["FLOWC_TAGS"] = safe_json(list(settings.tags))
    options = [*project_options(flow, settings), *(f"--with={spec}" for spec in settings.with_decorators), *top]
    if options:
        env["FLOWC_TOP"] = safe_json(options)
    if settings.production_token:
        env["METAFLOW_PRODUCTION_TOKEN"] = settings.production_token
    env.update(_datastore(settings))
    env.update(_configs(flow))
    env.update(settings.environment)
    return env


def parameters_environment(flow: Flow) -> dict[str, str]:
    """For the first step's pod: FLOWC_DECLARED, a JSON object of the parameters' names and how to read their submitted values.

    Flags: "n", the value `null` means that none was given (the default is None, absent, or known only in the pod); "m", the
    parameter takes many values, which come as a JSON list. Names in FLOWC_PARAMETERS that are not declared are ignored.
    """
    declared = {p.name: ("n" if _null_means_none_given(p) else "") + ("m" if p.multiple else "") for p in flow.parameters}
    return {"FLOWC_DECLARED": safe_json(declared)} if declared else {}


def _null_means_none_given(parameter: Parameter) -> bool:
    default = parameter.default
    return parameter.type == "File" or not isinstance(default, Value) or default.data is None


def requirements(settings: Settings) -> dict[str, list[str]]:
    """What pip installs in a pod whose image lacks it: under "" always, under a datastore's name where that is the pod's datastore."""
    base = [f"metaflow=={settings.metaflow_version}", "requests"]
    if settings.datastore is None:
        return {"": base, **{kind: list(packages) for kind, packages in CLIENTS.items()}}
    return {"": [*base, *CLIENTS.get(settings.datastore, ())]}


def project_options(flow: Flow, settings: Settings) -> list[str]:
    """The top-level options of @project, none where the flow has no such decorator."""
    if flow.decorator("project") is None:
        return []
    return [*([f"--branch={settings.branch}"] if settings.branch else []), *(["--production"] if settings.production else [])]


def _datastore(settings: Settings) -> dict[str, str]:
    env: dict[str, str] = {}
    if settings.datastore is not None:
        env["METAFLOW_DEFAULT_DATASTORE"] = settings.datastore
        if settings.datastore_root is not None:
            env[f"METAFLOW_DATASTORE_SYSROOT_{settings.datastore.upper()}"] = settings.datastore_root
    if settings.metadata is not None:
        env["METAFLOW_DEFAULT_METADATA"] = settings.metadata
    return env


def _configs(flow: Flow) -> dict[str, str]:
    """Config values that the settings give instead of the flow's own defaults, which the pod finds by itself."""
    given = {config.name: config.given for config in flow.configs if config.given is not None}
    return {"METAFLOW_FLOW_CONFIG_VALUE": safe_json(given)} if given else {}


def safe_json(value: Any) -> str:
    """Compact JSON in which no `{{` stands, so that Argo leaves it alone (two braces can only meet inside a string)."""
    return json.dumps(value, separators=(",", ":")).replace("{{", "{\\u007b")
