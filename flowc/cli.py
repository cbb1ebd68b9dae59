"""In: the command line. Out: an exit code: 0 fine, 1 diagnostics, 2 wrong usage, 3 a bug of flowc, 130 interrupted."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "init": "flowc.commands.init",
    "check": "flowc.commands.check",
    "fix": "flowc.commands.fix",
    "explain": "flowc.commands.explain",
    "compile": "flowc.commands.compile",
    "diff": "flowc.commands.diff",
    "graph": "flowc.commands.graph",
    "config": "flowc.commands.config",
    "targets": "flowc.commands.targets",
    "graduate": "flowc.commands.graduate",
    "run": "flowc.commands.run",
    "apply": "flowc.commands.apply",
    "delete": "flowc.commands.delete",
    "compare": "flowc.commands.compare",
    "completion": "flowc.commands.completion",
}
"""In the order of the help: what a repository begins with, what it lives by, what goes beyond."""
EXIT_CODES = """\b
Exit codes:
  0    done
  1    the flow has errors, nothing was written (check and fix: unless
       --exit-zero); its run failed; or something differs or was changed
       (compile --check or --exit-non-zero-on-change, diff, compare, fix --diff)
  2    wrong usage: a flag, a path, a settings file
  3    a bug of flowc
  130  interrupted
"""


class Lazy(click.Group):
    """The group of all commands, each imported when it is called: `flowc explain` need not load the compiler."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        import importlib

        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), f"{cmd_name}_command")
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from flowc.config import did_you_mean

            ctx.fail(f"there is no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Lazy, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.option("--version", is_flag=True, help="Show flowc's version and exit.")
@click.pass_context
def flowc(ctx: click.Context, version: bool) -> None:
    """Compile Metaflow flows, read as text and never imported, for the engines that run them."""
    if version:
        from flowc import __version__

        click.echo(f"flowc {__version__}")
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        raise click.exceptions.Exit(2)


class Careless(io.TextIOWrapper):
    """A standard error that may be full, or whose reader may have gone: what cannot be said changes no exit code."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def _take_streams() -> None:
    """Streams that every command can use, also where the caller closed one: Python has none then, and print() would take the other."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull)  # noqa: SIM115, PTH123 - to write there fails, as it should
    raw = open(os.devnull, "wb") if sys.stderr is None else sys.stderr.buffer  # noqa: SIM115, PTH123
    sys.stderr = Careless(raw, getattr(sys.stderr, "encoding", None), "backslashreplace", line_buffering=True)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point: run a command and leave the process with its exit code."""
    # hardly a cycle is made in a compile: looking for them costs more than it frees
    gc.set_threshold(100_000)
    _take_streams()
    code = run(arguments)
    # taking every module apart at exit costs a sixth of a small compile, for a process that ends anyway
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; nothing but a bug of Python itself escapes."""
    if "_FLOWC_COMPLETE" in os.environ:
        from flowc.commands.completion import answer

        return answer(flowc)
    try:
        # not `flowc.main(...)`: that has its own exit codes for an interrupt and a broken pipe
        with flowc.make_context("flowc", list(sys.argv[1:] if arguments is None else arguments)) as ctx:
            flowc.invoke(ctx)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("flowc: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # who read the output has gone; Python's own flush at exit must not fail on the same pipe again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001 - here a bug becomes an exit code and a report
        from flowc.commands.failure import exit_code

        return exit_code(error)
    return 0


if __name__ == "__main__":
    main()
