"""In: a diagnostic Code. Out: its page in Markdown, for `flowc explain` and docs/diagnostics/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flowc.settings import Overlay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowc.diagnostics import Code, Example

RANGES = {
    "FC1": "Reading",
    "FC2": "Graph",
    "FC3": "Decorators, values and parameters",
    "FC4": "A target cannot carry it",
    "FC5": "Output",
    "FC6": "Running",
    "FC9": "Bugs of flowc",
}
LANGUAGES = {"py": "python", "json": "json", "toml": "toml", "yaml": "yaml", "yml": "yaml"}
LINES = 60
"""Longest file that a page shows whole; of a longer one it shows the beginning."""


def page(code: Code) -> str:
    """The whole page, which ends in a newline."""
    parts = [f"# {code.id}: {code.title}", f"{code.severity.value.capitalize()} · {RANGES[code.id[:3]]}", code.why]
    if code.bad.files:
        where = f", on line {code.bad.line}" if code.bad.line else ""
        parts += [f"## Reported{where}", *_example(code.bad), "## Not reported", *_example(code.good)]
    return "\n\n".join(parts) + "\n"


def _example(example: Example) -> Iterator[str]:
    if example.settings:
        yield "With these settings:"
        lines = [f"{name.replace('_', '-')} = {toml(value)}" for name, value in example.settings.items()]
        yield "\n".join(["```toml", "[tool.flowc]", *lines, "```"])
    if example.target:
        yield f"With `--target {example.target}`:"
    if example.on:
        yield f"With `flowc run --on {example.on}`:"
    for path, content in example.files.items():
        text = content if isinstance(content, str) else _readable(content)
        lines = text.rstrip("\n").split("\n")
        if len(lines) > LINES:
            lines = [*lines[:LINES], f"... ({len(lines) - LINES} more lines)"]
        body = "\n".join(line if len(line) <= 200 else f"{line[:200]}... ({len(line) - 200} more characters)" for line in lines)
        fence = "```" if "```" not in body else "````"
        yield f"`{path}`" + ("" if text else " is empty.")
        if text:
            yield f"{fence}{LANGUAGES.get(path.rsplit('.', 1)[-1], '')}\n{body}\n{fence}"


def toml(value: object) -> str:
    """A value of a setting as TOML, on one line."""
    if isinstance(value, Overlay):
        globs = {name: each for name, each in (("flows", value.flows), ("steps", value.steps)) if each}
        value = {"kind": value.kind, **globs, "patch": value.patch}
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _readable(content: bytes) -> str:
    return content.decode("utf-8", errors="backslashreplace")


def index(codes: Sequence[Code]) -> str:
    """The page that lists all codes by range, each with a link to its own."""
    parts = [
        "# Diagnostics",
        (
            "`flowc explain FC203` prints a page. A comment `# flowc: ignore[FC305]` on the line silences a warning, a note, or one of "
            "the errors FC300 to FC309; [FC193](FC193.md) says why no other."
        ),
    ]
    for prefix, name in RANGES.items():
        rows = [f"| [{code.id}]({code.id}.md) | {code.severity.value} | {code.title} |" for code in codes if code.id.startswith(prefix)]
        if rows:
            parts += [f"## {prefix}: {name}", "\n".join(["| Code | Severity | |", "|---|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def listing(codes: Sequence[Code]) -> str:
    """The codes, one a line, for a terminal."""
    return "".join(f"{code.id}  {code.severity.value:<8} {code.title}\n" for code in codes)
