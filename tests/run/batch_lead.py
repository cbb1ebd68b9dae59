"""In: a flow file, a run's id, --die N. Out: the run led on the AWS of the environment, as `flowc run --on batch` does; killed (-9) at its Nth call.

A process of its own, so that its death is one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from runtime import reading

from flowc import plan as plans
from flowc.run import batch_setup
from flowc.run.batch_api import connect
from flowc.run.coordinator import lead
from flowc.run.job import Job
from flowc.settings import Settings


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("flow", type=Path)
    parser.add_argument("--run", required=True)
    parser.add_argument("--queue", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--die", type=int, default=0)
    parser.add_argument("--settle", type=float, default=180)
    parser.add_argument("--resume", action="store_true")
    o = parser.parse_args()
    settings = Settings(datastore="s3", datastore_root=o.root, batch_queue=o.queue, install=False)
    flow, graph = reading.read(o.flow, settings)
    plan, aws = plans.plan(flow, graph, settings), connect()
    calls = 0

    def count(**_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == o.die:
            os.kill(os.getpid(), signal.SIGKILL)

    for client in (aws.batch, aws.s3, aws.logs):
        client.meta.events.register("after-call", count)
    job = Job(flow, graph, settings, plan, str(o.flow), o.run, o.resume, options={"settle": str(o.settle)})
    executor = batch_setup.prepared(job, aws)
    executor.quick = 0.2
    done = lead(plan, executor)
    failed = [[task.id, fact.reason, fact.log[-2000:]] for task, fact in done.failed.items()]
    print(json.dumps({"finished": done.finished, "failed": failed, "calls": calls}))
    return 0 if done.finished else 1


if __name__ == "__main__":
    sys.exit(main())
