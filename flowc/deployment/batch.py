"""In: a Flow, its Graph and Settings. Out: the AWS Batch job definitions of its steps, of which equal containers share one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowc import merging, runtime
from flowc.deployment import batch_overlays, pods
from flowc.deployment.batch_code import LOADER, VARIABLE, archive
from flowc.deployment.batch_container import container, has_tmpfs
from flowc.settings import EMPTY
from flowc.target import short_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.diagnostics import Diagnostic
    from flowc.graph import Graph
    from flowc.ir import Flow, Step
    from flowc.settings import Settings

NAME_LIMIT = 128
TIMEOUT = merging.DEFAULT_TIME_LIMIT
PLAIN = "JobDefinition"


class Hole(str):
    """`${Name}`: a value that only the deployment knows. Terraform's templatefile fills it as text, a stack by an expression."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self[2:-1]


def hole(name: str) -> Hole:
    return Hole(f"${{{name}}}")


@dataclass(frozen=True, slots=True)
class Places:
    """What the job definitions take from where they are deployed. Each is text, a Hole, or None where it is left out.

    `image` of steps that name none; `job_role` likewise; `root` of the S3 datastore where no setting says it; `archive` is the
    text that `batch_code.archive` makes. `execution_role` is for Fargate. `log_group` None: AWS Batch's own, /aws/batch/job.
    """

    image: str
    archive: str
    job_role: str | None = None
    execution_role: str | None = None
    root: str | None = None
    region: str | None = None
    log_group: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A job definition: `logical` is its name in a stack, `steps` those that run in it, `body` what RegisterJobDefinition takes.

    `diagnostics` are about the overlays for it.
    """

    logical: str
    steps: tuple[str, ...]
    body: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...] = ()


def places(flow: Flow, settings: Settings, **known: str | None) -> Places:
    """The image and the code as the settings have them, the rest as given: for a deployment whose facts are all known."""
    return Places(**{"image": settings.image, "archive": archive(flow, settings), **known})  # type: ignore[arg-type]


def definitions(flow: Flow, graph: Graph, settings: Settings, *, prefix: str, name: str, where: Places) -> dict[str, Definition]:
    """The job definitions by their logical names, in the order of the flow. The flow passed `batch_check.check`.

    `prefix` is what their names in AWS start with, `name` what Metaflow calls the orchestrator. A job adds by overrides
    FLOWC_RUN_ID and the other variables that only the run knows, and its command: `launcher(step)` and `runtime.arguments(...)`.
    """
    steps: dict[str, list[str]] = {}
    for step, logical in logical_names(flow, graph, settings).items():
        steps.setdefault(logical, []).append(step)
    shared = static_environment(flow, settings, name, where)
    found = {}
    for logical, those in steps.items():
        title = prefix if logical == PLAIN else f"{prefix}-{those[0]}"
        nodes = width(graph, those[0])
        words = launcher(flow.steps[those[0]]) if nodes is None else command(flow, graph, those[0], gang_parameters(graph, those[0]))
        body = _body(flow.steps[those[0]], nodes, settings, shared, where, words)
        made = batch_overlays.laid(flow, settings, those[0], {"jobDefinitionName": definition_name(title), **body})
        found[logical] = Definition(logical, tuple(those), made.value, made.diagnostics)
    return found


def logical_names(flow: Flow, graph: Graph, settings: Settings) -> dict[str, str]:
    """The job definition of each step. `JobDefinition` is for steps that ask for nothing, others are called by the first step in them."""
    first = {_shape({**merging.BATCH_DEFAULTS, **merging.BATCH_RESOURCES}, {}, None, []): PLAIN}
    found, taken = {}, {PLAIN}
    for name in graph.order:
        step = flow.steps[name]
        nodes = width(graph, name)
        patches = batch_overlays.names(flow, settings, name)
        shape = _shape(merging.batch(step), own_environment(step), None if nodes is None else (name, nodes), patches)
        if shape not in first:
            logical = PLAIN + "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
            first[shape] = logical if logical not in taken else f"{PLAIN}{short_hash(name)}"
            taken.add(first[shape])
        found[name] = first[shape]
    return found


def _shape(asked: Mapping[str, Any], environment: Mapping[str, str], gang: tuple[str, int] | None, patches: list[str]) -> str:
    """All that tells the container of one step from that of another. Queue and executable belong to the job."""
    return json.dumps([{k: v for k, v in asked.items() if k not in ("queue", "executable")}, environment, gang, patches])


def width(graph: Graph, name: str) -> int | None:
    """How many nodes the jobs of a step have: None for a step that is no gang, 1 where only the run knows and says so by overrides."""
    node = graph.nodes[name]
    return (graph.nodes[node.in_funcs[0]].num_parallel or 1) if node.parallel_step else None


def definition_name(text: str) -> str:
    """The text as the name of a job definition: letters, digits, `-` and `_`, 128 at most."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", text)
    return name if len(name) <= NAME_LIMIT else f"{name[: NAME_LIMIT - 9]}-{short_hash(text)}"


