"""In: `flowc fix FILES`. Out: the files without the problems that a safe rewrite mends, or the difference; then what is left."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.above import Above
from flowc.commands.check import named
from flowc.commands.files import Folder, load, shown
from flowc.commands.options import Command, Source, given, known_target, with_settings
from flowc.commands.project import settings_for_each
from flowc.commands.session import FlowFile, Judged, Talk, judge_for_each, with_exit_zero, with_quiet, with_report
from flowc.commands.writing import write_bytes
from flowc.fix import CODES, mend
from flowc.fix.same import is_same_graph
from flowc.fix.unsafe import Unsafe
from flowc.frontend.classes import NO_FLOW
from flowc.report import counted, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowc.commands.files import Wanted

ROUNDS = 200
"""So many problems of one file are mended in one run: each mended one is a new look at the file."""
RENAMING = ("FC209", "FC210")


@click.command("fix", cls=Command, short_help="Mend what can be mended safely.")
@click.argument("files", nargs=-1, metavar="[FILE.py]...")
@click.option("-t", "--target", callback=known_target, metavar="TARGET", help="What to mend for, instead of the settings file's targets.")
@click.option("--diff", "show", is_flag=True, help="Write nothing; print what would change. Exit code 1 where something would.")
@with_exit_zero
@with_quiet
@with_report
@with_settings
def fix_command(files: tuple[str, ...], target: str | None, show: bool, exit_zero: bool, **flags: Any) -> None:
    """Rewrite flows where that is provably safe: what the flow does, its comments and its layout stay.

    Without files, those that the settings file names as flows. What its `targets` cannot carry is mended too. What is
    left is reported as `flowc check` does.
    """
    sources = Source(given(flags), flags["settings"], flags["isolated"], flags["env"])
    problems: list[str] = []
    judged, count, texts = [], 0, {}
    left: list[str] = []
    seen: set[tuple[str, str | None]] = set()
    for _, wanted in named(files, sources, problems):
        for each in wanted:
            before, after, mended, verdict, why = _fixed(each, sources, target)
            if any(diagnostic.code is NO_FLOW for diagnostic in verdict.found) and not each.exact:
                continue
            if (verdict.path, each.flow) in seen:
                continue
            seen.add((verdict.path, each.flow))
            left += why
            count += mended
            judged.append(verdict)
            if before != after:
                texts[each.path] = (before, after)
    if show:
        for path, (before, after) in texts.items():
            sys.stdout.write(difference(shown(path), before, after))
    else:
        write_bytes({path: after for path, (_, after) in texts.items()}, known={path: before for path, (before, _) in texts.items()})
    talk = Talk(flags["output_format"], flags["color"], sys.stderr if show else sys.stdout, flags["quiet"])
    talk.report(judged)
    for line in left:
        talk.note(line)
    for line in problems:
        print(f"flowc: {printable(line)}", file=sys.stderr)
    talk.note(f"{count} {'would be ' if show else ''}mended in {len(texts)} of {counted(len(judged), 'file')}")
    if problems:
        raise click.exceptions.Exit(2)
    if (any(each.failed for each in judged) or (show and texts)) and not exit_zero:
        raise click.exceptions.Exit(1)


def _fixed(wanted: Wanted, sources: Source, target: str | None) -> tuple[bytes, bytes, int, Judged, list[str]]:
    """The bytes before and after, how many problems were mended, the verdict on what is left, and why some of it could not be mended."""
    before = data = load(wanted.path)
    folder = os.path.dirname(wanted.path)
    found, files = settings_for_each(sources, folder, target)
    settings = {each: replace(one, require_guard=True) for each, one in found.items()}
    ignored = sources.ignored(wanted.path)

    def look(text: bytes) -> Judged:
        return judge_for_each(FlowFile(shown(wanted.path), text, Folder(folder, files), wanted.flow, ignored, Above(folder)), settings)

    mended, verdict = 0, look(data)
    while True:
        better, why = _better(data, verdict, look) if mended < ROUNDS else (None, [])
        if better is None:
            return before, data, mended, verdict, why
        (data, verdict), mended = better, mended + 1


def _better(data: bytes, verdict: Judged, look: Callable[[bytes], Judged]) -> tuple[tuple[bytes, Judged] | None, list[str]]:
    """The file without the first problem that can be mended, and the verdict on it; why those before it cannot be."""
    why = []
    for each in verdict.found:
        if each.code.id not in CODES or each.span is None or each.span.path != verdict.path:
            continue
        try:
            found = mend(data, each)
        except Unsafe as error:
            found, reason = None, str(error)
        else:
            reason = ""
        after = None if found is None else look(found)
        if found is not None and after is not None:
            if each.code.id not in RENAMING or is_same_graph(verdict.checked, after.checked):
                return (found, after), []
            reason = "another file uses the step by its name"
        if reason:
            why.append(f"{verdict.path}:{each.span.line}: {each.code.id} is left: {reason}")
    return None, why


def difference(path: str, before: bytes, after: bytes) -> str:
    """What changes, as a patch that git takes; of lines that are no UTF-8 what can be shown."""
    import difflib

    # of bytes: a text would be split at form feeds too, where no line of a patch may end
    old, new = ([line.decode(errors="replace") for line in text.splitlines(keepends=True)] for text in (before, after))
    lines = difflib.unified_diff(old, new, path, path)
    return "".join(line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n" for line in lines)
