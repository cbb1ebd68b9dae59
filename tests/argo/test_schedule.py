"""Facts about schedules: every line that flowc emits means what the flow's author wrote, and every other line is refused."""

from __future__ import annotations

import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import reading

from flowc.deployment import schedule
from flowc.deployment.samples import sample
from flowc.deployment.timezones import NAMES
from flowc.ir import Decorator, Value
from flowc.settings import Settings
from flowc.source import Span
from flowc.targets.argo import cron_workflow

NOWHERE = Span("flow.py", 1, 1, 1, 1)
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def cron_of(decorator: str, **settings: Any) -> dict[str, Any] | None:
    """The CronWorkflow of a flow under the decorator, which must be without a diagnostic."""
    found = reading(sample("schedule", decorator))
    assert found.diagnostics == ()
    assert schedule.check(found.flows[0]) == []
    return cron_workflow.cron_workflow(found.flows[0], Settings(**settings))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 10 ? * MON-FRI *", "0 10 ? * MON-FRI"),
        ("0 10 ? * 2 *", "0 10 ? * 1"),
        ("0 10 ? * 2-6 *", "0 10 ? * 1-5"),
        ("0 10 ? * 1,7 *", "0 10 ? * 0,6"),
        ("0/15 8-18 ? * 2/2 *", "0/15 8-18 ? * 1/2"),
        ("0 0 1 JAN ? *", "0 0 1 JAN ?"),
        ("0 0 1 * ? 1970-2199", "0 0 1 * ?"),
        ("0 10 * * 1", "0 10 * * 1"),
        ("*/5 * * * *", "*/5 * * * *"),
        ("@hourly", "@hourly"),
        ("@every 1h30m", "@every 1h30m"),
    ],
)
def test_translation(line: str, expected: str) -> None:
    """Six fields are AWS's, in which days of the week count from 1; five fields are cron's and stay."""
    assert schedule.to_cron(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "0 10 ? * 6L *",
        "0 10 L * ? *",
        "0 10 15W * ? *",
        "0 10 ? * 2#1 *",
        "0 10 1 1 ? 2027",
        "0 0 10 ? * MON *",
        "0 10 1 * MON *",
        "0 10 ? * 0 *",
        "0 10 * * 7",
        "0 10 * * FRI-MON",
        "60 * * * *",
        "0 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "*/0 * * * *",
        "a * * * *",
        "* * * *",
        "rate(5 minutes)",
        "@fortnightly",
        "CRON_TZ=UTC 0 0 * * *",
        "٣ * * * *",
    ],
)
def test_refusal(line: str) -> None:
    """What five fields cannot say, or Argo's parser does not read, is refused; Metaflow would cut the line to five fields."""
    with pytest.raises(schedule.CronError):
        schedule.to_cron(line)


def values(text: str, low: int, high: int, words: tuple[str, ...], first: int) -> set[int]:
    """The values that a field stands for, where `first` is the number of its first name: an independent reading of both dialects."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        ends = [first + words.index(end) if end in words else low if end in "*?" else int(end) for end in span.split("-")]
        last = ends[1] if len(ends) == 2 else high if step or span in "*?" else ends[0]
        found |= set(range(ends[0], last + 1, int(step or 1)))
    return found


weekday = st.one_of(st.integers(1, 7).map(str), st.sampled_from(DAYS))
spans = st.one_of(
    weekday,
    st.tuples(st.integers(1, 7), st.integers(1, 7)).map(lambda p: f"{min(p)}-{max(p)}"),
    st.tuples(st.integers(1, 7), st.integers(1, 3)).map(lambda p: f"{p[0]}/{p[1]}"),
    st.integers(1, 3).map(lambda n: f"*/{n}"),
)


@given(st.lists(spans, min_size=1, max_size=4))
def test_weekdays(items: list[str]) -> None:
    """An AWS field and its translation name the same days, whatever lists, ranges and steps it holds."""
    aws = ",".join(items)
    ours = schedule.to_cron(f"0 0 ? * {aws} *").split()[4]
    assert {day - 1 for day in values(aws, 1, 7, DAYS, 1)} == values(ours, 0, 6, DAYS, 0)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"daily": True}, {"weekly": True}, {"hourly": True}, {"daily": False}, {"weekly": True, "hourly": True}, {"cron": "0 1 * * ? *"}],
)
def test_written(arguments: dict[str, Any]) -> None:
    """The line behind @schedule's attributes is Metaflow's."""
    from metaflow.plugins.aws.step_functions.schedule_decorator import ScheduleDecorator

    theirs = ScheduleDecorator(attributes=arguments)
    theirs.flow_init(None, None, None, None, None, None, None, None)
    ours = Decorator("schedule", {k: Value(v, NOWHERE) for k, v in arguments.items()}, NOWHERE)
    assert schedule.written(ours) == theirs.schedule


@pytest.mark.parametrize(("version", "field"), [("3.5", {"schedule": "0 0 * * ?"}), ("3.6", {"schedules": ["0 0 * * ?"]})])
def test_fields_by_version(version: str, field: dict[str, Any]) -> None:
    """Argo 3.5 knows `schedule` only; from 3.6 on `schedules` is used, which alone is left in 4.0."""
    found = cron_of("@schedule(daily=True)", argo_version=version)
    assert found is not None
    assert {k: v for k, v in found["spec"].items() if k.startswith("schedule")} == field


def test_object() -> None:
    """The CronWorkflow runs the template of its own name, in its zone, suspended where asked, with Metaflow's limits."""
    found = cron_of("@schedule(cron='0 6 ? * 2-6 *', timezone='Europe/Berlin')", namespace="ml", suspend_schedule=True)
    assert found == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "hello", "namespace": "ml"},
        "spec": {
            "schedules": ["0 6 ? * 1-5"],
            "timezone": "Europe/Berlin",
            "suspend": True,
            "startingDeadlineSeconds": 3540,
            "successfulJobsHistoryLimit": 10_000,
            "failedJobsHistoryLimit": 10_000,
            "workflowSpec": {"workflowTemplateRef": {"name": "hello"}},
        },
    }


def test_switched_off() -> None:
    """@schedule(daily=False) is no schedule, as in Metaflow."""
    assert cron_of("@schedule(daily=False)") is None


def test_zones() -> None:
    """The zones flowc knows are those of the time zone database: this machine's are among them."""
    ours = zoneinfo.available_timezones() - {"localtime", "posixrules", "Factory"}
    assert ours <= NAMES, "regenerate flowc/deployment/timezones.py from the time zone database"
    found = reading(sample("schedule", "@schedule(timezone='Europe/Berlyn')"))
    (refused,) = schedule.check(found.flows[0])
    assert refused.help == "did you mean `Europe/Berlin`?"
