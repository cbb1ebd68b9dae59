"""In: a settings file. Out: warnings of the targets that it names and nobody here knows, also in environments that were not chosen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from flowc import config, target
from flowc.commands.files import shown
from flowc.commands.options import text_of
from flowc.report import printable

if TYPE_CHECKING:
    from flowc.commands.options import Source


def tell_unknown_targets(sources: Source, folder: str) -> None:
    """A warning on stderr for each. No mistake where they do not count: they may be of a plug-in that is not installed here."""
    path = sources.settings_file(folder)
    text = None if path is None else text_of(path)
    if path is None or text is None:
        return
    for place, names in config.everywhere(text, shown(path), "targets"):
        for name in names:
            if not target.exists(name):
                print(f"flowc: warning: {printable(f'{place}: {none_such(name)}')}", file=sys.stderr)


def none_such(name: str) -> str:
    """What a message says of a target that is none."""
    known = target.names()
    hint = config.did_you_mean(name, known) or f"; there are {', '.join(known)}"
    return f"there is no target {name!r}{hint}"
