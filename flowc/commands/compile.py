"""In: `flowc compile FLOW.py --target argo`. Out: the flow's manifests on stdout, in one file, or in a folder with a kustomization.yaml."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.files import PathError, expand, load, shown, write
from flowc.commands.options import Command, Source, given, known_target, with_settings
from flowc.commands.session import Talk, judge, with_report
from flowc.config import did_you_mean
from flowc.output import Artifact, stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.ir import Flow

KUSTOMIZATION = "kustomization.yaml"
HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"


@click.command("compile", cls=Command, short_help="Write a flow's manifests.")
@click.argument("flow", metavar="FLOW.py[:NAME]")
@click.option("-t", "--target", required=True, callback=known_target, metavar="TARGET", help="What to compile for: see `flowc targets`.")
@click.option("-o", "--output", metavar="FILE", help="Write one stream to this file instead of stdout.")
@click.option("--out-dir", metavar="DIR", help="Write one file an object into this folder, and a kustomization.yaml that lists them.")
@with_report
@with_settings
def compile_command(flow: str, target: str, output: str | None, out_dir: str | None, output_format: str, color: str, **flags: Any) -> None:
    """Compile the flow in FLOW.py (the one called NAME, where it holds several) to manifests.

    They go to stdout as one YAML stream, unless -o or --out-dir says where to. All talk goes to stderr. Where the flow has an
    error nothing is written. Every setting can also stand in flowc.toml, or under [tool.flowc] of pyproject.toml.
    """
    if output is not None and out_dir is not None:
        raise click.UsageError("-o and --out-dir exclude one another")
    wanted = expand(flow)
    if len(wanted) != 1:
        raise click.UsageError(f"{flow} names {len(wanted)} files; compile takes one flow")
    chosen = given(flags)
    judged = judge(wanted[0], Source(chosen, flags["settings"], flags["isolated"], flags["env"]), target, _only_one(flow, chosen))
    Talk(output_format, color, sys.stderr).report([judged])
    if judged.failed:
        raise click.exceptions.Exit(1)
    artifacts = judged.compiled[0].artifacts
    if out_dir is not None:
        _write_folder(out_dir, artifacts)
    elif output is not None and output != "-":
        write({output: stream(artifacts)})
    else:
        sys.stdout.buffer.write(stream(artifacts).encode())
        sys.stdout.buffer.flush()


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


def _write_folder(folder: str, artifacts: Sequence[Artifact]) -> None:
    """Write the artifacts and list them; what an earlier compile of the same flow wrote and this one does not is removed."""
    new = {artifact.file: artifact.text for artifact in artifacts}
    listed = _listed(os.path.join(folder, KUSTOMIZATION))
    workflows = {_workflow(file) for file in new}
    stale = [file for file in listed if file not in new and _workflow(file) in workflows]
    resources = sorted({*new, *listed}.difference(stale))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise PathError(f"{shown(folder)} cannot be made: {error.strerror}") from error
    texts = {**new, KUSTOMIZATION: HEAD + "".join(f"- {file}\n" for file in resources)}
    write({os.path.join(folder, file): text for file, text in texts.items()})
    for file in stale:
        if os.path.exists(os.path.join(folder, file)):
            os.unlink(os.path.join(folder, file))


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
