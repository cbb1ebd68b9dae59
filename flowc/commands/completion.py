"""In: `flowc completion bash`. Out: on stdout, what that shell needs to complete flowc's commands, options and values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from click.types import StringParamType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from click.shell_completion import CompletionItem

VARIABLE = "_FLOWC_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print what a shell needs to complete commands.")
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


class Words(StringParamType):
    """The type of a parameter while a shell asks what may stand there: a path (which the shell itself completes), or one of some words."""

    def __init__(self, path: str, words: Sequence[str] = ()) -> None:
        self.path, self.words = path, words

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        from click.shell_completion import CompletionItem

        if self.path:
            return [CompletionItem(incomplete, type=self.path)]
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


def answer(group: click.Group) -> int:
    """Print the words that may follow, as the shell's script asks by the environment."""
    from click.shell_completion import shell_complete

    typed = os.environ.get("COMP_WORDS", "").split()
    for command in _typed(group, typed):
        for param in command.params:
            param.type = _words(param, typed) or param.type
    try:
        return shell_complete(group, {}, "flowc", VARIABLE, os.environ[VARIABLE])
    except click.ClickException:  # a command that there is not: it is told when the line is run
        return 0


def _typed(group: click.Group, words: Iterable[str]) -> Iterable[click.Command]:
    """The command that the words name, and those below it."""
    ctx = click.Context(group)
    found: click.Command | None = group
    for word in words:
        if isinstance(found, click.Group) and (below := found.get_command(ctx, word)) is not None:
            found = below
            yield below


def _words(param: click.Parameter, typed: Sequence[str]) -> Words | None:
    """What may stand for the parameter, by what its help calls it; None where click knows."""
    shown = param.metavar or ""
    if any(kind in shown for kind in ("FILE", "FLOW.py", ".json", "PATH")):
        return Words("file")
    if any(kind in shown for kind in ("DIR", "FOLDER")):
        return Words("dir")
    if shown == "TARGET" or param.name == "target":
        from flowc import target

        return Words("", target.names())
    if shown == "STEP":
        return Words("", _steps(typed))
    if param.name == "env":
        return Words("", _environments())
    if param.name == "code" and isinstance(param, click.Argument):
        from flowc.commands.session import known_codes

        return Words("", sorted(known_codes()))
    return None


def _environments() -> Sequence[str]:
    """Those of the settings file that counts here; none where it cannot be read, which is no time to say so."""
    from flowc import config
    from flowc.commands.files import PathError
    from flowc.commands.options import Source, text_of

    try:
        path = Source({}).settings_file(os.curdir)
        return () if path is None else config.environments(text_of(path) or "", os.path.basename(path))
    except (PathError, config.SettingsError):
        return ()


def _steps(typed: Sequence[str]) -> Sequence[str]:
    """The steps of the first flow that was typed."""
    from flowc.commands.files import PathError, Wanted
    from flowc.commands.options import Source
    from flowc.commands.session import judge
    from flowc.config import SettingsError

    path, _, name = next((word for word in typed if ".py" in word), "").partition(":")
    try:
        return [step for flow, _ in judge(Wanted(path, name or None), Source({})).checked.flows for step in flow.steps]
    except (PathError, SettingsError):
        return ()
