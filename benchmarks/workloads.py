"""In: a number of steps. Out: the same workflow as a Metaflow flow and as a Hera script, and an S3 that is just enough for Metaflow."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

FLOW = """\
from metaflow import FlowSpec, Parameter, {where}, retry, step


class {name}(FlowSpec):
    rate = Parameter("rate", default=0.1)

{steps}

if __name__ == "__main__":
    {name}()
"""
STEP = """\
    @retry(times=2)
    @{where}(cpu=2, memory=4096)
    @step
    def {name}(self):
        {body}
"""
HERA = """\
from hera.workflows import DAG, Container, Resources, RetryStrategy, WorkflowTemplate

names = ["start", *(f"step{{number}}" for number in range({inner})), "end"]
with WorkflowTemplate(name="chain", entrypoint="flow", arguments={{"rate": "0.1"}}) as workflow:
    containers = [
        Container(
            name=name,
            image="python:3.11",
            command=["python"],
            args=["/code/flow.py", name],
            resources=Resources(cpu_request=2, memory_request="4096Mi"),
            retry_strategy=RetryStrategy(limit=2),
        )
        for name in names
    ]
    with DAG(name="flow"):
        before = None
        for container in containers:
            task = container()
            if before is not None:
                before >> task
            before = task
print(workflow.to_yaml())
"""


def flow(count: int, name: str = "Chain", where: str = "kubernetes") -> str:
    """A flow file with a chain of `count` steps, each with @kubernetes or @batch."""
    names = ["start", *(f"step{number}" for number in range(count - 2)), "end"]
    steps = [STEP.format(name=a, where=where, body=f"self.next(self.{b})") for a, b in pairwise(names)]
    last = STEP.format(name="end", where=where, body="pass")
    return FLOW.format(name=name, where=where, steps="\n".join([*steps, last]))


def hera(count: int) -> str:
    """A script that prints an Argo workflow with the same chain by Hera."""
    return HERA.format(inner=count - 2)


class _Store(http.server.BaseHTTPRequestHandler):
    """Objects are taken and given back; there is no signature, no listing, no bucket."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]

    def do_PUT(self) -> None:
        self.objects[self.path] = self._body()
        self._answer(200, b"")

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def do_GET(self) -> None:
        data = self.objects.get(self.path)
        self._answer(404 if data is None else 200, data or b"")

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: a benchmark's output is its numbers."""


@contextmanager
def store() -> Iterator[str]:
    """The address of an S3 on this machine, which holds what Metaflow uploads with every deployment."""
    handler = type("Store", (_Store,), {"objects": {}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
