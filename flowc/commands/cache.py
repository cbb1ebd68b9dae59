"""In: the folder of a repository. Out: what `flowc check` found in its files before, and digests of files, kept in `.flowc_cache` there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowc import __version__, data
from flowc.commands.digests import Digests
from flowc.commands.files import content
from flowc.commands.verdicts import Reread, plain, restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flowc.commands.verdicts import Verdict
    from flowc.source import Elsewhere, Reader

FOLDER = ".flowc_cache"
VARIABLE = "FLOWC_CACHE_DIR"
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of flowc. It can be removed at any time.\n"
SHARDS = 64
"""Files over which the verdicts are spread: a check of one flow reads and writes one of them."""
MANY = 64
"""From so many files on, reading the notes of digests costs less than reading the files."""


WORTH = 32
"""From so many new notes on, writing all of them costs less than reading those files once more."""


def folder_of(root: str | None) -> tuple[str, str] | None:
    """The root of the repository again and the folder of its cache; None where nothing may be kept.

    The root is the folder of the settings file. Where there is none nothing says that this is a repository, so a folder of a
    cache appears only where $FLOWC_CACHE_DIR names one.
    """
    named = os.environ.get(VARIABLE)
    if root is None and not named:
        return None
    root = os.getcwd() if root is None else root
    if named:
        return root, os.path.join(os.path.abspath(named), hashlib.sha256(os.fsencode(root)).hexdigest()[:16])
    return root, os.path.join(root, FOLDER)


@dataclass(frozen=True, slots=True)
class Question:
    """What a verdict answers. `asked` is a digest of all that it depends on beside files: how the file is shown, settings, `key` and so on.

    `full` is the flow's file; `reader` reads what stands beside it, `named` are the paths that it finds elsewhere. `above`
    tells where a module stands in a folder over it.
    """

    path: str
    full: str
    name: str
    asked: str
    reader: Reader
    named: Mapping[str, str]
    above: Elsewhere


@dataclass(slots=True)
class Cache:
    """The cache of one repository, in `folder`; with None nothing is kept. What cannot be read there is not there, and is written anew.

    `many`: notes of digests are read and written too.
    """

    root: str
    folder: str | None
    digests: Digests = field(default_factory=Digests)
    many: bool = False
    _shards: dict[int, dict[str, Any]] = field(default_factory=dict)
    _changed: set[int] = field(default_factory=set)

    @classmethod
    def at(cls, place: tuple[str, str] | None, files: int) -> Cache:
        """The cache at a place that `folder_of` gave, for a run over so many files."""
        root, folder = place or ("", None)
        # a repository that someone else made could hold a link, and have flowc write to where it leads
        if folder is not None and os.path.islink(folder):
            folder = None
        cache = cls(root, folder, many=files >= MANY)
        if folder is not None and cache.many:
            cache.digests = Digests(_notes(_read(os.path.join(folder, "digests.json"))))
        return cache

    def verdict(self, question: Question, read: Callable[[], bytes]) -> Verdict | None:
        """What was found before, where nothing that was read then has changed; None where it has to be found again.

        PathError passes through, as the check itself would raise it.
        """
        if self.folder is None:
            return None
        try:
            entry = self._shard(question.name)[question.name]
            if entry["asked"] != question.asked or not self._is_current(question, entry, read):
                return None
            return restored(question.path, entry, Reread(question.path, question.full, question.reader))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def _is_current(self, question: Question, entry: Mapping[str, Any], read: Callable[[], bytes]) -> bool:
        if self.digests.of(question.full, read) != entry["digest"]:
            return False
        folder = os.path.dirname(question.full)
        for path, known in entry["read"].items():
            below = "" if path in question.named else folder
            full = question.named.get(path) or f"{folder}{os.sep}{path}"
            if self.digests.of(full, lambda path=path: question.reader(path), below) != known:  # type: ignore[misc]
                return False
        return all(question.above(dotted) == path for dotted, path in entry["above"].items())

    def keep(
        self, question: Question, verdict: Verdict, digest: str, read: Mapping[str, str | None], above: Mapping[str, str | None]
    ) -> None:
        """Note what was found in a file of that digest, the digests of what was read beside it, and where modules stood above it."""
        if self.folder is not None:
            number = _number(question.name)
            known = {"asked": question.asked, "digest": digest, "read": dict(read), "above": dict(above)}
            self._shard(question.name)[question.name] = {**known, **plain(verdict)}
            self._changed.add(number)

    def _shard(self, name: str) -> dict[str, Any]:
        number = _number(name)
        if number not in self._shards:
            entries = _read(self._path(number)).get("flows")
            self._shards[number] = entries if isinstance(entries, dict) else {}
        return self._shards[number]

    def _path(self, number: int) -> str:
        python = f"{sys.implementation.name}{sys.version_info.major}{sys.version_info.minor}"
        return os.path.join(self.folder or "", python, f"{number:02}.json")

    def save(self) -> None:
        """Write what is new, each file whole; entries of files that are gone are left out. Where nothing can be written nothing is."""
        notes = self.many and self.digests.changed >= WORTH
        if self.folder is None or not (self._changed or notes):
            return
        with contextlib.suppress(OSError):
            _make(self.folder, os.path.dirname(self._path(0)))
            for number in sorted(self._changed):
                entries = {name: entry for name, entry in self._shards[number].items() if os.path.lexists(self._file(name))}
                _write(self._path(number), {"flows": entries})
            if notes:
                known = {path: note for path, note in self.digests.known.items() if os.path.lexists(path)}
                _write(os.path.join(self.folder, "digests.json"), {"version": __version__, "files": known})

    def name(self, full: str, *more: str | None) -> str:
        """The name of a verdict on the file at an absolute path: that path below the root, and what else tells it from others."""
        below = os.path.join(self.root, "")
        return "\n".join([full.removeprefix(below), *(each or "" for each in more)])

    def _file(self, name: str) -> str:
        return os.path.join(self.root, name.partition("\n")[0])


def _number(name: str) -> int:
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()[0] % SHARDS


def _notes(found: Mapping[str, Any]) -> dict[str, Any]:
    """The notes of digests; none where they are not what this version writes."""
    files = found.get("files")
    if found.get("version") != __version__ or not isinstance(files, dict):
        return {}
    return {path: note for path, note in files.items() if isinstance(note, list) and len(note) == 2 and isinstance(note[1], str)}


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(content(path) or b"")
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _make(folder: str, inner: str) -> None:
    """The folders, with what keeps git and backups away from them."""
    os.makedirs(inner, exist_ok=True)
    if os.path.islink(inner):
        raise OSError(f"{inner} is a link")
    for name, text in {".gitignore": "*\n", "CACHEDIR.TAG": TAG}.items():
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            _replace(path, text)


def _write(path: str, found: Mapping[str, Any]) -> None:
    _replace(path, json.dumps(found, separators=(",", ":")))


def _replace(path: str, text: str) -> None:
    """Write a file whole. Others may write it at the same time: the last one stays, and every reader sees one of them."""
    temporary = f"{path}.{os.urandom(8).hex()}"
    try:
        with open(temporary, "x", encoding="ascii") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


# --- what all verdicts depend on -----------------------------------------------------------------------------------------


def key(targets: Sequence[str]) -> str:
    """A digest of flowc as it is installed, of Python, and of the packages that bring targets: part of what every verdict answers."""
    facts: list[Any] = [__version__, sys.version, SHARDS]
    places = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), *(str(data.ROOT / name) for name in ("templates", "schemas"))]
    facts += [sorted(_state(place)) for place in places]
    if targets:
        facts += [*map(_state_of_plugin, targets), _installed()]
    return hashlib.sha256(repr(facts).encode(errors="surrogatepass")).hexdigest()


def _state(folder: str) -> Iterator[tuple[str, int, int]]:
    """Path, time of change and size of every file below a folder, bytecode left out: who works on flowc itself gets no old verdicts."""
    if os.path.isfile(folder):
        status = os.stat(folder)
        yield folder, status.st_mtime_ns, status.st_size
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _state(entry.path)
            else:
                status = entry.stat()
                yield entry.path, status.st_mtime_ns, status.st_size


def _state_of_plugin(target: str) -> Sequence[Any]:
    """The state of the package that brings a target which is none of flowc's own."""
    from flowc.target import places

    return [sorted(_state(place)) for place in places(target)]


def _installed() -> list[tuple[str, int]]:
    """When what is installed beside flowc last changed: what judges objects reads YAML and schemas by other packages."""
    found = []
    for place in sys.path:
        if os.path.basename(place) in ("site-packages", "dist-packages"):
            with contextlib.suppress(OSError):
                found.append((place, os.stat(place).st_mtime_ns))
    return found
