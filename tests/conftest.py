"""In: pytest's command line. Out: `--update`, which rewrites what tests compare with, and is refused in CI."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# the same examples in every run, so that what fails in CI fails on a laptop; `make explore` looks for new ones
settings.register_profile("same", derandomize=True)
settings.load_profile("default" if "FLOWC_EXPLORE" in os.environ else "same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite snapshots and goldens with what comes out now")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update") and os.environ.get("CI") == "true":
        raise pytest.UsageError("--update is refused in CI: snapshots and goldens are rewritten by people, who read the difference")


@pytest.fixture(autouse=True)
def recursion_limit() -> Iterator[None]:
    """Python's own limit of nesting, which decides what is too deep to be read; interpreters of other languages raise it and leave it so."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)
