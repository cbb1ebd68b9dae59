"""Facts about the pages of --help."""

from __future__ import annotations

import re

import pytest
from cli.running import flowc

from flowc.cli import COMMANDS


@pytest.mark.parametrize("command", [*COMMANDS, "config show", "config schema", "config import"])
def test_a_help_explains_each_option(command: str) -> None:
    """No option stands without words; those that say which settings count come last, right above the settings."""
    own, *topics = flowc(*command.split(), "--help").stdout.partition("\nOptions:\n")[2].split("\n\n")
    records = re.split(r"\n(?=  \S)", own.rstrip())
    assert all(re.search(r"\S(  |\n {10,})\s*\S", record) for record in records), records
    names = [record.split()[0] for record in records]
    assert all(name.startswith("-") for name in names)
    if topics and "What a pod runs:" in topics[0]:
        assert names[-4:] == ["--settings", "--env", "--isolated", "-h,"]
