"""In: `terraform output -json | flowc config import -`. Out: the settings file with what Terraform made, and the manifests that name it."""

from __future__ import annotations

import difflib
import os
import sys

import click

from flowc import config
from flowc.commands.files import PathError, above, load, shown
from flowc.commands.options import Command, Source, given, known_target, with_settings
from flowc.commands.writing import write
from flowc.config import SettingsError

LIMIT = 1 << 20


class _Showing(click.Group):
    """A group whose command is `show` where none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = args[:1] and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["show", *args])


@click.group("config", cls=_Showing, short_help="Show the settings that count, or take them from elsewhere.")
def config_command() -> None:
    """Work on settings. `flowc config` alone is `flowc config show`."""


@config_command.command("show", cls=Command, short_help="Show each setting and where it comes from.")
@click.argument("folder", default=".", metavar="[FOLDER]")
@click.option("--all", "everything", is_flag=True, help="Also those that have their default.")
@click.option("-t", "--target", callback=known_target, metavar="TARGET", help="Those of flows that are compiled for this target.")
@click.option("--as", "form", type=click.Choice(["toml", "json"]), default="toml", show_default=True, help="How to write them.")
@with_settings
def show_command(folder: str, everything: bool, target: str | None, form: str, **flags: object) -> None:
    """Print the settings that count for flows in FOLDER, as a settings file would have them, each with where it comes from."""
    from flowc.commands.config_show import settings_text
    from flowc.commands.unknown_targets import tell_unknown_targets

    if not os.path.isdir(folder):
        raise PathError(f"{folder}: there is no such folder, nor a command of `flowc config`")
    sources = Source(given(flags), *(flags[name] for name in ("settings", "isolated", "env")), target)  # type: ignore[call-arg,arg-type]
    click.echo(settings_text(sources, folder, form, everything), nl=False)
    tell_unknown_targets(sources, folder)


@config_command.command("schema", short_help="Print the JSON Schema of a settings file.")
def schema_command() -> None:
    """Print the JSON Schema of flowc.toml, for editors. It stands in flowc's repository too, as schemas/settings.json."""
    import json

    from flowc.commands.config_show import schema

    click.echo(json.dumps(schema(), indent=1))


@config_command.command("import", short_help="Take settings from Terraform's outputs.")
@click.argument("outputs", metavar="FILE")
@click.option("--settings", metavar="FILE", help="The settings file to write, instead of the nearest flowc.toml or pyproject.toml.")
@click.option("--env", metavar="NAME", help="Write into the table of this environment, [tool.flowc.env.NAME].")
@click.option("--manifests", metavar="DIR", help="Also write ConfigMap and accounts into this folder, a copy of flowc's deploy/eks.")
@click.option("--dry-run", "--diff", "dry_run", is_flag=True, help="Show what would change, and write nothing.")
def import_command(outputs: str, settings: str | None, env: str | None, manifests: str | None, dry_run: bool) -> None:
    """Write what Terraform made into the settings file: datastore, namespace, accounts, queue, roles.

    FILE is what `terraform output -json` wrote, `-` is stdin. Keys that Terraform does not know, comments and order stay as they
    are. Outputs that flowc does not know are passed over with a note; one that it needs and misses is an error, and nothing is
    written.
    """
    from flowc.commands import importing

    name, text = _input(outputs)
    found = importing.read(text, name)
    path = settings or _nearest()
    before = _text(path) if os.path.lexists(path) else ""
    files = {path: importing.edited(before, shown(path), found.settings, env)}
    if manifests is not None:
        if found.platform != "kubernetes":
            raise click.UsageError(f"--manifests is for Kubernetes; these outputs are of {found.platform}")
        _same_namespace(manifests, found.values["namespace"])
        files |= {os.path.join(manifests, file): body for file, body in importing.manifests(found).items()}
    for note in found.notes:
        print(f"flowc: note: {note}", file=sys.stderr)
    _finish(files, dry_run)


def _finish(files: dict[str, str], dry_run: bool) -> None:
    """Write what changes, or show it as one unified diff."""
    before = {path: _text(path) if os.path.lexists(path) else "" for path in files}
    changed = {path: text for path, text in files.items() if text != before[path]}
    if dry_run:
        for path, text in changed.items():
            name = shown(path)
            lines = difflib.unified_diff(before[path].splitlines(keepends=True), text.splitlines(keepends=True), name, name)
            sys.stdout.writelines(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    else:
        write(changed)
    for path in files:
        if path not in changed:
            print(f"flowc: {shown(path)} is current", file=sys.stderr)
        elif not dry_run:
            print(f"flowc: wrote {shown(path)}", file=sys.stderr)


def _input(path: str) -> tuple[str, str]:
    """The name to call it by, and the text."""
    if path != "-":
        return shown(path), _text(path)
    try:
        return "stdin", sys.stdin.buffer.read(LIMIT + 1).decode()
    except UnicodeDecodeError as error:
        raise PathError("stdin is not UTF-8") from error


def _text(path: str) -> str:
    try:
        return load(path, LIMIT).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PathError(f"{shown(path)} is not UTF-8") from error


def _nearest() -> str:
    """The settings file that counts here; where there is none, the pyproject.toml of this folder, else a new flowc.toml."""
    for folder in above(os.curdir):
        for path in (os.path.join(folder, name) for name in config.FILES):
            if os.path.isfile(path) and config.parse(_text(path), shown(path)) is not None:
                return path
    return "pyproject.toml" if os.path.isfile("pyproject.toml") else config.FILES[0]


def _same_namespace(folder: str, namespace: str) -> None:
    """Refuse a folder whose kustomization builds for another namespace: the accounts' roles trust one alone."""
    base = os.path.join(folder, os.pardir, "base", "kustomization.yaml")
    if not os.path.isdir(folder):
        raise PathError(f"{shown(folder)} is no folder; copy deploy/ of flowc's repository and name its eks folder")
    if not os.path.isfile(base):
        return
    import yaml

    built = (yaml.safe_load(_text(base)) or {}).get("namespace")
    if built != namespace:
        raise SettingsError(
            f"Terraform's namespace is {namespace}, that of {shown(base)} is {built}; set `namespace:` there to Terraform's"
        )
