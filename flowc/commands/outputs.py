"""In: the manifests of a flow, and a folder where other flows' may stand. Out: what is to be written there, and what is stale."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from flowc.commands.files import PathError, load, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowc.output import Artifact

KUSTOMIZATION = "kustomization.yaml"
HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
NOTE = "flowc.outputs"
"""The file beside the outputs that says which flow they are of: JSON, a list of files by target and deployed name.

It has no ending that a tool takes for a manifest. Names of files may follow a hash of what is in them, so they cannot tell.
"""
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LIMIT = 64 << 20


def into(folder: str, owner: str, artifacts: Sequence[Artifact], *, kubernetes: bool) -> tuple[list[dict[str, str | None]], list[str]]:
    """What `write` is to be called with, in turn, and the paths that go: files that `owner` wrote there once and writes no more.

    The first writing notes which files are new, so that also a run which is killed leaves none that nobody knows of.
    """
    new: dict[str, str] = {artifact.file: artifact.text for artifact in artifacts}
    known = _known(os.path.join(folder, NOTE))
    others = {file for name, files in known.items() if name != owner for file in files}
    mine = known.get(owner, [])
    stale = sorted({*mine} - new.keys() - others)
    writings = []
    if not new.keys() <= {*mine}:
        writings.append(_placed(folder, {NOTE: _note({**known, owner: {*mine, *new}})}))
    if kubernetes:
        listed = _listed(os.path.join(folder, KUSTOMIZATION))
        new[KUSTOMIZATION] = kustomization({*new, *listed}.difference(stale))
    note = _note({**known, owner: [artifact.file for artifact in artifacts]})
    writings.append(_placed(folder, {**new, **dict.fromkeys(stale), NOTE: note}))
    return writings, [os.path.join(folder, file) for file in stale]


def _placed(folder: str, files: Mapping[str, str | None]) -> dict[str, str | None]:
    return {os.path.join(folder, file): text for file, text in files.items()}


def kustomization(files: Iterable[str]) -> str:
    """The kustomization.yaml that lists files of its folder."""
    return HEAD + "".join(f"- {file}\n" for file in sorted(files))


def _listed(path: str) -> list[str]:
    """The resources of a kustomization.yaml that flowc wrote; one that holds anything else is the user's, and no place to write to."""
    if not os.path.lexists(path):
        return []
    text = load(path).decode(errors="replace")
    body = text.removeprefix(HEAD)
    if body == text or not re.fullmatch(r"(- [a-z0-9.-]+\n)*", body):
        raise PathError(f"{shown(path)} holds more than flowc writes; choose another --out-dir and list that folder in it")
    return [line.removeprefix("- ") for line in body.splitlines()]


def _note(known: Mapping[str, Iterable[str]]) -> str:
    return json.dumps({owner: sorted(files) for owner, files in sorted(known.items())}, indent=1) + "\n"


def _known(path: str) -> dict[str, list[str]]:
    """The files by flow; no other than names in this very folder, so that nothing else is ever removed. PathError where it is no note."""
    if not os.path.lexists(path):
        return {}
    try:
        found = json.loads(load(path, LIMIT))
        ours = all(isinstance(files, list) and all(FILE.fullmatch(file) for file in files) for files in found.values())
    except (ValueError, AttributeError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise PathError(f"{shown(path)} is no note of flowc on what it wrote; remove it, and old files that no flow writes any more too")
    return dict(found)
