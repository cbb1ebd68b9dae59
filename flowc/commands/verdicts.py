"""In: a file after the compiler. Out: a Verdict, what `flowc check` tells of it; it can leave its process, and be kept as JSON."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.diagnostics import Diagnostic, Label, Severity, has_errors, told
from flowc.report import Found
from flowc.source import SourceFile, Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowc.commands.session import Judged
    from flowc.report import Texts
    from flowc.source import Reader


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a file, and in how many flows; `empty`: it holds none, and that is what was found."""

    path: str
    found: tuple[Diagnostic, ...]
    flows: int
    empty: bool
    texts: Texts

    @property
    def failed(self) -> bool:
        return has_errors(list(self.found))

    @property
    def reported(self) -> list[Found]:
        return [Found(self.path, diagnostic) for diagnostic in self.found]


def verdict(judged: Judged) -> Verdict:
    """The verdict with the few texts that its report shows."""
    from flowc.frontend.classes import NO_FLOW

    paths = {span.path for each in judged.found for span in (each.span, *(label.span for label in each.labels)) if span}
    texts = {path: judged.texts(path) for path in paths}
    empty = any(each.code is NO_FLOW for each in judged.found)
    return Verdict(judged.path, judged.found, len(judged.checked.flows), empty, texts.get)


# --- as JSON -----------------------------------------------------------------------------------------------------------


def plain(kept: Verdict) -> dict[str, Any]:
    """The verdict without texts. Of codes there is what reports say of them, so that who reads it need not import what declares them."""
    codes = {each.code.id: each.code for each in kept.found}
    return {
        "flows": kept.flows,
        "empty": kept.empty,
        "codes": {code.id: [code.title, code.why, code.severity.value] for code in codes.values()},
        "found": [
            [each.code.id, each.message, _plain(each.span), each.note, [[_plain(one.span), one.text] for one in each.labels], each.help]
            for each in kept.found
        ],
    }


def _plain(span: Span | None) -> list[str | int] | None:
    return None if span is None else [span.path, span.line, span.column, span.end_line, span.end_column]


def restored(path: str, data: Mapping[str, Any], texts: Texts) -> Verdict:
    """The verdict on the file shown as `path` that `plain` was given. ValueError, TypeError or KeyError where this is no such data."""
    codes = {_text(name): told(name, _text(title), _text(why), Severity(level)) for name, (title, why, level) in data["codes"].items()}
    found = tuple(
        Diagnostic(
            codes[code],
            _text(message),
            _span(span),
            _text(note),
            tuple(Label(_place(place), _text(text)) for place, text in labels),
            _text(remedy),
        )
        for code, message, span, note, labels, remedy in data["found"]
    )
    return Verdict(path, found, _number(data["flows"]), data["empty"] is True, texts)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"no number: {value!r}")
    return value


def _span(value: Sequence[Any] | None) -> Span | None:
    return None if value is None else _place(value)


def _place(value: Sequence[Any]) -> Span:
    path, *numbers = value
    line, column, end_line, end_column = map(_number, numbers)
    return Span(_text(path), line, column, end_line, end_column)


@dataclass(frozen=True, slots=True)
class Reread:
    """The texts of a verdict that was kept, read when a report shows them: of the flow's file at `full`, and by the Reader beside it."""

    path: str
    full: str
    reader: Reader

    def __call__(self, path: str) -> SourceFile | None:
        from flowc.commands.files import PathError, decode, load

        folder = posixpath.dirname(self.path)
        try:
            if path == self.path:
                return decode(path, load(self.full))[0]
            inside = not folder or path.startswith(folder + "/")
            data = self.reader(path.removeprefix(folder + "/") if folder else path) if inside else None
        except PathError:
            return None
        return None if data is None else SourceFile(path, data.decode(errors="replace").replace("\r\n", "\n"))
