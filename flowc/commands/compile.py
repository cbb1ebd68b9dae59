"""In: `flowc compile`, with or without a flow. Out: the flow's manifests on stdout, in a file or a folder; or a whole repository's."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.files import PathError, drift, expand, load, make_folder, remove, shown, write
from flowc.commands.options import Command, Source, given, known_target, with_settings
from flowc.commands.session import Talk, judge, refuse_drift, with_report
from flowc.config import did_you_mean
from flowc.output import Artifact, stream
from flowc.target import load as load_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowc.ir import Flow

KUSTOMIZATION = "kustomization.yaml"
HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"


@click.command("compile", cls=Command, short_help="Write a flow's manifests.")
@click.argument("flow", required=False, metavar="[FLOW.py[:NAME]]")
@click.option("-t", "--target", callback=known_target, metavar="TARGET", help="What to compile for: see `flowc targets`.")
@click.option("-o", "--output", metavar="FILE", help="Write one stream to this file instead of stdout.")
@click.option("--out-dir", metavar="DIR", help="Write one file an object into this folder, and a kustomization.yaml that lists them.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where what would be written differs from what is there.")
@click.option("--all", "everything", is_flag=True, help="Without a flow: compile also what has not changed since flowc.lock was written.")
@click.option("--exit-non-zero-on-change", "strict", is_flag=True, help="Without a flow: exit with 1 where a file was written or removed.")
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
    talk = Talk(flags["output_format"], flags["color"], sys.stderr)
    if flow is None:
        if target or output or out_dir:
            raise click.UsageError("without a flow, the settings file says what is compiled where: `targets` and `out`")
        from flowc.commands.repository import compile_repository

        compile_repository(sources, talk, check=check, everything=everything, strict=strict)
        return
    if output is not None and out_dir is not None:
        raise click.UsageError("-o and --out-dir exclude one another")
    if target is None:
        raise click.UsageError("name a target: --target argo (see `flowc targets`)")
    if check and output in (None, "-") and out_dir is None:
        raise click.UsageError("--check compares with what is there: name it by -o or --out-dir")
    artifacts = _compiled(flow, target, sources, talk)
    if out_dir is not None:
        texts, stale = _folder(out_dir, artifacts, load_target(target).kubernetes)
    else:
        texts, stale = {output or "-": stream(artifacts)}, []
    if check:
        refuse_drift(drift(texts, stale), "the command without --check")
    elif output in (None, "-") and out_dir is None:
        sys.stdout.buffer.write(stream(artifacts).encode())
        sys.stdout.buffer.flush()
    else:
        if out_dir is not None:
            make_folder(out_dir)
        write(texts)
        remove(stale)


def _compiled(flow: str, target: str, sources: Source, talk: Talk) -> Sequence[Artifact]:
    wanted = expand(flow)
    if len(wanted) != 1:
        raise click.UsageError(f"{flow} names {len(wanted)} files; compile takes one flow, or none for the repository's")
    judged = judge(wanted[0], sources, target, _only_one(flow, sources.flags))
    talk.report([judged])
    if judged.failed:
        raise click.exceptions.Exit(1)
    return judged.compiled[0].artifacts


def _only_one(argument: str, chosen: Mapping[str, Any]) -> Any:
    """Accepts one flow that has every config which the command line names; those of a settings file may be for other flows."""

    def accept(flows: Sequence[Flow]) -> None:
        if len(flows) > 1:
            names = [flow.name for flow in flows]
            raise click.UsageError(f"{argument} holds the flows {', '.join(names)}; name one: {argument}:{names[0]}")
        known = [config.name for config in flows[0].configs]
        for name in (*chosen.get("configs", ()), *chosen.get("config_files", ())):
            if name not in known:
                raise click.UsageError(f"{flows[0].name} has no config {name!r}{did_you_mean(name, known)}")

    return accept


def _folder(folder: str, artifacts: Sequence[Artifact], kubernetes: bool) -> tuple[dict[str, str], list[str]]:
    """Texts by path, the list of them too where they are Kubernetes objects; and what an earlier compile of the same flow listed there."""
    new = {artifact.file: artifact.text for artifact in artifacts}
    listed = _listed(os.path.join(folder, KUSTOMIZATION)) if kubernetes else []
    workflows = {_workflow(file) for file in new}
    stale = [file for file in listed if file not in new and _workflow(file) in workflows]
    if kubernetes:
        new[KUSTOMIZATION] = kustomization({*new, *listed}.difference(stale))
    return {os.path.join(folder, file): text for file, text in new.items()}, [os.path.join(folder, file) for file in stale]


def kustomization(files: Iterable[str]) -> str:
    """The kustomization.yaml that lists files of its folder."""
    return HEAD + "".join(f"- {file}\n" for file in sorted(files))


def _workflow(file: str) -> str:
    """What stands before `.<kind>.yaml`."""
    return file.rsplit(".", 2)[0]


def _listed(path: str) -> list[str]:
    """The resources of a kustomization.yaml that flowc wrote; one that holds anything else is the user's, and no place to write to."""
    if not os.path.lexists(path):
        return []
    text = load(path).decode(errors="replace")
    body = text.removeprefix(HEAD)
    if body == text or not re.fullmatch(r"(- [a-z0-9.-]+\n)*", body):
        raise PathError(f"{shown(path)} holds more than flowc writes; choose another --out-dir and list that folder in it")
    return [line.removeprefix("- ") for line in body.splitlines()]
