"""In: a kubeconfig or a pod's service account. Out: Api: JSON calls to the API server that outlast its bad moments, and watch streams."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from flowc.run.executor import ExecutorError

Object = dict[str, Any]

PATIENCE = 300.0
"""Seconds that a call is tried again for while the API server is out of reach or overloaded."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 20.0
TIMEOUT = 30.0
PAGE = 500
QUIET = 100.0
"""Seconds of silence after which a watch counts as lost; the API server sends a bookmark about every minute."""
KINDS: Mapping[str, str] = {
    "pods": "/api/v1",
    "configmaps": "/api/v1",
    "jobs": "/apis/batch/v1",
    "cronjobs": "/apis/batch/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "jobsets": "/apis/jobset.x-k8s.io/v1alpha2",
}
DICE = random.SystemRandom()
PASSING = frozenset({408, 429, 500, 502, 503, 504})


class ClusterError(ExecutorError):
    """The cluster does not do what it is asked, in words for the user."""


class FinalError(ClusterError):
    """To try again later would end alike."""


class RefusedError(ClusterError):
    """The API server's answer is no, and will be; `status` is the HTTP status, `reason` Kubernetes' own word (`AlreadyExists`)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or f"{status} {reason}")
        self.status, self.reason = status, reason


class PassingError(Exception):
    """The API server cannot answer now: `wait` is how many seconds it asks for, None where it does not say."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


def pauses() -> Iterator[float]:
    """Seconds to wait before each further try: they double up to the longest, with jitter so that many callers spread out."""
    pause = FIRST_PAUSE
    while True:
        yield pause * (0.5 + DICE.random() / 2)
        pause = min(LONGEST_PAUSE, pause * 2)


@dataclass(frozen=True, slots=True)
class Api:
    """One namespace of one cluster. `client` is the official ApiClient: it knows addresses, certificates, tokens and their renewal."""

    client: Any
    namespace: str
    sleep: Callable[[float], None] = time.sleep

    def path(self, kind: str, name: str = "", part: str = "") -> str:
        """The address of a kind (`jobs`), of one object, or of a part of it (`log`)."""
        return "/".join(filter(None, (f"{KINDS[kind]}/namespaces/{self.namespace}/{kind}", name, part)))

    def get(self, kind: str, name: str) -> Object | None:
        """The object, None where there is none."""
        try:
            return self.call("GET", self.path(kind, name))
        except RefusedError as error:
            if error.status != 404:
                raise
            return None

    def pages(self, kind: str, selector: str) -> Iterator[Object]:
        """The list, PAGE objects at a time; each page's metadata has the resourceVersion from which a watch goes on."""
        query = {"labelSelector": selector, "limit": str(PAGE)}
        while True:
            page = self.call("GET", self.path(kind), query)
            yield page
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:
                return

    def create(self, kind: str, body: Object) -> Object:
        """Create; RefusedError with reason AlreadyExists where the name is taken, maybe by an earlier try whose answer was lost."""
        return self.call("POST", self.path(kind), {"fieldManager": "flowc"}, body)

    def replace(self, kind: str, body: Object) -> Object:
        """Put back an object that was read; RefusedError with reason Conflict where someone else changed it since."""
        return self.call("PUT", self.path(kind, body["metadata"]["name"]), {"fieldManager": "flowc"}, body)

    def patch(self, kind: str, name: str, body: Object) -> Object:
        """A merge patch."""
        content = "application/merge-patch+json"
        return self.call("PATCH", self.path(kind, name), {"fieldManager": "flowc"}, body, content)

    def delete(self, kind: str, name: str, uid: str = "") -> None:
        """Delete with all that it owns, in the background; nothing where it is gone (or another of that name has come)."""
        body: Object = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self.call("DELETE", self.path(kind, name), {}, body)
        except RefusedError as error:
            if error.status not in (404, 409):
                raise

    def log(self, pod: str, container: str, lines: int) -> str:
        """The end of what a container said, empty where that cannot be read (the pod is gone, or never started)."""
        query = {"container": container, "tailLines": str(lines)}
        try:
            return self._once("GET", self.path("pods", pod, "log"), query).decode("utf-8", "replace")
        except (ClusterError, PassingError):
            return ""

    def call(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Object | None = None, content: str = "") -> Object:
        """The answer. RefusedError where it is no; ClusterError where the API server stays away longer than PATIENCE.

        A call may have been carried out although its answer was lost, so every caller's calls can be repeated without harm.
        """
        end = time.monotonic() + PATIENCE
        for pause in pauses():
            try:
                text = self._once(method, path, query or {}, body, content)
                return dict(json.loads(text or b"{}"))
            except PassingError as error:  # noqa: PERF203 - it is what the loop is for
                wait = min(max(pause, error.wait or 0), 60.0)
                if time.monotonic() + wait > end:
                    raise ClusterError(f"the API server did not answer {method} {path} for {PATIENCE:.0f} s: {error}") from error
                self.sleep(wait)
        raise AssertionError("pauses end")

    def _once(self, method: str, path: str, query: Mapping[str, str], body: Object | None = None, content: str = "") -> bytes:
        response = self._send(method, path, query, body, content, TIMEOUT)
        try:
            data = bytes(response.data)
        except Exception as error:
            raise _as_passing(error) from error
        _judge(response.status, response.headers, data)
        return data

    def watch(self, kind: str, selector: str, version: str) -> Iterator[Object]:
        """Events after a resourceVersion until the API server ends the stream. RefusedError of status 410 where the version is too old."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version, "labelSelector": selector}
        response = self._send("GET", self.path(kind), {**query, "timeoutSeconds": str(DICE.randint(240, 300))}, None, "", QUIET)
        try:
            if response.status != 200:
                _judge(response.status, response.headers, bytes(response.data))
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    _judge(event["object"].get("code") or 500, {}, json.dumps(event["object"]).encode())
                yield event
        except (OSError, ValueError) as error:
            raise PassingError(str(error)) from error
        finally:
            response.close()

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Object | None, content: str, timeout: float) -> Any:
        """One request; the official client's retries are off, since only the callers know what may be repeated."""
        from urllib.parse import urlencode

        from urllib3 import Timeout

        configuration = self.client.configuration
        headers = {"Accept": "application/json, */*", "User-Agent": "flowc"}
        for auth in configuration.auth_settings().values():
            if auth["in"] == "header" and auth["value"]:
                headers[auth["key"]] = auth["value"]
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), content or "application/json"
        url = configuration.host + path + (f"?{urlencode(query)}" if query else "")
        limits = Timeout(connect=min(timeout, 10.0), read=timeout)
        pool = self.client.rest_client.pool_manager
        try:
            return pool.request(method, url, body=data, headers=headers, timeout=limits, retries=False, preload_content=False)
        except Exception as error:
            raise _as_passing(error) from error


