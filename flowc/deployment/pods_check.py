"""In: the steps of a Flow and Settings. Out: what in their compute decorators Kubernetes, Argo or Metaflow's Argo would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment import plain_secrets, profile
from flowc.deployment.attributes import TEMPLATED, bad_value, has_braces, no_effect
from flowc.deployment.pods import environment, is_reserved
from flowc.deployment.pods_values import problems
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity
from flowc.merging import kubernetes, retries, timeout_seconds

if TYPE_CHECKING:
    from flowc.ir import Decorator, Flow, Step
    from flowc.settings import Settings
    from flowc.source import Span

# Linux takes no longer string into the environment of a process.
ENV_LIMIT = 131_072
LONGEST_BACKOFF = (2**63 - 1) // (60 * 10**9)
"""Minutes: Argo reads a duration as Go does, as nanoseconds in 64 bits, and takes less than no time for none."""
LONGEST_ATTEMPT = 2**31 - 1
"""Seconds: `activeDeadlineSeconds` of a template is an integer of 32 bits."""


def _step(decorators: str, imports: str, line: int = 0, **settings: object) -> Example:
    return Example({"flow.py": sample(imports, on_start=decorators)}, line=line, target="argo", settings=settings)


ON_BATCH = Code(
    "FC400",
    "a step for AWS Batch",
    "@batch says that the step runs on AWS Batch, and every step of a workflow on Argo or of Kubernetes Jobs runs in the cluster.",
    bad=_step("@batch(cpu=4)", "batch", line=5),
    good=_step("@resources(cpu=4)", "resources"),
)
OTHER_NAMESPACE = Code(
    "FC403",
    "a step in another namespace",
    "All pods of a workflow run in the namespace of the workflow.",
    bad=_step("@kubernetes(namespace='gpu-jobs')", "kubernetes", line=5),
    good=_step("@kubernetes(namespace='gpu-jobs')", "kubernetes", namespace="gpu-jobs"),
)
RESERVED = Code(
    "FC407",
    "an environment variable that the platform sets",
    "The variable carries a fact of the deployment, which Metaflow sets after @environment: the value written there never counts.",
    bad=_step("@environment(vars={'METAFLOW_USER': 'me'})", "environment", line=5),
    good=_step("@environment(vars={'WHO': 'me'})", "environment"),
    severity=Severity.WARNING,
)
TOO_LONG = Code(
    "FC408",
    "an environment variable that no process can have",
    "Linux limits a variable, name and value together, to 128 KiB. Values that Argo would rewrite travel as base64, a third longer.",
    bad=_step("@environment(vars={'TABLE': 'x' * 140_000})", "environment", line=5),
    good=_step("@environment(vars={'TABLE': 'x' * 1_000})", "environment"),
)
PACKAGES = Code(
    "FC409",
    "packages that pods could not get",
    "@pypi and @conda environments are solved and uploaded by a deploying Metaflow. An offline compiler cannot; an image can hold them.",
    bad=_step("@pypi(packages={'pandas': '2.2.0'})", "pypi", line=5),
    good=_step("@pypi(disabled=True)", "pypi"),
)


def check(flow: Flow, settings: Settings, engine: str = "Argo") -> list[Diagnostic]:
    """Everything that is wrong with the compute decorators of a flow, on Argo or (`engine`) on plain Kubernetes."""
    found = []
    for decorator in flow.decorators:
        found += check_packages(decorator, settings)
    for step in flow.steps.values():
        found += check_step(step, settings, engine)
    return [*found, *plain_secrets.check(flow, settings)]


def check_step(step: Step, settings: Settings, engine: str = "Argo") -> list[Diagnostic]:
    """Everything that is wrong with the compute decorators of a step."""
    found: list[Diagnostic] = []
    for decorator in step.decorators:
        found += check_packages(decorator, settings)
    batch = step.decorator("batch")
    if batch:
        text = f"step `{step.name}` is to run on AWS Batch"
        found.append(Diagnostic(ON_BATCH, text, batch.span, help="use @resources or @kubernetes for what it needs"))
    found += _check_times(step, engine) + _check_kubernetes(step, settings, engine) + _check_environment(step, engine)
    return found + list(profile.check(step, settings))


def _check_times(step: Step, engine: str) -> list[Diagnostic]:
    found = []
    retry, timeout = step.decorator("retry"), step.decorator("timeout")
    if engine == "Argo" and retry and abs(retries(step).backoff_minutes) > LONGEST_BACKOFF:
        text = f"step `{step.name}`: minutes_between_retries is longer than Argo can wait"
        found.append(bad_value(text, retry.span_of("minutes_between_retries"), f"write at most {LONGEST_BACKOFF}"))
    if timeout and timeout_seconds(step) > LONGEST_ATTEMPT:
        text = f"step `{step.name}`: @timeout gives {timeout_seconds(step):,} seconds, more than {engine} can count"
        found.append(bad_value(text, timeout.span, f"write at most {LONGEST_ATTEMPT // 3600} hours, or leave it out"))
    return found


def check_packages(decorator: Decorator, settings: Settings) -> list[Diagnostic]:
    kinds = ("pypi", "conda", "pypi_base", "conda_base")
    if decorator.name not in kinds or decorator.get("disabled") in (True, "True", "true") or settings.code == "image":
        return []
    text = f"the packages of @{decorator.name} cannot be brought to the pods"
    remedy = "put them into an image that holds the flow too: `--code image --code-path /app --image ...`"
    return [Diagnostic(PACKAGES, text, decorator.span, help=remedy)]


def span_of(step: Step, attribute: str) -> Span:
    """Where the attribute is written, in @kubernetes or @resources; else the step."""
    for name in ("kubernetes", "resources"):
        decorator = step.decorator(name)
        if decorator and attribute in decorator.attributes:
            return decorator.span_of(attribute)
    return step.span


def _check_kubernetes(step: Step, settings: Settings, engine: str) -> list[Diagnostic]:
    written = step.decorator("kubernetes")
    raw: dict[str, Any] = {name: value.data for name, value in written.attributes.items()} if written else {}
    asked = kubernetes(step)
    found = []
    for attribute, text, remedy in problems(asked):
        found.append(bad_value(f"step `{step.name}`: {text}", span_of(step, attribute), remedy))
    for attribute, value in raw.items():
        if engine == "Argo" and has_braces(value):
            text = f"`{{{{` in {attribute} of step `{step.name}` would be read by Argo"
            found.append(Diagnostic(TEMPLATED, text, span_of(step, attribute), help="write it without `{{`"))
    namespace = asked["namespace"]
    if namespace and namespace != settings.namespace:
        text = f"step `{step.name}` is to run in the namespace `{namespace}`, the workflow in {_quoted(settings.namespace)}"
        remedy = f"leave it out, or deploy the flow there: `--namespace {namespace}`"
        found.append(Diagnostic(OTHER_NAMESPACE, text, span_of(step, "namespace"), help=remedy))
    if "hostname_resolution_timeout" in raw and not step.decorator("parallel"):
        what = f"hostname_resolution_timeout of step `{step.name}`"
        found.append(no_effect(what, span_of(step, "hostname_resolution_timeout"), "the step is not @parallel"))
    if "gpu_vendor" in raw and asked["gpu"] is None:
        found.append(no_effect(f"gpu_vendor of step `{step.name}`", span_of(step, "gpu_vendor"), "the step asks for no gpu"))
    return found


def _quoted(namespace: str | None) -> str:
    return f"`{namespace}`" if namespace else "the one it is deployed to"


def _check_environment(step: Step, engine: str) -> list[Diagnostic]:
    decorator = step.decorator("environment")
    if decorator is None or not isinstance(decorator.get("vars") or {}, dict):
        return []
    found = []
    for name in decorator.get("vars") or {}:
        if is_reserved(str(name)):
            text = f"`{name}` of step `{step.name}` is set by the platform, so @environment's value does not count"
            found.append(Diagnostic(RESERVED, text, decorator.span_of("vars"), help="leave it out"))
    for entry in environment(step, expands=engine == "Argo"):
        if len(entry["name"]) + len(entry["value"].encode(errors="surrogatepass")) + 2 > ENV_LIMIT:
            text = f"the environment variable `{entry['name']}` of step `{step.name}` is longer than 128 KiB"
            remedy = "deliver it as a file, or as an artifact of an earlier step"
            found.append(Diagnostic(TOO_LONG, text, decorator.span_of("vars"), help=remedy))
    return found
