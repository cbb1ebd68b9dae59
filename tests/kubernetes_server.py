"""In: nothing. Out: Server: an API server on loopback that knows discovery, server-side apply with owners of fields, lists and deletes."""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

Object = dict[str, Any]
KINDS = {
    "v1": {"ConfigMap": "configmaps", "ServiceAccount": "serviceaccounts"},
    "rbac.authorization.k8s.io/v1": {"Role": "roles", "RoleBinding": "rolebindings"},
    "batch/v1": {"Job": "jobs", "CronJob": "cronjobs"},
    "argoproj.io/v1alpha1": {"WorkflowTemplate": "workflowtemplates", "Workflow": "workflows", "CronWorkflow": "cronworkflows"},
}


@dataclass
class Server:
    """`objects` by path. `owners`: by path and field (`spec.suspend`) the manager that set it. `faults`: statuses to answer the next requests with; `refuse`: a status for writes whose path it matches."""

    objects: dict[str, Object] = field(default_factory=dict)
    owners: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    refuse: tuple[str, int, str] | None = None
    versions: dict[str, dict[str, str]] = field(default_factory=lambda: dict(KINDS))

    def answer(self, method: str, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
        if method != "GET":
            self.requests.append(f"{method} {path}" + ("?dry" if query.get("dryRun") == "All" else ""))
        if self.faults:
            return self.faults.pop(0), {"reason": "TooBusy", "message": "later"}
        if self.refuse and method != "GET" and re.search(self.refuse[0], path):
            return self.refuse[1], {"reason": "Invalid", "message": self.refuse[2]}
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if "/namespaces/" not in path:
            kinds = self.versions.get(version)
            return (200, {"resources": [{"kind": k, "name": n, "namespaced": True} for k, n in kinds.items()]}) if kinds else (404, {})
        if method == "GET":
            return self.read(path, query)
        if method == "DELETE":
            return self.delete(path, query, body)
        return self.own(path, body) if "managedFields" in body["metadata"] else self.apply(path, query, body)

    def read(self, path: str, query: dict[str, str]) -> tuple[int, Object]:
        if path in self.objects:
            item = self.objects[path]
            return 200, {**item, "metadata": {**item["metadata"], "managedFields": self.managed(path)}}
        if re.search(r"/namespaces/[^/]+/[^/]+/", path):
            return 404, {"reason": "NotFound", "message": f"{path} not found"}
        found = [o for p, o in self.objects.items() if p.startswith(path + "/") and self.matches(o, query.get("labelSelector", ""))]
        return 200, {"metadata": {}, "items": found}

    @staticmethod
    def matches(item: Object, selector: str) -> bool:
        labels = item["metadata"].get("labels", {})
        for part in filter(None, selector.split(",")):
            key, unequal, value = part.partition("!=")
            if unequal:
                if labels.get(key) == value:
                    return False
            elif labels.get(part.partition("=")[0]) != part.partition("=")[2]:
                return False
        return True

    def delete(self, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
        if path not in self.objects:
            return 404, {"reason": "NotFound", "message": "gone"}
        if body.get("preconditions", {}).get("uid") != self.objects[path]["metadata"]["uid"]:
            return 409, {"reason": "Conflict", "message": "another uid"}
        if query.get("dryRun") != "All":
            del self.objects[path]
        return 200, {}

    def apply(self, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
        manager, owners = query["fieldManager"], self.owners.get(path, {})
        fields = {f"{part}.{key}": item for part in ("data", "spec") for key, item in body.get(part, {}).items()}
        before = self.objects.get(path)
        theirs = [f for f, item in fields.items() if before and owners.get(f, manager) != manager and self.at(before, f) != item]
        if theirs and query.get("force") != "true":
            text = f'Apply failed with 1 conflict: conflict with "{owners[theirs[0]]}": .{theirs[0]}'
            return 409, {"reason": "Conflict", "message": text}
        item = copy.deepcopy(before or {"metadata": {"uid": f"uid-{len(self.requests)}", "creationTimestamp": "now"}, "status": {}})
        gone = [field for field, owner in owners.items() if owner == manager and field not in fields]
        for part, _, key in (each.partition(".") for each in gone):
            item[part].pop(key, None)
        for key, value in body.items():
            item[key] = {**item.get(key, {}), **value} if isinstance(value, dict) else value
        if query.get("dryRun") != "All":
            if item != before:
                item["metadata"]["resourceVersion"] = str(len(self.requests))
            self.objects[path] = item
            self.owners[path] = {field: owner for field, owner in owners.items() if field not in gone} | dict.fromkeys(fields, manager)
        return (200 if before else 201), item

    def managed(self, path: str) -> list[Object]:
        """The owners as Kubernetes tells them; `flowc` alone applies."""
        found: dict[str, Object] = {}
        for field_, manager in self.owners.get(path, {}).items():
            part, _, key = field_.partition(".")
            found.setdefault(manager, {}).setdefault(f"f:{part}", {})[f"f:{key}"] = {}
        return [
            {"manager": manager, "operation": "Apply" if manager == "flowc" else "Update", "fieldsV1": fields} for manager, fields in found.items()
        ]

    def own(self, path: str, body: Object) -> tuple[int, Object]:
        """A patch that says anew who set what, of the version of the object that it was made for."""
        told, item = body["metadata"], self.objects[path]
        if told["resourceVersion"] != item["metadata"]["resourceVersion"]:
            return 409, {"reason": "Conflict", "message": "the object has been modified; please apply your changes to the latest version"}
        parts = [(entry["manager"], part, key) for entry in told["managedFields"] for part, keys in entry["fieldsV1"].items() for key in keys]
        self.owners[path] = {f"{part[2:]}.{key[2:]}": manager for manager, part, key in parts}
        return 200, item

    @staticmethod
    def at(item: Object, path: str) -> Any:
        part, _, key = path.partition(".")
        return item.get(part, {}).get(key)

    def names(self) -> set[str]:
        """`kind/name` of all there is."""
        return {"/".join(path.split("/")[-2:]) for path in self.objects}

    def writes(self) -> list[str]:
        """The requests that store something."""
        return [request for request in self.requests if not request.endswith("?dry")]


def kubeconfig(address: str, namespace: str) -> Object:
    """The configuration of a client that talks to the address."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
        "current-context": "x",
    }


@contextmanager
def served(server: Server) -> Iterator[str]:
    """The address at which it answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            url = urlparse(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = server.answer(self.command, url.path, query, json.loads(data or b"{}"))
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PATCH = do_DELETE = do_POST = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=lambda: http.serve_forever(poll_interval=0.02), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
