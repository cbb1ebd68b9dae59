"""In: the plan's hooks, and how a run ended. Out: their Jobs, made once and awaited; what comes of them does not change the run's end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from flowc.deployment import jobs
from flowc.run.kubernetes_api import Api, ClusterError, Object, RefusedError
from flowc.run.kubernetes_facts import job
from flowc.run.kubernetes_objects import Run

LIMIT = 3600.0
"""Seconds that hooks are waited for; they go on after that."""
LOOK = 2.0


def run_hooks(api: Api, run: Run, on: str, say: Callable[[str], None], stop: threading.Event) -> None:
    """Start those of `on` ("success" or "error") side by side, and wait until they have ended."""
    open_ = dict(_started(api, run, on, say))
    end = time.monotonic() + LIMIT
    while open_ and time.monotonic() < end and not stop.wait(LOOK):
        for function, name in list(open_.items()):
            found = api.get("jobs", name)
            ended = "gone" if found is None else job(found).ended
            if ended:
                del open_[function]
                say(f"exit hook {function}: {ended}")


def _started(api: Api, run: Run, on: str, say: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    for hook in run.plan.get("hooks", ()):
        if hook["on"] != on:
            continue
        made = _manifest(run, hook)
        try:
            api.create("jobs", made)
        except RefusedError as error:
            if error.reason != "AlreadyExists":
                say(f"exit hook {hook['function']} cannot be started: {error}")
                continue
        except ClusterError as error:
            say(f"exit hook {hook['function']} cannot be started: {error}")
            continue
        yield hook["function"], made["metadata"]["name"]


def _manifest(run: Run, hook: Any) -> Object:
    made: Object = jobs.whole(run.plan, hook["job"])
    made["spec"].pop("ttlSecondsAfterFinished", None)
    about = made["metadata"]
    about["name"], about["namespace"] = jobs.name(run.run_id, "hook", hook["on"], hook["function"]), run.namespace
    if run.owner:
        about["ownerReferences"] = [run.owner]
    return jobs.with_env(jobs.with_labels(made, run.labels), {"FLOWC_RUN_ID": run.run_id})
