"""In: `flowc compile`, with or without a flow. Out: the flow's manifests on stdout, in a file or a folder; or a whole repository's."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.files import shown
from flowc.commands.options import Command, Source, given, known_target, with_settings
from flowc.commands.outputs import into
from flowc.commands.session import Talk, judge, one_file, one_flow, refuse_drift, with_quiet, with_report
from flowc.commands.writing import alone, drift, make_folder, write
from flowc.config import did_you_mean
from flowc.deployment.names import workflow_name
from flowc.output import Artifact, stream
from flowc.target import load as load_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.ir import Flow

REMEDY = "the command without --check"
REMARK = "compile takes one flow, or none for the repository's"

@click.command("compile", cls=Command, short_help="Write the manifests of a flow, or of all flows.")
@click.argument("flow", required=False, metavar="[FLOW.py[:NAME]]")
@click.option("-t", "--target", callback=known_target, metavar="TARGET", help="What to compile for, unless the settings say it.")
@click.option("-o", "--output", metavar="FILE", help="Write one stream to this file instead of stdout.")
@click.option("--out-dir", metavar="DIR", help="Write one file an object into this folder, and a kustomization.yaml that lists them.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where what would be written differs from what is there.")
@click.option("--all", "everything", is_flag=True, help="Without a flow: compile also what has not changed since flowc.lock was written.")
@click.option("--exit-non-zero-on-change", "strict", is_flag=True, help="Without a flow: exit with 1 where a file was written or removed.")
@with_quiet
@with_report
@with_settings
def compile_command(
    flow: str | None, target: str | None, output: str | None, out_dir: str | None, check: bool, everything: bool, strict: bool, **flags: Any
) -> None:
    """Compile the flow in FLOW.py (the one called NAME, where it holds several) to manifests.

    They go to stdout as one stream, unless -o or --out-dir says where to. All talk goes to stderr. Where the flow has an
    error nothing is written. Every setting can also stand in flowc.toml, or under [tool.flowc] of pyproject.toml.

    Without FLOW.py, compile all flows of the repository: the settings file says which (`flows`), for what (`targets`) and where
    to (`out`). Only what has changed is compiled; outputs of flows that are gone are removed.
    """
    sources = Source(given(flags), flags["settings"], flags["isolated"], flags["env"])
    talk = Talk(flags["output_format"], flags["color"], sys.stderr, flags["quiet"])
    if flow is None:
        if target or output or out_dir:
            raise click.UsageError("without a flow, the settings file says what is compiled where: `targets` and `out`")
        from flowc.commands.repository import compile_repository

        compile_repository(sources, talk, check=check, everything=everything, strict=strict)
        return
    if everything or strict:
        name = "--all" if everything else "--exit-non-zero-on-change"
        raise click.UsageError(f"{name} is for the whole repository; one flow is always compiled")
    if output is not None and out_dir is not None:
        raise click.UsageError("-o and --out-dir exclude one another")
    target = target or _target_of(flow, sources)
    if check and output in (None, "-") and out_dir is None:
        raise click.UsageError("--check compares with what is there: name it by -o or --out-dir")
    owner, artifacts = _compiled(flow, target, sources, talk)
    if out_dir is not None:
        _folder(out_dir, f"{target} {owner}", artifacts, talk, kubernetes=load_target(target).kubernetes, check=check)
    elif check:
        refuse_drift(drift({output or "-": stream(artifacts)}, []), REMEDY)
    elif output in (None, "-"):
        sys.stdout.buffer.write(stream(artifacts).encode())
        sys.stdout.buffer.flush()
    else:
        write({output: stream(artifacts)})


def _target_of(flow: str, sources: Source) -> str:
    """The one target that the settings file says for a flow; UsageError where it says none, or several."""
    from flowc.commands.project import targets_of

    folder = os.path.dirname(one_file(flow, REMARK).path)
    found = sources.project(folder)
    if found is None or not found[1].said:
        raise click.UsageError("name a target: --target argo (see `flowc targets`)")
    targets = [*dict.fromkeys(targets_of(sources, folder))]
    if len(targets) > 1:
        raise click.UsageError(f"name one of the targets that {shown(found[0])} says: --target {' or '.join(targets)}")
    return targets[0]


def _folder(folder: str, owner: str, artifacts: Sequence[Artifact], talk: Talk, *, kubernetes: bool, check: bool) -> None:
    """Make the files of one flow in a folder right, or tell what differs. Another flowc that adds a flow there waits."""
    if not check:
        make_folder(folder)
    with alone(folder, shared=check):
        writings, stale = into(folder, owner, artifacts, kubernetes=kubernetes)
        if check:
            refuse_drift(drift({path: text for path, text in writings[-1].items() if text is not None}, stale), REMEDY)
            return
        for each in writings:
            write(each)
    if stale:
        talk.note(f"removed what the flow writes no more: {', '.join(shown(path) for path in stale)}")


def _compiled(flow: str, target: str, sources: Source, talk: Talk) -> tuple[str, Sequence[Artifact]]:
    """The name under which the flow is deployed, and its manifests."""
    wanted = one_file(flow, REMARK)
    judged = judge(wanted, sources, target, _only_one(flow, sources.flags))
    talk.report([judged])
    if judged.failed:
        raise click.exceptions.Exit(1)
    settings, _ = replace(sources, target=target).near(os.path.dirname(wanted.path))
    return workflow_name(judged.checked.flows[0][0], settings), judged.compiled[0].artifacts


def _only_one(argument: str, chosen: Mapping[str, Any]) -> Any:
    """Accepts one flow that has every config which the command line names; those of a settings file may be for other flows."""

    def accept(flows: Sequence[Flow]) -> None:
        flow = one_flow(argument, flows)
        known = [config.name for config in flow.configs]
        for name in (*chosen.get("configs", ()), *chosen.get("config_files", ())):
            if name not in known:
                raise click.UsageError(f"{flow.name} has no config {name!r}{did_you_mean(name, known)}")

    return accept
