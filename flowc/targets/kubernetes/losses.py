"""In: a Flow and Settings. Out: FC490 to FC494, for what Argo could do of it and a coordinator of Jobs cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity
from flowc.merging import retries

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings

TARGET = "kubernetes"
TRIGGERED = Code(
    "FC490",
    "a trigger that nothing listens for",
    "@trigger and @trigger_on_finish need something that receives events, as Argo Events does. Plain Kubernetes starts Jobs by a schedule "
    "or when they are applied.",
    bad=Example({"flow.py": sample("trigger", "@trigger(event='data')")}, line=4, target=TARGET),
    good=Example({"flow.py": sample("schedule", "@schedule(hourly=True)")}, target=TARGET),
)
BACKOFF = Code(
    "FC491",
    "a pause between retries that Jobs do not keep",
    "A Job tries a failed index again after 10 seconds, and waits twice as long each time up to 10 minutes. It takes no other pause.",
    bad=Example({"flow.py": sample("retry", on_start="@retry(times=2, minutes_between_retries=5)")}, line=5, target=TARGET),
    good=Example({"flow.py": sample("retry", on_start="@retry(times=2)")}, target=TARGET),
    severity=Severity.NOTE,
)
SILENT = Code(
    "FC492",
    "a notification that nobody sends",
    "Notifications of runs are Argo's exit handlers. A coordinator sends none; an @exit_hook can.",
    bad=Example({"flow.py": sample()}, line=4, target=TARGET, settings={"notify_on_error": True}),
    good=Example({"flow.py": sample()}, target=TARGET),
    severity=Severity.WARNING,
)
ENDLESS = Code(
    "FC493",
    "a time limit that nobody keeps",
    "workflow-timeout is Argo's limit of a whole run. Jobs have the limits of their steps, given by @timeout.",
    bad=Example({"flow.py": sample()}, line=4, target=TARGET, settings={"workflow_timeout": 3600}),
    good=Example({"flow.py": sample("timeout", on_start="@timeout(hours=1)")}, target=TARGET),
    severity=Severity.WARNING,
)
NO_VALUE = Code(
    "FC494",
    "a parameter that the coordinator does not have",
    "The coordinator starts the flow with the defaults of its parameters, or with what the environment variable FLOWC_VALUES says. "
    "`flowc run --on kubernetes` takes values on the command line.",
    bad=Example({"flow.py": sample("Parameter", body="n = Parameter('n', required=True)")}, line=5, target=TARGET),
    good=Example(
        {"flow.py": sample("Parameter", body="n = Parameter('n', required=True)")},
        target=TARGET,
        settings={"environment": {"FLOWC_VALUES": '{"n": 1}'}},
    ),
    severity=Severity.WARNING,
)


def check(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    """All of them, at the decorator that asks for what is lost."""
    for name in ("trigger", "trigger_on_finish"):
        for decorator in flow.all_decorators(name):
            text = f"@{name} of `{flow.name}` cannot start it: plain Kubernetes has no events"
            help_ = "compile it for argo, start it by @schedule, or let what sends the event apply the file"
            yield Diagnostic(TRIGGERED, text, decorator.span, help=help_)
    for step in flow.steps.values():
        retry = step.decorator("retry")
        if retry and "minutes_between_retries" in retry.attributes and retries(step).user:
            text = f"step `{step.name}` is tried again after 10 s, 20 s, ..., not after {retries(step).backoff_minutes} min"
            yield Diagnostic(BACKOFF, text, retry.span_of("minutes_between_retries"), help="nothing need be done where any pause will do")
    for name in ("notify_on_error", "notify_on_success"):
        if getattr(settings, name):
            text = f"{name} has no effect on Jobs of Kubernetes"
            yield Diagnostic(SILENT, text, flow.span, help="leave it out, or notify in an @exit_hook")
    if settings.workflow_timeout is not None:
        yield Diagnostic(ENDLESS, "workflow_timeout has no effect on Jobs of Kubernetes", flow.span, help="give steps a @timeout")
    given = "FLOWC_VALUES" in settings.environment or flow.decorator("schedule")  # a schedule is judged by FC422
    for parameter in flow.parameters:
        if parameter.required and parameter.default is None and not given:
            text = f"the parameter `{parameter.name}` is required, and the coordinator has no value for it"
            help_ = f"give it a default, or set the environment variable: --environment 'FLOWC_VALUES={{\"{parameter.name}\": ...}}'"
            yield Diagnostic(NO_VALUE, text, parameter.span, help=help_)
