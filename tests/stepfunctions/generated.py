"""In: a count and a seed. Out: texts of flows that tests/strategies.py makes, and settings for them that matter to Step Functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from strategies import FlowText, flows

from flowc import compiler
from flowc.compiler import Compiled
from flowc.settings import Settings
from flowc.source import SourceFile

CHOSEN = st.fixed_dictionaries(
    {
        "format": st.sampled_from(("asl", "cloudformation")),
        "use_distributed_map": st.booleans(),
        "max_workers": st.sampled_from((None, 1, 100)),
        "datastore_root": st.sampled_from((None, "s3://bucket", "s3://bucket/a/b(c)")),
        "workflow_timeout": st.sampled_from((None, 3600)),
        "batch_platform": st.sampled_from(("ec2", "fargate")),
    }
)


def compiled(text: str, chosen: dict[str, Any]) -> Compiled:
    """What becomes of a flow for Step Functions, its steps for a cluster being for Batch.

    Fargate takes no gangs, and only some sizes.
    """
    fits = re.search("num_parallel|cpu=|memory=|gpu=", text) is None
    options = Settings(**chosen if fits else {**chosen, "batch_platform": "ec2"})
    checked = compiler.check(SourceFile("flow.py", text.replace("kubernetes", "batch")), lambda _: None, options)
    ((flow, graph),) = checked.flows
    return compiler.compile_flow(flow, graph, "step-functions", options)


def several(count: int, number: int) -> Iterator[Compiled]:
    """`count` generated flows, compiled; the same for a number."""
    made: list[Compiled] = []

    @seed(number)
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(flows(budget=16), CHOSEN)
    def gather(text: FlowText, chosen: dict[str, Any]) -> None:
        made.append(compiled(text.text, chosen))

    gather()
    yield from made
