"""In: diagnostics, each with the file it is about. Out: JSON, GitHub's workflow commands, or SARIF 2.1.0, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flowc.diagnostics import Code, Diagnostic, Severity
from flowc.report import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowc.report import Found
    from flowc.source import Span

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def as_json(found: Sequence[Found]) -> str:
    """An array of objects; a place is path, line, column, end_line, end_column, of which all but the path may be null."""
    return _dump([_plain(each) for each in found])


def _plain(each: Found) -> dict[str, Any]:
    diagnostic = each.diagnostic
    return {
        "code": diagnostic.code.id,
        "severity": diagnostic.severity.value,
        "title": diagnostic.code.title,
        "message": diagnostic.message,
        **_place(diagnostic.span, each.path),
        "note": diagnostic.note,
        "help": diagnostic.help,
        "labels": [{**_place(label.span, each.path), "text": label.text} for label in diagnostic.labels],
    }


def _place(span: Span | None, path: str) -> dict[str, Any]:
    if span is None:
        return {"path": path, "line": None, "column": None, "end_line": None, "end_column": None}
    return {"path": span.path, "line": span.line, "column": span.column, "end_line": span.end_line, "end_column": span.end_column}


def as_github(found: Sequence[Found]) -> str:
    """One `::error file=…,line=…::message` a diagnostic, which GitHub Actions shows on the changed line."""
    return "".join(_annotation(each) + "\n" for each in found)


def _annotation(each: Found) -> str:
    diagnostic = each.diagnostic
    span = diagnostic.span
    properties: dict[str, str | int] = {"file": span.path if span else each.path}
    if span:
        properties |= {"line": span.line, "endLine": span.end_line}
        if span.line == span.end_line:  # GitHub refuses columns on a range of lines
            properties |= {"col": span.column, "endColumn": span.end_column}
    properties["title"] = f"{diagnostic.code.id} {diagnostic.code.title}"
    written = ",".join(f"{key}={_escape(printable(str(value)), in_property=True)}" for key, value in properties.items())
    return f"::{GITHUB[diagnostic.severity]} {written}::{_escape(_printable(message(diagnostic)))}"


def _printable(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _escape(text: str, in_property: bool = False) -> str:
    """As GitHub's own toolkit escapes commands."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def as_sarif(found: Sequence[Found], version: str) -> str:
    """A SARIF 2.1.0 log with one run; the rules are those that were met. `version` is flowc's."""
    codes = sorted({each.diagnostic.code.id: each.diagnostic.code for each in found}.items())
    index = {code_id: number for number, (code_id, _) in enumerate(codes)}
    driver = {"name": "flowc", "version": version, "rules": [_rule(code) for _, code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, index) for each in found],
    }
    return _dump({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.id,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.why},
        "help": {"text": f"Run `flowc explain {code.id}`."},
        "defaultConfiguration": {"level": code.severity.value},
    }


def _result(each: Found, index: dict[str, int]) -> dict[str, Any]:
    diagnostic = each.diagnostic
    result: dict[str, Any] = {
        "ruleId": diagnostic.code.id,
        "ruleIndex": index[diagnostic.code.id],
        "level": diagnostic.severity.value,
        "message": {"text": message(diagnostic)},
        "locations": [{"physicalLocation": _location(diagnostic.span, each.path)}],
    }
    if diagnostic.labels:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": _location(label.span, each.path), "message": {"text": label.text}}
            for number, label in enumerate(diagnostic.labels, 1)
        ]
    return result


def _location(span: Span | None, path: str) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": quote(span.path if span else path, errors="surrogateescape")}}
    if span:
        location["region"] = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column,
        }
    return location


def message(diagnostic: Diagnostic) -> str:
    parts = [diagnostic.message, diagnostic.note, f"help: {diagnostic.help}" if diagnostic.help else ""]
    return "\n".join(part for part in parts if part)


def _dump(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
