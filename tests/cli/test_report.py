"""Facts about flowc.report: what people and programs read of a diagnostic."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from cli import snapshots

from flowc.diagnostics import REGISTRY, Code, Diagnostic, Example, Label, Severity
from flowc.report import FORMATS, Found, Style, render, summary
from flowc.source import SourceFile, Span

FLOW = SourceFile(
    "flows/flow.py",
    "from common import GPU\n"
    "class Hello(FlowSpec):\n"
    "\t@resources(gpu=GPU + missing)\n"
    "\tdef start(self):\n"
    "\t\tself.next(self.日本, self.b)  # 漢字 e\u0301 \u202e hidden\n" + "    x = " + "a + " * 100 + "wrong + " + "b + " * 100 + "0\n",
)
COMMON = SourceFile("flows/common.py", "GPU = 1\n")


@pytest.fixture(scope="module")
def codes() -> list[Code]:
    """Three codes that are in no registry, one a severity."""
    made = []
    for number, severity in enumerate(Severity):
        made.append(Code(f"FC99{number}", f"a {severity.value}", "For this test.", Example({}), Example({}), severity))
        del REGISTRY[f"FC99{number}"]
    return made


@pytest.fixture
def found(codes: list[Code]) -> list[Found]:
    error, warning, note = codes
    diagnostics = [
        Diagnostic(error, "a module has a problem", Span("flows/common.py", 1, 1, 1, 4), help="mend it"),
        Diagnostic(
            error,
            "the value of `gpu` cannot be known",
            Span("flows/flow.py", 3, 17, 3, 30),
            "missing is bound nowhere",
            (Label(Span("flows/flow.py", 1, 20, 1, 23), "GPU comes from here"), Label(Span("flows/common.py", 1, 1, 1, 4), "and is 1")),
            'give it in [tool.flowc.values]:\n"flow.missing" = 1',
        ),
        Diagnostic(warning, "wide and hidden characters", Span("flows/flow.py", 5, 18, 5, 20), "two columns each"),
        Diagnostic(warning, "a long line", Span("flows/flow.py", 6, 409, 6, 414), "here"),
        Diagnostic(error, "more than a line", Span("flows/flow.py", 3, 3, 4, 17), "from here on"),
        Diagnostic(note, "no place, a \x1b[31mcolour\nand 100%: such, it is", note="something to know", help="do a thing"),
        Diagnostic(note, "a line that the file has not", Span("flows/flow.py", 99, 1, 99, 2)),
        Diagnostic(note, "a file that is not at hand", Span("gone, really.py", 1, 1, 1, 2), "no snippet"),
    ]
    return [Found("flows/flow.py", diagnostic) for diagnostic in diagnostics]


def texts(path: str) -> SourceFile | None:
    return {"flows/flow.py": FLOW, "flows/common.py": COMMON}.get(path)


@pytest.mark.parametrize("form", FORMATS)
def test_formats(form: str, found: list[Found], request: pytest.FixtureRequest) -> None:
    """Every format says what its snapshot says; no format lets a control character through."""
    text = render(found, texts, form, Style(width=100), "1.2.3")
    assert "\x1b" not in text
    snapshots.check(request, f"report.{form}.txt", text)


def test_colour(found: list[Found], request: pytest.FixtureRequest) -> None:
    """Colours add escapes and change nothing else."""
    text = render(found, texts, "full", Style(color=True, width=100))
    snapshots.check(request, "report.colour.txt", text.replace("\x1b", "ESC"))


def test_nothing_found() -> None:
    """Without diagnostics the text formats are silent, JSON is an empty array and SARIF a run without results."""
    assert {form: render([], texts, form) for form in ("full", "concise", "github")} == {"full": "", "concise": "", "github": ""}
    assert json.loads(render([], texts, "json")) == []
    assert json.loads(render([], texts, "sarif"))["runs"][0]["results"] == []


def test_caret_stands_under_its_text(found: list[Found]) -> None:
    """Tabs are expanded and wide characters take two columns, so that the caret is below what it points at."""
    lines = render(found[1:2], texts, "full").split("\n")
    at = next(number for number, line in enumerate(lines) if "gpu=GPU" in line)
    assert lines[at].index("GPU + missing") == lines[at + 1].index("^^^^^^^^^^^^^ missing")
    wide = render(found[2:3], texts, "full").split("\n")
    at = next(number for number, line in enumerate(wide) if "日本" in line)
    assert wide[at].index("日本") == wide[at + 1].index("^^^^ two columns")


def test_long_line_is_cut_around_the_caret(found: list[Found]) -> None:
    """A line wider than the style allows is cut on both sides, and the caret still stands under its text."""
    lines = render(found[3:4], texts, "full", Style(width=60)).split("\n")
    at = next(number for number, line in enumerate(lines) if "wrong" in line)
    assert len(lines[at]) <= 60 + len("6 | ")
    assert lines[at].index("wrong") == lines[at + 1].index("^^^^^ here")


def test_summary(found: list[Found]) -> None:
    """Counts by severity, and says nothing of what there is none of."""
    assert summary(found) == "3 errors, 2 warnings, 3 notes"
    assert summary(found[:1]) == "1 error"
    assert summary([]) == ""


PLACE = {
    "type": "object",
    "required": ["artifactLocation"],
    "properties": {
        "artifactLocation": {"type": "object", "required": ["uri"], "properties": {"uri": {"type": "string", "pattern": "^[^ ]+$"}}},
        "region": {
            "type": "object",
            "additionalProperties": False,
            "required": ["startLine", "startColumn", "endLine", "endColumn"],
            "properties": {key: {"type": "integer", "minimum": 1} for key in ("startLine", "startColumn", "endLine", "endColumn")},
        },
    },
    "additionalProperties": False,
}
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}, "additionalProperties": False}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "shortDescription": TEXT,
        "fullDescription": TEXT,
        "help": TEXT,
        "defaultConfiguration": {"type": "object", "properties": {"level": LEVEL}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": TEXT,
        "locations": {
            "type": "array",
            "items": {"type": "object", "properties": {"physicalLocation": PLACE}, "additionalProperties": False},
        },
        "relatedLocations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": {"type": "integer", "minimum": 0}, "physicalLocation": PLACE, "message": TEXT},
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {"type": "array", "items": RULE, "uniqueItems": True},
                                },
                                "additionalProperties": False,
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                },
            },
        },
    },
}
"""The part of the SARIF 2.1.0 schema that flowc writes, with the standard's own names, types and required members."""


