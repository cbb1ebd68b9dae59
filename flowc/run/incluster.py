"""In: a pod of the coordinator's Job, with plan.json. Out: the run, led to its end from inside the cluster; the exit code is the run's.

Parameters have their defaults, save those in $FLOWC_VALUES, a JSON object of values by name.
Exit codes: 0 the run succeeded, 1 it failed, 2 wrong usage, 3 a bug; others (75, 143) say that another pod may go on with the run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowc.run.coordinator import Coordinator, lead
from flowc.run.executor import Fact, Finished, Group, Retried, Running
from flowc.run.kubernetes import Kubernetes, StoppedError
from flowc.run.kubernetes_api import Api, ClusterError, FinalError, Object, RefusedError, connect

FAILED, USAGE, BUG, AGAIN, TERMINATED = 1, 2, 3, 75, 143
FINAL = frozenset({400, 401, 403, 404, 422})
"""What the API server refuses with these, it will refuse the next pod too."""


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}", flush=True)


class Lines:
    """An Observer that writes a line a fact."""

    def started(self, group: Group) -> None:
        """See Observer."""
        many = f"{len(group.paths)} tasks of {group.step}" if len(group.paths) > 1 else next(iter(group.tasks())).id
        say(f"start {many}" + (f" on {group.gang} nodes" if group.gang else ""))

    def saw(self, fact: Fact) -> None:
        """See Observer."""
        if isinstance(fact, Finished):
            more = [f"{fact.splits} tasks follow"] if fact.splits else [f"{fact.case} follows"] if fact.case else []
            say(", ".join([f"done {fact.task.id}", *more]))
        elif isinstance(fact, Running):
            say(f"run {fact.task.id}" + (f", attempt {fact.attempt}" if fact.attempt else ""))
        else:
            what = "retry" if isinstance(fact, Retried) else "FAILED"
            say(f"{what} {fact.task.id}, attempt {fact.attempt}: {fact.reason}")
            for line in fact.log.splitlines():
                print(f"    {fact.task.id} | {line}", flush=True)


def install(wanted: list[str]) -> None:
    """The official client, where the image lacks it. Into a folder of /tmp, since nothing else of the pod may be written."""
    if importlib.util.find_spec("kubernetes"):
        return
    if not wanted:
        raise FinalError("the image has no package `kubernetes`, and may not install it: set coordinator_image to one that has it")
    site = "/tmp/flowc-site"  # noqa: S108 - a volume of the pod's own
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-cache-dir", "--target", site]
    if subprocess.run([*pip, *wanted], check=False).returncode:  # noqa: S603 - no shell, and what flowc wrote
        hint = "use an image that has it (coordinator_image), or set PIP_INDEX_URL to an index that pods reach"
        raise ClusterError(f"pip cannot install {', '.join(wanted)}: {hint}")
    sys.path.insert(0, site)
    importlib.invalidate_caches()


def identity(api: Api, job: str) -> tuple[str, Object]:
    """The run id and the owner of all that the run makes: the Job that this pod belongs to, which each of its pods finds."""
    found = api.get("jobs", job)
    if found is None:
        raise FinalError(f"there is no Job {job} in {api.namespace}")
    uid = found["metadata"]["uid"]
    # a Job that is deleted and applied again is a new run
    run_id = f"k8s-{job}-{uid[:5]}"
    return run_id, {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": uid}


def ending(run: Coordinator, plan: Mapping[str, Any]) -> int:
    """The summary, and the exit code."""
    done = sum(count.done for count in run.counts.values())
    if run.failed:
        task, first = next(iter(run.failed.items()))
        say(f"the run of {plan['flow']} FAILED: {task.id}: {first.reason} ({done} tasks done, {len(run.failed)} failed)")
        return FAILED
    say(f"the run of {plan['flow']} succeeded: {done} tasks done")
    return 0


def values(text: str) -> dict[str, str]:
    """The parameters' texts, as the bootstrap takes them."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise FinalError(f"FLOWC_VALUES is no JSON object of parameters by name: {text}")
    return {name: json.dumps(value) for name, value in found.items()}


def led(plan: Mapping[str, Any], stop: threading.Event) -> int:
    install(json.loads(os.environ.get("FLOWC_INSTALL") or "[]"))
    api = connect(os.environ.get("FLOWC_NAMESPACE"))
    run_id, owner = identity(api, os.environ["FLOWC_RUN"])
    parameters = values(os.environ.get("FLOWC_VALUES") or "{}")
    executor = Kubernetes(api, plan, run_id, parameters, owner, plan.get("max_workers"), say=say, stop=stop)
    say(f"run {run_id} of {plan['flow']}, in {api.namespace}")
    try:
        run = lead(plan, executor, observer=Lines())
        code = ending(run, plan)
        executor.hooks("error" if code else "success")
        return code
    finally:
        executor.close()


def main(argv: list[str]) -> int:
    if len(argv) != 1 or "FLOWC_RUN" not in os.environ:
        print("usage: FLOWC_RUN=<job> python -m flowc.run.incluster plan.json (in a pod)", file=sys.stderr)
        return USAGE
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        return led(json.loads(Path(argv[0]).read_text(encoding="utf-8")), stop)
    except StoppedError:
        say("stopped; another pod of this Job goes on with the run")
        return TERMINATED
    except ClusterError as error:
        say(f"flowc: {error}")
        return FAILED if isinstance(error, FinalError) or (isinstance(error, RefusedError) and error.status in FINAL) else AGAIN
    except Exception:  # noqa: BLE001 - a bug has an exit code of its own
        traceback.print_exc()
        return BUG


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
