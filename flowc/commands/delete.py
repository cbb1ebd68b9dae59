"""In: `flowc delete FLOW.py --target T`. Out: what `flowc apply` made of the flow, gone from the cluster."""

from __future__ import annotations

import sys
from typing import Any

import click

from flowc.commands.cluster import connected, deployed, told, with_cluster
from flowc.commands.options import Command, known_target, with_settings
from flowc.commands.session import with_report


@click.command("delete", cls=Command, short_help="Delete from a cluster what `flowc apply` made.")
@click.argument("flow", metavar="FLOW.py[:NAME]")
@click.option("-t", "--target", required=True, callback=known_target, metavar="TARGET", help="The target that it was applied for.")
@with_cluster
@with_report
@with_settings
def delete_command(flow: str, target: str, dry_run: bool, **flags: Any) -> None:
    """Delete what `flowc apply` made of the flow in FLOW.py, with its runs. Artifacts stay in the datastore.

    Found by the label that `flowc apply` puts on; what was applied in another way is left alone, and named.
    """
    objects, name, settings = deployed(flow, target, flags)
    with connected(settings.namespace, flags["context"]) as cluster:
        from flowc.run import apply

        label = apply.deployment(target, name)
        places = [cluster.api.namespace, *(cluster.namespace_of(value) for value in objects)]
        found = apply.found(cluster, label, places, [(str(value["apiVersion"]), str(value["kind"])) for value in objects])
        done = list(apply.remove(cluster, found, dry_run=dry_run, spare=False))
        told(done, " (dry run)" if dry_run else "")
        ours = {(value["kind"], value["metadata"]["name"]) for value in found}
        for value in objects:
            kind, one = str(value["kind"]), str(value["metadata"]["name"])
            path = cluster.address(str(value["apiVersion"]), kind, cluster.namespace_of(value), one)
            if (kind, one) not in ours and path and cluster.get(path):
                print(f"flowc: {kind} {one} was not made by `flowc apply`, and is left alone", file=sys.stderr)
        if not found:
            print(f"flowc: `flowc apply` made nothing of this flow in {cluster.api.namespace}", file=sys.stderr)
        if any(outcome.failed for outcome in done):
            raise click.exceptions.Exit(1)
