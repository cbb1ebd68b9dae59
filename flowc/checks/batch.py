"""In: a Step. Out: values of @batch that Metaflow's @batch refuses (FC323 to FC325)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flowc.checks.attributes import problem, shown
from flowc.checks.example import END, START_END, example
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.ir import Decorator, Step

_PERMITTED = r"[A-Za-z0-9\s\+\-\=\.\_\:\/\@]"


def _on(arguments: str, *, error: bool = False) -> Example:
    return example(f"@batch({arguments}){'  # error' if error else ''}{START_END}{END}", imports="batch")


TWO_CHIPS = Code(
    "FC323",
    "both inferentia and trainium",
    "`trainium` is another name for `inferentia`: both count the Neuron devices that the job asks for.",
    bad=_on("inferentia=1, trainium=1", error=True),
    good=_on("trainium=1"),
)
TAGS = Code(
    "FC324",
    "tag that AWS Batch does not take",
    "`aws_batch_tags` is a dict of strings. A key has at most 128 characters, a value 256; both begin with a letter, a digit or one of "
    "`+-=._:/@`, and not with `aws:`, which AWS keeps for itself.",
    bad=_on('aws_batch_tags={"aws:team": "data"}', error=True),
    good=_on('aws_batch_tags={"team": "data"}'),
)
TMPFS_PATH = Code(
    "FC325",
    "tmpfs_path that is not absolute",
    "AWS Batch mounts the memory file system at `tmpfs_path` in the container, which must begin with `/`.",
    bad=_on('tmpfs_path="scratch"', error=True),
    good=_on('tmpfs_path="/scratch"'),
)


def check(step: Step) -> list[Diagnostic]:
    """The step's @batch, if it has one."""
    batch = step.decorator("batch")
    if batch is None:
        return []
    found = _tags(batch)
    if batch.get("inferentia") is not None and batch.get("trainium") is not None:
        found.append(problem(TWO_CHIPS, batch, "trainium", "@batch gives both inferentia and trainium", "Remove one of them."))
    path = batch.get("tmpfs_path")
    if path and not str(path).startswith("/"):
        message = f"@batch tmpfs_path is {shown(path)}, not an absolute path"
        found.append(problem(TMPFS_PATH, batch, "tmpfs_path", message, f"Write tmpfs_path={'/' + str(path)!r}."))
    return found


def _tags(batch: Decorator) -> list[Diagnostic]:
    tags = batch.get("aws_batch_tags")
    if not tags:
        return []
    if not isinstance(tags, Mapping):
        help_ = 'Write a dict, such as aws_batch_tags={"team": "data"}.'
        return [problem(TAGS, batch, "aws_batch_tags", f"aws_batch_tags is {shown(tags)}, not a dict", help_)]
    found = []
    for key, value in tags.items():
        for what, text, limit in (("key", key, 128), ("value", value, 256)):
            reason = _refused(text, limit)
            if reason:
                message = f"{what} {shown(text)} of aws_batch_tags {reason}"
                help_ = f"Use a string of at most {limit} characters that begins with a letter or digit."
                found.append(problem(TAGS, batch, "aws_batch_tags", message, help_))
    return found


def _refused(text: object, limit: int) -> str:
    if not isinstance(text, str):
        return "is no string"
    if text.lower().startswith("aws:"):
        return "begins with aws:"
    if len(text) > limit:
        return f"is longer than {limit} characters"
    return "" if re.match(_PERMITTED, text) else "begins with a character that AWS does not take"
