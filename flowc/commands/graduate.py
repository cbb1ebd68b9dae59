"""In: `flowc graduate FLOW.py` and what a step or the flow needs. Out: the file with decorators that say so, or the difference."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.files import Folder, PathError, load, shown
from flowc.commands.fix import difference
from flowc.commands.options import Source
from flowc.commands.project import targets_of
from flowc.commands.session import FlowFile, Judged, Talk, judge, one_file, one_flow, with_report
from flowc.commands.writing import write_bytes
from flowc.config import did_you_mean
from flowc.diagnostics import has_errors

if TYPE_CHECKING:
    from flowc.ir import Flow

UNITS = {"": 1.0, "M": 1.0, "G": 1e3, "T": 1e6, "Mi": 1024**2 / 1e6, "Gi": 1024**3 / 1e6, "Ti": 1024**4 / 1e6}
"""Megabytes, in which Metaflow counts memory and disk."""
TIMES = {"s": "seconds", "m": "minutes", "h": "hours"}


def amount(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Megabytes: `4096`, `32G`, `32Gi` (rounded up)."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([MGT]i?|)B?", value)
    if match is None or not float(match[1]):
        raise click.BadParameter(f"{value!r} is no amount like 4096 (MB), 32G or 32Gi")
    return math.ceil(float(match[1]) * UNITS[match[2]])


def cores(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    """A number of cores, parts of one too."""
    if value is not None and not 0 < value < math.inf:
        raise click.BadParameter(f"{value} is no number of cores")
    return value


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> dict[str, int]:
    """The attributes of @timeout that `90m`, `2h` or `90s` stand for."""
    match = re.fullmatch(r"(\d+)([smh])", value or "0s")
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration like 90m or 2h")
    return {} if value is None else {TIMES[match[2]]: int(match[1])}


@click.command("graduate", short_help="Write resources, retries and a schedule into a flow.")
@click.argument("flow", metavar="FLOW.py[:NAME]")
@click.option("--step", "steps", multiple=True, metavar="STEP", help="A step that gets what follows. Repeatable; without it, every step.")
@click.option("--cpu", callback=cores, type=float, metavar="CORES", help="Cores.")
@click.option("--memory", callback=amount, metavar="MB", help="Memory: 4096 (MB), 32G, 32Gi.")
@click.option("--disk", callback=amount, metavar="MB", help="Disk: 4096 (MB), 100G.")
@click.option("--gpu", type=click.IntRange(1), metavar="N", help="GPUs.")
@click.option("--retry", type=click.IntRange(0), metavar="TIMES", help="How often a failed task is tried again.")
@click.option("--timeout", callback=duration, metavar="TIME", help="How long an attempt may take: 90m, 2h.")
@click.option("--schedule", metavar="CRON", help="When the flow starts by itself.")
@click.option("--timezone", metavar="ZONE", help="Time zone of the schedule.")
@click.option("--diff", "show", is_flag=True, help="Write nothing; print what would change.")
@with_report
def graduate_command(flow: str, steps: tuple[str, ...], show: bool, output_format: str, color: str, **needs: Any) -> None:
    """Write what a flow needs beyond a laptop into it: @resources (or a step's @kubernetes or @batch), @retry, @timeout, @schedule.

    What stands there already is changed, the rest of the file stays as it is. A change that would make the flow wrong is not written.
    """
    wanted = one_file(flow, "graduate takes one flow")
    path, sources, talk = wanted.path, Source({}), Talk(output_format, color, sys.stderr)
    read = _the_flow(flow, judge(wanted, sources), talk)
    for step in steps:
        if step not in read.steps:
            raise click.UsageError(f"{read.name} has no step {step!r}{did_you_mean(step, read.steps)}")
    of_step, of_flow = _wanted(needs)
    if not of_step and not of_flow:
        raise click.UsageError("say what the flow needs: --memory 32G, --retry 3, --schedule '0 6 * * *', ...")
    if needs["timezone"] is not None and needs["schedule"] is None and read.decorator("schedule") is None:
        raise click.UsageError(f"{read.name} has no schedule whose time zone this could be; say --schedule too")
    before = load(path)
    after = _graduated(before, read.name, dict.fromkeys(steps or read.steps, of_step), of_flow, shown(path))
    folder = os.path.dirname(path)
    settings, files = sources.near(folder)
    _accepted(FlowFile(shown(path), after, Folder(folder, files), read.name).judged(settings), talk)
    for target in targets_of(sources, folder):
        _accepted(_new_errors(path, before, after, replace(sources, target=target), read.name), talk)
    if show:
        sys.stdout.write(difference(shown(path), before, after))
    elif before == after:
        print(f"flowc: {shown(path)} has all that already", file=sys.stderr)
    else:
        write_bytes({path: after}, known={path: before})
        print(f"flowc: {shown(path)} written", file=sys.stderr)


def _new_errors(path: str, before: bytes, after: bytes, sources: Source, flow: str) -> Judged:
    """The verdict on the file after, with the errors alone that the target did not have before: a schedule is judged by a target."""
    folder = os.path.dirname(path)
    settings, files = sources.near(folder)
    old, new = (FlowFile(shown(path), data, Folder(folder, files), flow).judged(settings, sources.target) for data in (before, after))
    known = {(each.code.id, each.message) for each in old.found}
    return replace(new, found=tuple(each for each in new.found if has_errors([each]) and (each.code.id, each.message) not in known))


def _accepted(judged: Judged, talk: Talk) -> None:
    talk.report([judged] if judged.failed else [])
    if judged.failed:
        raise click.exceptions.Exit(1)


def _the_flow(argument: str, judged: Judged, talk: Talk) -> Flow:
    _accepted(judged, talk)
    return one_flow(argument, [flow for flow, _ in judged.checked.flows])


def _wanted(needs: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Decorators with their attributes: of steps, and of the flow."""
    resources = {name: needs[name] for name in ("cpu", "memory", "disk", "gpu") if needs[name] is not None}
    if "cpu" in resources and resources["cpu"].is_integer():
        resources["cpu"] = int(resources["cpu"])
    retry = {"times": needs["retry"]} if needs["retry"] is not None else {}
    steps = {"resources": resources, "retry": retry, "timeout": needs["timeout"]}
    planned = {"cron": needs["schedule"], "timezone": needs["timezone"]}
    flow = {"schedule": {name: value for name, value in planned.items() if value is not None}}
    return {name: each for name, each in steps.items() if each}, {name: each for name, each in flow.items() if each}


def _graduated(data: bytes, flow: str, steps: dict[str, Any], of_flow: dict[str, Any], path: str) -> bytes:
    from flowc.fix.graduate import GraduateError, graduate

    try:
        return graduate(data, flow, steps, of_flow)
    except GraduateError as error:
        raise PathError(f"{path}: {error}") from error
