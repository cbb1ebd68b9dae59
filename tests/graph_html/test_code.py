"""The colours of a source and a manifest: no character is lost, and every Python colours alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from graph_html.pages import HOSTILE
from hypothesis import given
from hypothesis import strategies as st
from reading import reading

from flowc.report.html_code import document, excerpt
from flowc.source import SourceFile, Span

FLOWS = sorted((Path(__file__).parents[1]).glob("fixtures/*/flow.py"))
TRICKY = '''\
class A:
    @one(
        a=f"x{b!r:>{10}}y", c=f"""two
lines {d + 1} of it""",
    )
    @two.three
    async def go(self, n=0x1F, *, s=r"\\d+"):  # why
        """Doc.
  less indented
        """
        return [len(s) for _ in range(n)] @ self.m
'''


def text_of(lines: tuple[tuple[tuple[str, str], ...], ...]) -> list[str]:
    return ["".join(text for _, text in line) for line in lines]


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.parent.name)
def test_no_character_of_a_source_is_lost(path: Path) -> None:
    """The lines of every step are those of the file from its first decorator to its end, the common indentation aside."""
    source = SourceFile("flow.py", path.read_text())
    for flow in reading(source.text).flows:
        for step in flow.steps.values():
            found = excerpt(source, step.span)
            lines = source.lines[found.first - 1 : found.last]
            assert [line[4:] for line in lines] == text_of(found.lines)
            assert lines[0].lstrip().startswith("@")


def test_colours_of_python() -> None:
    """Decorators, keywords, names that are defined, numbers, comments and texts have their colours; an f-string is one text."""
    source = SourceFile("flow.py", TRICKY)
    found = excerpt(source, Span("flow.py", 7, 15, 7, 17))
    assert (found.first, found.last) == (2, 11)
    pieces = [piece for line in found.lines for piece in line if piece[0]]
    for piece in (("d", "one"), ("d", "three"), ("k", "async"), ("k", "def"), ("f", "go"), ("b", "self"), ("n", "0x1F"), ("c", "# why")):
        assert piece in pieces
    assert ("s", 'f"x{b!r:>{10}}y"') in pieces
    assert ("s", 'lines {d + 1} of it"""') in pieces
    assert not [piece for piece in pieces if piece == ("d", "@") and piece in found.lines[-1]]
    # the docstring stands left of the function: then nothing is taken off
    assert text_of(found.lines) == TRICKY.split("\n")[1:-1]


def test_what_hides_text_is_visible() -> None:
    """Characters that turn or hide text are shown as their escapes, marked; emoji and letters of all scripts are as they are."""
    source = SourceFile("flow.py", "def f():\n    x = 'a\u202eb\u200b\x1b' # \u00e4\u5b57\U0001f642\u2028\n")
    lines = excerpt(source, Span("flow.py", 1, 5, 1, 6)).lines
    assert text_of(lines)[1] == "    x = 'a\\u202eb\\u200b\\x1b' # \u00e4\u5b57\U0001f642\\u2028"
    assert [text for kind, text in lines[1] if kind == "x"] == ["\\u202e", "\\u200b", "\\x1b", "\\u2028"]


def test_colours_of_a_manifest() -> None:
    """Keys, texts and numbers of YAML and JSON have their colours; what stands in a block of text is text."""
    yaml = 'a: 1\n"b c":\n- name: "x: 1"\n  run: |\n    key: no key\n\n    2\nd: true\n'
    pieces = [piece for line in document(yaml) for piece in line if piece[0]]
    assert pieces == [
        ("y", "a"), ("n", "1"), ("y", '"b c"'), ("y", "name"), ("s", '"x: 1"'), ("y", "run"), ("s", "    key: no key"), ("s", "    2"), ("y", "d"), ("n", "true"),
    ]  # fmt: skip
    found = [piece for line in document('{\n  "a": [\n    1,\n    "b: 2"\n  ],\n  "c": null\n}\n') for piece in line if piece[0]]
    assert found == [("y", '"a"'), ("n", "1"), ("s", '"b: 2"'), ("y", '"c"'), ("n", "null")]


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\x7f") | st.just("\n"), max_size=200))
def test_no_character_of_a_manifest_is_lost(text: str) -> None:
    """Whatever the text, its lines are shown whole."""
    assert text_of(document(text)) == text.rstrip("\n").split("\n")


def test_a_hostile_flow_is_whole() -> None:
    """The hostile flow of the tests keeps all its lines."""
    source = SourceFile("flow.py", HOSTILE)
    (flow,) = reading(HOSTILE).flows
    assert text_of(excerpt(source, flow.steps["a"].span).lines)[2].startswith('    """</script>')
