"""In: a settings file. Out: the Repository that it describes: which files hold its flows, what they are compiled for, and where to."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowc.commands.digests import digest
from flowc.commands.files import PathError, shown
from flowc.commands.ignores import for_no_flow
from flowc.commands.matching import matching
from flowc.commands.unknown_targets import none_such, tell_unknown_targets
from flowc.config import Project, SettingsError
from flowc.report import printable
from flowc.settings import Settings
from flowc.target import exists as target_exists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowc.commands.options import Source


@dataclass(frozen=True, slots=True)
class Repository:
    """The folder of the settings file, what is compiled of it, and where the outputs go (a folder that exists or not)."""

    root: str
    project: Project
    sources: Source

    @property
    def out(self) -> str:
        return os.path.join(self.root, self.project.out)

    def files(self, other: str | None = None) -> list[str]:
        """The files that the globs match, relative to the root, sorted. PathError where one matches none, here and, if given, in `other`.

        SettingsError for one that no settings file counts for: it would be compiled as if there were none.
        """
        found: set[str] = set()
        for pattern in self.project.flows:
            matches = matching(pattern, self.root)
            if not matches and (other is None or not matching(pattern, other)):
                raise PathError(f"flows: {_no_match(pattern, self.root)}")
            found.update(matches)
        for folder, path in {os.path.dirname(path): path for path in sorted(found, reverse=True)}.items():
            self._refuse_lost(folder, path)
        return sorted(path.replace(os.sep, "/") for path in found)

    def _refuse_lost(self, folder: str, path: str) -> None:
        if replace(self.sources, env=None).settings_file(os.path.join(self.root, folder)) is None:
            ours, _ = self.sources.project(self.root) or ("", None)
            where = "outside its folder" if path.startswith((os.pardir, os.sep)) else "in a git repository of its own"
            lost = f"{path} stands {where}, where {shown(ours)} does not count"
            raise SettingsError(f"flows: {printable(lost)}: add `--settings {shown(ours)}`, or put a flowc.toml there")

    def told(self) -> list[str]:
        """The files, after a warning on stderr for each glob of `per-file-ignores` that is for none of them, and each unknown target."""
        files = self.files()
        tell_unknown_targets(self.sources, self.root)
        for glob in for_no_flow(self.project, files):
            path, _ = self.sources.project(self.root) or ("", None)
            print(f"flowc: warning: {printable(f'{shown(path)}: per-file-ignores: {glob!r} matches no flow')}", file=sys.stderr)
        return files

    def fingerprints(self, files: Sequence[str]) -> dict[str, str]:
        """By file, a digest of the settings that count for the flow in it."""
        found, settings = {}, {}
        for path in files:
            full = os.path.join(self.root, path)
            folder = os.path.dirname(full)
            if folder not in settings:
                near = {target: replace(self.sources, target=target).near(folder)[0] for target in self.project.targets}
                settings[folder] = repr({target: _said(each) for target, each in near.items()})
            found[path] = digest(f"({settings[folder]}, {self.sources.ignored(full)!r})".encode())
        return found


def _no_match(pattern: str, root: str) -> str:
    if pattern.strip("./") and os.path.isdir(os.path.join(root, pattern)):
        return f"{pattern!r} is a folder; name the files in it: {pattern.rstrip('/') + '/**/*.py'!r}"
    return f"no file matches {pattern!r} in {shown(root)}{'; write it with /' if chr(92) in pattern else ''}"


def _said(settings: Settings) -> dict[str, object]:
    """The settings that are not as by default: a flowc with one more setting is no reason for other digests."""
    default = Settings()
    return {name: value for name in Settings.__slots__ if (value := getattr(settings, name)) != getattr(default, name)}


def repository(sources: Source, folder: str = os.curdir) -> Repository:
    """The repository whose settings count in a folder; SettingsError where there is none, or its settings name no flows."""
    found = sources.project(folder)
    if found is None or not found[1].flows:
        where = shown(found[0]) if found else "flowc.toml"
        raise SettingsError(f'name a flow, or say in {where} which are compiled: flows = ["flows/**/*.py"]')
    targets_of(sources, folder)
    path, project = found
    return Repository(os.path.dirname(os.path.abspath(path)), project, sources)


def targets_of(sources: Source, folder: str) -> tuple[str, ...]:
    """The targets that the settings of a folder name, else argo. SettingsError where there is no such target."""
    path, project = sources.project(folder) or ("", Project())
    for name in project.targets:
        if not target_exists(name):
            raise SettingsError(f"{shown(path)}: targets: {none_such(name)}")
    return project.targets


def settings_for_each(sources: Source, folder: str, target: str | None) -> tuple[dict[str | None, Settings], dict[str, str]]:
    """What flows in a folder are checked for, each target with its settings, and the files that configs name, as `Source.near` has them.

    Without a target, those that the settings file says. One that says neither `targets` nor `flows` means no repository, so there
    flows are checked for no target.
    """
    _, project = sources.project(folder) or ("", Project())
    targets = (target,) if target is not None or not (project.said or project.flows) else targets_of(sources, folder)
    found: dict[str | None, Settings] = {}
    named: dict[str, str] = {}
    for each in targets:
        found[each], files = (sources if each is None else replace(sources, target=each)).near(folder)
        named |= files
    return found, named


def flows_of(sources: Source, folder: str = os.curdir, *, tell: bool = False, other: Callable[[str], str] | None = None) -> list[str]:
    """The paths of the files that the settings of a folder name as flows; SettingsError and PathError where there are none.

    `tell`: with the warnings of `Repository.told`. `other`: where a folder stands in another version of the repository; a glob that
    matches there may match nothing here.
    """
    found = repository(sources, folder)
    files = found.told() if tell else found.files(other(os.path.join(found.root, "")) if other else None)
    return [os.path.join(os.path.relpath(found.root), path) for path in files]
