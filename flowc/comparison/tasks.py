"""In: the command and variables of a step's container, Metaflow's or flowc's. Out: what it runs: the step, and Metaflow's own options."""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowc.comparison.records import UNKNOWN

LAUNCH = re.compile(r"python (?P<flow>\S+\.py) (?P<top>(?:(?!\bpython \S+\.py ).)*?)\bstep (?P<step>\w+) (?P<rest>.*?)\) 1>> ", re.DOTALL)
EXPANDED = re.compile(r"\$\(\([^()]*\)\)|\$\([^()]*\)")
"""What the shell puts in: an attempt, a path, an index."""
VALUED = ("--metadata", "--environment", "--datastore", "--datastore-root", "--event-logger", "--monitor", "--namespace", "--branch")
OF_TASK = ("--run-id", "--task-id", "--retry-count", "--input-paths", "--input-paths-filename", "--split-index", "--ubf-context")
BARE = ("--quiet", "--no-pylint", "--production")
OF_FLOWC = (
    "--first",
    "--choose",
    "--gang",
    "--tell",
    "--path",
    "--round",
    "--attempt",
    "--over",
    "--from",
    "--split",
    "--gather",
    "--loops",
)
SIMULATED = ("kubernetes", "batch", "environment", "resources", "retry", "timeout", "catch")
"""Decorators whose work is in the manifest, where it is compared, so that their attributes in a command say nothing more."""
INTERNAL = ("argo_workflows_internal", "step_functions_internal")

# The variables by which the two compilers tell a pod where it is; what they mean is compared elsewhere, or follows from how pods start.
PLACE = re.compile(
    r"FLOWC_\w+|ARGO_WORKFLOW_\w+|METAFLOW_ARGO_EVENT_PAYLOAD_\w+|UBF_CONTEXT|TASK_ID_(PREFIX|SUFFIX)|JOBSET_RESTART_ATTEMPT|USER|SFN_STATE_MACHINE"
    r"|MF_(MASTER_ADDR|MASTER_PORT|WORLD_SIZE|CONTROL_INDEX|WORKER_REPLICA_INDEX|PARALLEL_\w+)"
    r"|METAFLOW_CODE_(METADATA|URL|SHA|DS)|METAFLOW_KUBERNETES_(NAMESPACE|POD_\w+|SERVICE_ACCOUNT_NAME|NODE_IP|JOBSET_NAME|WORKLOAD)"
    r"|METAFLOW_(USER|OWNER|FLOW_FILENAME|FLOW_NAME|STEP_NAME|RUN_ID|RETRY_COUNT|VERSION|RUNTIME_NAME|RUNTIME_ENVIRONMENT|PRODUCTION_TOKEN"
    r"|DEFAULT_DATASTORE|DEFAULT_METADATA|SERVICE_URL|DATASTORE_SYSROOT_\w+|DEFAULT_EVENT_LOGGER|DEFAULT_MONITOR|FLOW_CONFIG_VALUE"
    r"|ARGO_WORKFLOWS_KUBERNETES_SECRETS|ARGO_WORKFLOWS_ENV_VARS_TO_SKIP|SFN_DYNAMO_DB_TABLE|PARENT_TASK_IDS?|SPLIT_INDEX|INPUT_PATHS"
    r"|SPLIT_PARENT_TASK_ID(_\w+)?|PARENT_[0-9]+_(TASK_ID|STEP)|PARAMETERS|DEFAULT_PARAMETERS)"
)
DEFAULTS = {
    "METAFLOW_SERVICE_HEADERS": "{}",
    "METAFLOW_KUBERNETES_FETCH_EC2_METADATA": "False",
    "METAFLOW_ARGO_EVENTS_EVENT_BUS": "default",
    "METAFLOW_ARGO_EVENTS_WEBHOOK_AUTH": "none",
    "METAFLOW_OTEL_SERVICE_NAME": "metaflow",
    "METAFLOW_DEFAULT_SECRETS_BACKEND_TYPE": "",
    "METAFLOW_INIT_SCRIPT": "",
}
"""What Metaflow takes where nothing is set: saying it or not is the same."""
DERIVED = {
    "METAFLOW_DATATOOLS_S3ROOT": "data",
    "METAFLOW_CARD_S3ROOT": "mf.cards",
    "METAFLOW_CARD_AZUREROOT": "mf.cards",
    "METAFLOW_CARD_GSROOT": "mf.cards",
}
"""Folders that Metaflow finds below the datastore's root by itself."""
NULL_SIDECARS = {"event_logger": "nullSidecarLogger", "monitor": "nullSidecarMonitor"}


