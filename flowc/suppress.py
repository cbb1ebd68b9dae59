"""In: the diagnostics of a file and its text. Out: those that no `# flowc: ignore[FC305]` silences, and what is wrong with these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowc.diagnostics import Code, Diagnostic, Example, Severity, in_order
from flowc.source import SourceFile, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IGNORE = re.compile(r"#\s*flowc:\s*ignore\s*\[([^\]]*)\]")
DIRECTIVE = re.compile(r"#+\s*flowc:")
CODE = re.compile(r"FC\d{3}")
OPINIONS = "FC30"
"""Range of the errors after which a flow is still whole: the decorator in question is then not there."""

_FLOW = """\
from metaflow import FlowSpec, step


class HelloFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end){comment}

    @step
    def end(self):
        pass
"""


def _flow(comment: str) -> Example:
    return Example({"flow.py": _FLOW.replace("{comment}", comment)}, line=7)


UNUSED = Code(
    "FC190",
    "unused suppression",
    "The comment silences a diagnostic that is not reported on its line (any more). Left in place it would hide the next real one. "
    "Codes of a target (FC4, FC5) are never called unused, since another target may report them.",
    bad=_flow("  # flowc: ignore[FC305]"),
    good=_flow(""),
    severity=Severity.WARNING,
)
MALFORMED = Code(
    "FC191",
    "suppression that flowc cannot read",
    "A suppression names its codes: `# flowc: ignore[FC305]` or `# flowc: ignore[FC305, FC309]`. A comment that starts with "
    "`# flowc:` and says anything else does nothing, which its author did not mean.",
    bad=_flow("  # flowc: ignore"),
    good=_flow("  # told flowc: nothing"),
    severity=Severity.WARNING,
)
UNKNOWN = Code(
    "FC192",
    "suppression of an unknown code",
    "flowc has no diagnostic of that code, so the comment silences nothing. `flowc explain` lists the codes there are.",
    bad=_flow("  # flowc: ignore[FC000]"),
    good=_flow(""),
    severity=Severity.WARNING,
)
IMPOSSIBLE = Code(
    "FC193",
    "suppression of an error that leaves no output",
    "Warnings and notes can be silenced, and so can the errors about decorators that flowc cannot read or place (FC300 to FC309): it "
    "then goes on as if the decorator were not there. After any other error there is nothing right to write: a value is wrong or "
    "missing, the graph cannot run, or the target cannot carry it.",
    bad=Example({"flow.py": _FLOW.replace("{comment}", "  # flowc: ignore[FC180]")}, line=7),
    good=_flow(""),
    severity=Severity.WARNING,
)


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment: the line it stands on (from 1), its codes, and the place of the comment itself."""

    line: int
    codes: tuple[str, ...]
    span: Span


def apply(
    found: list[Diagnostic],
    source: SourceFile,
    other: Callable[[str], SourceFile | None],
    known: Callable[[str], bool],
    complete: bool,
) -> list[Diagnostic]:
    """What is left of `found`, in order, with warnings about the comments of `source`.

    `other` gives the text of other files that diagnostics point at; `known` says whether there is a code, and is asked only where
    a comment stands; `complete` says that every flow of the file was judged, without which no comment can be called unused.
    """
    comments = {source.path: list(read(source))}
    used: set[tuple[str, int, str]] = set()
    left = []
    for diagnostic in found:
        hit = _silencer(diagnostic, comments, other) if can_suppress(diagnostic) else None
        if hit is None:
            left.append(diagnostic)
        else:
            used.add(hit)
    judged = list(_judge(comments[source.path], used, known, complete)) if comments[source.path] else []
    return in_order(left + judged + list(_malformed(source)))


def can_suppress(diagnostic: Diagnostic) -> bool:
    """Whether a comment may silence it: all but errors that leave nothing right to write."""
    return diagnostic.severity is not Severity.ERROR or diagnostic.code.id.startswith(OPINIONS)


def read(source: SourceFile) -> Iterator[Suppression]:
    """The suppressions of a file, in order; none where it is no Python."""
    for line, column, text in _comments(source):
        for match in IGNORE.finditer(text):
            start = column + match.start()
            codes = tuple(code.strip() for code in match[1].split(",") if code.strip())
            yield Suppression(line, codes, Span(source.path, line, start, line, column + match.end()))


def _malformed(source: SourceFile) -> Iterator[Diagnostic]:
    for line, column, text in _comments(source):
        match = IGNORE.search(text)
        codes = [code.strip() for code in match[1].split(",")] if match else []
        if match and codes and all(CODE.fullmatch(code) for code in codes):
            continue
        if match or DIRECTIVE.match(text):
            span = Span(source.path, line, column, line, column + len(text.rstrip()))
            yield Diagnostic(
                MALFORMED,
                "the comment names no diagnostic that it silences",
                span,
                help="Write it as `# flowc: ignore[FC305]`, codes separated by commas.",
            )


def _comments(source: SourceFile) -> list[tuple[int, int, str]]:
    """(line, column from 1, text) of the comments that speak to flowc."""
    if "flowc:" not in source.text:
        return []
    import io
    import tokenize

    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source.text).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    mine = (token for token in tokens if token.type == tokenize.COMMENT and "flowc:" in token.string)
    return [(token.start[0], token.start[1] + 1, token.string) for token in mine]


def _silencer(
    diagnostic: Diagnostic, comments: dict[str, list[Suppression]], other: Callable[[str], SourceFile | None]
) -> tuple[str, int, str] | None:
    """The comment that silences it, as (path, line, code)."""
    places = [diagnostic.span] if diagnostic.span else []
    places += [label.span for label in diagnostic.labels]
    for place in places:
        if place.path not in comments:
            source = other(place.path)
            comments[place.path] = list(read(source)) if source else []
        for suppression in comments[place.path]:
            if diagnostic.code.id in suppression.codes and place.line <= suppression.line <= _last_line(place):
                return (place.path, suppression.line, diagnostic.code.id)
    return None


def _last_line(place: Span) -> int:
    ends_before = place.end_column <= 1 and place.end_line > place.line
    return place.end_line - 1 if ends_before else place.end_line


def _judge(
    suppressions: list[Suppression], used: set[tuple[str, int, str]], known: Callable[[str], bool], complete: bool
) -> Iterator[Diagnostic]:
    for suppression in suppressions:
        for code in suppression.codes:
            if not CODE.fullmatch(code):
                continue
            if not known(code):
                yield Diagnostic(
                    UNKNOWN,
                    f"there is no diagnostic {code} to silence",
                    suppression.span,
                    help="Remove it; `flowc explain` lists the codes.",
                )
            elif (suppression.span.path, suppression.line, code) in used:
                continue
            elif _never(code):
                yield Diagnostic(
                    IMPOSSIBLE,
                    f"{code} cannot be silenced: nothing right can be written after it",
                    suppression.span,
                    help=f"Remove the comment and mend what {code} reports.",
                )
            elif complete and code[2] not in "45":
                yield Diagnostic(UNUSED, f"nothing to silence: {code} is not reported here", suppression.span, help="Remove the comment.")


def _never(code: str) -> bool:
    from flowc.diagnostics import REGISTRY

    return REGISTRY[code].severity is Severity.ERROR and not code.startswith(OPINIONS)
