"""Facts about what happens when a workflow has ended: Metaflow's exit hooks run, notifications are sent, no secret is written down."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from reading import reading

from flowc import graph
from flowc.deployment import pods
from flowc.deployment.samples import sample
from flowc.settings import Settings
from flowc.targets.argo import hooks, hooks_notify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.ir import Flow

ALL = {
    "notify_on_error": True,
    "notify_on_success": True,
    "notify_slack_webhook_url": "secret:slack/url",
    "notify_pager_duty_integration_key": "secret:pager/key",
    "notify_incident_io_api_key": "secret:incident/key",
    "incident_io_alert_source_config_id": "01GW",
    "incident_io_metadata": {"team": "{{ads}}"},
}
HOOKED = """from metaflow import FlowSpec, exit_hook, kubernetes, step


def tell(run):
    print('told of', run)


def clean_up():
    print('cleaned', __name__)


@exit_hook(on_success=['tell', 'clean_up'], on_error=['clean_up'], options={'image': 'hooks:1'})
@exit_hook(on_success=['tell', 'pkg.mod.fn'])
class Hooked(FlowSpec):
    @kubernetes(service_account='trainer', secrets=['db'], security_context={'run_as_user': 7}, image='train:1')
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def made(text: str, **settings: Any) -> tuple[Flow, hooks.Hooks]:
    found = reading(text)
    assert found.diagnostics == ()
    flow = found.flows[0]
    assert hooks.check(flow, Settings(**settings)) == []
    return flow, hooks.hooks(flow, graph.build(flow), Settings(**settings))


def test_nothing() -> None:
    """A flow without hooks has nothing at its end."""
    assert made(sample())[1] == hooks.Hooks(None, ())


def test_exit_hooks() -> None:
    """Each function runs once for each outcome, in an image and under an account that are known to work."""
    _, found = made(HOOKED)
    first, *rest = found.templates
    assert found.on_exit == first["name"]
    (tasks,) = first["steps"]
    assert [(t["template"], t["when"]) for t in tasks] == [
        ("success-tell", "{{workflow.status}} == Succeeded"),
        (hooks.hook_name("success", "pkg.mod.fn"), "{{workflow.status}} == Succeeded"),
        ("success-clean-up", "{{workflow.status}} == Succeeded"),
        ("error-clean-up", "{{workflow.status}} != Succeeded"),
    ]
    assert [t["container"]["args"] for t in rest] == [["tell"], ["pkg.mod.fn"], ["clean_up"], ["clean_up"]]
    assert [t["container"]["image"] for t in rest] == ["train:1", "train:1", "hooks:1", "hooks:1"]
    for template in rest:
        assert template["serviceAccountName"] == "trainer"
        assert template["container"]["securityContext"] == {"runAsUser": 7}
        assert {"secretRef": {"name": "db"}} in template["container"]["envFrom"]


def test_names_never_meet() -> None:
    """Functions whose names differ only where Argo's names cannot have different templates."""
    assert len({hooks.hook_name("success", n) for n in ("a_b", "a.b", "a..b", "A_b", "ä.b", "a_b_")}) == 6


def test_names_of_pods() -> None:
    """Pods are named after templates, so a hook's name is lower case; a step of the same name keeps it."""
    _, found = made(HOOKED.replace("tell", "Tell").replace("def start", "def success_clean_up").replace("@step", "@step(start=True)", 1))
    names = [t["name"] for t in found.templates[1:]]
    assert all(re.fullmatch(r"[a-z0-9][-a-z0-9]*", name) for name in names)
    assert "success-clean-up" not in names
    assert len(set(names)) == len(names)


