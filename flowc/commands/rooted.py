"""In: diagnostics whose paths start from the current folder, and a report's format. Out: the same with paths as the server knows them."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from flowc.report import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowc.diagnostics import Diagnostic

ROOTS = {"github": ("GITHUB_WORKSPACE",), "gitlab": ("CI_PROJECT_DIR",), "sarif": ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")}
"""By format, the variables of servers that name the folder of the checkout; the first that is set counts."""


def rooted(found: Sequence[Found], form: str) -> list[Found]:
    """The same with paths from the root of the repository, which is how servers know files; files elsewhere keep theirs.

    A job that runs in a folder of the repository would annotate nothing otherwise. Where no server's variable is set, nothing changes.
    """
    root = next((os.environ[name] for name in ROOTS.get(form, ()) if os.environ.get(name)), None)
    if root is None:
        return list(found)
    place = partial(_from_root, os.path.realpath(root))
    return [Found(place(each.path), _moved(each.diagnostic, place)) for each in found]


def _moved(diagnostic: Diagnostic, place: Callable[[str], str]) -> Diagnostic:
    span = diagnostic.span and replace(diagnostic.span, path=place(diagnostic.span.path))
    labels = tuple(replace(label, span=replace(label.span, path=place(label.span.path))) for label in diagnostic.labels)
    return replace(diagnostic, span=span, labels=labels)


def _from_root(root: str, path: str) -> str:
    above, name = os.path.split(path)
    above = folder = os.path.realpath(above)
    if os.path.commonpath([root, folder]) != root:
        return path
    # a checkout below the server's folder (`path:` of actions/checkout) is a repository of its own; in a submodule .git is a file
    while folder != root and not os.path.isdir(os.path.join(folder, ".git")):
        folder = os.path.dirname(folder)
    return os.path.relpath(os.path.join(above, name), folder).replace(os.sep, "/")
