"""In: `flowc check FILES`. Out: every diagnostic of every flow in them, on stdout."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.files import PathError, Wanted, expand, load, shown
from flowc.commands.judging import verdicts
from flowc.commands.options import Command, Source, given, known_target, with_settings
from flowc.commands.session import Talk, with_exit_zero, with_quiet, with_report
from flowc.commands.verdicts import Verdict
from flowc.report import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@click.command("check", cls=Command, short_help="Report what is wrong with flows.")
@click.argument("files", nargs=-1, metavar="[FILE.py[:NAME]]...")
@click.option("-t", "--target", callback=known_target, metavar="TARGET", help="What to check for, instead of the settings file's targets.")
@click.option("--allow-no-flow", is_flag=True, help="Pass over files that hold no flow, also where none does.")
@click.option("--baseline", metavar="FILE", help="Report only what this file does not hold. Its paths are relative to its folder.")
@click.option("--write-baseline", metavar="FILE", help="Write what is reported now into this file, and pass.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep what was found in files before.")
@with_exit_zero
@with_quiet
@with_report
@with_settings
def check_command(
    files: tuple[str, ...],
    target: str | None,
    allow_no_flow: bool,
    baseline: str | None,
    write_baseline: str | None,
    no_cache: bool,
    exit_zero: bool,
    **flags: Any,
) -> None:
    """Check the flows in files and change none of them. A pattern in quotes ('flows/**/*.py') passes over files that hold no flow.

    The report goes to stdout, the rest to stderr. A file that was named and holds no flow is an error, and so is a pattern
    in whose files there is none: a check of nothing would be no check. Without files, those that the settings file names as flows.
    What the `targets` of the settings file cannot carry is reported too.
    """
    sources = Source(given(flags), flags["settings"], flags["isolated"], flags["env"])
    talk = Talk(flags["output_format"], flags["color"], sys.stdout, flags["quiet"])
    problems: list[str] = []
    asked = list(named(files, sources, problems))
    different = {(shown(each.path), each.flow): each for _, wanted in asked for each in wanted}
    found = dict(zip(different, verdicts([*different.values()], sources, target, keep=not no_cache), strict=True))
    judged: list[Verdict] = []
    for argument, wanted in asked:
        judged += _with_flows([found[shown(each.path), each.flow] for each in wanted], argument, problems, allow_no_flow)
    judged = [*{id(each): each for each in judged}.values()]  # a file that was named twice is one
    if write_baseline is not None and not problems:
        from flowc.commands.writing import write

        write({write_baseline: render_baseline(judged, write_baseline)})
        talk.note(f"{shown(write_baseline)} holds what is wrong now")
        return
    if baseline is not None:
        judged = _news(judged, baseline)
    talk.report(judged)
    for problem in dict.fromkeys(problems):
        print(f"flowc: {printable(problem)}", file=sys.stderr)
    if problems:
        raise click.exceptions.Exit(2)
    if any(each.failed for each in judged) and not exit_zero:
        raise click.exceptions.Exit(1)
    talk.note(f"{counted(sum(each.flows for each in judged), 'flow')} checked in {counted(len(judged), 'file')}")


def named(files: Sequence[str], sources: Source, problems: list[str]) -> Iterator[tuple[str, list[Wanted]]]:
    """Each argument with its files; without arguments, the flows of the settings file. What cannot be found goes to `problems`."""
    if not files:
        from flowc.commands.project import flows_of

        yield "flows", [Wanted(path, exact=False) for path in flows_of(sources, tell=True)]
    yield from ((argument, wanted) for argument in files if (wanted := _expanded(argument, problems)) is not None)


def _expanded(argument: str, problems: list[str]) -> list[Wanted] | None:
    try:
        return expand(argument)
    except PathError as error:
        problems.append(str(error))
    return None


def render_baseline(judged: Sequence[Verdict], path: str) -> str:
    """The text of a baseline that holds all that was found, and that is to stand at `path`."""
    from flowc.report import baseline

    return baseline.write((each for one in judged for each in one.reported), partial(_from_baseline, path))


def _from_baseline(baseline: str, path: str) -> str:
    """The path of a file as seen from the folder of the baseline, with forward slashes."""
    folder, name = os.path.split(path)
    return os.path.relpath(os.path.join(os.path.realpath(folder), name), os.path.realpath(os.path.dirname(baseline))).replace(os.sep, "/")


def _news(judged: Sequence[Verdict], path: str) -> list[Verdict]:
    """The verdicts without what the baseline holds. PathError where it is none."""
    from flowc.report import baseline

    try:
        known = baseline.read(load(path).decode(errors="replace"))
    except baseline.BaselineError as error:
        raise PathError(f"{shown(path)} {error}") from error
    new = baseline.unknown([each for one in judged for each in one.reported], known, partial(_from_baseline, path))
    kept = {id(each.diagnostic) for each in new}
    return [replace(one, found=tuple(d for d in one.found if id(d) in kept)) for one in judged]


def _with_flows(found: Sequence[Verdict | str], argument: str, problems: list[str], allow_none: bool) -> list[Verdict]:
    """Those that hold flows or other mistakes than to hold none; all, where there is only one file and holding none is no option.

    What kept files from being read goes to `problems`.
    """
    wrong = [each for each in found if isinstance(each, str)]
    judged = [each for each in found if isinstance(each, Verdict)]
    problems += wrong
    kept = [each for each in judged if not each.empty]
    if kept or allow_none or wrong:
        return kept
    if len(judged) > 1:
        problems.append(f"{argument}: none of the {len(judged)} files that match holds a flow")
        return []
    return judged
