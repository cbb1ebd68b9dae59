"""In: what each task does. Out: FakeCluster: an API server over loopback HTTP with Jobs that run their pods, and with faults on demand."""

from __future__ import annotations

import copy
import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlparse

Object = dict[str, Any]
JOB_NAME, INDEX = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request: an HTTP status instead of the answer, or a connection that is dropped; `late`: after it was done.

    Of a watch, `status` 410 comes as an ERROR event, and `late` means after its first event.
    """

    status: int = 0
    late: bool = False
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a pod ends: `code` of its container, its termination message, and whether the node took it (`evicted`)."""

    code: int = 0
    message: str = ""
    evicted: bool = False


Work = Callable[[Object], Ended]
"""What the container of a pod does, called once a pod when it ends."""


class RefusalError(Exception):
    """An answer that is an error: HTTP status, reason, message."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(status, reason, message or reason)


@dataclass
class FakeCluster:
    """Objects, their history, and a controller of Jobs. `fault` is asked about each request (its number, method, path).

    `vanish`: pods that are gone when they have succeeded, before anyone sees them so. `repeat`: events come twice.
    """

    work: Work
    fault: Callable[[int, str, str], Fault | None] = lambda *_: None
    vanish: Callable[[Object], bool] = lambda _: False
    repeat: bool = False
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    history: list[tuple[int, str, str, Object]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    version: int = 10
    logs: dict[str, str] = field(default_factory=dict)
    held: bool = False

    def __post_init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.closing = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"cluster": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        for target in (lambda: self.server.serve_forever(poll_interval=0.02), self._control):
            threading.Thread(target=target, daemon=True).start()

    def close(self) -> None:
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    # --- objects ---

    def put(self, kind: str, item: Object, event: str) -> Object:
        with self.changed:
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            here = self.objects.setdefault(kind, {})
            name = item["metadata"]["name"]
            if event == "DELETED":
                here.pop(name, None)
            else:
                here[name] = item
            unseen = kind == "pods" and item["status"]["phase"] == "Succeeded" and event == "MODIFIED" and self.vanish(item)
            for _ in range(0 if unseen else 2 if self.repeat and event == "MODIFIED" else 1):
                self.history.append((self.version, kind, event, copy.deepcopy(item)))
            self.changed.notify_all()
            return item

    def items(self, kind: str) -> list[Object]:
        with self.changed:
            return list(self.objects.get(kind, {}).values())

    def create(self, kind: str, item: Object) -> Object:
        name = item["metadata"]["name"]
        with self.changed:
            if name in self.objects.get(kind, {}):
                raise RefusalError(409, "AlreadyExists", f'{kind} "{name}" already exists')
            item["metadata"]["uid"] = f"uid-{self.version}"
            if kind == "jobs":
                item["status"] = {}
            return self.put(kind, item, "ADDED")

    def find(self, kind: str, name: str) -> Object:
        try:
            return self.objects[kind][name]
        except KeyError:
            raise RefusalError(404, "NotFound", f'{kind} "{name}" not found') from None

    def replace(self, kind: str, name: str, item: Object) -> Object:
        with self.changed:
            if self.find(kind, name)["metadata"]["resourceVersion"] != item["metadata"].get("resourceVersion"):
                raise RefusalError(409, "Conflict", "the object has been modified")
            return self.put(kind, item, "MODIFIED")

    def patch(self, kind: str, name: str, change: Object) -> Object:
        with self.changed:
            item = copy.deepcopy(self.find(kind, name))
            merge(item, change)
            return self.put(kind, item, "MODIFIED")

    def delete(self, kind: str, name: str, uid: str | None = None) -> Object:
        with self.changed:
            item = self.find(kind, name)
            if uid and item["metadata"]["uid"] != uid:
                raise RefusalError(409, "Conflict", "another uid")
            self.put(kind, copy.deepcopy(item), "DELETED")
            for other in ("jobs", "pods", "jobsets", "leases"):
                for owned in self.items(other):
                    if any(o["uid"] == item["metadata"]["uid"] for o in owned["metadata"].get("ownerReferences", [])):
                        self.delete(other, owned["metadata"]["name"])
            return {"kind": "Status", "status": "Success"}

    # --- the Job controller and the kubelet, in one ---

    def _control(self) -> None:
        while not self.closing:
            with self.changed:
                before = self.version
                if not self.held:
                    for job in self.items("jobs"):
                        self._job(job)
                    for gang in self.items("jobsets"):
                        self._gang(gang)
                    pods = [p for p in self.items("pods") if p["status"]["phase"] in ("Pending", "Running")]
                    self.rng.shuffle(pods)
                    for pod in pods[:3]:
                        self._pod(pod)
                if self.version == before:
                    self.changed.wait(0.05)

    def _pods_of(self, job: Object) -> list[Object]:
        return [p for p in self.items("pods") if p["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]]

    def _job(self, job: Object) -> None:
        status, spec = job["status"], job["spec"]
        if any(c["type"] in ("Complete", "Failed") for c in status.get("conditions", [])):
            return
        pods = self._pods_of(job)
        active = [p for p in pods if p["status"]["phase"] in ("Pending", "Running")]
        if spec.get("suspend"):
            for pod in active:
                self.delete("pods", pod["metadata"]["name"])
            return
        width, limit = spec.get("completions", 1), spec.get("backoffLimitPerIndex", spec.get("backoffLimit", 0))
        ledger = status.setdefault("x", {"done": [], "failed": [], "tries": {}, "counted": []})
        changed = self._count(pods, ledger, limit)
        busy = {int(p["metadata"]["labels"][INDEX]) for p in active} | set(ledger["done"]) | set(ledger["failed"])
        free = spec.get("parallelism", 1) - len(active)
        doomed = len(ledger["failed"]) > spec.get("maxFailedIndexes", width)
        for index in [i for i in range(width) if i not in busy and not doomed][: max(0, free)]:
            self._spawn(job, index, ledger["tries"].get(str(index), 0))
        if changed:
            fresh = copy.deepcopy(job)
            told = fresh["status"]
            told.update(completedIndexes=spans(ledger["done"]), failedIndexes=spans(ledger["failed"]))
            if len(ledger["done"]) == width:
                told["conditions"] = [{"type": "Complete", "status": "True"}]
            elif len(ledger["failed"]) > spec.get("maxFailedIndexes", width):
                told["conditions"] = [{"type": "Failed", "status": "True", "reason": "MaxFailedIndexesExceeded", "message": "as asked"}]
                for pod in active:
                    self.delete("pods", pod["metadata"]["name"])
            self.put("jobs", fresh, "MODIFIED")

    def _count(self, pods: list[Object], ledger: Object, limit: int) -> bool:
        changed = False
        for pod in pods:
            index, phase = int(pod["metadata"]["labels"][INDEX]), pod["status"]["phase"]
            if phase not in ("Succeeded", "Failed") or pod["metadata"]["uid"] in ledger["counted"]:
                continue
            changed = True
            ledger["counted"].append(pod["metadata"]["uid"])
            if phase == "Succeeded":
                ledger["done"].append(index)
                if self.vanish(pod):
                    self.delete("pods", pod["metadata"]["name"])
            elif not pod["status"].get("conditions"):
                ledger["tries"][str(index)] = ledger["tries"].get(str(index), 0) + 1
                if ledger["tries"][str(index)] > limit:
                    ledger["failed"].append(index)
        return changed

    def _spawn(self, job: Object, index: int, failures: int) -> None:
        template = copy.deepcopy(job["spec"]["template"])
        name = f"{job['metadata']['name']}-{index}-{self.version}"
        labels = {**template["metadata"].get("labels", {}), JOB_NAME: job["metadata"]["name"], INDEX: str(index)}
        owner = [{"uid": job["metadata"]["uid"], "name": job["metadata"]["name"], "kind": "Job"}]
        metadata = {"name": name, "labels": labels, "annotations": {FAILURES: str(failures)}, "ownerReferences": owner}
        self.create("pods", {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}})

    def _pod(self, pod: Object) -> None:
        fresh = copy.deepcopy(pod)
        if pod["status"]["phase"] == "Pending":
            fresh["status"]["phase"] = "Running"
        else:
            ended = self.work(pod)
            state = {"terminated": {"exitCode": ended.code, "message": ended.message, "reason": "Error" if ended.code else "Completed"}}
            fresh["status"] = {"phase": "Failed" if ended.code or ended.evicted else "Succeeded"}
            fresh["status"]["containerStatuses"] = [{"name": "main", "state": state}]
            if ended.evicted:
                fresh["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
        self.put("pods", fresh, "MODIFIED")

    def _gang(self, gang: Object) -> None:
        """A JobSet is there at once with all its pods, and ends with them."""
        if gang.get("status", {}).get("conditions") or gang["spec"].get("suspend"):
            return
        fresh = copy.deepcopy(gang)
        template = gang["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
        ended = self.work({"metadata": {**gang["metadata"], "annotations": {}, "labels": {}}, "spec": template["spec"]})
        kind = "Failed" if ended.code else "Completed"
        fresh["status"] = {"conditions": [{"type": kind, "status": "True", "reason": kind, "message": ""}]}
        self.put("jobsets", fresh, "MODIFIED")


def merge(item: Object, change: Object) -> None:
    """RFC 7386."""
    for key, value in change.items():
        if value is None:
            item.pop(key, None)
        elif isinstance(value, dict):
            merge(item.setdefault(key, {}), value)
        else:
            item[key] = value


def spans(indexes: list[int]) -> str:
    """As the Job controller writes them: `1,3-5,7`."""
    out: list[list[int]] = []
    for index in sorted(indexes):
        if out and out[-1][1] == index - 1:
            out[-1][1] = index
        else:
            out.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


class Handler(BaseHTTPRequestHandler):
    """One request after another, as Kubernetes' REST is spoken."""

    protocol_version = "HTTP/1.1"
    cluster: FakeCluster

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        url = urlparse(self.path)
        query = dict(parse_qsl(url.query))
        with self.cluster.changed:
            self.cluster.requests.append((self.command, url.path))
            number = len(self.cluster.requests)
        fault = self.cluster.fault(number, self.command, url.path)
        if fault and not fault.late and "watch" not in query and self._fail(fault):
            return
        try:
            if "watch" in query:
                self._watch(url.path.split("/")[-1], query, fault)
                return
            answer: Any = self._serve(url.path, query, body)
        except RefusalError as refused:
            self._answer(refused.args[0], {"kind": "Status", "reason": refused.args[1], "message": refused.args[2], "code": refused.args[0]})
            return
        if fault and fault.late and self._fail(fault):
            return
        self._answer(200, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def _fail(self, fault: Fault) -> bool:
        if fault.status:
            more = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self._answer(fault.status, {"kind": "Status", "reason": "Fault", "message": "as asked", "code": fault.status}, more)
        else:
            self.close_connection = True
            self.connection.close()
        return True

    def _answer(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def _serve(self, path: str, query: dict[str, str], body: Object) -> Any:
        parts = path.split("/namespaces/")[1].split("/")[1:]
        kind, name = parts[0], parts[1] if len(parts) > 1 else ""
        cluster = self.cluster
        if len(parts) == 3:
            return cluster.logs.get(name, f"log of {cluster.find(kind, name)['metadata']['name']}\n")
        if self.command == "GET" and not name:
            with cluster.changed:
                items = [copy.deepcopy(o) for o in cluster.items(kind) if matches(o, query)]
                return {"metadata": {"resourceVersion": str(cluster.version)}, "items": items}
        with cluster.changed:
            done = {
                "GET": lambda: cluster.find(kind, name),
                "POST": lambda: cluster.create(kind, body),
                "PUT": lambda: cluster.replace(kind, name, body),
                "PATCH": lambda: cluster.patch(kind, name, body),
                "DELETE": lambda: cluster.delete(kind, name, body.get("preconditions", {}).get("uid")),
            }[self.command]()
            return copy.deepcopy(done)

    def _watch(self, kind: str, query: dict[str, str], fault: Fault | None) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in self._events(kind, query, fault):
                data = json.dumps(event).encode() + b"\n"
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def _events(self, kind: str, query: dict[str, str], fault: Fault | None) -> Iterator[Object]:
        at, cluster = int(query["resourceVersion"]), self.cluster
        if fault and not fault.late:
            yield from self._cut(fault)
            return
        place = 0
        while not cluster.closing:
            with cluster.changed:
                fresh = [e for e in cluster.history[place:] if e[0] > at and e[1] == kind and matches(e[3], query)]
                place = len(cluster.history)
                if not fresh:
                    cluster.changed.wait(0.5)
            for _, _, event, item in fresh:
                yield {"type": event, "object": item}
                if fault:
                    yield from self._cut(fault)
                    return

    def _cut(self, fault: Fault) -> Iterator[Object]:
        if not fault.status:
            raise ConnectionAbortedError
        yield {"type": "ERROR", "object": {"kind": "Status", "code": fault.status, "reason": "Expired", "message": "too old resource version"}}


def matches(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels", {})
    wanted = [part.split("=", 1) for part in query.get("labelSelector", "").split(",") if part]
    return all(labels.get(key) == value for key, value in wanted)
