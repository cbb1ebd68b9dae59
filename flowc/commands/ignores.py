"""In: the `per-file-ignores` of a settings file. Out: SettingsError where a code is none; the globs that are for no flow."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from functools import lru_cache
from typing import TYPE_CHECKING

from flowc.config import SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowc.config import Project

_DECLARED = re.compile(rb' = Code\(\n\s*"(FC\d{3})"')


def refuse_unknown(ignored: Mapping[str, Sequence[str]], place: str) -> None:
    """SettingsError, which begins with `place`, for what is neither a code nor the beginning of one: it would leave out nothing."""
    for glob, codes in ignored.items():
        for code in codes:
            if not code:
                raise SettingsError(f"{place}: {glob}: an empty text is the beginning of every code; name some, as FC305 or FC30")
            if not _begins(code, declared()) and not _begins(code, _of_targets()):
                hint = did_you_mean(code, sorted(declared())) or "; `flowc explain` lists the codes"
                raise SettingsError(f"{place}: {glob}: no code is {code!r} or begins so{hint}")


def for_no_flow(project: Project, files: Sequence[str]) -> list[str]:
    """The globs that match none of the files, which are relative to the settings file as the globs are."""
    return [glob for glob in project.per_file_ignores if not any(fnmatch(path, glob) for path in files)]


@lru_cache(1)
def declared() -> frozenset[str]:
    """Every code of flowc, read from the text of the modules that declare them: to import all costs more than most checks."""
    from flowc.commands.session import declaring

    return frozenset(code.decode() for _, text in declaring(b"Code(") for code in _DECLARED.findall(text))


@lru_cache(1)
def _of_targets() -> frozenset[str]:
    """The codes that are known with every target loaded, those that were installed beside flowc too."""
    from flowc import target
    from flowc.diagnostics import REGISTRY

    for name in target.names():
        target.load(name)
    return frozenset(REGISTRY)


def _begins(code: str, known: Iterable[str]) -> bool:
    return any(each.startswith(code) for each in known)
