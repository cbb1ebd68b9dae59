"""In: nothing. Out: FEATURES, flows and settings that between them make every part of a stack; and what compiles and deploys a stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reading import reading

from flowc import compiler, graph
from flowc.settings import Settings

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
E2E = Path(__file__).resolve().parent.parent / "e2e" / "flows"
Case = tuple[str, dict[str, Any]]
"""A flow's text, and settings."""


def flow(above: str = "", on_start: str = "", body: str = "", helpers: str = "", next_: str = "self.end", steps: str = "") -> str:
    names = "FlowSpec, Parameter, batch, environment, exit_hook, parallel, project, resources, retry, schedule, step, timeout, trigger"
    head = f"from metaflow import {names}, trigger_on_finish\n\n{helpers}\n\n{above}\nclass Hello(FlowSpec):\n{body}\n"
    return f"{head}    {on_start}\n    @step\n    def start(self):\n        self.next({next_})\n\n{steps}\n    @step\n    def end(self):\n        pass\n"


WORK = "    @step\n    def work(self):\n        self.next(self.join)\n\n    @step\n    def join(self, inputs):\n        self.next(self.end)\n"
GANG = f"    @parallel\n{WORK}"
EVERYTHING = (
    "@batch(cpu=2, memory=5000, gpu=1, image='a/b:1', queue='big', iam_role='arn:aws:iam::123456789012:role/x', shared_memory=9, max_swap=5, "
    "swappiness=6, inferentia=1, efa=1, host_volumes=['/a:/b'], efs_volumes='fs-0123456789abcdef0', tmpfs_size=99, privileged=True, "
    "aws_batch_tags={'team': 'x'}, log_driver='awslogs', log_options=['awslogs-group:g'])"
)
NAMED = {"datastore": "s3", "datastore_root": "s3://lake/metaflow/prod"}
FEATURES: dict[str, Case] = {
    "attributes": (flow(on_start=EVERYTHING), {}),
    "fargate": (flow(on_start="@batch(ephemeral_storage=40)"), {"batch_platform": "fargate"}),
    "schedule": (flow("@schedule(cron='*/5 9-17 * * MON-FRI', timezone='Europe/Berlin')"), {}),
    "suspended": (flow("@schedule(hourly=True)"), {"suspend_schedule": True}),
    "rate": (flow("@schedule(cron='@every 90m')"), {}),
    "trigger": (flow("@trigger(event={'name': 'data', 'parameters': {'n': 'rows'}})", body="    n = Parameter('n', default=1)"), {}),
    "all fields": (flow("@trigger(event='data')", body="    n = Parameter('n', default=1)\n    m = Parameter('M', default='x')"), {}),
    "after": (flow("@project(name='ads')\n@trigger_on_finish(flow='Other')"), {"branch": "b"}),
    "hooks": (flow("@exit_hook(on_error=[tell], on_success=[tell])", helpers="def tell():\n    pass"), {}),
    "foreach": (flow(next_="self.work, foreach='x'", steps=WORK), {}),
    "inline": (flow(next_="self.work, foreach='x'", steps=WORK), {"use_distributed_map": False}),
    "gang": (flow(next_="self.work, num_parallel=3", steps=GANG), {}),
    "named": (flow(next_="self.work, foreach='x'", steps=WORK), NAMED),
    "root of the bucket": (flow(), {"datastore": "s3", "datastore_root": "s3://lake"}),
    "roles": (flow(), {"batch_job_role": "arn:aws:iam::123456789012:role/jobs", "batch_queue": "q", "image": "team/image:1"}),
    "bucket": (flow(next_="self.work, foreach='x'", steps=WORK), {"stack_bucket": True}),
    "image": (flow(), {"code": "image", "code_path": "/app", "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/flows:1"}),
    "silent": (flow(), {"auto_emit_events": False}),
    "queues": (flow(on_start="@batch(queue='arn:aws:batch:us-east-1:123456789012:job-queue/mine')"), {"workflow_timeout": 3600}),
    "retry": (flow(on_start="@retry(times=2)\n    @timeout(minutes=5)"), {"tags": ("a",), "production_token": "t"}),
}


def stack(text: str, **values: Any) -> dict[str, Any]:
    """The object of the stack."""
    found = compiled(text, **values)
    assert [a.file.rpartition(".stack")[2] for a in found] == [".yaml"]
    value: dict[str, Any] = dict(found[0].object)
    return value


def compiled(text: str, **values: Any) -> tuple[Any, ...]:
    """The artifacts; a warning or an error fails."""
    read = reading(text, **values)
    assert not read.diagnostics, [d.message for d in read.diagnostics]
    done = compiler.compile_flow(read.flows[0], graph.build(read.flows[0]), "step-functions", Settings(**values))
    assert not [d.message for d in done.diagnostics if d.severity.value != "note"]
    return done.artifacts


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    return found
