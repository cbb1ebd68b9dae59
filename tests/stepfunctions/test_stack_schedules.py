"""Schedules of a stack: cron's five fields and AWS's six fire on the same minutes, by two readers written from their specifications."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import reading

from flowc.deployment.schedule import CronError, to_cron
from flowc.targets.step_functions import schedules

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(n) for n in range(2 * 366)]
NAMES = {"month": "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), "week": "SUN MON TUE WED THU FRI SAT".split()}


def numbers(text: str, low: int, high: int, names: str = "", first: int = 1) -> set[int]:
    """The values of a field without L, W and #: `*`, `?`, values, ranges, steps."""
    for place, name in enumerate(NAMES.get(names, [])):
        text = re.sub(name, str(place + first), text, flags=re.IGNORECASE)
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        begin, _, end = ("", "", "") if span in ("*", "?") else span.partition("-")
        last = end or (str(high) if step or not begin else begin)
        found |= set(range(int(begin or low), int(last) + 1, int(step or 1)))
    return found


Moments = tuple[list[dt.date], set[int], set[int]]
"""Days, hours and minutes on which a line fires."""


def cron(line: str) -> Moments:
    """Five fields as robfig/cron has them: both kinds of day must fit where one is a star, else either."""
    minute, hour, day, month, week = line.split()
    star = any(re.fullmatch(r"[*?](/1)?", item) for field in (day, week) for item in field.split(","))
    days, weekdays, months = numbers(day, 1, 31), numbers(week, 0, 6, "week", 0), numbers(month, 1, 12, "month")
    fires = []
    for date in DAYS:
        fits = date.day in days, date.isoweekday() % 7 in weekdays
        if date.month in months and (all(fits) if star else any(fits)):
            fires.append(date)
    return fires, numbers(hour, 0, 23), numbers(minute, 0, 59)


def aws(expression: str) -> Moments:
    """Six fields as EventBridge has them: just one kind of day is `?`, days of the week are 1 (Sunday) to 7."""
    inside = re.fullmatch(r"cron\((.*)\)", expression)
    assert inside
    minute, hour, day, month, week, year = inside[1].split()
    assert [day, week].count("?") == 1
    assert not re.search(r"\*/|-\d+/", inside[1]), "nothing that AWS's page does not have"
    days, weekdays = numbers(day, 1, 31), numbers(week, 1, 7, "week")
    months, years = numbers(month, 1, 12, "month"), numbers(year, 1970, 2199)
    fires = [
        date
        for date in DAYS
        if date.month in months and date.year in years and date.day in days and date.isoweekday() % 7 + 1 in weekdays
    ]
    return fires, numbers(hour, 0, 23), numbers(minute, 0, 59)


def field(low: int, high: int, names: list[str]) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    span = st.tuples(value, value).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    named = st.sampled_from(names) if names else value.map(str)
    step = st.integers(1, high).map(str)
    item = st.one_of(value.map(str), span, named, st.builds("{}/{}".format, st.one_of(span, st.just("*"), value.map(str)), step))
    return st.one_of(st.just("*"), st.just("*"), item, st.lists(item, min_size=2, max_size=3).map(",".join))


LINES = st.tuples(
    field(0, 59, []), field(0, 23, []), field(1, 31, []), field(1, 12, NAMES["month"]), field(0, 6, NAMES["week"] + ["mon", "Fri"])
).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(LINES)
def test_five_fields_fire_as_before(line: str) -> None:
    """A line of cron fires on the same minutes as what AWS is given for it; only lines that name both kinds of day are refused."""
    expected = cron(line)
    try:
        found = aws(schedules.to_aws(line))
    except CronError:
        day, week = line.split()[2], line.split()[4]
        assert not any(re.fullmatch(r"[*?](/1)?", item) for text in (day, week) for item in text.split(","))
        return
    assert found == expected


@settings(max_examples=200, deadline=None)
@given(LINES)
def test_six_fields_are_kept(line: str) -> None:
    """A line of AWS's comes back as it is, and Argo's translation of it fires on the same minutes."""
    try:
        line = schedules.to_aws(line).removeprefix("cron(").removesuffix(")")
    except CronError:
        return
    assert schedules.to_aws(line) == f"cron({line})"
    assert cron(to_cron(line)) == aws(f"cron({line})")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 10 * * 1-5", "cron(0 10 ? * 2-6 *)"),
        ("*/15 * * * *", "cron(0/15 * * * ? *)"),
        ("0 0 13 * *", "cron(0 0 13 * ? *)"),
        ("0 0 1-31 * MON", "cron(0 0 * * ? *)"),
        ("0 0 * * sun,3", "cron(0 0 ? * SUN,4 *)"),
        ("@hourly", "cron(0 * * * ? *)"),
        ("@weekly", "cron(0 0 ? * SUN *)"),
        ("@every 1h30m", "rate(90 minutes)"),
        ("@every 60s", "rate(1 minute)"),
        ("0 0 * * * *", "cron(0 0 * * ? *)"),
        ("0 0 ? * ? *", "cron(0 0 * * ? *)"),
        ("0 0 ? * 2#1 2025-2030", "cron(0 0 ? * 2#1 2025-2030)"),
        ("0 0 ? * friL *", "cron(0 0 ? * FRIL *)"),
        ("0 0 15W * ? *", "cron(0 0 15W * ? *)"),
        ("0 0 LW * * *", "cron(0 0 LW * ? *)"),
    ],
)
def test_lines(line: str, expected: str) -> None:
    """Words, intervals, and what only AWS has."""
    assert schedules.to_aws(line) == expected


REFUSED = """\
0 0 13 * 5
0 0 13 * MON *
60 * * * ? *
0 0 ? * 8 *
0 0 ? * 0 *
0 0 ? * MON#6 *
0 0 5-3 * ? *
0 0 * * ? 1969
* * * *
@every 90s
@every 1ms
@fortnightly
0/0 * * * ? *
L * * * ? *
0 0 0 * ?
"""


@pytest.mark.parametrize("line", REFUSED.splitlines())
def test_what_aws_cannot_keep(line: str) -> None:
    """Lines that AWS would refuse, or keep otherwise, are refused."""
    with pytest.raises(CronError):
        schedules.to_aws(line)


FLOW = """\
from metaflow import FlowSpec, Parameter, schedule, step


@schedule({0})
class Hello(FlowSpec):
    n = Parameter('n', {1})

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


@pytest.mark.parametrize(
    ("decorator", "parameter", "expected", "codes"),
    [
        ("", "default=1", ("cron(0 0 * * ? *)", ""), []),
        ("weekly=True", "default=1", ("cron(0 0 ? * SUN *)", ""), []),
        ("hourly=True, timezone='Europe/Berlin'", "default=1", ("cron(0 * * * ? *)", "Europe/Berlin"), []),
        ("daily=False", "default=1", None, []),
        ("cron='1 2 3 4 5'", "default=1", None, ["FC478"]),
        ("timezone='Mars'", "default=1", None, ["FC421"]),
        ("", "required=True", None, ["FC422"]),
    ],
)
def test_decorators(decorator: str, parameter: str, expected: object, codes: list[str]) -> None:
    """What @schedule stands for in Metaflow, with its zone, or what is wrong with it."""
    (flow,) = reading(FLOW.format(decorator, parameter)).flows
    assert [d.code.id for d in schedules.check(flow)] == codes
    if not codes:
        assert schedules.expression(flow) == expected
