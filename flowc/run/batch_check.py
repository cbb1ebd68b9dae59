"""In: a Flow, its Graph and Settings. Out: what `flowc run --on batch` would lack: a queue for a step, an S3 datastore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowc import merging
from flowc.deployment import batch_check as deployed
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example

if TYPE_CHECKING:
    from flowc.graph import Graph
    from flowc.ir import Flow, Step
    from flowc.settings import Settings

_ROOT = "s3://bucket/metaflow"
NO_QUEUE = Code(
    "FC620",
    "a step without a job queue",
    "AWS Batch runs a job in a queue, which only you know: `--batch-queue` is for all steps, `@batch(queue=...)` for one.",
    bad=Example({"flow.py": sample()}, line=6, on="batch", settings={"datastore_root": _ROOT}),
    good=Example({"flow.py": sample()}, on="batch", settings={"datastore_root": _ROOT, "batch_queue": "jobs"}),
)
NO_ROOT = Code(
    "FC621",
    "no S3 datastore for AWS Batch",
    "Jobs of AWS Batch, and who leads the run, meet on S3 alone: `--datastore-root s3://bucket/prefix` says where.",
    bad=Example({"flow.py": sample()}, line=4, on="batch", settings={"batch_queue": "jobs"}),
    good=Example({"flow.py": sample()}, on="batch", settings={"datastore_root": _ROOT, "batch_queue": "jobs"}),
)


def queue(step: Step, settings: Settings) -> str | None:
    """The job queue of a step, None where nobody names one."""
    named = merging.batch(step)["queue"] or settings.batch_queue
    return None if named is None else str(named)


def check(flow: Flow, graph: Graph, settings: Settings) -> list[Diagnostic]:
    """FC620 and FC621, beside what `deployment.batch_check` has against the flow."""
    found = deployed.check(flow, graph, settings)
    lacking = [name for name in graph.order if queue(flow.steps[name], settings) is None]
    if lacking:
        steps = f"step `{lacking[0]}`" if len(lacking) == 1 else f"step `{lacking[0]}` and {len(lacking) - 1} more"
        message = f"no job queue of AWS Batch is named for {steps}"
        found.append(Diagnostic(NO_QUEUE, message, flow.steps[lacking[0]].span, help="name one: `--batch-queue QUEUE`"))
    root = settings.datastore_root or ""
    if settings.datastore not in (None, "s3") or not root.startswith("s3://") or not root[len("s3://") :].strip("/"):
        known = f"the datastore is {settings.datastore or root}" if settings.datastore or root else "no datastore is named"
        message = f"a run on AWS Batch needs an S3 datastore, and {known}"
        found.append(Diagnostic(NO_ROOT, message, flow.span, help="say where artifacts are kept: `--datastore-root s3://bucket/prefix`"))
    return found
