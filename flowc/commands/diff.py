"""In: `flowc diff`, flows and a git revision or an environment. Out: what differs in meaning, on stdout; exit code 1 then."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flowc import config, target
from flowc.commands.files import PathError, Wanted, expand, shown
from flowc.commands.options import Command, Source, given, text_of, with_settings
from flowc.commands.project import flows_of, repository
from flowc.commands.revision import Tree, copied, physical, top_of
from flowc.commands.session import judge
from flowc.config import Project, SettingsError
from flowc.frontend.classes import NO_FLOW
from flowc.meaning import Change, changes, meaning
from flowc.option import HIDDEN, hidden
from flowc.report import counted
from flowc.report.changes import FORMATS, render

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flowc.settings import Settings


@click.command("diff", cls=Command, short_help="Say what changed in meaning, since a git revision or by --env.")
@with_settings
@click.argument("files", nargs=-1, metavar="[FLOW.py]...")
@click.option("--against", metavar="REV", help="The git revision to compare with (default: HEAD, where no --env is given).")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to write the differences.")
def diff_command(files: tuple[str, ...], against: str | None, form: str, **flags: Any) -> None:
    """Compare flows with what they were at a git revision, or the settings of --env with those without: steps, resources, images,
    schedules, parameters, settings, those of all environments where no --env is given. Without files, the flows that the settings file
    names. Exit code 1 where something differs.
    """
    now = Source(given(flags), flags["settings"], flags["isolated"], flags["env"])
    wanted = [each for argument in files for each in expand(argument)]
    if against is None and now.env is not None:
        wanted = wanted or _flows(now)
        before, after = _meanings(_named(wanted), replace(now, env=None)), _meanings(_named(wanted), now)
    else:
        wanted, before, had = _at_revision(wanted, now, against or "HEAD")
        left = [each for each in wanted if os.path.lexists(each.path) or _name(each.path) not in had]
        after = _meanings(_named(left), now, every=now.env is None)
    _refuse_unknown(wanted, {*before, *after})
    found = _compared(before, after)
    sys.stdout.write(render(found, form, len(after)))
    if found:
        raise click.exceptions.Exit(1)
    print(f"flowc: nothing differs in {counted(len(wanted), 'file')}", file=sys.stderr)


def _flows(sources: Source, tree: Tree | None = None) -> list[Wanted]:
    """The files that the settings name, paths from here also where the settings file was named by a link.

    A glob whose last flow was removed since the revision that the tree is of matches nothing.
    """
    file = sources.file and physical(sources.file)
    return [Wanted(path) for path in flows_of(replace(sources, file=file), other=tree.then if tree else None)]


def _name(path: str) -> str:
    return os.path.relpath(path).replace(os.sep, "/")


def _named(wanted: Sequence[Wanted]) -> dict[str, Wanted]:
    """By the name of the file. One that is wanted for several flows, or for all and for one, is wanted whole."""
    found: dict[str, Wanted] = {}
    for each in wanted:
        known = found.get(_name(each.path), each)
        found[_name(each.path)] = each if known.flow == each.flow else Wanted(each.path)
    return found


def _refuse_unknown(wanted: Sequence[Wanted], known: Collection[str]) -> None:
    for each in wanted:
        if each.flow is not None and f"{_name(each.path)}:{each.flow}" not in known:
            raise PathError(f"{shown(each.path)} has no flow {each.flow}, and had none")


def _compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Change]]:
    """The changes by `file:Flow`, for the flows that have any."""
    found = {}
    moved = _moved(before, after)
    for name in sorted({*before, *after} - set(moved.values())):
        old = moved.get(name, name)
        one, two = before.get(old), after.get(name)
        both = () if one is None or two is None else changes(_at(one, old, name), two)
        each = [_shown(change) for change in both] if one and two else [Change((), one and name, two and name)]
        was, now = (whole.rpartition(":")[::2] for whole in (old, name))
        each[:0] = [Change((kind,), *sides) for kind, *sides in zip(("file", "name"), was, now, strict=True) if sides[0] != sides[1]]
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
    """By `file:Flow` of a new flow that of a removed one that it was: the only two of that name, or else of that file and much alike."""
    found: dict[str, str] = {}
    for part in (2, 0):
        gone = [name for name in before if name not in after and name not in found.values()]
        new = [name for name in after if name not in before and name not in found]
        told = [[name.rpartition(":")[part] for name in side] for side in (gone, new)]
        for one, two in ((one, two) for one in gone for two in new if one.rpartition(":")[part] == two.rpartition(":")[part]):
            alone = all(side.count(one.rpartition(":")[part]) == 1 for side in told)
            if alone and (part == 2 or _alike(before[one], after[two])):
                found[two] = one
    return found


def _alike(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Whether most steps have the same names; every flow has a start and an end."""
    steps, others = ({*meant["steps"]} for meant in (one, two))
    return 2 * len(steps & others) > len(steps | others)


