"""In: the notifications of Settings. Out: container templates that post them to Slack, PagerDuty or incident.io, with keys from Secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowc.deployment.pods import literal
from flowc.runtime import safe_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowc.ir import Flow
    from flowc.settings import Settings

TARGETS = ("notify_slack_webhook_url", "notify_pager_duty_integration_key", "notify_incident_io_api_key")
PAGER_DUTY, INCIDENT_IO = "https://events.pagerduty.com/v2", "https://api.incident.io/v2/alert_events/http"
RUN_ID, WORKFLOW = "argo-{{workflow.name}}", "{{workflow.name}}"
RESOURCES = {
    "requests": {"cpu": "100m", "memory": "100M", "ephemeral-storage": "100M"},
    "limits": {"cpu": "100m", "memory": "100M"},
}

# Argo's own `http` templates would have the key in the manifest.
SCRIPT = """\
import json, os, time, urllib.error, urllib.request
secret, body = os.environ["NOTIFY_SECRET"].strip(), json.loads(os.environ["NOTIFY_BODY"])
headers = {"Content-Type": "application/json"}
if os.environ["NOTIFY_SECRET_AS"] == "routing_key":
    body["routing_key"] = secret
if os.environ["NOTIFY_SECRET_AS"] == "bearer":
    headers["Authorization"] = "Bearer " + secret
request = urllib.request.Request(os.environ.get("NOTIFY_URL") or secret, json.dumps(body).encode(), headers)
for wait in (2, 8, 32, None):
    try:
        print(urllib.request.urlopen(request, timeout=60).status)
        break
    except urllib.error.URLError as error:
        if wait is None or (isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429):
            raise SystemExit("not notified: %s" % getattr(error, "reason", error))
        time.sleep(wait)
"""


def secret_of(value: str) -> tuple[str, str] | None:
    """The name and key of `secret:name/key`; None for anything else."""
    found = re.fullmatch(r"secret:([a-z0-9]([-a-z0-9.]*[a-z0-9])?)/([-._a-zA-Z0-9]+)", value)
    return (found[1], found[3]) if found else None


def containers(flow: Flow, settings: Settings) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Whether for success, and the template; errors first, as Metaflow lists them."""
    for succeeded, wanted in ((False, settings.notify_on_error), (True, settings.notify_on_success)):
        if not wanted:
            continue
        suffix = "on-success" if succeeded else "on-error"
        if settings.notify_slack_webhook_url:
            yield succeeded, _template(f"notify-slack-{suffix}", settings.notify_slack_webhook_url, "url", None, _slack(flow, succeeded))
        if settings.notify_pager_duty_integration_key:
            url = f"{PAGER_DUTY}/change/enqueue" if succeeded else f"{PAGER_DUTY}/enqueue"
            yield (
                succeeded,
                _template(
                    f"notify-pager-duty-{suffix}",
                    settings.notify_pager_duty_integration_key,
                    "routing_key",
                    url,
                    _pager_duty(flow, succeeded),
                ),
            )
        if settings.notify_incident_io_api_key:
            url = f"{INCIDENT_IO}/{settings.incident_io_alert_source_config_id}"
            yield (
                succeeded,
                _template(
                    f"notify-incident-io-{suffix}",
                    settings.notify_incident_io_api_key,
                    "bearer",
                    url,
                    _incident_io(flow, settings, succeeded),
                ),
            )


def _template(name: str, secret: str, used_as: str, url: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
    from_secret = secret_of(secret)
    assert from_secret is not None, "FC435 comes first"
    environment: list[dict[str, Any]] = [
        {"name": "NOTIFY_SECRET", "valueFrom": {"secretKeyRef": {"name": from_secret[0], "key": from_secret[1]}}},
        {"name": "NOTIFY_SECRET_AS", "value": used_as},
        {"name": "NOTIFY_BODY", "value": literal(_with_run(body))},
    ]
    if url:
        environment.append({"name": "NOTIFY_URL", "value": url})
    return {"name": name, "container": {"command": ["python", "-c", SCRIPT], "env": environment, "resources": RESOURCES}}


def _with_run(body: Mapping[str, Any]) -> str:
    """JSON in which the only templates are the workflow's name; its braces are put in after all others were made harmless."""
    return safe_json(body).replace("@RUN_ID@", RUN_ID).replace("@WORKFLOW@", WORKFLOW)


def _slack(flow: Flow, succeeded: bool) -> dict[str, Any]:
    sign, verb = (":white_check_mark:", "succeeded") if succeeded else (":rotating_light:", "failed")
    return {"text": f"{sign} _{flow.name}/@RUN_ID@_ {verb}!"}


def _pager_duty(flow: Flow, succeeded: bool) -> dict[str, Any]:
    details = {"Flow": flow.name, "Run ID": "@RUN_ID@"}
    summary = f"Metaflow run {flow.name}/@RUN_ID@ " + ("Succeeded" if succeeded else "failed!")
    payload = {"summary": summary, "source": "@WORKFLOW@", "custom_details": details}
    if succeeded:
        return {"payload": payload, "links": []}
    return {"event_action": "trigger", "payload": {**payload, "severity": "info"}, "links": []}


def _incident_io(flow: Flow, settings: Settings, succeeded: bool) -> dict[str, Any]:
    verb = "succeeded" if succeeded else "failed"
    return {
        "idempotency_key": "@RUN_ID@",
        "status": "firing",
        "title": f"Flow {flow.name} has {verb}.",
        "description": f"Metaflow run {flow.name}/@RUN_ID@ {verb}!",
        "metadata": {**settings.incident_io_metadata, "run_status": verb, "flow_name": flow.name, "run_id": "@RUN_ID@"},
    }
