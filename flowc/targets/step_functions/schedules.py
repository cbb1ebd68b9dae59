"""In: @schedule of a Flow. Out: its line as EventBridge Scheduler reads it, `cron(...)` of six fields or `rate(...)`, and its time zone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowc.deployment.samples import sample
from flowc.deployment.schedule import FIELDS, WEEKDAY, CronError, Field, planned, to_cron, undefaulted, written, zone_problems
from flowc.diagnostics import Code, Diagnostic, Example

if TYPE_CHECKING:
    from flowc.ir import Flow

WORDS = {
    "@hourly": "0 * * * ? *",
    "@daily": "0 0 * * ? *",
    "@midnight": "0 0 * * ? *",
    "@weekly": "0 0 ? * SUN *",
    "@monthly": "0 0 1 * ? *",
    "@yearly": "0 0 1 1 ? *",
    "@annually": "0 0 1 1 ? *",
}
AWS_DAYS = Field("day of the week", 1, 7, WEEKDAY.words)
AWS_FIELDS = (*FIELDS[:4], AWS_DAYS, Field("year", 1970, 2199))
UNITS = {"h": 3600, "m": 60, "s": 1}
# What only AWS has: the last day, a weekday near a day, the last of a weekday, the n-th of a weekday in its month.
SPECIAL = {"day of the month": r"L|LW|(\d{1,2})W", "day of the week": r"L|([A-Z]{3}|\d)L|([A-Z]{3}|\d)#[1-5]"}

BAD_LINE = Code(
    "FC478",
    "a schedule that AWS cannot keep",
    "EventBridge Scheduler reads six cron fields, of which the day of the month or that of the week is `?`. Five fields are translated. "
    "One that names days of both kinds, either of which starts the flow in cron, has no form of AWS's.",
    bad=Example({"flow.py": sample("schedule", "@schedule(cron='0 10 13 * FRI')")}, line=4, target="step-functions"),
    good=Example({"flow.py": sample("schedule", "@schedule(cron='0 10 * * MON-FRI')")}, target="step-functions"),
)


def expression(flow: Flow) -> tuple[str, str] | None:
    """ScheduleExpression and time zone ("" for UTC) of a flow that passed `check`; None for one without a schedule."""
    found = planned(flow)
    return (to_aws(found[0]), found[1]) if found else None


def check(flow: Flow) -> list[Diagnostic]:
    """Lines, zones and parameters with which no schedule could start the flow."""
    decorator = flow.decorator("schedule")
    if decorator is None:
        return []
    found = []
    line = written(decorator)
    try:
        to_aws(line or "@daily")
    except CronError as error:
        remedy = "write AWS's six fields: minute, hour, day of the month, month, day of the week (1 is Sunday), year"
        found.append(Diagnostic(BAD_LINE, f"the schedule `{line}` cannot be kept: {error}", decorator.span_of("cron"), help=remedy))
    return [*found, *zone_problems(decorator.get("timezone"), decorator, "timezone"), *undefaulted(flow)]


def to_aws(line: str) -> str:
    """The line as a ScheduleExpression, or CronError. Five fields are cron's (0 is Sunday), six are AWS's own (1 is Sunday)."""
    if line.startswith("@every"):
        return _rate(line)
    parts = WORDS.get(line, line).split()
    if len(parts) == 6:
        return f"cron({' '.join(_checked([part.upper() for part in parts]))})"
    return f"cron({' '.join(_from_cron(to_cron(line).split()))})"


def _rate(line: str) -> str:
    to_cron(line)
    seconds = sum(float(amount) * UNITS[unit] for amount, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", line.replace("ms", "x")))
    minutes = seconds / 60
    if "ms" in line or minutes < 1 or not minutes.is_integer():
        raise CronError("AWS counts whole minutes")
    return f"rate({int(minutes)} minute{'s' * (minutes != 1)})"


def _checked(parts: list[str]) -> list[str]:
    """AWS's own fields, with the `?` that it wants for the kind of day that is not named."""
    for text, field in zip(parts, AWS_FIELDS, strict=True):
        for item in text.split(","):
            _check_item(item, field)
    return _with_question(parts)


def _with_question(parts: list[str]) -> list[str]:
    day, weekday = parts[2], parts[4]
    if day not in ("*", "?") and weekday not in ("*", "?"):
        raise CronError("it names days of the month and of the week, of which AWS takes one")
    if weekday in ("*", "?"):
        return [*parts[:2], "*" if day == "?" else day, parts[3], "?", parts[5]]
    return [*parts[:2], "?", parts[3], weekday, parts[5]]


def _check_item(item: str, field: Field) -> None:
    if item == "*" or (item == "?" and field.name in SPECIAL) or re.fullmatch(SPECIAL.get(field.name, r"(?!)"), item):
        return
    span, slash, step = item.partition("/")
    if slash and not (step.isdecimal() and int(step)):
        raise CronError(f"`{item}` has no valid step")
    if span == "*":
        return
    ends = [_number(end, field) for end in span.split("-", 1)]
    if ends[0] > ends[-1]:
        raise CronError(f"`{span}` runs backwards in the {field.name}")


def _number(text: str, field: Field) -> int:
    if text in field.words:
        return field.low + field.words.index(text)
    if not (text.isascii() and text.isdecimal() and field.low <= int(text) <= field.high):
        raise CronError(f"`{text}` is no {field.name}, which goes from {field.low} to {field.high}")
    return int(text)


def _from_cron(parts: list[str]) -> list[str]:
    """Five fields that cron takes, as AWS's six. Cron counts a day as named where its field is more than a star."""
    fields = [_field(text.upper(), field) for text, field in zip(parts, FIELDS, strict=True)]
    for place in (2, 4):
        every = list(range(FIELDS[place].low, FIELDS[place].high + 1))
        if "*" not in (fields[2], fields[4]) and _values(parts[place].upper(), FIELDS[place]) == every:
            fields[2] = fields[4] = "*"  # cron starts the flow where either day fits
    return _with_question([*fields, "*"])


def _field(text: str, field: Field) -> str:
    """A field in AWS's numbers."""
    if any(re.fullmatch(r"[*?](/1)?", item) for item in text.split(",")):
        return "*"
    return ",".join(_item(item, field) for item in text.split(","))


def _item(item: str, field: Field) -> str:
    """A step within bounds, which AWS's page does not have, becomes the list of its values."""
    ahead = field is WEEKDAY
    span, slash, step = item.partition("/")
    if slash and "-" in span:
        return ",".join(str(value + ahead) for value in _values(item, field))
    if slash:
        return f"{(field.low if span in ('*', '?') else _number(span, field)) + ahead}/{step}"
    return re.sub(r"\d+", lambda number: str(int(number[0]) + 1), item) if ahead else item


def _values(text: str, field: Field) -> list[int]:
    """All values of a field, in order."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        ends = [field.low, field.high] if span in ("*", "?") else [_number(end, field) for end in span.split("-", 1)]
        last = field.high if step and len(ends) == 1 else ends[-1]
        found.update(range(ends[0], last + 1, int(step or 1)))
    return sorted(found)

