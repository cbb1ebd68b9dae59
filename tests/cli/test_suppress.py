"""Facts about `# flowc: ignore[...]`: what it silences, and what is said about one that silences nothing."""

from __future__ import annotations

from cli.running import script

from flowc.commands.session import is_code, known_codes
from flowc.diagnostics import REGISTRY, Code, Diagnostic, Label, Severity
from flowc.source import SourceFile, Span
from flowc.suppress import IMPOSSIBLE, MALFORMED, UNKNOWN, UNUSED, apply, read

known_codes()
ERROR, OTHER, FATAL = (REGISTRY[code] for code in ("FC305", "FC307", "FC140"))
TARGETED = next(code for name, code in sorted(REGISTRY.items()) if name.startswith("FC4") and code.severity is Severity.WARNING)


def _apply(text: str, *found: Diagnostic, complete: bool = True, other: str | None = None) -> list[tuple[str, int]]:
    """(code, line) of what is left."""
    source = SourceFile("flow.py", text)
    beside = None if other is None else SourceFile("common.py", other)
    left = apply(list(found), source, lambda _: beside, is_code, complete)
    return [(each.code.id, each.span.line if each.span else 0) for each in left]


def _at(code: Code, line: int, end: int | None = None, end_column: int = 9, path: str = "flow.py") -> Diagnostic:
    return Diagnostic(code, "a problem", Span(path, line, 1, end or line, end_column))


def test_every_code_is_found() -> None:
    """The modules that are imported to know all codes, and those that are imported to know one, are those that declare them."""
    every = script(
        "import importlib, pkgutil, flowc\n"
        "for module in pkgutil.walk_packages(flowc.__path__, 'flowc.'):\n"
        "    if module.name not in ('flowc.__main__', 'flowc.run.local_task'):\n"
        "        importlib.import_module(module.name)\n"
        "print(*sorted(importlib.import_module('flowc.diagnostics').REGISTRY))"
    ).stdout.split()
    assert script("from flowc.commands.session import known_codes; print(*sorted(known_codes()))").stdout.split() == every
    one = "import sys; from flowc.commands.session import is_code; print(*(code for code in sys.argv[1:] if is_code(code)))"
    assert script(one, "FC000", *every).stdout.split() == every


def test_silences_on_its_line() -> None:
    """A comment silences the codes it names on its own line, and no others there, and nowhere else."""
    text = "a\nb  # flowc: ignore[FC305]\nc"
    assert _apply(text, _at(ERROR, 2)) == []
    assert _apply(text, _at(ERROR, 2), _at(ERROR, 3), _at(OTHER, 2)) == [("FC307", 2), ("FC305", 3)]


def test_several_codes_and_comments() -> None:
    """Codes are separated by commas; other comments may stand before."""
    assert _apply("b  # noqa # flowc: ignore[FC305, FC307]", _at(ERROR, 1), _at(OTHER, 1)) == []


def test_any_line_of_a_place() -> None:
    """The comment may stand on any line of the place, or of a label's; the line behind its end does not count."""
    text = "f(\n  1,\n)  # flowc: ignore[FC305]\n"
    assert _apply(text, _at(ERROR, 1, 3, 2)) == []
    assert _apply(text, _at(ERROR, 1, 3, 1), complete=False) == [("FC305", 1)]
    labelled = Diagnostic(ERROR, "a problem", Span("flow.py", 1, 1, 1, 2), labels=(Label(Span("flow.py", 3, 1, 3, 2), "def"),))
    assert _apply(text, labelled) == []


def test_in_a_sibling_module() -> None:
    """A diagnostic that points into a module is silenced by a comment there."""
    assert _apply("a", _at(ERROR, 1, path="common.py"), other="x  # flowc: ignore[FC305]") == []
    assert _apply("a", _at(ERROR, 1, path="common.py"), other="x") == [("FC305", 1)]


def test_text_is_no_comment() -> None:
    """Only comments count, not strings that look like one."""
    assert _apply('x = "# flowc: ignore[FC305]"', _at(ERROR, 1)) == [("FC305", 1)]


def test_errors_that_leave_no_output() -> None:
    """An error outside FC300 to FC309 stays, and the comment that names it is called out."""
    assert _apply("x  # flowc: ignore[FC140]", _at(FATAL, 1)) == [("FC140", 1), (IMPOSSIBLE.id, 1)]


def test_warnings_of_any_range() -> None:
    """Warnings can be silenced, also those about suppressions' neighbours."""
    assert _apply("x  # flowc: ignore[FC307]", _at(OTHER, 1)) == []


def test_unused() -> None:
    """A comment that silences nothing is reported, unless a flow of the file was left out, or only a target would report the code."""
    assert _apply("x  # flowc: ignore[FC305]") == [(UNUSED.id, 1)]
    assert _apply("x  # flowc: ignore[FC305]", complete=False) == []
    assert _apply(f"x  # flowc: ignore[{TARGETED.id}]") == []


def test_unknown_and_malformed() -> None:
    """A code that does not exist, a comment without codes, or another word after `flowc:` is reported."""
    assert _apply("x  # flowc: ignore[FC000]") == [(UNKNOWN.id, 1)]
    for comment in ("# flowc: ignore", "# flowc: ignore[]", "# flowc: ignore[unused]", "# flowc: ignroe[FC305]", "# flowc: ignore[FC305,]"):
        assert _apply(f"x  {comment}", _at(OTHER, 1), complete=False)[-1] == (MALFORMED.id, 1), comment


def test_broken_text_has_no_suppressions() -> None:
    """Where Python's tokenizer gives up there are no comments."""
    assert list(read(SourceFile("flow.py", "x = (  # flowc: ignore[FC305]\n"))) == []
