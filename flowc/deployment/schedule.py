"""In: @schedule of a Flow. Out: its line in five cron fields and its time zone, or what is wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example

if TYPE_CHECKING:
    from flowc.ir import Decorator, Flow

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")

BAD_CRON = Code(
    "FC420",
    "a schedule that the cluster cannot keep",
    "Argo and CronJobs read five cron fields: no years, seconds, `L`, `W` or `#`. Six-field AWS lines are translated (their days of the "
    "week count from 1) where five fields can say the same.",
    bad=Example({"flow.py": sample("schedule", "@schedule(cron='0 10 ? * 6L *')")}, line=4, target="argo"),
    good=Example({"flow.py": sample("schedule", "@schedule(cron='0 10 ? * MON-FRI *')")}, target="argo"),
)
BAD_ZONE = Code(
    "FC421",
    "an unknown time zone",
    "Time zones are loaded by their IANA names; Argo refuses a CronWorkflow, and Kubernetes a CronJob, whose zone it cannot load.",
    bad=Example({"flow.py": sample("schedule", "@schedule(daily=True, timezone='Europe/Berlyn')")}, line=4, target="argo"),
    good=Example({"flow.py": sample("schedule", "@schedule(daily=True, timezone='Europe/Berlin')")}, target="argo"),
)
NO_DEFAULT = Code(
    "FC422",
    "a scheduled flow with a parameter that nobody gives",
    "A schedule starts the flow without arguments, so a required parameter needs a default.",
    bad=Example({"flow.py": sample("Parameter, schedule", "@schedule()", body="n = Parameter('n', required=True)")}, line=6, target="argo"),
    good=Example({"flow.py": sample("Parameter, schedule", "@schedule()", body="n = Parameter('n', default=1)")}, target="argo"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """A cron field: its name, bounds, and the names of its values, the first of which is the lowest value."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


MINUTE, HOUR, DAY = Field("minute", 0, 59), Field("hour", 0, 23), Field("day of the month", 1, 31)
MONTH, WEEKDAY = Field("month", 1, 12, MONTHS), Field("day of the week", 0, 6, DAYS)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


class CronError(ValueError):
    """Why a cron line has no five-field form; the text completes the sentence "the schedule cannot be kept: ..."."""


def to_cron(line: str) -> str:
    """The line in the five fields that Argo reads, or CronError.

    Five fields are taken as they are; six are AWS's: the last is a year and days of the week are 1 (Sunday) to 7.
    """
    if line.startswith("@"):
        if line in WORDS or re.fullmatch(r"@every (\d+(\.\d+)?(ms|s|m|h))+", line):
            return line
        raise CronError(f"`{line}` is none of {', '.join(WORDS)} or `@every 1h30m`")
    parts = line.split()
    if len(parts) not in (5, 6):
        raise CronError(f"it has {len(parts)} fields, and five are needed (or AWS's six)")
    if len(parts) == 6:
        parts = _from_aws(parts)
    for text, field in zip(parts, FIELDS, strict=True):
        _check_field(text, field)
    return " ".join(parts)


def _from_aws(parts: list[str]) -> list[str]:
    minute, hour, day, month, weekday, year = parts
    if year not in ("*", "?", "1970-2199"):
        raise CronError(f"it names the year `{year}`")
    if day not in ("*", "?") and weekday not in ("*", "?"):
        raise CronError("it names days of the month and of the week, of which AWS takes one and cron either")
    return [minute, hour, day, month, ",".join(_aws_weekday(item) for item in weekday.split(","))]


def _aws_weekday(item: str) -> str:
    span, slash, step = item.partition("/")
    days = [str(int(day) - 1) if day.isdecimal() else day for day in span.split("-")]
    if any(day == "-1" for day in days):
        raise CronError("day 0 of the week is none of AWS's, which are 1 (Sunday) to 7")
    return "-".join(days) + slash + step


def _check_field(text: str, field: Field) -> None:
    """As robfig/cron, which Argo uses, reads a field: values, ranges and steps, several by commas."""
    for item in text.split(","):
        span, slash, step = item.partition("/")
        if slash and (not step.isdecimal() or int(step) == 0):
            raise CronError(f"`{item}` has no valid step")
        if span in ("*", "?"):
            continue
        ends = [_value(end, field) for end in span.split("-", 1)]
        if ends[0] > ends[-1]:
            raise CronError(f"`{span}` runs backwards in the {field.name}")


def _value(text: str, field: Field) -> int:
    if text.upper() in field.words:
        return field.low + field.words.index(text.upper())
    if not text.isdecimal() or not text.isascii():
        raise CronError(f"`{text}` is no {field.name} that cron knows")
    if not field.low <= int(text) <= field.high:
        hint = " (Sunday is 0)" if field is WEEKDAY else ""
        raise CronError(f"{text} is no {field.name}, which goes from {field.low} to {field.high}{hint}")
    return int(text)


def written(decorator: Decorator) -> str | None:
    """The cron line that @schedule stands for in Metaflow; None where every way of saying it is switched off."""
    if decorator.get("cron"):
        return str(decorator.get("cron"))
    for name, default, line in (("weekly", False, "0 0 ? * SUN *"), ("hourly", False, "0 * * * ? *"), ("daily", True, "0 0 * * ? *")):
        if decorator.get(name, default):
            return line
    return None


def planned(flow: Flow) -> tuple[str, str] | None:
    """The schedule's line as it is written and its time zone ("" where it names none); None for a flow without a schedule."""
    decorator = flow.decorator("schedule")
    line = written(decorator) if decorator else None
    if decorator is None or line is None:
        return None
    return line, decorator.get("timezone") or ""


def schedule(flow: Flow) -> tuple[str, str] | None:
    """The five-field line and the time zone ("" for the cluster's) of a flow that passed `check`; None for one without a schedule."""
    found = planned(flow)
    return (to_cron(found[0]), found[1]) if found else None


def check(flow: Flow) -> list[Diagnostic]:
    """Lines, zones and parameters with which no CronWorkflow could start the flow."""
    decorator = flow.decorator("schedule")
    if decorator is None:
        return []
    found = []
    line = written(decorator)
    try:
        to_cron(line or "@daily")
    except CronError as error:
        span = decorator.span_of("cron")
        remedy = "write five fields: minute, hour, day, month, day of the week (0 is Sunday); the zone goes into timezone="
        found.append(Diagnostic(BAD_CRON, f"the schedule `{line}` cannot be kept: {error}", span, help=remedy))
    return [*found, *zone_problems(decorator.get("timezone"), decorator, "timezone"), *undefaulted(flow)]


def undefaulted(flow: Flow) -> list[Diagnostic]:
    """FC422 for each parameter of a scheduled flow that has no value when nobody gives one."""
    found = []
    for parameter in flow.parameters:
        if parameter.required and parameter.default is None:
            text = f"the parameter `{parameter.name}` is required, and a schedule gives none"
            found.append(Diagnostic(NO_DEFAULT, text, parameter.span, help="give it a default, or leave @schedule out"))
    return found


def zone_problems(zone: Any, decorator: Decorator, attribute: str) -> list[Diagnostic]:
    """FC421 where `zone` is given and no IANA name."""
    from flowc.deployment.timezones import NAMES

    if not zone or zone in NAMES:
        return []
    from difflib import get_close_matches

    near = get_close_matches(str(zone), NAMES, 1)
    remedy = f"did you mean `{near[0]}`?" if near else "use a name like `Europe/Berlin`"
    return [Diagnostic(BAD_ZONE, f"`{zone}` is no time zone", decorator.span_of(attribute), help=remedy)]
