"""In: diagnostics of files, and those that a baseline holds. Out: the new ones; or the text of a baseline that holds all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from flowc.report import Found


class BaselineError(ValueError):
    """The text is no baseline; the message completes "FILE ..."."""


def key(each: Found) -> tuple[str, str]:
    """The file, and what was said: no line, so that a diagnostic that only moves stays known."""
    path = each.diagnostic.span.path if each.diagnostic.span else each.path
    return path, f"{each.diagnostic.code.id} {each.diagnostic.message}"


def write(found: Iterable[Found]) -> str:
    """JSON: how often each thing was said of each file."""
    files: dict[str, dict[str, int]] = {}
    for (path, text), count in sorted(Counter(map(key, found)).items()):
        files.setdefault(path, {})[text] = count
    return json.dumps(files, indent=1, ensure_ascii=False) + "\n"


def read(text: str) -> Counter[tuple[str, str]]:
    """What `write` wrote. BaselineError where it did not."""
    try:
        files = json.loads(text)
        known = Counter({(path, said): count for path, each in files.items() for said, count in each.items()})
    except (ValueError, AttributeError) as error:
        raise BaselineError("is no baseline of flowc") from error
    if not all(isinstance(count, int) for count in known.values()):
        raise BaselineError("is no baseline of flowc")
    return known


def unknown(found: Sequence[Found], known: Counter[tuple[str, str]]) -> list[Found]:
    """Those that the baseline does not hold, or not so often."""
    room = Counter(known)
    left = []
    for each in found:
        if room[key(each)] > 0:
            room[key(each)] -= 1
        else:
            left.append(each)
    return left
