"""In: diagnostics, each with the file it is about. Out: GitLab's Code Quality report, or JUnit XML, for servers that build."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any

from flowc.diagnostics import Severity
from flowc.report import printable, unmoved
from flowc.report.machine import message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowc.report import Found

GITLAB = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}


def path_of(each: Found) -> str:
    return each.diagnostic.span.path if each.diagnostic.span else each.path


def as_gitlab(found: Sequence[Found]) -> str:
    """An array of issues as GitLab's widget reads it. A fingerprint knows no line, so that an issue that moves stays the same issue."""
    seen: Counter[str] = Counter()
    return json.dumps([_issue(each, seen) for each in found], indent=2, ensure_ascii=False) + "\n"


def _issue(each: Found, seen: Counter[str]) -> dict[str, Any]:
    diagnostic = each.diagnostic
    facts = json.dumps([diagnostic.code.id, path_of(each), unmoved(diagnostic.message)])
    seen[facts] += 1
    digest = hashlib.sha256(f"{facts}{seen[facts]}".encode(errors="surrogatepass")).hexdigest()
    return {
        "type": "issue",
        "check_name": diagnostic.code.id,
        "description": message(diagnostic),
        "categories": ["Bug Risk"],
        "severity": GITLAB[diagnostic.severity],
        "fingerprint": digest,
        "location": {"path": path_of(each), "lines": {"begin": diagnostic.span.line if diagnostic.span else 1}},
    }


def as_junit(found: Sequence[Found]) -> str:
    """A test suite a file, a case a diagnostic: an error fails, a warning or note passes with its text as output.

    Where nothing was found there is one suite with one case that passed.
    """
    from xml.etree import ElementTree as ET

    root = ET.Element("testsuites", name="flowc")
    suites = {path: list(group) for path, group in groupby(sorted(found, key=path_of), path_of)}
    for path, group in suites.items():
        failures = sum(each.diagnostic.severity is Severity.ERROR for each in group)
        suite = ET.SubElement(root, "testsuite", _counts(path, len(group), failures))
        for each in group:
            diagnostic, span = each.diagnostic, each.diagnostic.span
            case = ET.SubElement(suite, "testcase", {"name": diagnostic.code.id, "classname": printable(path)})
            if span:
                case.attrib.update(line=str(span.line), column=str(span.column))
            text = "\n".join(printable(line) for line in message(diagnostic).split("\n"))
            if diagnostic.severity is Severity.ERROR:
                ET.SubElement(case, "failure", message=printable(diagnostic.message), type="error").text = text
            else:
                ET.SubElement(case, "system-out").text = f"{diagnostic.severity.value}: {text}"
    if not found:
        suite = ET.SubElement(root, "testsuite", _counts("flowc", 1, 0))
        ET.SubElement(suite, "testcase", name="flowc", classname="flowc")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(name: str, tests: int, failures: int) -> dict[str, str]:
    return {"name": printable(name), "tests": str(tests), "failures": str(failures), "errors": "0", "skipped": "0"}
