"""In: a flow's file and where settings come from. Out: the page of `flowc graph --format html`, and the diagnostics of all its targets."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from flowc.commands.config_show import origins
from flowc.commands.session import opened
from flowc.report import html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowc.commands.files import Wanted
    from flowc.commands.options import Source
    from flowc.commands.session import Judged


def page(wanted: Wanted, sources: Source, checked: Judged, targets: Sequence[str]) -> tuple[str, list[Judged]]:
    """The page of a file's only flow, which passed the checks, and what each target said of it. A target that cannot carry the flow
    has a view without a manifest.
    """
    folder = os.path.dirname(wanted.path)
    file, _ = opened(wanted, sources)
    near = [replace(sources, target=name).near(folder)[0] for name in targets]
    judged = [file.judged(settings, name) for name, settings in zip(targets, near, strict=True)]
    views = []
    for name, each in zip(targets, judged, strict=True):
        own = replace(sources, target=name)
        artifacts = each.compiled[0].artifacts if each.compiled and not each.failed else ()
        views.append(html.View(name, artifacts, each.found, own.near(folder)[0], origins(own, folder)))
    return html.page(*checked.checked.flows[0], views, checked.texts), judged