@dataclass(slots=True)
class Task:
    """What a container runs. `facts`: those of its step; `known`: variables by name; `unread`: words of the command that no reader knows.

    `dialect`: metaflow or flowc.
    """

    step: str
    dialect: str
    facts: dict[str, Any]
    known: dict[str, str]
    owner: str = ""
    token: str = ""
    code: str = ""
    unread: list[str] = field(default_factory=list)


def task(command: Sequence[str], args: Sequence[str], env: Mapping[str, Any], fallback: str = "") -> Task | None:
    """The task of a container; None where it is none that one of the two compilers writes. `fallback` is what gives absent variables."""
    text = command[-1] if len(command) == 3 and list(command[:2]) == ["bash", "-c"] else ""
    found = LAUNCH.search(text)
    words = [*command, *args]
    if found is not None:
        return _by_metaflow(found, env)
    after = next((i + 1 for i, word in enumerate(words) if word.endswith("boot.py") or "FLOWC_ARCHIVE" in word), None)
    if after is None or after >= len(words):
        return None
    return _by_flowc(words[after], words[after + 1 :], env, fallback)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options with their values: `--a=b` and `--a b`; a bare one has the value ""."""
    at = 0
    while at < len(words):
        name, equals, value = words[at].partition("=")
        if not equals and name.startswith("--") and name not in BARE and at + 1 < len(words) and not words[at + 1].startswith("--"):
            at += 1
            value = words[at]
        yield name, value
        at += 1


def _by_metaflow(found: re.Match[str], env: Mapping[str, Any]) -> Task:
    try:
        rest = found["rest"]
        while (shorter := EXPANDED.sub("0", rest)) != rest:
            rest = shorter
        options = list(_options([*shlex.split(found["top"]), *shlex.split(rest)]))
    except ValueError:
        options = [("(the command)", "")]
    given = dict(options)
    unread = [
        f"{name}={value}" for name, value in options if name not in (*VALUED, *OF_TASK, *BARE, "--with", "--tag", "--max-user-code-retries")
    ]
    version = _json(str(env.get("METAFLOW_VERSION", ""))).get("metaflow_version")
    url = env.get("METAFLOW_SERVICE_URL")
    provider = given.get("--metadata", "local").partition("@")[0]
    facts = {
        "user_code_retries": int(given.get("--max-user-code-retries", "0") or 0),
        "datastore": given.get("--datastore"),
        "datastore_root": given.get("--datastore-root"),
        "metadata": f"service@{url}" if provider == "service" and url else given.get("--metadata", "local"),
        "environment": given.get("--environment", "local"),
        "event_logger": given.get("--event-logger", NULL_SIDECARS["event_logger"]),
        "monitor": given.get("--monitor", NULL_SIDECARS["monitor"]),
        "metaflow_version": version or UNKNOWN,
        "metaflow_namespace": given.get("--namespace") or None,
        **_decorators([value for name, value in options if name == "--with"]),
        "tags": sorted(value for name, value in options if name == "--tag"),
        "config_values": _configs(_json(str(env.get("METAFLOW_FLOW_CONFIG_VALUE", "")))),
        "image_of_with": _image([value for name, value in options if name == "--with"]),
    }
    env = {name: value for name, value in env.items() if not (name == "METAFLOW_INIT_SCRIPT" and not value)}
    return Task(
        found["step"],
        "metaflow",
        facts,
        _variables(env, facts),
        str(env.get("METAFLOW_OWNER", "")),
        str(env.get("METAFLOW_PRODUCTION_TOKEN", "")),
        str(env.get("METAFLOW_CODE_SHA", "")),
        unread,
    )


def _configs(values: dict[str, Any]) -> Any:
    """The values of Configs, where they are not in the package of the code, whose keys begin so."""
    packed = any(isinstance(value, str) and value.startswith("kv.") for value in values.values())
    return UNKNOWN if packed else values


def _by_flowc(step: str, words: Sequence[str], env: Mapping[str, Any], fallback: str) -> Task:
    options = list(_options(words))
    unread = [f"{name}={value}" for name, value in options if name not in (*OF_FLOWC, "--user-retries")]
    top = _list(env.get("FLOWC_TOP"))
    given = dict(_options(top))
    unread += [f"{name}={value}" for name, value in _options(top) if name not in (*VALUED, *BARE, "--with")]
    kind = env.get("METAFLOW_DEFAULT_DATASTORE")
    installed = next(
        (word for words in _json(str(env.get("FLOWC_INSTALL", ""))).values() for word in words if word.startswith("metaflow==")), ""
    )
    carried = _json(_decoded(str(env.get("FLOWC_ENVIRONMENT", ""))))
    root = env.get(f"METAFLOW_DATASTORE_SYSROOT_{str(kind).upper()}")
    facts = {
        "user_code_retries": int(dict(options).get("--user-retries", "0")),
        "datastore": kind or fallback or None,
        "datastore_root": root or fallback or None,
        "metadata": env.get("METAFLOW_DEFAULT_METADATA") or fallback or "local",
        "environment": "local",
        "event_logger": env.get("METAFLOW_DEFAULT_EVENT_LOGGER") or NULL_SIDECARS["event_logger"],
        "monitor": env.get("METAFLOW_DEFAULT_MONITOR") or NULL_SIDECARS["monitor"],
        "metaflow_version": installed.partition("==")[2] or UNKNOWN,
        "metaflow_namespace": given.get("--namespace") or None,
        **_decorators([value for name, value in _options(top) if name == "--with"]),
        "tags": sorted(_list(env.get("FLOWC_TAGS"))),
        "config_values": _json(str(env.get("METAFLOW_FLOW_CONFIG_VALUE", ""))),
        "image_of_with": None,
    }
    return Task(
        step,
        "flowc",
        facts,
        {**_variables(env, facts), **carried},
        str(env.get("METAFLOW_OWNER", "")),
        str(env.get("METAFLOW_PRODUCTION_TOKEN", "")),
        str(env.get("METAFLOW_CODE_SHA", "")),
        unread,
    )


def _decorators(specs: Sequence[str]) -> dict[str, Any]:
    """Decorators that were added from outside, and whether runs emit events; attributes count where the pod alone sees them."""
    found: dict[str, str] = {}
    emits = None
    for spec in specs:
        name, _, attributes = spec.partition(":")
        if name in INTERNAL:
            emits = "auto-emit-argo-events=1" in attributes if "auto-emit" in attributes else None
        elif name not in ("kubernetes", "batch", "environment"):
            found[name] = "" if name in SIMULATED else attributes
    return {"with": found, "emits_events": emits}


def _image(specs: Sequence[str]) -> str | None:
    """The image that `--with batch:...` names: where no decorator does, Metaflow's state machine says it nowhere else."""
    found = next((re.search(r"(?:^|[:,])image=([^,]+)", spec) for spec in specs if spec.startswith("batch:")), None)
    return found[1] if found else None


