"""In: pytest's command line. Out: `--update`, which rewrites what tests compare with, and is refused in CI."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite snapshots and goldens with what comes out now")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update") and os.environ.get("CI") == "true":
        raise pytest.UsageError("--update is refused in CI: snapshots and goldens are rewritten by people, who read the difference")
