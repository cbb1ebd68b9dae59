"""In: a function and what to call it with, one by one. Out: what it gave, in that order, from a process a core where that pays."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEW = 24
"""From so many flows on a process a core is worth its start."""

T = TypeVar("T")
R = TypeVar("R")


def mapped(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`function` of each item, in order. Where there are many, all of it is pickled. The first exception in order is raised."""
    cores = _cores()
    if len(items) < FEW or cores < 2:
        return [function(item) for item in items]
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(cores) as pool:
        # small pieces at the end of the work let all processes end at once
        return list(pool.map(function, items, chunksize=max(1, len(items) // (16 * cores))))


def _cores() -> int:
    """The cores that this process may use, which in a container are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