def test_script_runs_the_function(tmp_path: Path) -> None:
    """The hook's script brings the flow's code as for a step and lets Metaflow call the function, with what it is given."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "flow.py").write_text(HOOKED, encoding="utf-8")
    import flowc.bootstrap

    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW", "FLOWC"))},
        "FLOWC_CODE": str(code),
        "FLOWC_FLOW": "flow.py",
        "FLOWC_CLASS": "Hooked",
        "FLOWC_RUN_ID": "argo-hooked-1",
        "FLOWC_BOOT": str(Path(flowc.bootstrap.__file__)),
        "FLOWC_WORK": str(tmp_path),
        "HOME": str(tmp_path),
        "METAFLOW_DEFAULT_METADATA": "local",
    }
    outputs = []
    for function in ("clean_up", "tell"):
        done = subprocess.run([sys.executable, "-c", hooks.SCRIPT, function], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert "cleaned flow" in outputs[0]
    # The run is none of this machine's, and Metaflow then calls the function with None.
    assert "told of None" in outputs[1]


@pytest.fixture
def posted() -> Iterator[tuple[str, list[tuple[str, dict[str, str], Any]]]]:
    """A server that keeps what is posted to it: path, headers, JSON."""
    kept: list[tuple[str, dict[str, str], Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(404 if self.path == "/gone" else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", kept
    server.shutdown()
    server.server_close()


def run(template: dict[str, Any], secret: str, base: str) -> int:
    """Run a notification's container as a pod would after Argo filled in the workflow's name."""
    environment = {"PATH": os.environ["PATH"]}
    for entry in template["container"]["env"]:
        text = secret if "valueFrom" in entry else entry["value"].replace("{{workflow.name}}", "hello-7").replace("$$", "$")
        environment[entry["name"]] = text.replace(hooks_notify.PAGER_DUTY, base + "/pd").replace(hooks_notify.INCIDENT_IO, base + "/io")
    assert "{{" not in json.dumps(environment["NOTIFY_BODY"])
    command = [sys.executable, *template["container"]["command"][1:]]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_notifications(posted: tuple[str, list[tuple[str, dict[str, str], Any]]]) -> None:
    """Slack, PagerDuty and incident.io get the messages that Metaflow sends, the secret in its place."""
    base, kept = posted
    _, found = made(sample(), **ALL)
    services = ("slack", "pager-duty", "incident-io")
    assert [t["name"] for t in found.templates[1:]] == [f"notify-{w}-on-{o}" for o in ("error", "success") for w in services]
    for template in found.templates[1:]:
        assert run(dict(template), f"{base}/hook" if "slack" in template["name"] else "s3cret", base) == 0
    paths = [path for path, _, _ in kept]
    assert paths == ["/hook", "/pd/enqueue", "/io/01GW", "/hook", "/pd/change/enqueue", "/io/01GW"]
    assert [body["text"] for path, _, body in kept if path == "/hook"] == [
        ":rotating_light: _Hello/argo-hello-7_ failed!",
        ":white_check_mark: _Hello/argo-hello-7_ succeeded!",
    ]
    assert [body["routing_key"] for path, _, body in kept if path.startswith("/pd")] == ["s3cret", "s3cret"]
    assert [headers.get("Authorization") for path, headers, _ in kept if path.startswith("/io")] == ["Bearer s3cret"] * 2
    assert kept[2][2]["metadata"] == {"team": "{{ads}}", "run_status": "failed", "flow_name": "Hello", "run_id": "argo-hello-7"}


def bodies_of_metaflow(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    from types import SimpleNamespace

    from metaflow.plugins.argo import argo_workflows

    for name in ("UI_URL", "ARGO_WORKFLOWS_UI_URL"):
        monkeypatch.setattr(argo_workflows, name, None)
    maker = argo_workflows.ArgoWorkflows.__new__(argo_workflows.ArgoWorkflows)
    maker.flow = SimpleNamespace(name="Hello")
    maker.notify_slack_webhook_url, maker.notify_pager_duty_integration_key, maker.notify_incident_io_api_key = "https://x", "KEY", "KEY"
    maker.incident_io_alert_source_config_id, maker.incident_io_metadata = "01GW", {"team": "{{ads}}"}
    made_ = [
        maker._slack_error_template(),
        maker._pager_duty_alert_template(),
        maker._incident_io_alert_template(),
        maker._slack_success_template(),
        maker._pager_duty_change_template(),
        maker._incident_io_change_template(),
    ]
    return [json.loads(hook.template.to_json()["http"]["body"]) for hook in made_]


def test_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages are Metaflow's, but for the key, which comes from the Secret, and a link that nobody set."""
    theirs = bodies_of_metaflow(monkeypatch)
    _, found = made(sample(), **ALL)
    ours = [json.loads(next(e["value"] for e in t["container"]["env"] if e["name"] == "NOTIFY_BODY")) for t in found.templates[1:]]
    for mine, other in zip(ours, theirs, strict=True):
        other.pop("routing_key", None)
        other.pop("source_url", None)
        assert mine == other


def test_refused_request_fails(posted: tuple[str, list[tuple[str, dict[str, str], Any]]]) -> None:
    """A webhook that is gone fails the hook's pod at once, which then shows why."""
    base, kept = posted
    _, found = made(sample(), notify_on_error=True, notify_slack_webhook_url="secret:slack/url")
    assert run(dict(found.templates[1]), f"{base}/gone", base) == 1
    assert len(kept) == 1


def test_no_secret_and_no_template() -> None:
    """Secrets are references; the only templates in a hook are the workflow's status and name."""
    _, found = made(sample(), **ALL)
    text = json.dumps(found.templates)
    for harmless in ("{{workflow.status}}", "{{workflow.name}}"):
        text = text.replace(harmless, "")
    assert "{{" not in text
    references = [e["valueFrom"]["secretKeyRef"]["name"] for t in found.templates[1:] for e in t["container"]["env"] if "valueFrom" in e]
    assert references == ["slack", "pager", "incident"] * 2
    assert pods.literal("$") == "$"


@pytest.mark.parametrize("value", ["https://hooks.slack.com/x", "secret:slack", "secret:Slack/url", "secret:/url"])
def test_literal_secrets(value: str) -> None:
    """Anything but the name and key of a Secret is refused, and not repeated in the message."""
    flow = reading(sample()).flows[0]
    (found,) = hooks.check(flow, Settings(notify_on_error=True, notify_slack_webhook_url=value))
    assert found.code.id == "FC435"
    assert value not in found.message + found.help
