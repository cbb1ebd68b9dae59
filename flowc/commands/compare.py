"""In: `flowc compare`, what Metaflow compiled, and the flow. Out: what differs in meaning, on stdout; exit code 1 then."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.files import PathError, load, shown
from flowc.commands.options import Command, Source, given, known_target, with_settings
from flowc.commands.session import Talk, judge, one_file, with_report
from flowc.report.changes import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowc.comparison.records import Reading
    from flowc.ir import Flow

ENGINES = {"argo": "Argo Workflows", "step-functions": "Step Functions"}
ASKED = "give what `python FLOW.py argo-workflows create --only-json` or `python FLOW.py step-functions create --only-json` printed"


@click.command("compare", cls=Command, short_help="Say what differs from what Metaflow compiled.")
@with_settings
@click.argument("flow", metavar="FLOW.py[:NAME]")
@click.option("--only-json", "old", metavar="OLD.json", required=True, help="What Metaflow's `create --only-json` printed; `-` is stdin.")
@click.option("-t", "--target", callback=known_target, metavar="TARGET", help="The target of both sides; unset: that of OLD.json.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to write the differences.")
@with_report
def compare_command(flow: str, old: str, target: str | None, form: str, output_format: str, color: str, **flags: Any) -> None:
    """Compare what Metaflow compiled of a flow with what flowc compiles of it: steps and their order, images, resources, variables,
    secrets, retries, limits, parameters, schedule. What differs by design is listed apart, and so is what flowc knows no meaning of.
    Exit code 0 where both mean the same, 1 where something differs or was not compared.
    """
    wanted = one_file(flow, "compare takes one flow")
    data = _read(old)
    engine = _engine(data, old, target)
    theirs, name = meaning_of(data, engine, old)
    sources = Source({**given(flags), "format": "asl"}, flags["settings"], flags["isolated"], flags["env"])
    judged = judge(wanted, sources, engine)
    Talk(output_format, color, sys.stderr).report([judged])
    if judged.failed:
        raise click.exceptions.Exit(1)
    place = _place([each for each, _ in judged.checked.flows], name, flow)
    from flowc.comparison.compare import compare
    from flowc.report.comparison import render

    settings, _ = replace(sources, target=engine).near(os.path.dirname(wanted.path))
    chosen = judged.checked.flows[place][0]
    ours = _ours(engine, [artifact.object for artifact in judged.compiled[place].artifacts], chosen)
    found = compare(theirs, ours, settings)
    sys.stdout.write(render(found, f"{shown(old)} → {judged.path}:{chosen.name} for {ENGINES[engine]}", form))
    if not found.same:
        raise click.exceptions.Exit(1)


def _read(path: str) -> Any:
    """The JSON of Metaflow's output. PathError says what was to be given."""
    text = sys.stdin.buffer.read() if path == "-" else load(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PathError(f"{shown(path)} is no JSON ({error}); {ASKED}") from error


def _engine(data: Any, path: str, target: str | None) -> str:
    """The target that the output is for. PathError where it is for none, or for another than the one that was asked for."""
    keys = data if isinstance(data, dict) else {}
    engine = "argo" if keys.get("kind") == "WorkflowTemplate" else "step-functions" if {"StartAt", "States"} <= set(keys) else None
    if engine is None:
        raise PathError(f"{shown(path)} is neither a WorkflowTemplate nor a state machine; {ASKED}")
    if target not in (None, engine):
        raise PathError(f"{shown(path)} is for {ENGINES[engine]}, not for the target {target}")
    return engine


def meaning_of(data: Any, engine: str, path: str) -> tuple[Reading, str | None]:
    """What the output at `path` means, and the name of its flow. PathError where it is not as Metaflow writes it."""
    from flowc.comparison import argo, step_functions

    try:
        reading = argo.read([data]) if engine == "argo" else step_functions.read(data, {})
    except (LookupError, StopIteration, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        raise PathError(f"{shown(path)} is not as Metaflow writes it ({type(error).__name__}: {error}); {ASKED}") from error
    return reading, reading.flow.get("flow")


def _ours(engine: str, objects: Sequence[Any], flow: Flow) -> Reading:
    from flowc.comparison import argo, step_functions

    return argo.read(objects) if engine == "argo" else step_functions.read_flowc(objects, flow)


def _place(flows: Sequence[Flow], name: str | None, argument: str) -> int:
    """Which of the flows of the file is compared: the only one, or that of Metaflow's output."""
    names = [flow.name for flow in flows]
    if len(flows) == 1:
        return 0
    if name in names:
        return names.index(name)
    of_output = f"and not {name}" if name else "and the output does not say whose it is"
    raise click.UsageError(f"{argument} holds the flows {', '.join(names)}, {of_output}; name one: {argument}:{names[0]}")
