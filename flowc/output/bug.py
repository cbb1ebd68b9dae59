"""In: what only a mistake inside flowc can produce. Out: OutputBug, the exception that the command line shows as an internal error."""

from __future__ import annotations


class OutputBug(Exception):
    """A template, a target or a schema broke its own contract: no flow or setting may lead here."""
