"""In: the folder of a repository's outputs. Out: what flowc.lock there knows of each flow: what it was made of, and what came of it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flowc import __version__
from flowc.commands.files import PathError, load, shown
from flowc.commands.outputs import KUSTOMIZATION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowc.commands.digests import Digests

NAME = "flowc.lock"
PENDING = "pending"
"""In a lock, the outputs that a run was about to write for the first time; a run that ends well leaves none."""
LIMIT = 64 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """What the lock knows of a flow's file: digests of the settings, of the files read (None: looked for, not there), of the outputs."""

    settings: str
    read: Mapping[str, str | None]
    outputs: Mapping[str, str]

    def is_current(self, root: str, out: str, settings: str, digests: Digests) -> bool:
        """Whether compiling again would change nothing."""
        if self.settings != settings:
            return False
        for folder, files in ((os.path.join(root, ""), self.read), (os.path.join(out, ""), self.outputs)):
            for path, known in files.items():
                if digests.at(f"{folder}{path}") != known:
                    return False
        return True


def text(entries: Mapping[str, Entry]) -> str:
    """The text of the lock of a run that ends well."""
    flows = {
        path: {"settings": entry.settings, "read": dict(sorted(entry.read.items())), "outputs": dict(sorted(entry.outputs.items()))}
        for path, entry in sorted(entries.items())
    }
    return f"{_json({'flowc': __version__, 'flows': flows})}\n"


def announced(out: str, coming: Sequence[str]) -> str:
    """The text of the lock as it is, with outputs that are about to be written for the first time."""
    before = {"flowc": __version__, "flows": {}, **_lock(out)}
    return f"{_json({**before, PENDING: sorted({*coming, *before.get(PENDING, ())})})}\n"


def _json(value: Any, margin: str = "\n") -> str:
    """As `json.dumps` with an indent of one, which is all written in Python: ten times slower for the lock of a large repository."""
    if not isinstance(value, (dict, list)) or not value:
        return json.dumps(value)
    inner = f"{margin} "
    if isinstance(value, list) or {*map(type, value.values())} <= {str, type(None)}:
        text = _encoder(inner)(value)
    else:
        text = f"{{{f',{inner}'.join([f'{json.dumps(key)}: {_json(each, inner)}' for key, each in value.items()])}}}"
    return f"{text[0]}{inner}{text[1:-1]}{margin}{text[-1]}"


@lru_cache
def _encoder(margin: str) -> Callable[[Any], str]:
    return json.JSONEncoder(separators=(f",{margin}", ": ")).encode


def read(out: str) -> dict[str, Entry]:
    """The entries by file; none where another version of flowc wrote them, whose outputs may be other ones."""
    found = _lock(out)
    if found.get("flowc") != __version__:
        return {}
    return {path: Entry(str(one.get("settings")), one["read"], one["outputs"]) for path, one in found["flows"].items()}


def known_outputs(out: str) -> list[str]:
    """What the lock says that flowc wrote, below `out`: only that is ever removed."""
    found = _lock(out)
    if not found:
        return []
    files = {file for entry in found["flows"].values() for file in entry["outputs"]} | set(found.get(PENDING, ()))
    folders = {os.path.dirname(file) for file in files}
    listed = {f"{folder}/{KUSTOMIZATION}" for folder in folders if os.path.exists(os.path.join(out, folder, KUSTOMIZATION))}
    return sorted(file for file in files | listed if not os.path.isabs(file) and os.pardir not in file.split("/"))


def _lock(out: str) -> Mapping[str, Any]:
    path = os.path.join(out, NAME)
    return _parsed(shown(path), load(path, LIMIT)) if os.path.lexists(path) else {}


@lru_cache(1)  # a run looks at it several times
def _parsed(name: str, data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PathError(f"{name} is no JSON; remove it, and everything is compiled anew") from error
    if not _is_lock(found):
        raise PathError(f"{name} is no lock of flowc; remove it, and everything is compiled anew")
    return dict(found)


def _is_lock(found: Any) -> bool:
    """Whether data has the shape of a lock, as deep as it is read."""
    if not isinstance(found, dict) or not isinstance(found.get("flows"), dict) or not _are_texts(found.get(PENDING, [])):
        return False
    entries = [*found["flows"].values()]
    return all(isinstance(each, dict) and all(_is_table(each.get(key)) for key in ("read", "outputs")) for each in entries)


def _is_table(found: Any) -> bool:
    """Whether data is a table whose keys can be paths."""
    return isinstance(found, dict) and not any("\0" in path for path in found)


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(each, str) for each in found)
