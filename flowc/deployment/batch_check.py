"""In: a Flow, its Graph and Settings. Out: what jobs of AWS Batch cannot carry of its steps (FC470 to FC476)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowc import merging
from flowc.deployment import batch, batch_code, batch_values, plain_secrets, pods, settings_check
from flowc.deployment.code import IMAGE_PATH
from flowc.deployment.pods_check import RESERVED, check_packages
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity, has_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.graph import Graph
    from flowc.ir import Flow, Step
    from flowc.settings import Settings
    from flowc.source import Span


def _step(decorators: str, imports: str, line: int = 0, **settings: object) -> Example:
    return Example({"flow.py": sample(imports, on_start=decorators)}, line=line, target="step-functions", settings=settings)


ALIASES = {"inferentia": ("trainium",), "use_tmpfs": ("tmpfs_size",), "memory": ("cpu",)}
"""Attributes that say the same, or are judged together."""

ON_KUBERNETES = Code(
    "FC470",
    "a step for Kubernetes",
    "@kubernetes says that the step runs in a cluster, and every step of this target runs on AWS Batch.",
    bad=_step("@kubernetes(cpu=4)", "kubernetes", line=5),
    good=_step("@resources(cpu=4)", "resources"),
)
BAD_VALUE = Code(
    "FC471",
    "a value that AWS Batch refuses",
    "Metaflow passes most attributes of @batch on unseen. AWS Batch then refuses the job definition, or the job.",
    bad=_step("@batch(swappiness=200)", "batch", line=5),
    good=_step("@batch(swappiness=60)", "batch"),
)
NOT_THERE = Code(
    "FC472",
    "what the compute environment does not have",
    "Fargate has no GPUs or other devices, no swap, no tmpfs, no volumes of the host and no jobs of several nodes; EC2 no ephemeral "
    "storage of a task. Which of them the queue has is a fact that `--batch-platform` states.",
    bad=_step("@batch(ephemeral_storage=40)", "batch", line=5),
    good=_step("@batch(ephemeral_storage=40)", "batch", batch_platform="fargate"),
)
NO_SIZE = Code(
    "FC473",
    "a size that Fargate does not have",
    "Fargate has fixed pairs of vCPUs and memory. AWS Batch takes a job of another size, and it never starts.",
    bad=_step("@batch(cpu=2, memory=1000)", "batch", line=5, batch_platform="fargate"),
    good=_step("@batch(cpu=2, memory=4096)", "batch", batch_platform="fargate"),
)
FOR_CLUSTERS = Code(
    "FC474",
    "a setting that only a cluster has",
    "Secrets of Kubernetes are nothing that a job of AWS Batch could read. Where one settings file serves several targets, a job goes "
    "without what they would bring.",
    bad=_step("", "", line=4, secrets=("database",)),
    good=_step("", "", environment={"DATABASE": "db.example.com"}),
    severity=Severity.WARNING,
)


def check(flow: Flow, graph: Graph, settings: Settings) -> list[Diagnostic]:
    """Everything that is wrong with the steps' containers, and with the way of the code into them."""
    found = [problem for decorator in flow.decorators for problem in check_packages(decorator, settings)]
    for name in graph.order:
        found += _check_step(flow.steps[name], settings)
    found += [*_settings(flow, settings), *_clusters(flow, settings), *plain_secrets.check(flow, settings)]
    return found if has_errors(found) else [*found, *_sizes(flow, graph, settings)]


def span_of(step: Step, attribute: str) -> Span:
    """Where the attribute is written, in @batch or @resources; else the decorator, or the step that has none."""
    decorators = [found for name in ("batch", "resources") if (found := step.decorator(name))]
    for decorator in decorators:
        for name in (attribute, *ALIASES.get(attribute, ())):
            if name in decorator.attributes:
                return decorator.span_of(name)
    return decorators[0].span if decorators and attribute in merging.BATCH_DEFAULTS else step.span


def _check_step(step: Step, settings: Settings) -> list[Diagnostic]:
    found = [problem for decorator in step.decorators for problem in check_packages(decorator, settings)]
    cluster = step.decorator("kubernetes")
    if cluster:
        text = f"step `{step.name}` is to run on Kubernetes"
        found.append(Diagnostic(ON_KUBERNETES, text, cluster.span, help="use @resources or @batch for what it needs"))
    asked = merging.batch(step)
    wrong = [(BAD_VALUE, *problem) for problem in batch_values.problems(asked)]
    if not wrong and settings.batch_platform == "fargate":
        wrong += [(NOT_THERE, *problem) for problem in batch_values.fargate(asked)]
        size = batch_values.fargate_size(asked["cpu"], asked["memory"])
        if size:
            wrong.append((NO_SIZE, "memory", size, "give cpu and memory of one of these pairs"))
        if step.decorator("parallel"):
            text = "Fargate has no jobs of several nodes, which @parallel needs"
            wrong.append((NOT_THERE, "parallel", text, "run the flow on EC2: --batch-platform ec2"))
    elif not wrong:
        wrong += [(NOT_THERE, *problem) for problem in batch_values.ec2(asked)]
    for code, attribute, text, remedy in wrong:
        found.append(Diagnostic(code, f"step `{step.name}`: {text}", span_of(step, attribute), help=remedy))
    return found + list(_environment(step))


def _environment(step: Step) -> Iterator[Diagnostic]:
    decorator = step.decorator("environment")
    given = decorator.get("vars") if decorator else None
    if decorator is None or not isinstance(given, dict):
        return
    for name in given:
        if pods.is_reserved(str(name)):
            text = f"`{name}` of step `{step.name}` is set by the platform, so @environment's value does not count"
            yield Diagnostic(RESERVED, text, decorator.span_of("vars"), help="leave it out")
        elif str(name).startswith("AWS_BATCH"):
            text = f"step `{step.name}`: AWS Batch keeps names like `{name}` for itself"
            yield Diagnostic(BAD_VALUE, text, decorator.span_of("vars"), help="give the variable another name")


def _settings(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    yield from settings_check.images(flow, settings, code=BAD_VALUE)
    if settings.code == "image" and not (settings.code_path or "").startswith("/"):
        help_ = "say in which folder of the image the flow is: --code-path /app"
        yield Diagnostic(IMAGE_PATH, "the path of the flow in the image is not given", flow.span, help=help_)
    for name in ("batch_job_role", "batch_execution_role"):
        value = getattr(settings, name)
        if value and not batch_values.ROLE.fullmatch(value):
            text = f"{name} is `{value}`, which is no ARN of a role"
            yield Diagnostic(BAD_VALUE, text, flow.span, help="give an ARN like arn:aws:iam::123456789012:role/jobs")


def _sizes(flow: Flow, graph: Graph, settings: Settings) -> Iterator[Diagnostic]:
    """FC476 for each job definition that is too big, as far as that can be told before ARNs and the bucket are known."""
    where = batch.places(flow, settings, root="s3://bucket/metaflow", region="region", log_group="logs")
    for found in batch.definitions(flow, graph, settings, prefix=flow.name, name="step-functions", where=where).values():
        total = batch.size(found.body) + batch_code.RESERVE
        if total > batch_code.DEFINITION_LIMIT:
            yield batch_code.too_big(flow, settings, total, found.steps[0], batch.parts(found.body))


def _clusters(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    for name in ("secrets", "image_pull_secrets", "datastore_claim"):
        if getattr(settings, name):
            text = f"{name} of the settings has no effect on AWS Batch"
            yield Diagnostic(FOR_CLUSTERS, text, flow.span, help="use @secrets, or roles: see JobPolicyArns of the stack")
