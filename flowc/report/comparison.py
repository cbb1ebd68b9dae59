"""In: a Comparison of two outputs. Out: one text that people, a pull request or programs read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flowc.report import printable
from flowc.report.changes import plain, quoted, sentence, sign
from flowc.report.page import toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowc.comparison.compare import Comparison
    from flowc.meaning import Change


def render(found: Comparison, title: str, form: str) -> str:
    """The whole comparison as text, markdown or json. `title` says what was compared."""
    if form == "json":
        told = {
            "compared": title,
            "same": found.same,
            "changes": [plain(change) for change in found.changes],
            "by_design": list(found.by_design),
            "absent": list(found.absent),
            "not_compared": list(found.not_compared),
            "settings": dict(found.suggestion.values),
            "remarks": list(found.suggestion.remarks),
        }
        text = json.dumps(told, indent=2, ensure_ascii=False)
    else:
        text = "\n".join(_markdown(found, title) if form == "markdown" else _text(found, title))
    # half of a surrogate pair has no bytes; JSON and TOML escape it alike
    return text.encode(errors="backslashreplace").decode() + "\n"


def _text(found: Comparison, title: str) -> Iterator[str]:
    yield printable(title)
    yield from (f"  {sign(change)} {_sentence(change, steps, '')}" for change, steps in _together(found.changes))
    if found.same:
        yield "  means the same"
    for heading, lines in _sections(found):
        yield f"\n{heading}"
        yield from (f"  {printable(line)}" for line in lines)
    if found.suggestion.values:
        yield "\nThese settings give flowc's output what Metaflow's has; put them in place of those of the same name:\n"
        yield from _settings(found)


def _markdown(found: Comparison, title: str) -> Iterator[str]:
    yield f"### {printable(title)}\n"
    yield from (f"- {_sentence(change, steps, '`')}" for change, steps in _together(found.changes))
    if found.same:
        yield "Means the same."
    for heading, lines in _sections(found):
        yield f"\n{heading}\n"
        yield from (f"- {printable(line)}" for line in lines)
    if found.suggestion.values:
        yield "\n```toml"
        yield from _settings(found)
        yield "```"


def _together(found: Sequence[Change]) -> Iterator[tuple[Change, tuple[str, ...]]]:
    """The changes, with the steps that a change of one step is the same for: told once, where it came first."""
    alike: dict[str, list[Change]] = {}
    for change in found:
        of_step = change.path[0] == "steps" and len(change.path) > 2
        alike.setdefault(repr((change.path[2:], change.before, change.after)) if of_step else str(id(change)), []).append(change)
    for each in alike.values():
        yield each[0], tuple(change.path[1] for change in each if len(change.path) > 1)


def _sentence(change: Change, steps: Sequence[str], quote: str) -> str:
    text = sentence(change, quote)
    if len(steps) < 2:
        return text
    named = ", ".join(quoted(step, quote) for step in steps)
    return text.replace(f"step {quoted(steps[0], quote)}", f"steps {named}", 1)


def _sections(found: Comparison) -> Iterator[tuple[str, Sequence[str]]]:
    sections = {
        "Not compared: what flowc knows no meaning of": found.not_compared,
        "Not in Metaflow's output": found.absent,
        "Different by design": found.by_design,
        "Remarks": found.suggestion.remarks,
    }
    yield from ((heading, lines) for heading, lines in sections.items() if lines)


def _settings(found: Comparison) -> Iterator[str]:
    yield "[tool.flowc]"
    yield from (f"{key} = {toml(value)}" for key, value in found.suggestion.values.items())
