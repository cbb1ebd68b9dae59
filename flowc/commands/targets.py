"""In: `flowc targets`, maybe with `--flow FLOW.py`. Out: the targets with the versions they know, or what of a flow each carries."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.options import Command, Source, given, with_settings
from flowc.config import OPTIONS
from flowc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowc.commands.session import FlowFile, Judged
    from flowc.diagnostics import Diagnostic


@click.command("targets", cls=Command, short_help="List the targets, or what of a flow each carries.")
@click.option("--flow", metavar="FLOW.py[:NAME]", help="Show which features of this flow each target carries, since which version.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Format of that table.")
@with_settings
def targets_command(flow: str | None, output_format: str, **flags: Any) -> None:
    """List what flowc compiles for, and the versions of each engine that it knows, the default marked.

    With --flow the flow is compiled for every target and version, and the table has what each of them said: a feature is carried, or
    refused with the code that says why.
    """
    if flow is None:
        click.echo("".join(_list()), nl=False)
        return
    from flowc.commands.session import Talk

    sources = Source(given(flags), flags["settings"], flags["isolated"], flags["env"])
    judged, text = _table(flow, sources, output_format)
    Talk("full", "auto", sys.stderr).report([judged])
    if judged.failed:
        raise click.exceptions.Exit(1)
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _list() -> Iterator[str]:
    from flowc import target

    for name in target.names():
        yield f"{name}: {target.load(name).summary}\n"
        known = versions(name)
        if known:
            default = getattr(Settings(), _field(name))
            option = next(option for option in OPTIONS if option.field == _field(name))
            listed = ", ".join(f"{version} (default)" if version == default else version for version in known)
            yield f"  versions, by --{option.key}: {listed}\n"


def _field(target: str) -> str:
    """The setting that says which version of the target's engine to compile for."""
    return f"{target.replace('-', '_')}_version"


def versions(target: str) -> tuple[str, ...]:
    """The versions of its engine that a target knows, oldest first; none where it knows but one."""
    return next((tuple(option.choices) for option in OPTIONS if option.field == _field(target)), ())


def _table(flow: str, sources: Source, form: str) -> tuple[Judged, str]:
    """The verdict on the file by itself, and the tables of its flows where that has no error."""
    from flowc import target
    from flowc.commands.session import one_file, opened
    from flowc.report import support

    wanted = one_file(flow, "--flow takes one")
    file, settings = opened(wanted, sources)
    apart = {name: replace(sources, target=name).near(os.path.dirname(wanted.path))[0] for name in target.names()}
    judged = file.judged(settings)
    if judged.failed:
        return judged, ""
    tables = []
    for each, graph in judged.checked.flows:
        said = dict(_said(replace(file, flow=each.name), apart, judged.found))
        tables.append(support.table(each, graph, said))
    return judged, support.dump(tables) if form == "json" else "\n".join(map(support.as_text, tables))


def _said(
    file: FlowFile, apart: Mapping[str, Settings], before: tuple[Diagnostic, ...]
) -> Iterator[tuple[str, dict[str, list[Diagnostic]]]]:
    """What every target said of the flow by its settings, by version, beyond what was known before any was asked."""
    for name, settings in apart.items():
        found = {}
        for version in versions(name) or ("",):
            chosen = replace(settings, **dict[str, Any]({_field(name): version})) if version else settings
            said = file.judged(chosen, name).found
            found[version] = [each for each in said if each not in before]
        yield name, found
