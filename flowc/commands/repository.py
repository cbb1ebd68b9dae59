"""In: a settings file that says which flows are compiled, for what and where to. Out: their outputs and flowc.lock, or what differs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import click

from flowc.commands import lock
from flowc.commands.above import Above
from flowc.commands.cache import Cache, folder_of
from flowc.commands.digests import Recorder, digest
from flowc.commands.files import Folder, PathError, load, shown
from flowc.commands.lock import Entry
from flowc.commands.options import forget, text_of
from flowc.commands.outputs import KUSTOMIZATION, kustomization
from flowc.commands.parallel import mapped
from flowc.commands.project import repository as repository_of
from flowc.commands.session import FlowFile, Talk, refuse_drift
from flowc.commands.verdicts import verdict
from flowc.commands.writing import alone, drift, make_folder, write
from flowc.config import SettingsError, environments, project
from flowc.report import counted, printable
from flowc.target import load as load_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.commands.options import Source
    from flowc.commands.project import Repository
    from flowc.commands.verdicts import Verdict
    from flowc.ir import Flow
    from flowc.settings import Settings


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one file: the verdict for each target, outputs by path below `out`, and what the lock is to know."""

    path: str
    judged: tuple[Verdict, ...]
    texts: Mapping[str, str]
    entry: Entry | None
    overlays: Mapping[tuple[str, str], bool]
    """Whether each overlay of its settings, by place and name, is for anything in its flows."""


def compile_repository(sources: Source, talk: Talk, *, check: bool, everything: bool, strict: bool) -> None:
    """Compile what has changed, or with `check` compare all of it with what is there. Where one flow has an error nothing is written.

    `strict`: to have written or removed a file counts as a failure, as a hook before a commit needs it, also for files new to git.
    """
    with alone(repository_of(sources).root, shared=check):
        forget()  # another flowc may have been waited for, and the settings edited meanwhile
        _compile(repository_of(sources), talk, check=check, everything=everything, strict=strict)


def _compile(repository: Repository, talk: Talk, *, check: bool, everything: bool, strict: bool) -> None:
    files = repository.told()
    _warn_of_shared_out(repository)
    before = {} if check or everything else lock.read(repository.out)
    current = _current(repository, {path: before[path] for path in files if path in before})
    made = [each for each in _make_all(repository, [path for path in files if path not in current]) if each.judged]
    if not made and not current:
        raise PathError(f"none of the {len(files)} files that {', '.join(repository.project.flows)} match holds a flow")
    judged = [each for one in made for each in one.judged]
    talk.report(judged)
    if any(each.failed for each in judged):
        raise click.exceptions.Exit(1)
    if not current:
        _refuse_vacuous(made)
    texts, entries = _outputs(repository, made, current)
    kept = {*texts, *(os.path.join(repository.out, path) for entry in current.values() for path in entry.outputs)}
    known = [os.path.join(repository.out, name) for name in lock.known_outputs(repository.out)]
    stale = [path for path in known if path not in kept]
    if check:
        env = repository.sources.env
        refuse_drift(drift(texts, stale), f"`flowc compile{f' --env {env}' if env else ''}`")
        current_ones = f"{counted(len(entries), 'flow')} {'is' if len(entries) == 1 else 'are'} current"
        talk.note(f"{current_ones} in {shown(repository.out)}")
        return
    changes = drift(texts, stale) if strict else []
    _write(repository.out, texts, known, stale)
    counts = f"{len(made)} compiled, {len(current)} unchanged, {counted(len(stale), 'output')} removed"
    talk.note(f"{counts} in {shown(repository.out)}")
    _note_environments(repository, talk)
    if changes:
        raise click.exceptions.Exit(1)


def _note_environments(repository: Repository, talk: Talk) -> None:
    """Tell who asked for no environment that there are some: what was written may be for no cluster."""
    path, _ = repository.sources.project(repository.root) or ("", None)
    text = None if repository.sources.env is not None else text_of(path)
    found = () if text is None else environments(text, shown(path))
    if found:
        wrote = f"{shown(repository.out)} ({', '.join(repository.project.targets)}) is of no environment"
        talk.note(f"note: {wrote}; {shown(path)} has {', '.join(found)}: flowc compile --env {found[0]}")


def _warn_of_shared_out(repository: Repository) -> None:
    """Tell of environments whose outputs go where those of the one that is compiled go."""
    path, _ = repository.sources.project(repository.root) or ("", None)
    text = None if repository.sources.env is None else text_of(path)
    outs = {} if text is None else {name: project(text, shown(path), name) for name in environments(text, shown(path))}
    folder = os.path.normpath(repository.project.out)
    sharing = [name for name, found in outs.items() if found and os.path.normpath(found.out) == folder]
    if len(sharing) > 1:
        each = f"{' and '.join(sharing)} have the same `out`, {folder}: each replaces what the other wrote; give each a folder of its own"
        print(f"flowc: warning: {printable(f'{shown(path)}: {each}')}", file=sys.stderr)


