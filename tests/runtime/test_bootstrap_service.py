"""In: a metadata service. Out: proof that runs and tasks with flowc's ids are registered there."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from runtime import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Service(BaseHTTPRequestHandler):
    """As much of Metaflow's metadata service as tasks use: what was not made is not found; what is made is noted."""

    made: dict[str, dict[str, Any]]

    def do_GET(self) -> None:
        self.answer(200 if self.path in self.made or self.path == "/ping" else 404, self.made.get(self.path, {}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        if isinstance(body, dict):
            kind = self.path.rpartition("/")[2]
            identity = {"run": "run_number", "task": "task_id"}.get(kind)
            path = f"{self.path}s/{body[identity]}" if identity in body else self.path.removesuffix("/step")
            self.made[path] = {"run_id": body.get("run_number"), **body}
            body = self.made[path]
        self.answer(200, body)

    def answer(self, code: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("METADATA_SERVICE_VERSION", "2.4.0")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Says nothing on the test's streams."""


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    Service.made = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_runs_and_tasks_are_registered_under_their_own_ids(service: ThreadingHTTPServer, tmp_path: Path) -> None:
    """Ids that the service did not give are registered as they are: the run's, its parameters' and each task's, with tags."""
    url = f"http://127.0.0.1:{service.server_port}"
    place = {"METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_SERVICE_URL": url}
    engine = simulate.engine(simulate.FLOWS / "derived.py", tmp_path, environment={**place, "FLOWC_TAGS": '["team:a"]'})
    engine.run()
    run = "/flows/DerivedFlow/runs/argo-simulated"
    assert {run, f"{run}/steps/_parameters/tasks/params", f"{run}/steps/start/tasks/start", f"{run}/steps/end/tasks/end"} <= Service.made.keys()
    assert "team:a" in Service.made[run]["tags"]
    assert "runtime:argo-workflows" in Service.made[run]["system_tags"]