def test_sarif(found: list[Found]) -> None:
    """The log has the shape of SARIF 2.1.0, and each result's index leads to its rule."""
    log = json.loads(render(found, texts, "sarif", version="1.2.3"))
    jsonschema.validate(log, SARIF)
    run = log["runs"][0]
    assert [run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] for result in run["results"]] == [
        each.diagnostic.code.id for each in found
    ]


def test_gitlab(found: list[Found]) -> None:
    """Fingerprints are unique, and stay when lines are added above."""
    issues = json.loads(render([*found, found[0]], texts, "gitlab"))
    assert len({issue["fingerprint"] for issue in issues}) == len(found) + 1
    moved = replace(found[0].diagnostic, span=Span("flows/common.py", 7, 1, 7, 4))
    (issue,) = json.loads(render([Found("flows/flow.py", moved)], texts, "gitlab"))
    assert (issue["fingerprint"], issue["location"]["lines"]) == (issues[0]["fingerprint"], {"begin": 7})
    assert json.loads(render([], texts, "gitlab")) == []


def test_junit(found: list[Found]) -> None:
    """It is XML whatever stands in a message, has a case a diagnostic, fails those that are errors, and passes where nothing was found."""
    root = ET.fromstring(render(found, texts, "junit"))
    assert len(root.findall("./testsuite/testcase")) == len(found)
    errors = sum(each.diagnostic.severity is Severity.ERROR for each in found)
    assert len(root.findall("./testsuite/testcase/failure")) == errors == sum(int(suite.attrib["failures"]) for suite in root)
    passed = ET.fromstring(render([], texts, "junit"))
    assert [(suite.attrib["tests"], suite.attrib["failures"]) for suite in passed] == [("1", "0")]