def _refuse_vacuous(made: Sequence[Made]) -> None:
    """SettingsError for an overlay that is for nothing in all the flows: its globs have a mistake, or what they meant is gone.

    Known only where all flows were read, as after each change of the settings, and by --check and --all.
    """
    met: dict[tuple[str, str], bool] = {}
    for each in made:
        met |= {key: found or met.get(key, False) for key, found in each.overlays.items()}
    for (place, name), found in met.items():
        if not found:
            raise SettingsError(f"{place}: overlay `{name}` is for no flow, or no step of one: see its `flows` and `steps`")


def _write(out: str, texts: Mapping[str, str], known: Sequence[str], stale: Sequence[str]) -> None:
    """Write outputs, remove stale ones, and then replace the lock, which had `known`: after a kill it knows of every file."""
    for folder in sorted({os.path.dirname(path) for path in texts}):
        make_folder(folder)
    path = os.path.join(out, lock.NAME)
    coming = sorted(os.path.relpath(each, out).replace(os.sep, "/") for each in texts.keys() - {*known, path})
    if coming:
        write({path: lock.announced(out, coming)})
    write({**{each: text for each, text in texts.items() if each != path}, **dict.fromkeys(stale), path: texts[path]})


def _current(repository: Repository, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Those entries of the lock that compiling again would not change."""
    fingerprints = repository.fingerprints(list(entries))
    cache = Cache.at(folder_of(repository.root), len(entries))
    found = {
        path: entry
        for path, entry in entries.items()
        if entry.is_current(repository.root, repository.out, fingerprints[path], cache.digests)
    }
    cache.save()
    return found


# --- compiling ---------------------------------------------------------------------------------------------------------


def _make_all(repository: Repository, files: Sequence[str]) -> list[Made]:
    fingerprints = repository.fingerprints(files)
    return mapped(partial(_make, repository), [(path, fingerprints[path]) for path in files])


def _make(repository: Repository, asked: tuple[str, str]) -> Made:
    """Compile all flows of a file, given with the digest of its settings, for all targets; no verdict where the file holds no flow."""
    path, fingerprint = asked
    full = os.path.join(repository.root, path)
    folder, data = os.path.dirname(full), load(full)
    near = {name: replace(repository.sources, target=name).near(folder) for name in repository.project.targets}
    seen: dict[str, bytes | None] = {path: data}
    named = {key: where for _, files in near.values() for key, where in files.items()}
    recorder = Recorder(Folder(folder, named), seen, os.path.dirname(path))
    file = FlowFile(shown(full), data, recorder, ignored=repository.sources.ignored(full), elsewhere=Above(folder))
    verdicts = []
    met: dict[tuple[str, str], bool] = {}
    for name, (settings, _) in near.items():
        verdicts.append(file.judged(settings, name))
        met |= _met(settings, [flow for flow, _ in verdicts[-1].checked.flows])
    told = tuple(each for each in map(verdict, verdicts) if not each.empty)
    texts: dict[str, str] = {}
    owners: dict[str, str] = {}
    # all are there, or none: what a file holds does not depend on the target
    for name, judged in zip(repository.project.targets, verdicts if told else (), strict=False):
        for artifact in (each for compiled in judged.compiled for each in compiled.artifacts):
            _claim(owners, f"{name}/{artifact.file}", path)
            texts[f"{name}/{artifact.file}"] = artifact.text
    read = {name: None if found is None else digest(found) for name, found in seen.items()}
    outputs = {file: digest(text.encode()) for file, text in texts.items()}
    return Made(path, told, texts, Entry(fingerprint, read, outputs) if told else None, met)


def _met(settings: Settings, flows: Sequence[Flow]) -> dict[tuple[str, str], bool]:
    """Whether each overlay, by place and name, is for anything in these flows."""
    if not settings.overlays:
        return {}
    from flowc.deployment.overlays import meets

    return {(each.place, name): any(meets(each, flow) for flow in flows) for name, each in settings.overlays.items()}


def _claim(owners: dict[str, str], file: str, path: str) -> None:
    """Note that the flow of a path writes the output; PathError where another one does."""
    if file in owners:
        both = path if path == owners[file] else f"{owners[file]} and {path}"
        raise PathError(f"{both}: two flows would be written to {file}; give one of them another name")
    owners[file] = path


def _outputs(repository: Repository, made: Sequence[Made], current: Mapping[str, Entry]) -> tuple[dict[str, str], dict[str, Entry]]:
    """Every text to be written by full path, the lists of Kubernetes objects and the lock among them, and the lock's entries."""
    owners = {file: path for path, entry in current.items() for file in entry.outputs}
    texts: dict[str, str] = {}
    for each in made:
        for file in each.texts:
            _claim(owners, file, each.path)
        texts.update(each.texts)
    entries = {**current, **{each.path: each.entry for each in made if each.entry}}
    for name in repository.project.targets:
        if load_target(name).kubernetes:
            files = [file.removeprefix(f"{name}/") for entry in entries.values() for file in entry.outputs if file.startswith(f"{name}/")]
            texts[f"{name}/{KUSTOMIZATION}"] = kustomization(files)
    texts[lock.NAME] = lock.text(entries)
    return {os.path.join(repository.out, file): text for file, text in texts.items()}, entries
