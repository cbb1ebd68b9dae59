"""In: the bytes of a flow's file and a diagnostic about it. Out: the bytes without that problem, where that is safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flowc.diagnostics import Diagnostic

if TYPE_CHECKING:
    from flowc.fix.tree import Tree

Rewrite = Callable[["Tree", Diagnostic], "bytes | None"]

CODES = ("FC111", "FC112", "FC190", "FC209", "FC210", "FC214", "FC303", "FC390", "FC420")
"""The codes of which some can be mended."""


def mend(data: bytes, diagnostic: Diagnostic) -> bytes | None:
    """The file without the problem. Comments and layout of everything else stay as they are. `Unsafe` says why it cannot be so."""
    if diagnostic.code.id not in CODES or diagnostic.span is None:
        return None
    from flowc.fix import comments, cron, decorators, launch, steps
    from flowc.fix.tree import UNREADABLE, WHY_UNREADABLE, Tree
    from flowc.fix.unsafe import Unsafe

    rewrites: dict[str, Rewrite] = {
        "FC111": launch.add_guard,
        "FC112": launch.guard_call,
        "FC190": comments.drop_suppression,
        "FC209": steps.rename_reserved,
        "FC210": steps.rename_invalid,
        "FC214": steps.move_next_last,
        "FC303": decorators.drop_twin,
        "FC390": decorators.rename_libraries,
        "FC420": cron.spell_cron,
    }
    try:
        return rewrites[diagnostic.code.id](Tree(data), diagnostic)
    except UNREADABLE as error:
        raise Unsafe(WHY_UNREADABLE) from error
