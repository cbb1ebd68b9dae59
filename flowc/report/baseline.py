"""In: diagnostics of files, and those that a baseline holds. Out: the new ones; or the text of a baseline that holds all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from flowc.report import Found, unmoved

Place = Callable[[str], str]
"""The path of a file as the baseline has it, by the one that reports show: the same wherever the user stands."""


class BaselineError(ValueError):
    """The text is no baseline; the message completes "FILE ..."."""


def key(each: Found, place: Place) -> tuple[str, str]:
    """The file, and what was said: no line, so that a diagnostic that only moves stays known."""
    path = each.diagnostic.span.path if each.diagnostic.span else each.path
    message = each.diagnostic.message
    if message.startswith((f"{path}:", f"{path} ")):
        message = place(path) + message.removeprefix(path)
    return place(path), f"{each.diagnostic.code.id} {unmoved(message)}"


def write(found: Iterable[Found], place: Place) -> str:
    """JSON: how often each thing was said of each file."""
    files: dict[str, dict[str, int]] = {}
    for (path, text), count in sorted(Counter(key(each, place) for each in found).items()):
        files.setdefault(path, {})[text] = count
    return json.dumps(files, indent=1, ensure_ascii=False) + "\n"


def read(text: str) -> Counter[tuple[str, str]]:
    """What `write` wrote. BaselineError where it did not."""
    try:
        files = json.loads(text)
        told = [(path, said, count) for path, each in files.items() for said, count in each.items()]
    except (ValueError, AttributeError, RecursionError) as error:
        raise BaselineError("is no baseline of flowc") from error
    if not all(isinstance(count, int) for _, _, count in told):
        raise BaselineError("is no baseline of flowc")
    known: Counter[tuple[str, str]] = Counter()
    for path, said, count in told:
        known[path, unmoved(said)] += count
    return known


def unknown(found: Sequence[Found], known: Counter[tuple[str, str]], place: Place) -> list[Found]:
    """Those that the baseline does not hold, or not so often."""
    room = Counter(known)
    left = []
    for each in found:
        said = key(each, place)
        if room[said] > 0:
            room[said] -= 1
        else:
            left.append(each)
    return left
