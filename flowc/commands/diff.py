"""In: `flowc diff`, flows and a git revision or an environment. Out: what differs in meaning, on stdout; exit code 1 then."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import click

from flowc import config, target
from flowc.commands.files import PathError, Wanted, expand, shown
from flowc.commands.options import Command, Source, given, with_settings
from flowc.commands.project import flows_of
from flowc.commands.session import judge
from flowc.config import SettingsError
from flowc.frontend.classes import NO_FLOW
from flowc.meaning import Change, changes, meaning, plain
from flowc.option import HIDDEN, hidden
from flowc.report import counted
from flowc.report.changes import FORMATS, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.settings import Settings


@click.command("diff", cls=Command, short_help="Say what differs in meaning.")
@with_settings
@click.argument("files", nargs=-1, metavar="[FLOW.py]...")
@click.option("--against", metavar="REV", help="The git revision to compare with (default: HEAD, where no --env is given).")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to write the differences.")
def diff_command(files: tuple[str, ...], against: str | None, form: str, **flags: Any) -> None:
    """Compare flows with what they were at a git revision, or the settings of --env with those without: steps, resources, images,
    schedules, parameters, settings. Without files, the flows that the settings file names. Exit code 1 where something differs.
    """
    now = Source(given(flags), flags["settings"], flags["isolated"], flags["env"])
    wanted = [each.path for argument in files for each in expand(argument)] if files else flows_of(now)
    if against is None and now.env is not None:
        found = _compared(_meanings(wanted, replace(now, env=None)), _meanings(wanted, now))
    else:
        with tempfile.TemporaryDirectory(prefix="flowc-diff-") as folder:
            found = _compared(_at_revision(wanted, now, against or "HEAD", folder, named=bool(files)), _meanings(wanted, now))
    sys.stdout.write(render(found, form))
    if found:
        raise click.exceptions.Exit(1)
    print(f"flowc: nothing differs in {counted(len(wanted), 'file')}", file=sys.stderr)


def _compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Change]]:
    """The changes by `file:Flow`, for the flows that have any."""
    found = {}
    moved = _moved(before, after)
    for name in sorted({*before, *after} - set(moved.values())):
        old = moved.get(name, name)
        one, two = before.get(old), after.get(name)
        both = () if one is None or two is None else changes(_at(one, old, name), two)
        each = [_shown(change) for change in both] if one and two else [Change((), one and name, two and name)]
        if old != name:
            each.insert(0, Change(("file",), old.rpartition(":")[0], name.rpartition(":")[0]))
        if each:
            found[name] = each
    return found


def _shown(change: Change) -> Change:
    """The change with what may not be shown of a setting hidden."""
    option = config.BY_KEY.get(change.path[-1].rpartition(": ")[2].replace("_", "-")) if change.path[0] == "settings" else None
    if option is None or not option.secret:
        return change
    before, after = (HIDDEN if hidden(option, value) else value for value in (change.before, change.after))
    return Change(change.path, before, after)


def _moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """By `file:Flow` of a new flow that of a removed one: the only two of that name, so the flow has moved to another file."""
    gone, new = ([name for name in here if name not in there] for here, there in ((before, after), (after, before)))
    names = [[each.rpartition(":")[2] for each in side] for side in (gone, new)]
    pairs = ((one, two) for one in gone for two in new if one.rpartition(":")[2] == two.rpartition(":")[2])
    return {two: one for one, two in pairs if all(side.count(two.rpartition(":")[2]) == 1 for side in names)}


def _at(meant: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """The meaning with the flow's own file under the name that it has now."""
    was, now = (name.rpartition(":")[0].rpartition("/")[2] for name in (old, new))
    return {**meant, "code": {now if file == was else file: digest for file, digest in meant["code"].items()}}


def _meanings(paths: Sequence[str], sources: Source, base: str = os.curdir, *, lenient: bool = False) -> dict[str, Any]:
    """By `file:Flow` (file relative to `base`), what each flow means. PathError where a flow has errors, unless `lenient`."""
    found = {}
    for path in paths:
        judged = judge(Wanted(path), sources)
        if any(diagnostic.code is NO_FLOW for diagnostic in judged.found):
            continue
        if judged.failed and not lenient:
            raise PathError(f"{judged.path} has errors, so its meaning is not known: see `flowc check {judged.path}`")
        settings, apart = _settings(sources, os.path.dirname(path))
        name = os.path.relpath(path, base).replace(os.sep, "/")
        for flow, graph in judged.checked.flows:
            meant = meaning(flow, graph, settings)
            found[f"{name}:{flow.name}"] = {**meant, "settings": {**meant["settings"], **apart}}
    return found


def _settings(sources: Source, folder: str) -> tuple[Settings, dict[str, Any]]:
    """Those of a folder, and by `target: field` what a target has otherwise."""
    settings, _ = sources.near(folder)
    apart = {}
    for name in target.own():
        own, _ = replace(sources, target=name).near(folder)
        for field in (each.name for each in fields(own)):
            if getattr(own, field) != getattr(settings, field):
                apart[f"{name}: {field}"] = plain(getattr(own, field))
    return settings, apart


def _at_revision(paths: Sequence[str], now: Source, revision: str, folder: str, *, named: bool) -> dict[str, Any]:
    """The meanings at a revision, its settings and modules included, read from a copy of its tree in a temporary folder."""
    top = _git("rev-parse", "--show-toplevel").decode().strip()
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    cut = _git("rev-parse", "--is-shallow-repository").strip() == b"true"
    hint = "; this clone is shallow: fetch all of it (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)" if cut else ""
    commit = _git(*asked, wrong=f"there is no revision {revision!r}{hint}").decode().strip()
    with tarfile.open(fileobj=io.BytesIO(_git("-C", top, "archive", "--format=tar", commit))) as tree:
        tree.extractall(folder, filter=_inside)  # noqa: S202 - the filter is tarfile's for data, less the links that it refuses
    os.mkdir(os.path.join(folder, ".git"))  # settings are looked for up to the repository's root
    here = os.path.relpath(os.path.realpath(os.curdir), os.path.realpath(top))
    base = os.path.normpath(os.path.join(folder, here))
    then = replace(now, file=now.file and _then(now.file, top, folder))
    try:
        if named:
            files = [path for each in paths if os.path.isfile(path := os.path.join(base, os.path.relpath(each)))]
        else:
            files = flows_of(then, base) if os.path.isdir(base) else []
        return _meanings(files, then, base, lenient=True)
    except (PathError, SettingsError) as error:
        # as where a change brings flowc, an environment or the first flow of a folder
        print(f"flowc: all flows are new: at {revision}, {str(error).replace(os.path.join(folder, ''), '')}", file=sys.stderr)
        return {}


def _then(file: str, top: str, folder: str) -> str:
    """Where the settings file stands in the copy of the repository's tree; itself where it is not in the repository."""
    inside = os.path.relpath(os.path.realpath(file), os.path.realpath(top))
    return file if inside.split(os.sep)[0] == os.pardir else os.path.join(folder, inside)


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """The member as it may stand in the folder; None for a link that leads out of it, where a flow reads nothing."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        return None


def _git(*arguments: str, wrong: str = "") -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise PathError("git was not found, and a revision is read by it") from error
    if done.returncode:
        raise PathError(wrong or f"git {arguments[0]}: {shown(done.stderr.decode(errors='replace').strip())}")
    return done.stdout
