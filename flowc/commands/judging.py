"""In: files that `flowc check` was asked about. Out: a verdict on each, in order; where nothing has changed, the one that was kept."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from flowc.commands.above import Above
from flowc.commands.cache import Cache, Question, folder_of, key
from flowc.commands.digests import Recorder, digest
from flowc.commands.files import Folder, PathError, load, shown
from flowc.commands.parallel import mapped
from flowc.commands.project import settings_for_each
from flowc.commands.verdicts import Verdict
from flowc.config import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.commands.files import Wanted
    from flowc.commands.options import Source


def verdicts(wanted: Sequence[Wanted], sources: Source, target: str | None, *, keep: bool) -> list[Verdict | str]:
    """A verdict on each file, or why it could not be read. SettingsError passes through. `keep`: use the cache of the repository."""
    kept = _Kept(sources, target, len(wanted)) if keep else None
    found: list[Verdict | str | None] = [kept.find(each) if kept else None for each in wanted]
    missing = [number for number, each in enumerate(found) if each is None]
    if missing:
        import flowc.compiler  # noqa: F401 - processes that are forked need not load it each

        for number, fresh in zip(missing, mapped(partial(_judge, sources, target), [wanted[number] for number in missing]), strict=True):
            found[number] = fresh if isinstance(fresh, str) else fresh.verdict
            if kept and not isinstance(fresh, str):
                kept.keep(wanted[number], fresh)
    if kept:
        kept.save()
    return [each for each in found if each is not None]


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A verdict, the digest of the file, and those of what was read beside it; and where modules that are not there were found."""

    verdict: Verdict
    digest: str
    read: Mapping[str, str | None]
    elsewhere: Mapping[str, str | None]


def _judge(sources: Source, target: str | None, wanted: Wanted) -> _Fresh | str:
    from flowc.commands.session import FlowFile, judge_for_each
    from flowc.commands.verdicts import verdict

    try:
        data = load(wanted.path)
        folder = os.path.dirname(wanted.path)
        settings, named = settings_for_each(sources, folder, target)
        recorder = Recorder(Folder(folder, named))
        elsewhere = Above(folder)
        file = FlowFile(shown(wanted.path), data, recorder, wanted.flow, sources.ignored(wanted.path), elsewhere)
        judged = judge_for_each(file, settings)
    except PathError as error:
        return str(error)
    return _Fresh(verdict(judged), digest(data), recorder.digests(), elsewhere.answers)


@dataclass(frozen=True, slots=True)
class _Place:
    """What the flows of a folder share: their cache, the Reader, files that it finds elsewhere, who finds modules above, targets, and a
    hash of their settings.
    """

    cache: Cache
    reader: Folder
    named: Mapping[str, str]
    above: Above
    targets: Sequence[str]
    settings: Any


@dataclass(slots=True)
class _Kept:
    """The verdicts of earlier runs, in the caches of the repositories that the files stand in."""

    sources: Source
    target: str | None
    files: int
    _keys: dict[tuple[str, ...], str] = field(default_factory=dict)
    _caches: dict[tuple[str, str] | None, Cache] = field(default_factory=dict)
    _places: dict[str, _Place] = field(default_factory=dict)
    _questions: dict[Wanted, Question] = field(default_factory=dict)

    def find(self, wanted: Wanted) -> Verdict | None:
        """The verdict, where one was kept that still holds. What stands in the way of asking is left to the check itself to tell."""
        try:
            question = self._question(wanted)
            return self._place(wanted).cache.verdict(question, lambda: load(wanted.path))
        except (PathError, SettingsError):
            return None

    def keep(self, wanted: Wanted, fresh: _Fresh) -> None:
        if wanted in self._questions:
            self._place(wanted).cache.keep(self._questions[wanted], fresh.verdict, fresh.digest, fresh.read, fresh.elsewhere)

    def save(self) -> None:
        for cache in self._caches.values():
            cache.save()

    def _question(self, wanted: Wanted) -> Question:
        place, path = self._place(wanted), shown(wanted.path)
        asked = place.settings.copy()
        asked.update(repr((path, wanted.flow, self.sources.ignored(wanted.path))).encode(errors="surrogatepass"))
        full = _full(wanted.path)
        name = place.cache.name(full, wanted.flow, ",".join(place.targets), self.sources.env)
        question = Question(path, full, name, asked.hexdigest(), place.reader, place.named, place.above)
        self._questions[wanted] = question
        return question

    def _place(self, wanted: Wanted) -> _Place:
        folder = os.path.dirname(wanted.path)
        if folder not in self._places:
            settings, named = settings_for_each(self.sources, folder, self.target)
            targets = tuple(each for each in settings if each is not None)
            file = self.sources.settings_file(folder)
            where = folder_of(None if file is None else os.path.dirname(os.path.abspath(file)))
            if where is not None and targets not in self._keys:
                self._keys[targets] = key(targets)
            if where not in self._caches:
                self._caches[where] = Cache.at(where, self.files)
            hashed = hashlib.sha256(repr((settings, self._keys.get(targets))).encode(errors="surrogatepass"))
            self._places[folder] = _Place(self._caches[where], Folder(folder, named), named, Above(folder), targets, hashed)
        return self._places[folder]


def _full(path: str) -> str:
    """The path as an absolute one; where `..` stands in it, it is left as it is, since what is before could be a link."""
    full = os.path.join(os.getcwd(), path)
    return full if os.pardir in full.split(os.sep) else os.path.normpath(full)
