"""In: `flowc completion bash`. Out: on stdout, what that shell needs to complete flowc's commands, options and values."""

from __future__ import annotations

import os

import click

VARIABLE = "_FLOWC_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print a shell's completion.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete flowc.

    For bash and zsh: `source <(flowc completion bash)`; for fish: `flowc completion fish | source`.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None, shell
    # click's own script for bash asks the shell on this machine for its version; the text is the same without
    script = made(ctx.find_root().command, {}, "flowc", VARIABLE)
    click.echo(script.source_template % script.source_vars())


def answer(group: click.Group) -> int:
    """Print the words that may follow, as the shell's script asks by the environment."""
    from click.shell_completion import shell_complete

    return shell_complete(group, {}, "flowc", VARIABLE, os.environ[VARIABLE])
