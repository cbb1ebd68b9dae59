"""The numbers of @retry and @timeout are taken as Metaflow takes them, and refused where Argo could not read what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest
from metaflow.plugins.retry_decorator import RetryDecorator

from flowc import compiler
from flowc.settings import Settings
from flowc.source import SourceFile

FLOW = """\
from metaflow import FlowSpec, retry, step, timeout


class Hello(FlowSpec):
    @{decorator}
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def compiled(decorator: str) -> tuple[list[str], dict[str, Any]]:
    """The codes reported, and the template of the step with the decorator."""
    checked = compiler.check(SourceFile("flow.py", FLOW.format(decorator=decorator)), lambda _: None, Settings())
    codes = [found.code.id for found in checked.diagnostics]
    if codes:
        return codes, {}
    ((flow, shape),) = checked.flows
    done = compiler.compile_flow(flow, shape, "argo", Settings())
    templates = done.artifacts[0].object["spec"]["templates"] if done.artifacts else []
    return [found.code.id for found in done.diagnostics], next((t for t in templates if t["name"] == "start"), {})


@pytest.mark.parametrize("times", [-1, 0, "0", 1, "3", " 3 ", 2.7, True, 4, "-2"])
def test_times_count_as_metaflow_counts_them(times: object) -> None:
    """Numbers and their texts, negative ones included: Metaflow's own decorator gives the number of retries."""
    retries = max(0, RetryDecorator(attributes={"times": times, "minutes_between_retries": "2"}).step_task_retry_count()[0])
    codes, template = compiled(f"retry(times={times!r})")
    assert codes == []
    assert template.get("retryStrategy", {}).get("limit", 0) == retries


@pytest.mark.parametrize("times", ["often", "", "2.5", None, [], float("inf")])
def test_times_that_metaflow_cannot_count_are_refused(times: object) -> None:
    """`int()` of it fails when the flow is deployed."""
    with pytest.raises((TypeError, ValueError, OverflowError)):
        RetryDecorator(attributes={"times": times}).step_task_retry_count()
    written = "1e999" if times == float("inf") else repr(times)
    assert compiled(f"retry(times={written})")[0] == ["FC312"]


@pytest.mark.parametrize(("minutes", "duration"), [(0, "0m"), ("7", "7m"), (-1, "-1m"), (1.9, "1m"), (153_722_867, "153722867m")])
def test_the_pause_is_a_duration_of_go(minutes: object, duration: str) -> None:
    """Less than no time is a duration too: Argo tries again at once."""
    codes, template = compiled(f"retry(minutes_between_retries={minutes!r})")
    assert codes == []
    assert template["retryStrategy"]["backoff"] == {"duration": duration}


@pytest.mark.parametrize(
    ("decorator", "codes"),
    [
        ("retry(minutes_between_retries=153_722_868)", ["FC401"]),
        ("retry(minutes_between_retries=-153_722_868)", ["FC401"]),
        ("retry(minutes_between_retries='soon')", ["FC312"]),
        ("timeout(seconds=2**31 - 1)", []),
        ("timeout(seconds=2**31)", ["FC401"]),
        ("timeout(hours=-1)", ["FC314"]),
    ],
)
def test_a_time_that_argo_cannot_hold_is_refused(decorator: str, codes: list[str]) -> None:
    """64 bits of nanoseconds between attempts, 32 bits of seconds for one: beyond, the workflow fails only when it runs."""
    assert compiled(decorator)[0] == codes
