"""A rendered template is read as YAML reads it, and no value of a user can change its structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import nodes

from flowc import data
from flowc.diagnostics import OutputBug
from flowc.output.parse import parse
from flowc.output.render import _environment, render, tojson

TEMPLATES = sorted(Path(data.ROOT / "templates").rglob("*.j2"))

SHAPE = """\
# a comment
kind: WorkflowTemplate   # another
metadata:
  name: {{ a | tojson }}
  labels: {{ b | tojson }}
{% for key, value in m.items() %}
  {{ key | tojson }}: {{ value | tojson }}
{% endfor %}
spec:
  limits: {cpu: {{ a | tojson }}, memory: "1Gi", on-off: [a, b-c, 3, 1.5, true, {{ b | tojson }}]}
  command: [python, /flowc/boot.py]
  same-depth:
  - {{ a | tojson }}
  - name: x
    value: {{ b | tojson }}
  deeper:
    - - name: y1
        list:
          - {}
          - []
          - {{ a | tojson }}
      - {{ b | tojson }}
    - count: 3
      flag: false
  -
    k: v

  last: {{ b | tojson }}
"""
SHAPE = SHAPE.replace("  -\n    k: v\n", "")

JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
        st.sampled_from(["a: b", "- x", "{{x}}", "\n", '"', "#", " #y", "\\", "\u2028", "\x85", "{", "}]"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(JSON, JSON, st.dictionaries(st.text(max_size=6).filter(lambda k: k not in ("name", "labels")), JSON, max_size=3))
def test_values_stay_inside_their_places(a: Any, b: Any, m: dict[str, Any]) -> None:
    """Whatever the values hold, the object has the template's shape with exactly those values in it."""
    value = parse(_environment().from_string(SHAPE).render(a=a, b=b, m=m), "shape")
    assert value == {
        "kind": "WorkflowTemplate",
        "metadata": {"name": a, "labels": b, **m},
        "spec": {
            "limits": {"cpu": a, "memory": "1Gi", "on-off": ["a", "b-c", 3, 1.5, True, b]},
            "command": ["python", "/flowc/boot.py"],
            "same-depth": [a, {"name": "x", "value": b}],
            "deeper": [[{"name": "y1", "list": [{}, [], a]}, b], {"count": 3, "flag": False}],
            "last": b,
        },
    }


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12), st.lists(st.text(max_size=6), max_size=3))
def test_a_yaml_reader_reads_the_same(a: str, b: list[str]) -> None:
    """The subset is YAML: PyYAML reads the same object out of the same text."""
    text = _environment().from_string(SHAPE).render(a=a, b=b, m={"k": a})
    # YAML has no way to write half a surrogate pair, and joins no pairs of escapes.
    if all(ord(c) < 0x10000 for c in a + "".join(b)):
        assert parse(text, "shape") == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only\n",
        "a: yes\n",
        "a: n\n",
        "on: 1\n",
        "a: Null\n",
        "a: ~\n",
        "a: 012\n",
        "a: 1_000\n",
        "a: 1:30\n",
        "a: 0x1F\n",
        "a: 'single'\n",
        "a: two words\n",
        "a: x: y\n",
        "a: |\n  text\n",
        "a: &x 1\n",
        "a: *x\n",
        "a: !!str 1\n",
        "a:\n",
        "a:\nb: 1\n",
        "a: 1\na: 2\n",
        "a: 1\n  b: 2\n",
        "a:\n    b: 1\n  c: 2\n",
        "- 1\na: 2\n",
        "a: {b: 1\n",
        "a: [1, 2\n",
        'a: "x" y\n',
        "a: 1\nb\n",
        "a: NaN\n",
        "a: .inf\n",
        "a: 2024-01-01\n",
    ],
)
def test_what_is_outside_of_the_subset_is_a_bug(text: str) -> None:
    """Ambiguous scalars, anchors, tags, blocks of text, keys without value or standing twice are refused, not guessed."""
    with pytest.raises(OutputBug, match="shape"):
        parse(text, "shape")


def test_a_value_that_is_not_given_is_a_bug() -> None:
    """StrictUndefined: a template's typing error never renders as nothing."""
    for text in ("{{ a | tojson }}", "{{ a.b | tojson }}", "{% if a %}{% endif %}", "{% for x in a %}{% endfor %}"):
        with pytest.raises(Exception, match="undefined"):
            _environment().from_string(text).render()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"x", object(), {1, 2}])
def test_a_value_that_is_no_json_is_a_bug(value: object) -> None:
    """What JSON cannot say does not enter a template."""
    with pytest.raises((TypeError, ValueError)):
        tojson(value)


def test_a_template_that_is_not_shipped_is_a_bug() -> None:
    """The message names the template."""
    with pytest.raises((OutputBug, FileNotFoundError), match="nowhere"):
        render("argo/nowhere.j2", {})


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_values_enter_templates_through_tojson_only(path: Path) -> None:
    """Every `{{ }}` of every template is `... | tojson`, a macro's call, or indentation."""
    tree = _environment().parse(path.read_text(encoding="utf-8"))
    macros = {m.name for m in tree.find_all(nodes.Macro)} | {
        name if isinstance(name, str) else name[1] for imported in tree.find_all(nodes.FromImport) for name in imported.names
    }
    for output in tree.find_all(nodes.Output):
        for node in output.nodes:
            filtered = isinstance(node, nodes.Filter) and node.name == "tojson"
            called = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in macros
            spaces = isinstance(node, nodes.Mul) and isinstance(node.left, nodes.Const) and not str(node.left.value).strip(" ")
            assert isinstance(node, nodes.TemplateData) or filtered or called or spaces, f"{path.name}:{node.lineno}"


def test_there_are_templates() -> None:
    """The test above judged something."""
    assert TEMPLATES
