"""In: `flowc check FILES`. Out: every diagnostic of every flow in them, on stdout."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.files import PathError, Wanted, expand, load, shown
from flowc.commands.options import Command, Source, given, known_target, with_settings
from flowc.commands.session import Judged, Talk, judge, with_report
from flowc.commands.writing import write
from flowc.frontend.classes import NO_FLOW
from flowc.report import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowc.diagnostics import Diagnostic


@click.command("check", cls=Command, short_help="Report what is wrong with flows.")
@click.argument("files", nargs=-1, metavar="[FILE.py[:NAME]]...")
@click.option("-t", "--target", callback=known_target, metavar="TARGET", help="Also report what this target cannot carry.")
@click.option("--allow-no-flow", is_flag=True, help="Pass over files that hold no flow, also where none does.")
@click.option("--baseline", metavar="FILE", help="Report only what this file does not hold.")
@click.option("--write-baseline", metavar="FILE", help="Write what is reported now into this file, and pass.")
@with_report
@with_settings
def check_command(
    files: tuple[str, ...], target: str | None, allow_no_flow: bool, baseline: str | None, write_baseline: str | None, **flags: Any
) -> None:
    """Check the flows in files and write nothing. A pattern in quotes ('flows/**/*.py') passes over files that hold no flow.

    The report goes to stdout, the rest to stderr. A file that was named and holds no flow is an error, and so is a pattern
    in whose files there is none: a check of nothing would be no check. Without files, those that the settings file names as flows.
    """
    sources = Source(given(flags), flags["settings"], flags["isolated"], flags["env"])
    judged: list[Judged] = []
    problems: list[str] = []
    for argument, wanted in named(files, sources, problems):
        found, wrong = _judge_all(wanted, sources, target)
        problems += wrong
        judged += _with_flows(found, argument, problems, allow_no_flow)
    if write_baseline is not None and not problems:
        write({write_baseline: render_baseline(judged)})
        print(f"flowc: {shown(write_baseline)} holds what is wrong now", file=sys.stderr)
        return
    if baseline is not None:
        judged = _news(judged, baseline)
    Talk(flags["output_format"], flags["color"], sys.stdout).report(judged)
    for problem in problems:
        print(f"flowc: {printable(problem)}", file=sys.stderr)
    if problems:
        raise click.exceptions.Exit(2)
    if any(each.failed for each in judged):
        raise click.exceptions.Exit(1)
    flows = sum(len(each.checked.flows) for each in judged)
    print(f"flowc: {_count(flows, 'flow')} checked in {_count(len(judged), 'file')}", file=sys.stderr)


def named(files: Sequence[str], sources: Source, problems: list[str]) -> Iterator[tuple[str, list[Wanted]]]:
    """Each argument with its files; without arguments, the flows of the settings file. What cannot be found goes to `problems`."""
    if not files:
        from flowc.commands.repository import flows_of

        yield "flows", [Wanted(path, exact=False) for path in flows_of(sources)]
    yield from ((argument, wanted) for argument in files if (wanted := _expanded(argument, problems)) is not None)


def _expanded(argument: str, problems: list[str]) -> list[Wanted] | None:
    try:
        return expand(argument)
    except PathError as error:
        problems.append(str(error))
    return None


def render_baseline(judged: Sequence[Judged]) -> str:
    """The text of a baseline that holds all that was found."""
    from flowc.report import baseline

    return baseline.write(each for one in judged for each in one.reported)


def _news(judged: Sequence[Judged], path: str) -> list[Judged]:
    """The verdicts without what the baseline holds. PathError where it is none."""
    from flowc.report import baseline

    try:
        known = baseline.read(load(path).decode(errors="replace"))
    except baseline.BaselineError as error:
        raise PathError(f"{shown(path)} {error}") from error
    new = baseline.unknown([each for one in judged for each in one.reported], known)
    kept = {id(each.diagnostic) for each in new}
    return [replace(one, found=tuple(d for d in one.found if id(d) in kept)) for one in judged]


def _judge_all(wanted: Sequence[Wanted], sources: Source, target: str | None) -> tuple[list[Judged], list[str]]:
    """The verdicts, and what kept files from being read."""
    tried = [_judge(each, sources, target) for each in wanted]
    return [each for each in tried if isinstance(each, Judged)], [each for each in tried if isinstance(each, str)]


def _judge(wanted: Wanted, sources: Source, target: str | None) -> Judged | str:
    try:
        return judge(wanted, sources, target)
    except PathError as error:
        return str(error)


def _with_flows(judged: list[Judged], argument: str, problems: list[str], allow_none: bool) -> list[Judged]:
    """Those that hold flows or other mistakes than to hold none; all, where there is only one file and holding none is no option."""
    kept = [each for each in judged if not _no_flow(each.found)]
    if kept or allow_none or problems:
        return kept
    if len(judged) > 1:
        problems.append(f"{argument}: none of the {len(judged)} files that match holds a flow")
        return []
    return judged


def _no_flow(found: Sequence[Diagnostic]) -> bool:
    return any(diagnostic.code is NO_FLOW for diagnostic in found)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
