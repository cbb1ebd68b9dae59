"""In: `flowc apply FLOW.py --target T`. Out: the flow's objects in a Kubernetes cluster, or what applying them would change."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.cluster import connected, deployed, told, with_cluster
from flowc.commands.options import Command, known_target, with_settings
from flowc.commands.session import with_report
from flowc.output.dump import dump
from flowc.report import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowc.run.apply import Outcome
    from flowc.run.taking import Foreign


@click.command("apply", cls=Command, short_help="Apply a flow's manifests to a cluster.")
@click.argument("flow", metavar="FLOW.py[:NAME]")
@click.option("-t", "--target", required=True, callback=known_target, metavar="TARGET", help="What to compile for: see `flowc targets`.")
@click.option("--diff", is_flag=True, help="Show on stdout what changes in the cluster, field by field.")
@click.option("--prune", is_flag=True, help="Delete what an earlier `flowc apply` of this flow made and the flow no longer has.")
@click.option("--replace", "take", is_flag=True, help="Take over workflows that something else made; fields that the flow does not set go.")
@click.option("--force-conflicts", is_flag=True, help="Take over fields that another manager (kubectl, Argo CD) has set.")
@with_cluster
@with_report
@with_settings
def apply_command(
    flow: str, target: str, diff: bool, prune: bool, take: bool, force_conflicts: bool, dry_run: bool, **flags: Any
) -> None:
    """Compile the flow in FLOW.py and apply its objects to the cluster of the kubeconfig, or that of the pod.

    Objects are applied on the server's side, by the manager `flowc`. First all of them are tried without storing anything: where the
    server refuses one, nothing is changed and the exit code is 1. Where a workflow that Metaflow deployed has fields that would stay
    beside the flow's, nothing is changed either, and the exit code is 2: --replace takes it over.
    """
    objects, name, settings = deployed(flow, target, flags)
    with connected(settings.namespace, flags["context"]) as cluster:
        from flowc.run import apply, taking

        label = apply.deployment(target, name)
        wanted = [apply.labelled(value, label) for value in apply.ordered(objects)]
        others = taking.foreign(cluster, wanted)
        _refuse_mixed([] if take else others)
        taken = others if take else []
        tried = list(taking.applied(cluster, wanted, taken, dry_run=True, force=force_conflicts))
        if diff:
            sys.stdout.write("".join(differences(tried)))
            sys.stdout.flush()
        if any(outcome.failed for outcome in tried):
            told((outcome for outcome in tried if outcome.failed), "")
            print("flowc: nothing was applied", file=sys.stderr)
            raise click.exceptions.Exit(1)
        done = tried if dry_run else list(taking.applied(cluster, wanted, taken, dry_run=False, force=force_conflicts))
        if prune and not any(outcome.failed for outcome in done):
            jobs = [value["metadata"]["name"] for value in wanted if value["kind"] == "Job"]
            done += apply.remove(cluster, _stale(cluster, wanted, label), dry_run=dry_run, spare=True, current=jobs)
        told(done, " (dry run)" if dry_run else "")
        if any(outcome.failed for outcome in done):
            raise click.exceptions.Exit(1)


def _refuse_mixed(others: Iterable[Foreign]) -> None:
    """Exit with 2 where an apply would make objects that are neither theirs nor the flow's, as an `onExit` without its template."""
    mixed = [each for each in others if each.left]
    for each in mixed:
        print(f"flowc: {printable(str(each))}", file=sys.stderr)
    if mixed:
        print("flowc: nothing was applied", file=sys.stderr)
        raise click.exceptions.Exit(2)


def _stale(cluster: Any, wanted: list[dict[str, Any]], label: str) -> list[dict[str, Any]]:
    from flowc.run import apply

    places = [cluster.api.namespace, *(cluster.namespace_of(value) for value in wanted)]
    current = {_key(cluster, value) for value in wanted}
    kinds = [(value["apiVersion"], value["kind"]) for value in wanted]
    return [value for value in apply.found(cluster, label, places, kinds) if _key(cluster, value) not in current]


def _key(cluster: Any, value: Mapping[str, Any]) -> tuple[str, str, str]:
    return value["kind"], cluster.namespace_of(value), value["metadata"]["name"]


def differences(outcomes: Iterable[Outcome]) -> Iterable[str]:
    """A unified diff an object that changes, the cluster's state before and after as YAML."""
    for outcome in outcomes:
        if outcome.what in ("created", "configured", "deleted"):
            file = f"{outcome.namespace}/{outcome.kind}/{outcome.name}"
            before, after = (dump(value).splitlines(keepends=True) if value else [] for value in (outcome.before, outcome.after))
            yield from difflib.unified_diff(before, after, f"cluster/{file}", f"applied/{file}")
