"""In: `flowc explain FC203`. Out: the page of the code, or the list of codes."""

from __future__ import annotations

import click

from flowc.config import did_you_mean


@click.command("explain", short_help="Explain the code of a diagnostic, or list all.")
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
