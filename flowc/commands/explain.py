"""In: `flowc explain FC203` or `flowc targets`. Out: the page of a code, the list of codes, or the targets with the versions they know."""

from __future__ import annotations

import click

from flowc.config import OPTIONS, did_you_mean
from flowc.settings import Settings


@click.command("explain", short_help="Explain a diagnostic.")
@click.argument("code", required=False)
def explain_command(code: str | None) -> None:
    """Print the page of CODE, such as FC203: what it means, a flow that has it, and one that has not. Without CODE, list all codes."""
    from flowc.commands.session import known_codes
    from flowc.diagnostics import REGISTRY
    from flowc.report.page import listing, page

    known = sorted(known_codes())
    if code is None:
        click.echo(listing([REGISTRY[each] for each in known]), nl=False)
    elif code.upper() in REGISTRY:
        click.echo(page(REGISTRY[code.upper()]), nl=False)
    else:
        raise click.UsageError(f"there is no diagnostic {code!r}{did_you_mean(code, known)}")


@click.command("targets", short_help="List the targets.")
def targets_command() -> None:
    """List what flowc compiles for, and the versions of each engine that it knows, the default marked."""
    from flowc import target

    by_field = {option.field: option for option in OPTIONS}
    for name in target.names():
        click.echo(f"{name}: {target.load(name).summary}")
        field = f"{name.replace('-', '_')}_version"
        if field in by_field:
            default = getattr(Settings(), field)
            versions = [f"{version} (default)" if version == default else version for version in by_field[field].choices]
            click.echo(f"  versions, by --{by_field[field].key}: {', '.join(versions)}")
