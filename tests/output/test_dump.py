"""The dumper's text means the object to every YAML reader, and is the same every time."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from flowc.diagnostics import OutputBug
from flowc.output.dump import dump, scalar

# What some YAML reader takes for a boolean, null, number, date, merge key, comment, alias, tag or template.
WORDS = """
y n Y N yes no Yes NO on off On OFF true false True FALSE null Null NULL ~ = << 1e3 1E3 1e+3 .5 5. 0o7 0x1F 0b1 012 08 1_000 1:30 1:30:45
190:20:30 .inf -.inf +.inf .Inf .nan .NaN inf nan Infinity -1 +1 1 0 -0 1.5 2024-01-01 2024-01-01T00:00:00Z - -- --- ... ? : :: ! !! & * | >
@ ` % %YAML # a# [ ] { } {} [] , {{x}} {{=a}} {%x%} $x ${x} 'a' "a" \\ \\n a:b a: :a x=y -y --y /y 10Gi 3.11 python:3.11 1e 0e0 e1 +e1 _1
0.1.2 1,000 1__0 0b 0o 0x NaN Null, y: n: <<: =a
"""
MISREADABLE = [*WORDS.split(), "", " ", "  a", "a  ", "\t", "a\tb", "\ta", "a #b", "a# b", "a: b", "a :b", "- a", "? a"]
MISREADABLE += ["a\n", "\na", "a\n\n", "\n", "\n\n"]
MISREADABLE += [
    " a\nb",
    "a\n b",
    "a\n\n  b\n",
    "a \nb",
    "a\n \nb",
    "a\n ",
    "\n a",
    "a\n\tb",
    "\ta\nb",
    "a\r\nb",
    "a\rb",
    "é",
    "日本\nx",
    "😀",
    "a\x00b",
    "\x85",
    "a\u2028b",
]
MISREADABLE += [
    "a\x85b\nc",
    "\ufeffa",
    "a\x7fb",
    "\x1b[0m\nx",
    "---\na",
    "a\n---\nb",
    "...\nx",
    "#!/bin/sh\necho\n",
    "# c\na: b\n",
    "'\n'",
    '"\n"',
    "%a\nb",
    "\ud7ff\ue000",
]

NASTY = st.one_of(
    st.sampled_from(MISREADABLE),
    st.text(alphabet=st.sampled_from(list("abyn01e.:-_ \t\n\r#'\"\\{}[],&*!|>%@`=~?<")), max_size=12),
    st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=12),
    st.lists(st.sampled_from(["", " ", "  x", "x", "x ", "\tx", "y: 1", "# z", "---"]), max_size=5).map("\n".join),
)
ATOMS = st.one_of(st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False), NASTY)
VALUES = st.recursive(ATOMS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NASTY, inner, max_size=4)), max_leaves=12)
OBJECTS = st.dictionaries(NASTY, VALUES, max_size=5)


def yaml12(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(io.StringIO(text))


def same(left: Any, right: Any) -> bool:
    """Equal in type too: JSON has one text for each."""
    return json.dumps(left) == json.dumps(right)


@settings(max_examples=400, deadline=None)
@given(OBJECTS)
def test_yaml_1_1_reads_back_the_object(value: dict[str, Any]) -> None:
    """PyYAML, both in Python and in C, reads the very object out of the text."""
    text = dump(value)
    assert same(yaml.safe_load(text), value)
    assert same(yaml.load(text, yaml.CSafeLoader), value)


@settings(max_examples=200, deadline=None)
@given(OBJECTS)
def test_yaml_1_2_reads_back_the_object(value: dict[str, Any]) -> None:
    """A YAML 1.2 reader, whose booleans and octals are others, reads the same object."""
    assert same(yaml12(dump(value)), value)


@pytest.mark.parametrize("text", MISREADABLE)
def test_misreadable_text_survives_in_every_place(text: str) -> None:
    """As a key, a value, an item and deep inside, both kinds of reader give the text back."""
    value = {text: text, "list": [text, [text, {text: [text]}], {"a": {"b": text}}], "last": text}
    assert same(yaml.safe_load(dump(value)), value)
    assert same(yaml12(dump(value)), value)


@pytest.mark.parametrize(
    "text",
    [m for m in MISREADABLE if m.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "1e3", "012", "1:30", "{{x}}")],
)
def test_text_that_a_reader_takes_for_another_type_is_quoted(text: str) -> None:
    """Go's YAML reader knows booleans that PyYAML does not (`y`, `n`), so the text itself is judged here."""
    assert scalar(text)[0] in "\"'" or text == "{{x}}"


def test_a_template_expression_is_quoted_where_it_starts() -> None:
    """`{{x}}` plain would be a flow mapping."""
    assert scalar("{{x}}") == '"{{x}}"'


def test_the_layout_is_the_one_of_kubernetes_manuals() -> None:
    """Keys in order, lists as deep as their key, literal blocks for lines, no flow style but for empty ones."""
    value = {
        "kind": "X",
        "metadata": {"name": "a", "labels": {}},
        "spec": {
            "args": ["--path", "3-0"],
            "empty": [],
            "code": "import a\n\nif a:\n    b()\n",
            "kept": "a\n\n",
            "cut": "a\nb",
            "deep": [[1, 2], [{"a": 1.5}]],
        },
    }
    assert dump(value) == (
        'kind: X\nmetadata:\n  name: a\n  labels: {}\nspec:\n  args:\n  - --path\n  - "3-0"\n  empty: []\n'
        "  code: |\n    import a\n\n    if a:\n        b()\n"
        "  kept: |+\n    a\n\n  cut: |-\n    a\n    b\n  deep:\n  - - 1\n    - 2\n  - - a: 1.5\n"
    )


def test_json_in_a_string_stays_readable() -> None:
    """Single quotes where double ones would need escapes, unless some character needs one anyway."""
    assert scalar('{"a": "it\'s"}') == "'{\"a\": \"it''s\"}'"
    assert scalar('"\t"') == r'"\"\t\""'


def test_equal_objects_that_share_parts_have_no_anchors() -> None:
    """A part that stands twice is written twice."""
    part = {"a": [1]}
    assert dump({"x": part, "y1": part}) == "x:\n  a:\n  - 1\ny1:\n  a:\n  - 1\n"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, b"x", object(), {1: 2}, {"x" * 2000: 1}])
def test_what_has_no_place_in_a_manifest_is_a_bug(value: object) -> None:
    """Nulls, non-finite numbers, bytes, keys that are no text or too long are refused, not written."""
    with pytest.raises(OutputBug):
        dump({"a": value})