def _variables(env: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, str]:
    """The variables that are neither a place, nor say what is so anyway."""
    root = str(facts["datastore_root"]).rstrip("/")
    said = {
        f"METAFLOW_DATASTORE_SYSROOT_{str(facts['datastore']).upper()}": (root,),
        "METAFLOW_DEFAULT_DATASTORE": (facts["datastore"],),
        "METAFLOW_DEFAULT_METADATA": (facts["metadata"], str(facts["metadata"]).partition("@")[0]),
    }
    found = {}
    for name, value in env.items():
        if name in DEFAULTS and (value == DEFAULTS[name] or not value):
            continue
        if name in said and str(value).rstrip("/") not in said[name]:
            found[name] = value
        elif (PLACE.fullmatch(name) and name not in DEFAULTS) or value == f"{root}/{DERIVED.get(name)}":
            continue
        else:
            found[name] = value
    return found


def variables(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Variables of a Kubernetes container by name. A value is what the process sees: Kubernetes takes `$$` for `$`, and `$(NAME)`
    for the value of a variable that was set before; one that comes from elsewhere is told as `from ...`.
    """
    found: dict[str, Any] = {}
    for entry in entries:
        name = str(entry.get("name"))
        source = entry.get("valueFrom")
        found[name] = f"from {json.dumps(source, sort_keys=True)}" if source else _expanded(str(entry.get("value", "")), found)
    return found


def _expanded(text: str, known: Mapping[str, Any]) -> str:
    def each(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return str(known[match[1]]) if match[1] in known else match[0]

    return re.sub(r"\$\$|\$\(([-._A-Za-z0-9]+)\)", each, text) if "$" in text else text


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[str]:
    try:
        found = json.loads(value) if value else []
    except ValueError:
        return []
    return [str(item) for item in found] if isinstance(found, list) else []


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
