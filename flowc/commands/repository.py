"""In: a settings file that says which flows are compiled, for what and where to. Out: their outputs and flowc.lock, or what differs."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from flowc import __version__, config
from flowc.commands.files import Folder, PathError, content, load, shown
from flowc.commands.matching import matching
from flowc.commands.options import forget, text_of
from flowc.commands.outputs import KUSTOMIZATION, kustomization
from flowc.commands.session import Judged, Talk, judge_text, refuse_drift
from flowc.commands.writing import alone, drift, make_folder, write
from flowc.config import Project, SettingsError
from flowc.frontend.classes import NO_FLOW
from flowc.target import exists as target_exists
from flowc.target import load as load_target
from flowc.target import names as target_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.commands.options import Source

LOCK = "flowc.lock"
PENDING = "pending"
"""In a lock, the outputs that a run was about to write for the first time; a run that ends well leaves none."""
POOL = 24
"""From so many flows on a process a core is worth its start."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the lock knows of a flow's file: digests of the settings, of the files read (None: looked for, not there), of the outputs."""

    settings: str
    read: Mapping[str, str | None]
    outputs: Mapping[str, str]

    def is_current(self, root: str, out: str, settings: str) -> bool:
        """Whether compiling again would change nothing."""
        read = all(_digest_of(os.path.join(root, path)) == digest for path, digest in self.read.items())
        return self.settings == settings and read and all(_digest_of(os.path.join(out, p)) == d for p, d in self.outputs.items())


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one file: the verdict for each target, outputs by path below `out`, and what the lock is to know."""

    path: str
    judged: tuple[Judged, ...]
    texts: Mapping[str, str]
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Repository:
    """The folder of the settings file, what is compiled of it, and where the outputs go (a folder that exists or not)."""

    root: str
    project: Project
    sources: Source

    @property
    def out(self) -> str:
        return os.path.join(self.root, self.project.out)

    def fingerprint(self, path: str) -> str:
        """A digest of the settings that count for the flow of that file."""
        full = os.path.join(self.root, path)
        folder = os.path.dirname(full)
        settings = {target: replace(self.sources, target=target).near(folder)[0] for target in self.project.targets}
        return _digest(repr((settings, self.sources.ignored(full))).encode())


def compile_repository(sources: Source, talk: Talk, *, check: bool, everything: bool, strict: bool) -> None:
    """Compile what has changed, or with `check` compare all of it with what is there. Where one flow has an error nothing is written.

    `strict`: to have written or removed a file counts as a failure, as a hook before a commit needs it, also for files new to git.
    """
    repository = _repository(sources)
    with alone(repository.root, shared=check):
        forget()  # another flowc may have been waited for, and the settings edited meanwhile
        _compile(_repository(sources), talk, check=check, everything=everything, strict=strict)


def _compile(repository: Repository, talk: Talk, *, check: bool, everything: bool, strict: bool) -> None:
    files = _files(repository.root, repository.project.flows)
    before = {} if check or everything else _read_lock(repository.out)
    current = {path: entry for path in files if (entry := before.get(path)) and _is_current(repository, path, entry)}
    made = [each for each in _make_all(repository, [path for path in files if path not in current]) if each.judged]
    if not made and not current:
        raise PathError(f"none of the {len(files)} files that {', '.join(repository.project.flows)} match holds a flow")
    judged = [each for one in made for each in one.judged]
    talk.report(judged)
    if any(each.failed for each in judged):
        raise click.exceptions.Exit(1)
    texts, entries = _outputs(repository, made, current)
    kept = {*texts, *(os.path.join(repository.out, path) for entry in current.values() for path in entry.outputs)}
    stale = [path for name in _known_outputs(repository.out) if (path := os.path.join(repository.out, name)) not in kept]
    if check:
        env = repository.sources.env
        refuse_drift(drift(texts, stale), f"`flowc compile{f' --env {env}' if env else ''}`")
        print(f"flowc: {len(entries)} flows are current in {shown(repository.out)}", file=sys.stderr)
        return
    changes = drift(texts, stale) if strict else []
    _write(repository.out, texts, stale)
    counts = f"{len(made)} compiled, {len(current)} unchanged, {len(stale)} outputs removed"
    print(f"flowc: {counts} in {shown(repository.out)}", file=sys.stderr)
    if changes:
        raise click.exceptions.Exit(1)


def _write(out: str, texts: Mapping[str, str], stale: Sequence[str]) -> None:
    """Write outputs, remove stale ones, and then replace the lock: a run that is killed leaves one that knows of every file there."""
    for folder in sorted({os.path.dirname(path) for path in texts}):
        make_folder(folder)
    lock = os.path.join(out, LOCK)
    known = {os.path.join(out, name) for name in _known_outputs(out)}
    coming = sorted(os.path.relpath(path, out).replace(os.sep, "/") for path in texts.keys() - known - {lock})
    if coming:
        before = {"flowc": __version__, "flows": {}, **_lock(out)}
        write({lock: json.dumps({**before, PENDING: sorted({*coming, *before.get(PENDING, ())})}, indent=1) + "\n"})
    write({**{path: text for path, text in texts.items() if path != lock}, **dict.fromkeys(stale), lock: texts[lock]})


def flows_of(sources: Source, folder: str = os.curdir) -> list[str]:
    """The paths of the files that the settings of a folder name as flows; SettingsError and PathError where there are none."""
    repository = _repository(sources, folder)
    return [os.path.join(os.path.relpath(repository.root), path) for path in _files(repository.root, repository.project.flows)]


def _repository(sources: Source, folder: str = os.curdir) -> Repository:
    path = sources.settings_file(folder)
    text = None if path is None else text_of(path)
    project = None if path is None or text is None else config.project(text, shown(path), sources.env)
    if path is None or project is None or not project.flows:
        where = shown(path) if path else "flowc.toml"
        raise SettingsError(f'name a flow, or say in {where} which are compiled: flows = ["flows/**/*.py"]')
    for name in project.targets:
        if not target_exists(name):
            hint = config.did_you_mean(name, target_names()) or f"; there are {', '.join(target_names())}"
            raise SettingsError(f"{shown(path)}: targets: there is no target {name!r}{hint}")
    return Repository(os.path.dirname(os.path.abspath(path)), project, sources)


def _files(root: str, patterns: Sequence[str]) -> list[str]:
    """The files that match, relative to the root, sorted. PathError where a pattern matches none."""
    found: set[str] = set()
    for pattern in patterns:
        matches = matching(pattern, root)
        if not matches:
            raise PathError(f"flows: no file matches {pattern!r} in {shown(root)}")
        found.update(matches)
    return sorted(path.replace(os.sep, "/") for path in found)


# --- compiling ---------------------------------------------------------------------------------------------------------


def _is_current(repository: Repository, path: str, entry: Entry) -> bool:
    return entry.is_current(repository.root, repository.out, repository.fingerprint(path))


def _make_all(repository: Repository, files: Sequence[str]) -> list[Made]:
    make = partial(_make, repository)
    if len(files) < POOL or (os.cpu_count() or 1) < 2:
        return [make(path) for path in files]
    from concurrent.futures import ProcessPoolExecutor

    from flowc.commands.session import known_codes

    known_codes()  # a diagnostic that another process found names its code
    with ProcessPoolExecutor() as pool:
        return list(pool.map(make, files, chunksize=max(1, len(files) // (4 * (os.cpu_count() or 1)))))


@dataclass(frozen=True, slots=True)
class _Recorder:
    """A Reader that asks once: what it was given, None for no file, stays so for all targets, whatever is edited meanwhile."""

    reader: Folder
    prefix: str
    seen: dict[str, bytes | None]

    def __call__(self, path: str) -> bytes | None:
        name = os.path.normpath(os.path.join(self.prefix, path)).replace(os.sep, "/")
        if name not in self.seen:
            self.seen[name] = self.reader(path)
        return self.seen[name]


def _make(repository: Repository, path: str) -> Made:
    """Compile all flows of a file for all targets; no verdict where the file holds no flow."""
    full = os.path.join(repository.root, path)
    data = load(full)
    ignored = repository.sources.ignored(full)
    seen: dict[str, bytes | None] = {path: data}
    verdicts = []
    for name in repository.project.targets:
        settings, named = replace(repository.sources, target=name).near(os.path.dirname(full))
        recorder = _Recorder(Folder(os.path.dirname(full), named), os.path.dirname(path), seen)
        verdicts.append(judge_text(shown(full), data, recorder, settings, target=name, ignored=ignored))
    verdicts = [each for each in verdicts if not any(diagnostic.code is NO_FLOW for diagnostic in each.found)]
    texts: dict[str, str] = {}
    owners: dict[str, str] = {}
    # all are there, or none: what a file holds does not depend on the target
    for name, judged in zip(repository.project.targets, verdicts, strict=False):
        for artifact in (each for compiled in judged.compiled for each in compiled.artifacts):
            _claim(owners, f"{name}/{artifact.file}", path)
            texts[f"{name}/{artifact.file}"] = artifact.text
    read = {name: None if found is None else _digest(found) for name, found in seen.items()}
    outputs = {file: _digest(text.encode()) for file, text in texts.items()}
    entry = Entry(repository.fingerprint(path), read, outputs) if verdicts else None
    return Made(path, tuple(_portable(judged) for judged in verdicts), texts, entry)


def _portable(judged: Judged) -> Judged:
    """The verdict with the few texts that its report shows, so that it can leave its process."""
    paths = {span.path for each in judged.found for span in (each.span, *(label.span for label in each.labels)) if span}
    return Judged(judged.path, judged.found, judged.checked, (), {path: judged.texts(path) for path in paths}.get)


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
    texts[LOCK] = _lock_text(entries)
    return {os.path.join(repository.out, file): text for file, text in texts.items()}, entries


# --- the lock ----------------------------------------------------------------------------------------------------------


def _lock_text(entries: Mapping[str, Entry]) -> str:
    flows = {
        path: {"settings": entry.settings, "read": dict(sorted(entry.read.items())), "outputs": dict(sorted(entry.outputs.items()))}
        for path, entry in sorted(entries.items())
    }
    return json.dumps({"flowc": __version__, "flows": flows}, indent=1) + "\n"


def _lock(out: str) -> dict[str, Any]:
    path = os.path.join(out, LOCK)
    if not os.path.lexists(path):
        return {}
    try:
        found = json.loads(load(path, 64 << 20))
    except ValueError as error:
        raise PathError(f"{shown(path)} is no JSON; remove it, and everything is compiled anew") from error
    if not _is_lock(found):
        raise PathError(f"{shown(path)} is no lock of flowc; remove it, and everything is compiled anew")
    return dict(found)


def _is_lock(found: Any) -> bool:
    """Whether data has the shape of a lock, as deep as it is read."""
    if not isinstance(found, dict) or not isinstance(found.get("flows"), dict) or not _are_texts(found.get(PENDING, [])):
        return False
    entries = [*found["flows"].values()]
    return all(isinstance(each, dict) and all(isinstance(each.get(key), dict) for key in ("read", "outputs")) for each in entries)


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(each, str) for each in found)


def _read_lock(out: str) -> dict[str, Entry]:
    """The entries by file; none where another version of flowc wrote them, whose outputs may be other ones."""
    found = _lock(out)
    if found.get("flowc") != __version__:
        return {}
    return {path: Entry(str(one.get("settings")), one["read"], one["outputs"]) for path, one in found["flows"].items()}


def _known_outputs(out: str) -> list[str]:
    """What the lock says that flowc wrote, below `out`: only that is ever removed."""
    found = _lock(out)
    if not found:
        return []
    files = {file for entry in found["flows"].values() for file in entry["outputs"]} | set(found.get(PENDING, ()))
    folders = {os.path.dirname(file) for file in files}
    listed = {f"{folder}/{KUSTOMIZATION}" for folder in folders if os.path.exists(os.path.join(out, folder, KUSTOMIZATION))}
    return sorted(file for file in files | listed if not os.path.isabs(file) and os.pardir not in file.split("/"))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of(path: str) -> str | None:
    try:
        data = content(path)
    except OSError:
        return None
    return None if data is None else _digest(data)
