"""In: the arguments of commands that talk to a Kubernetes cluster. Out: the objects of a flow, the cluster, and what happened there."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from flowc.commands.options import Source, given
from flowc.commands.session import Talk, judge, one_file, one_flow
from flowc.report import printable

if TYPE_CHECKING:
    from flowc.run.apply import Cluster, Outcome
    from flowc.settings import Settings


def with_cluster(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of all commands that change a cluster."""
    dry = click.option("--dry-run", is_flag=True, help="Let the cluster check everything, and store nothing.")
    context = click.option("--context", metavar="NAME", help="Context of the kubeconfig, instead of the current one.")
    return dry(context(command))


def deployed(argument: str, target: str, flags: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str, Settings]:
    """The objects of the one flow that the argument names, the name of its deployment, and its settings."""
    from flowc.deployment.names import workflow_name
    from flowc.target import load

    if not load(target).kubernetes:
        raise click.UsageError(f"what {target} makes is not for a Kubernetes cluster")
    wanted = one_file(argument, "name one flow")
    sources = Source(given(flags), flags["settings"], flags["isolated"], flags["env"], target)
    judged = judge(wanted, sources, target, partial(one_flow, argument))
    Talk(flags["output_format"], flags["color"], sys.stderr).report([judged])
    if judged.failed:
        raise click.exceptions.Exit(1)
    settings, _ = sources.near(os.path.dirname(wanted.path))
    name = workflow_name(judged.checked.flows[0][0], settings)
    return [artifact.object for artifact in judged.compiled[0].artifacts], name, settings


@contextlib.contextmanager
def connected(namespace: str | None, context: str | None) -> Iterator[Cluster]:
    """The cluster; what it cannot do ends the command with exit code 1 and a sentence."""
    from flowc.run.apply import Cluster
    from flowc.run.kubernetes_api import ClusterError, connect

    try:
        yield Cluster(connect(namespace, context))
    except ClusterError as error:
        print(f"flowc: {printable(str(error))}", file=sys.stderr)
        raise click.exceptions.Exit(1) from error


def told(outcomes: Iterable[Outcome], suffix: str) -> None:
    """A line an object, on stderr."""
    for outcome in outcomes:
        print(f"flowc: {printable(str(outcome))}{suffix}", file=sys.stderr)