def launcher(step: Step) -> list[str]:
    """What stands before the bootstrap's arguments in the command of a step's container."""
    return [merging.batch(step)["executable"] or "python", "-c", LOADER]


def command(flow: Flow, graph: Graph, name: str, parameters: Mapping[str, str] = EMPTY) -> list[str]:
    """The whole command of the step's container; path and round come as FLOWC_PATH and FLOWC_ROUND, the attempt from Batch.

    `parameters`: variables that come as parameters of the job, by their names there.
    """
    step = flow.steps[name]
    given = [part for variable, parameter in parameters.items() for part in (variable, f"Ref::{parameter}")]
    return [*launcher(step), *given, *runtime.arguments(graph, name, user_retries=merging.retries(step).user)]


def gang_parameters(graph: Graph, name: str) -> dict[str, str]:
    """The variables that a job of several nodes gets as parameters of the job.

    Step Functions hands overrides to the jobs of one container only, so that a gang's command stands in its job definition.
    """
    inside = any(not graph.nodes[split].parallel_foreach for split in graph.nodes[name].scope)
    return {"FLOWC_RUN_ID": "run", **({"FLOWC_PATH": "path"} if inside else {})}


def _body(
    step: Step, nodes: int | None, settings: Settings, shared: Mapping[str, str], where: Places, words: list[str]
) -> dict[str, Any]:
    asked, platform = merging.batch(step), settings.batch_platform
    fields = container(asked, platform, nodes is not None and nodes > 1)
    if "logConfiguration" not in fields and where.log_group:
        fields["logConfiguration"] = {"logDriver": "awslogs", "options": {"awslogs-group": where.log_group}}
    execution = asked["execution_role"] or (where.execution_role if platform == "fargate" else None)
    own = {**shared, **own_environment(step)}
    one = pods.given(
        {
            "image": asked["image"] or where.image,
            "command": words,
            "jobRoleArn": asked["iam_role"] or where.job_role,
            "executionRoleArn": execution,
            "environment": [{"name": name, "value": value} for name, value in own.items()],
            **fields,
        }
    )
    tags = {str(key): str(value) for key, value in (asked["aws_batch_tags"] or {}).items()}
    return {
        "type": "container" if nodes is None else "multinode",
        **({"containerProperties": one} if nodes is None else {"nodeProperties": _nodes(one, nodes)}),
        "retryStrategy": {"attempts": 1},
        "timeout": {"attemptDurationSeconds": TIMEOUT},
        "propagateTags": True,
        "platformCapabilities": [platform.upper()],
        **({"tags": tags} if tags else {}),
    }


def _nodes(one: dict[str, Any], nodes: int) -> dict[str, Any]:
    """The main node is the first. One open range, so that a job may say how many nodes it has."""
    return {"numNodes": nodes, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", "container": one}]}


def static_environment(flow: Flow, settings: Settings, name: str, where: Places) -> dict[str, str]:
    """What is the same in all jobs of the flow: what every target has, the S3 datastore, Metaflow's own marks of AWS Batch, the code."""
    found = runtime.environment(flow, replace(settings, datastore="s3"), name=name)
    if where.root is not None:
        found.setdefault("METAFLOW_DATASTORE_SYSROOT_S3", where.root)
    found.setdefault("METAFLOW_DEFAULT_METADATA", "local")
    found["METAFLOW_RUNTIME_ENVIRONMENT"] = "aws-batch"
    if where.region is not None:
        found.setdefault("AWS_DEFAULT_REGION", where.region)
    return {**found, VARIABLE: where.archive}


def own_environment(step: Step) -> dict[str, str]:
    """The variables of @environment, and where a tmpfs is Metaflow's temporary folder."""
    decorator = step.decorator("environment")
    given = (decorator.get("vars") or {}) if decorator else {}
    found = {str(name): str(value) for name, value in given.items() if value is not None and not pods.is_reserved(str(name))}
    asked = merging.batch(step)
    if has_tmpfs(asked) and asked["tmpfs_tempdir"]:
        found["METAFLOW_TEMPDIR"] = str(asked["tmpfs_path"])
    return found


def size(body: Mapping[str, Any]) -> int:
    """Bytes of a job definition, as AWS Batch is sent it."""
    return len(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass"))


def parts(body: Mapping[str, Any]) -> dict[str, int]:
    """The characters of each variable in a job definition."""
    one = body.get("containerProperties") or body["nodeProperties"]["nodeRangeProperties"][0]["container"]
    return {entry["name"]: len(entry["value"]) for entry in one["environment"]}
