"""In: `flowc completion bash`. Out: on stdout, what that shell needs to complete flowc's commands, options and values."""

from __future__ import annotations

import os

import click

VARIABLE = "_FLOWC_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print a shell's completion.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print what SHELL needs to complete flowc.

    For bash and zsh: `source <(flowc completion bash)`; for fish: `flowc completion fish | source`.
    """
    from click.shell_completion import get_completion_class

    from flowc.cli import flowc

    made = get_completion_class(shell)
    assert made is not None, shell
    # click's own script for bash asks the shell on this machine for its version; the text is the same without
    script = made(flowc, {}, "flowc", VARIABLE)
    click.echo(script.source_template % script.source_vars())


def answer() -> int:
    """Print the words that may follow, as the shell's script asks by the environment."""
    from click.shell_completion import shell_complete

    from flowc.cli import flowc

    return shell_complete(flowc, {}, "flowc", VARIABLE, os.environ[VARIABLE])
