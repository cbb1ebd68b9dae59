"""In: `flowc run FLOW.py`. Out: a run of the flow on this machine, a cluster or AWS Batch, led and shown until it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.options import Command, Source, given, with_settings
from flowc.commands.session import Talk, judge, one_file, one_flow, with_report
from flowc.config import did_you_mean
from flowc.diagnostics import has_errors, in_order
from flowc.run.job import PLATFORMS, Job, Platform, UsageError, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.commands.session import Judged
    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

LOCAL_WORKERS = 16
"""How many tasks run at once on a laptop when nobody says: as many as with `python flow.py run`."""


@click.command("run", cls=Command, short_help="Run a flow here, in a cluster, or on AWS Batch.")
@click.argument("flow", metavar="FLOW.py[:NAME]")
@click.option("--on", "platform", type=click.Choice([*PLATFORMS]), default="local", help="Where the tasks run.", show_default=True)
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the flow. Repeatable.")
@click.option("--run-id", metavar="ID", help="Id of the run. One that exists goes on, as after a crash.")
@click.option("--resume", metavar="ID", help="Go on with that run: what has finished is kept, what failed is tried again.")
@click.option("--python", metavar="PATH", help="The Python that runs tasks on this machine: one that has metaflow.")
@click.option("-O", "--option", "chosen", multiple=True, metavar="NAME=VALUE", help="An option of --on, as fork=no of local. Repeatable.")
@with_report
@with_settings
def run_command(flow: str, platform: str, params: tuple[str, ...], run_id: str | None, resume: str | None, **flags: Any) -> None:
    """Run the flow in FLOW.py (the one called NAME, where it holds several), unchanged, and show how it goes.

    Tasks run as processes of this machine (local), as Jobs of the cluster that kubectl talks to (kubernetes), or on AWS Batch. The flow is
    checked first. A run that was killed goes on with --resume: no task that has finished runs again.
    """
    if run_id and resume:
        raise click.UsageError("--run-id and --resume exclude one another")
    sources = Source(given(flags), flags["settings"], flags["isolated"], flags["env"], platform)
    try:
        where = load(platform)
        judged, settings, path = _checked(flow, sources, where, Talk(flags["output_format"], flags["color"], sys.stderr))
        read, graph = judged.checked.flows[0]
        job = _job(read, graph, settings, path, where, (run_id, resume), sources.flags)
        options = _pairs(flags["chosen"], "-O")
        if flags["python"]:
            options["python"] = flags["python"]
        for name in options:
            if name not in where.OPTIONS:
                raise click.UsageError(f"--on {platform} has no option {name!r}{did_you_mean(name, where.OPTIONS)}")
        job = replace(job, options=options, parameters=_parameters(read, params, required=resume is None))
        code = _lead(job, where, platform, flow, flags["color"])
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    if code:
        raise click.exceptions.Exit(code)


def _checked(argument: str, sources: Source, where: Platform, talk: Talk) -> tuple[Judged, Settings, str]:
    wanted = one_file(argument, "run takes one flow")
    judged = judge(wanted, sources)
    settings, _ = sources.near(os.path.dirname(wanted.path))
    flows = judged.checked.flows
    if not judged.failed:
        one_flow(argument, [flow for flow, _ in flows])
        found = [*judged.found, *(each for flow, graph in flows for each in where.check(flow, graph, settings))]
        judged = replace(judged, found=tuple(in_order(found)))
    talk.report([judged])
    if has_errors(list(judged.found)):
        raise click.exceptions.Exit(1)
    return judged, settings, wanted.path


def _job(
    flow: Flow,
    graph: Graph,
    settings: Settings,
    path: str,
    where: Platform,
    ids: tuple[str | None, str | None],
    flags: Mapping[str, Any],
) -> Job:
    """`ids`: what --run-id and --resume say."""
    from flowc.plan import plan

    if where.PREFIX == "local":
        # what the settings say of pods is not meant for this machine, unless it was typed for this run
        own: dict[str, Any] = {name: flags.get(name) for name in ("datastore", "datastore_root", "metadata")}
        settings = replace(settings, **own, environment=flags.get("environment", {}), install=False, code="embedded")
    run_id, resume = ids
    name = resume or run_id or f"{where.PREFIX}-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name.isdigit():
        raise click.UsageError(f"{name!r} is no id for a run: letters, digits, `.`, `_`, `-`; digits alone are Metaflow's")
    limit: int | None = flags.get("max_workers", LOCAL_WORKERS if where.PREFIX == "local" else settings.max_workers)
    return Job(flow, graph, settings, plan(flow, graph, settings), path, name, resume is not None, flags=flags, max_workers=limit)


def _pairs(items: Sequence[str], flag: str) -> dict[str, str]:
    found = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{item!r} is not NAME=VALUE", param_hint=flag)
        found[name] = text
    return found


def _parameters(flow: Flow, items: Sequence[str], *, required: bool) -> dict[str, str]:
    """The parameters that were given, each as the JSON of its text, which the bootstrap hands to Metaflow as it is."""
    known, found = {p.name: p for p in flow.parameters}, dict[str, list[str]]()
    for item in items:
        ((name, text),) = _pairs([item], "--param").items()
        if name not in known:
            told = did_you_mean(name, known) or (f"; it has {', '.join(known)}" if known else "; it has none")
            raise click.UsageError(f"{flow.name} has no parameter {name!r}{told}")
        found.setdefault(name, []).append(text)
    for name, texts in found.items():
        if len(texts) > 1 and not known[name].multiple:
            raise click.UsageError(f"the parameter {name!r} is given {len(texts)} times; it takes one value")
    missing = [p.name for p in flow.parameters if p.required and p.default is None and p.name not in found]
    if missing and required:
        raise click.UsageError(f"{flow.name} needs a value: {' '.join(f'--param {name}=...' for name in missing)}")
    return {name: json.dumps(texts if known[name].multiple else texts[0]) for name, texts in found.items()}


def _lead(job: Job, where: Platform, platform: str, flow: str, color: str) -> int:
    """Lead the run to its end; the exit code."""
    from flowc.run.coordinator import Coordinator, lead
    from flowc.run.executor import ExecutorError
    from flowc.run.progress import Lines, Tree

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    executor = where.executor(job)
    name = getattr(executor, "run_id", job.run)
    run = Coordinator(job.plan, grouped=executor.grouped)
    tree = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    colored = color == "always" or (color == "auto" and "NO_COLOR" not in os.environ)
    view = Tree(job.plan, run.counts, sys.stderr, color=colored) if tree else Lines(job.plan, run.counts, sys.stderr)
    again = f"go on with: flowc run {flow}{'' if platform == 'local' else f' --on {platform}'} --resume {job.run}"
    print(f"flowc: run {job.flow.name}/{name} {'goes on' if job.resume else 'begins'}", file=sys.stderr)
    outcome, code = "interrupted", 130
    try:
        with view:
            lead(job.plan, executor, max_workers=job.max_workers, observer=view, run=run)
        outcome, code = ("finished", 0) if run.finished else ("failed", 1)
    except KeyboardInterrupt:
        pass
    except ExecutorError as error:
        print(f"flowc: {error}", file=sys.stderr)
        outcome, code = "stopped", 1
    finally:
        if (end := getattr(executor, "end", None)) is not None:
            end(run.finished)
    print(f"flowc: {view.summary(f'{job.flow.name}/{name}', outcome)}", file=sys.stderr)
    if code:
        print(f"flowc: {again}", file=sys.stderr)
    return code
