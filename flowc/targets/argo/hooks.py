"""In: @exit_hook of a Flow and the notifications of Settings. Out: the templates that run when a workflow has ended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.deployment.hooks import Hook
from flowc.deployment.hooks import check as check_hooks
from flowc.deployment.hooks import hooks as hooks_of
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.merging import kubernetes
from flowc.target import short_hash
from flowc.targets.argo import step_pod
from flowc.targets.argo.hooks_notify import TARGETS, containers, secret_of
from flowc.targets.argo.identifiers import argo_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

ON_EXIT = "Exit"
SUCCEEDED, FAILED = "{{workflow.status}} == Succeeded", "{{workflow.status}} != Succeeded"

# Brings the code and Metaflow as for a step, then lets Metaflow call the function.
SCRIPT = """\
import importlib.util, os, pathlib, sys, tempfile
spec = importlib.util.spec_from_file_location("boot", os.environ.get("FLOWC_BOOT", "/flowc/boot.py"))
boot = importlib.util.module_from_spec(spec)
spec.loader.exec_module(boot)
work = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("FLOWC_WORK") or None))
flow = boot.prepare(work)
boot.install(str(work / "site"))
run = os.environ["FLOWC_CLASS"] + "/" + os.environ["FLOWC_RUN_ID"]
sys.exit(boot.call([sys.executable, "-m", "metaflow.plugins.exit_hook.exit_hook_script", flow, sys.argv[1], run]))
"""

INCIDENT = {"notify_on_error": True, "notify_incident_io_api_key": "secret:incident/key"}
LITERAL_SECRET = Code(
    "FC435",
    "a secret in plain text",
    "Whoever knows a webhook's address or an integration key may use it, and manifests get committed. It comes from a Secret.",
    bad=Example(
        {"flow.py": sample()},
        line=4,
        target="argo",
        settings={"notify_on_error": True, "notify_slack_webhook_url": "https://hooks.slack.com/services/T0/B0/xyz"},
    ),
    good=Example({"flow.py": sample()}, target="argo", settings={"notify_on_error": True, "notify_slack_webhook_url": "secret:slack/url"}),
)
NOBODY = Code(
    "FC436",
    "a notification that nobody gets",
    "To notify, a Slack webhook, a PagerDuty integration key or an incident.io key must be set.",
    bad=Example({"flow.py": sample()}, line=4, target="argo", settings={"notify_on_error": True}),
    good=Example({"flow.py": sample()}, target="argo", settings={"notify_on_error": True, "notify_slack_webhook_url": "secret:slack/url"}),
)
NO_SOURCE = Code(
    "FC437",
    "incident.io without its alert source",
    "incident.io takes alerts at an address that holds the ID of an alert source configuration.",
    bad=Example({"flow.py": sample()}, line=4, target="argo", settings=INCIDENT),
    good=Example({"flow.py": sample()}, target="argo", settings={**INCIDENT, "incident_io_alert_source_config_id": "01GW"}),
)


@dataclass(frozen=True, slots=True)
class Hooks:
    """`on_exit` is the template for `spec.onExit` (None: nothing happens at the end), `templates` are to be appended to the workflow's."""

    on_exit: str | None
    templates: tuple[Mapping[str, Any], ...]


def hooks(flow: Flow, graph: Graph, settings: Settings) -> Hooks:
    """The hooks of a flow that passed `check`. Those that apply run side by side; one that fails does not change the run's result."""
    found = [(succeeded, _apart(t, flow)) for succeeded, t in (*_functions(flow, graph, settings), *containers(flow, settings))]
    if not found:
        return Hooks(None, ())
    tasks = [
        {
            "name": template["name"],
            "template": template["name"],
            "when": SUCCEEDED if succeeded else FAILED,
            "continueOn": {"failed": True, "error": True},
        }
        for succeeded, template in found
    ]
    return Hooks(ON_EXIT, ({"name": ON_EXIT, "steps": [tasks]}, *(template for _, template in found)))


def hook_name(kind: str, function: str) -> str:
    """Metaflow's name for a hook's template. Pods are named after it, so capitals and dots go, and a hash keeps such functions apart."""
    plain = re.sub(r"[^a-z0-9]", "-", function.lower())
    return f"{kind}-{plain}" if re.fullmatch(r"[a-z0-9_]+", function) else f"{kind}-{plain[:80]}-{short_hash(function)}"


def _apart(template: dict[str, Any], flow: Flow) -> dict[str, Any]:
    """The template under a name that no step has."""
    name = template["name"]
    return {**template, "name": f"{name}-{short_hash(name)}"} if name in {argo_name(step) for step in flow.steps} else template


def _functions(flow: Flow, graph: Graph, settings: Settings) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Whether for success, and the template; each function once for each."""
    for hook in hooks_of(flow):
        yield hook.succeeded, _function(hook_name(hook.kind, hook.function), hook, flow, graph, settings)


def _function(name: str, hook: Hook, flow: Flow, graph: Graph, settings: Settings) -> dict[str, Any]:
    """As in Metaflow, a hook has the image, service account and secrets of the first step, which are known to work."""
    first = flow.steps[graph.start or ""]
    pod, asked = step_pod.pod(first, settings), kubernetes(first)
    shared = {key: pod.container[key] for key in ("imagePullPolicy", "envFrom", "securityContext") if key in pod.container}
    image = hook.image or asked["image"]
    container = {"command": ["python", "-c", SCRIPT], "args": [hook.function], **({"image": image} if image else {}), **shared}
    beside = {key: pod.template[key] for key in ("serviceAccountName", "podSpecPatch") if key in pod.template}
    return {"name": name, "metadata": {"annotations": {"metaflow/step_name": f"_hook_{hook.function}"}}, **beside, "container": container}


def check(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """Exit hooks and notifications that could not run, and secrets that would show."""
    found = check_hooks(flow)
    for name in TARGETS:
        value = getattr(settings, name)
        if value and secret_of(value) is None:
            text = f"{name} would stand in the manifest in plain text"
            remedy = f'put it into a Secret of the namespace and name that: {name} = "secret:NAME/KEY"'
            found.append(Diagnostic(LITERAL_SECRET, text, flow.span, help=remedy))
    if settings.notify_on_error or settings.notify_on_success:
        if not any(getattr(settings, name) for name in TARGETS):
            remedy = 'set one, like notify_slack_webhook_url = "secret:NAME/KEY"'
            found.append(Diagnostic(NOBODY, "a notification is asked for, and nobody to notify is set", flow.span, help=remedy))
        if settings.notify_incident_io_api_key and not settings.incident_io_alert_source_config_id:
            text = "incident.io is to be notified, and its alert source configuration is not set"
            found.append(Diagnostic(NO_SOURCE, text, flow.span, help="set incident_io_alert_source_config_id"))
    return found