def _at(meant: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """The meaning with the flow's own file under the name that it has now."""
    was, now = (name.rpartition(":")[0].rpartition("/")[2] for name in (old, new))
    return {**meant, "code": {now if file == was else file: digest for file, digest in meant["code"].items()}}


def _meanings(wanted: Mapping[str, Wanted], sources: Source, *, every: bool = False, lenient: bool = False) -> dict[str, Any]:
    """By `file:Flow`, what each flow means; files by their names. PathError where a flow has errors, unless `lenient`.

    `every`: with what each environment has otherwise.
    """
    found: dict[str, Any] = {}
    known: dict[str, _Tables] = {}
    for name, each in wanted.items():
        judged = judge(Wanted(each.path), sources)
        if any(diagnostic.code is NO_FLOW for diagnostic in judged.found):
            continue
        if judged.failed and not lenient:
            raise PathError(f"{judged.path} has errors, so its meaning is not known: see `flowc check {judged.path}`")
        folder = os.path.dirname(each.path)
        if folder not in known:
            known[folder] = _tables(sources, folder, every)
        settings, own, targets = known[folder]
        for flow, graph in judged.checked.flows:
            if each.flow in (None, flow.name):
                meant = meaning(flow, graph, settings, own)
                found[f"{name}:{flow.name}"] = {**meant, "settings": {**meant["settings"], **targets}}
    return found


_Tables = tuple["Settings", dict[str, list["Settings"]], dict[str, list[str]]]


def _tables(sources: Source, folder: str, every: bool) -> _Tables:
    """What counts in a folder; by its name each table of a target and, for `every`, an environment, with those below it; the targets."""
    base, _ = sources.near(folder)
    project = _project(sources, folder)
    own: dict[str, list[Settings]] = {}
    targets = {"targets": list(project.targets)}
    # a repository says what it is for; elsewhere a table of any target may count
    for name in project.targets if project.said or project.flows else target.own():
        own[name] = [replace(sources, target=name).near(folder)[0], base]
    for env in _environments(sources, folder) if every else ():
        there = replace(sources, env=env)
        own[f"env.{env}"] = [there.near(folder)[0], base]
        its = _project(there, folder)
        if its.targets != project.targets:
            targets[f"env.{env}: targets"] = list(its.targets)
        for name in its.targets if its.said or its.flows else target.own():
            below = [own[f"env.{env}"][0], replace(sources, target=name).near(folder)[0]]
            own[f"env.{env}.{name}"] = [replace(there, target=name).near(folder)[0], *below]
    return base, own, targets


def _project(sources: Source, folder: str) -> Project:
    _, project = sources.project(folder) or ("", Project())
    return project


def _environments(sources: Source, folder: str) -> tuple[str, ...]:
    path = sources.settings_file(folder)
    text = path and text_of(path)
    return config.environments(text, shown(path)) if path and text else ()


def _at_revision(wanted: list[Wanted], now: Source, revision: str) -> tuple[list[Wanted], dict[str, Any], set[str]]:
    """The files wanted, where none is named those of the settings; their meanings at a revision, its settings and modules included, by
    the names that the files have from here; and those names.
    """
    found: dict[str, Any] = {}
    had: set[str] = set()
    by_top: dict[str, list[Wanted]] = {}
    named = bool(wanted)
    for each in wanted:
        by_top.setdefault(top_of(os.path.dirname(each.path)), []).append(each)
    if not named:
        repository(now)  # a mistake in the settings comes before those of git
        by_top[top_of(os.path.dirname(now.file or ""))] = []
    for top, its in by_top.items():
        with tempfile.TemporaryDirectory(prefix="flowc-diff-") as folder:
            tree = copied(top, revision, folder)
            wanted = wanted if named else _flows(now, tree)
            then = replace(now, file=now.file and tree.then(now.file))
            pairs = ((name, replace(each, path=tree.then(each.path))) for name, each in _named(its).items())
            files = {name: each for name, each in pairs if os.path.isfile(each.path)}
            had |= {*files}
            found |= _in_copy(tree, files if named else None, then, revision)
    return wanted, found, had


def _in_copy(tree: Tree, files: Mapping[str, Wanted] | None, then: Source, revision: str) -> dict[str, Any]:
    """The meanings of these files of the copy of a revision, or of all that its settings name."""
    try:
        if files is None:
            base = os.path.dirname(then.file) if then.file else tree.then(os.path.join(os.getcwd(), ""))
            while not os.path.isdir(base):  # a folder that is new since
                base = os.path.dirname(base)
            paths = [os.path.abspath(path) for path in flows_of(then, base, other=tree.now)]
            files = {tree.now(path).replace(os.sep, "/"): Wanted(path) for path in paths}
        return _meanings(files, then, every=then.env is None, lenient=True)
    except (PathError, SettingsError) as error:
        # as where a change brings flowc, an environment or the first flow of a folder
        print(f"flowc: all flows are new: at {revision}, {tree.told(str(error))}", file=sys.stderr)
        return {}
