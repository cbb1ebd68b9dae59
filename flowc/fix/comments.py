"""In: a file and an unused suppression in it. Out: the file without it; the other codes of the comment stay."""

from __future__ import annotations

import re

from flowc.diagnostics import Diagnostic
from flowc.fix.tree import Tree
from flowc.suppress import CODE, IGNORE


def drop_suppression(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """The code that the message names leaves its comment; a comment that says nothing else goes with the spaces before it."""
    span = diagnostic.span
    unused = CODE.search(diagnostic.message)
    if span is None or unused is None:
        return None
    # of bytes: a text would be split at form feeds too, which Python does not count as ends of lines
    lines = [line.decode(tree.module.encoding) for line in tree.data.splitlines(keepends=True)]
    text = lines[span.line - 1]

    def without(match: re.Match[str]) -> str:
        codes = [code.strip() for code in match[1].split(",") if code.strip() != unused[0]]
        return f"{match[0][: match.start(1) - match.start()]}{', '.join(codes)}]" if codes else ""

    head, tail = text[: span.column - 1], text[span.column - 1 :]
    kept = IGNORE.sub(without, tail, count=1)
    if not IGNORE.match(kept):
        rest = kept.lstrip(" \t")
        kept = rest if rest.startswith(("#", "\r", "\n")) or not rest else f"# {rest}"
    changed = head + kept
    body, ending = changed.rstrip(), changed[len(changed.rstrip("\r\n")) :]
    lines[span.line - 1] = (body.removesuffix("#").rstrip() if body.endswith(" #") else body) + ending
    if not lines[span.line - 1].strip() and text.strip().startswith("#"):
        del lines[span.line - 1]
    found = "".join(lines).encode(tree.module.encoding)
    return found if found != tree.data else None