def _as_passing(error: Exception) -> Exception:
    from urllib3.exceptions import HTTPError, LocationParseError, SSLError

    if isinstance(error, SSLError) and "certificate verify failed" in str(error).lower():
        return ClusterError(f"the API server's certificate is not trusted: {error}")
    if isinstance(error, (HTTPError, OSError)) and not isinstance(error, LocationParseError):
        return PassingError(f"{type(error).__name__}: {error}")
    return error


def _lines(response: Any) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    rest = b""
    try:
        for chunk in response.stream(65536, decode_content=False):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line.strip())
    except HTTPError as error:
        raise PassingError(f"{type(error).__name__}: {error}") from error


def _judge(status: int, headers: Mapping[str, str], data: bytes) -> None:
    """Nothing where the answer is good; the error that says what may be done about it otherwise."""
    if 200 <= status < 300:
        return
    try:
        told = json.loads(data)
        reason, message = str(told.get("reason") or ""), str(told.get("message") or "")
    except (ValueError, AttributeError):
        reason, message = "", data.decode("utf-8", "replace")[:500]
    if status in PASSING:
        wait = headers.get("Retry-After", "")
        raise PassingError(f"{status} {reason}: {message}", float(wait) if wait.isdigit() else None)
    raise RefusedError(status, reason, message)


def connect(namespace: str | None = None, context: str | None = None) -> Api:
    """The cluster that a pod stands in, else that of the kubeconfig ($KUBECONFIG, ~/.kube/config), in the context's namespace."""
    try:
        client, config = import_module("kubernetes.client"), import_module("kubernetes.config")
    except ImportError as error:
        raise ClusterError("the package `kubernetes` is missing: install it (`pip install 'flowc[kubernetes]'`)") from error
    settings = client.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ and context is None and "KUBECONFIG" not in os.environ:
            config.load_incluster_config(client_configuration=settings)
            with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as file:  # noqa: PTH123
                here = file.read().strip()
        else:
            config.load_kube_config(context=context, client_configuration=settings)
            contexts, active = config.list_kube_config_contexts()
            chosen = next((c for c in contexts if c["name"] == context), active)
            here = chosen["context"].get("namespace") or "default"
    except (config.ConfigException, OSError) as error:
        raise ClusterError(f"there is no cluster to run on: {error}") from error
    return Api(client.ApiClient(settings), namespace or here)
