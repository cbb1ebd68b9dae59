"""In: the body of a machine and @exit_hook of its Flow. Out: a machine that runs the hooks when the body has ended, and ends as it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.deployment.hooks import Hook, hooks
from flowc.deployment.hooks import check as check_hooks
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity
from flowc.targets.step_functions import jobs, names, states

if TYPE_CHECKING:
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

State = dict[str, Any]
# Names of steps have no capital letters, so these are no step's.
BEGIN, FLOW, SUCCESS, ERROR, FAILED = "Begin", "Flow", "On success", "On error", "Failed"

_HOOKED = sample("exit_hook", "@exit_hook(on_error=['tell'])", helpers="def tell():\n    print('done')")
TIMED_OUT = Code(
    "FC452",
    "an exit hook that a time limit silences",
    "When its time is up Step Functions ends an execution there and then: no state, so no hook, runs after it. The same goes for an "
    "execution that somebody stops. A rule of EventBridge for executions with the status TIMED_OUT or ABORTED hears of both.",
    bad=Example({"flow.py": _HOOKED}, line=8, target="step-functions", settings={"workflow_timeout": 3600}),
    good=Example({"flow.py": _HOOKED}, target="step-functions"),
    severity=Severity.WARNING,
)
NOTIFIED = Code(
    "FC453",
    "a notification that Step Functions does not send",
    "The notifications of `argo-workflows create` read their keys from Secrets of Kubernetes. On Step Functions an exit hook can notify, "
    "or a rule of EventBridge for executions that failed.",
    bad=Example(
        {"flow.py": sample()},
        line=4,
        target="step-functions",
        settings={"notify_on_error": True, "notify_slack_webhook_url": "secret:slack/url"},
    ),
    good=Example({"flow.py": _HOOKED}, target="step-functions"),
    severity=Severity.WARNING,
)


def wrapped(flow: Flow, graph: Graph, settings: Settings, body: State) -> State:
    """`StartAt` and `States` of the flow with its hooks; the body itself where it has none.

    The flow becomes the only branch of a Parallel, whose Catch sees every error in it. Hooks of one outcome run side by side; one
    that fails changes nothing. After those of a failure comes a Fail state with the flow's own error and cause.
    """
    found = list(hooks(flow))
    if not found:
        return body
    succeeded, failed = [h for h in found if h.succeeded], [h for h in found if not h.succeeded]
    # Metaflow's commands read the first state; not the Parallel itself, since cfn-lint takes no Parameters there
    begin: State = {"Type": "Pass", "Parameters": states.record(flow, settings), "Next": FLOW}
    whole: State = {"Type": "Parallel", "Branches": [body], "ResultSelector": {"run.$": states.RUN}}
    # without hooks of its own a failure needs no Catch: it fails the execution as it is
    caught = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": ERROR}]} if failed else {}
    ways: State = {BEGIN: begin, FLOW: {**whole, **caught, **({"Next": SUCCESS} if succeeded else {"End": True})}}
    if succeeded:
        ways[SUCCESS] = {**_all(flow, graph, settings, succeeded), "End": True}
    if failed:
        ways[ERROR] = {**_all(flow, graph, settings, failed), "Next": FAILED}
        ways[FAILED] = {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"}
    return {"StartAt": BEGIN, "States": ways}


def _all(flow: Flow, graph: Graph, settings: Settings, found: list[Hook]) -> State:
    return states.parallel([_branch(flow, graph, settings, hook) for hook in found])


def _branch(flow: Flow, graph: Graph, settings: Settings, hook: Hook) -> State:
    """The job of one hook, and where it goes if that fails."""
    name = names.state(hook.function, f"on {hook.kind}")
    failed = names.state(hook.function, f"on {hook.kind} failed")
    parameters = {
        "JobName": names.job(flow, hook.function.replace(".", "_")),
        "JobDefinition": jobs.by_hook_image(flow, graph, settings)[hook.image],
        "JobQueue": jobs.queue(flow, graph.start or ""),
        "ContainerOverrides": {
            "Command": jobs.hook_command(flow, graph, hook),
            "Environment": [{"Name": "FLOWC_RUN_ID", "Value.$": states.RUN}],
        },
    }
    job = {"Type": "Task", "Resource": states.SUBMIT, "Parameters": parameters, **states.NOTHING, "Retry": [states.THROTTLED]}
    catch = {"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.nothing", "Next": failed}], "End": True}
    return {"StartAt": name, "States": {name: {**job, **catch}, failed: {"Type": "Pass", "End": True}}}


def check(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """Exit hooks that could not run, and notifications that nobody would send."""
    found = check_hooks(flow)
    if settings.workflow_timeout:
        for decorator in flow.all_decorators("exit_hook"):
            if decorator.get("on_error"):
                text = "these hooks do not run when the workflow's time limit has passed"
                remedy = "have an EventBridge rule for executions that are TIMED_OUT, or leave the limit to @timeout of the steps"
                found.append(Diagnostic(TIMED_OUT, text, decorator.span_of("on_error"), help=remedy))
    if settings.notify_on_error or settings.notify_on_success:
        text = "notify_on_error and notify_on_success notify nobody from Step Functions"
        remedy = "use @exit_hook, or an EventBridge rule for the state machine's executions"
        found.append(Diagnostic(NOTIFIED, text, flow.span, help=remedy))
    return found
