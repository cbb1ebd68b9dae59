"""A rendered template means one object, and no value of a user can change its structure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import nodes

from flowc import data
from flowc.diagnostics import OutputBug
from flowc.output.parse import _loader, parse
from flowc.output.render import _environment, render, tojson

# what is no manifest, Jinja2 itself escapes
TEMPLATES = sorted(path for path in Path(data.ROOT / "templates").rglob("*.j2") if ".html" not in path.name and ".svg" not in path.name)

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

  last: {{ b | tojson }}
"""

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

# What a template may write without quotes: a word that some YAML reader takes for more than text is a boolean of JSON, a number a decimal one.
# the colons of a resource type have no space after them, so they begin no mapping
BARE = re.compile(r"AWS(::[A-Za-z0-9]+){2}\Z|[A-Za-z/][A-Za-z0-9._/-]*\Z|0\Z|[1-9][0-9]*\Z")
MISREAD = {"y", "n", "yes", "no", "on", "off", "null", "nan", "inf"}


@settings(max_examples=150, deadline=None)
@given(JSON, JSON, st.dictionaries(st.text(max_size=6).filter(lambda k: k not in ("name", "labels")), JSON, max_size=3))
def test_values_stay_inside_their_places(a: Any, b: Any, m: dict[str, Any]) -> None:
    """Whatever the values hold, the object has the template's shape with exactly those values in it."""
    value = parse(_environment(()).from_string(SHAPE).render(a=a, b=b, m=m), "shape")
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


@pytest.mark.parametrize(
    "value", [1e22, -1e-07, 1.5e300, 0.1, -0.0, 2**70, -1, True, None, "1e22", "<<", "=", "~", "2024-01-01", "😀\x85\ufeff\x7f\ufffe"]
)
@pytest.mark.parametrize("reader", ["CSafeLoader", "SafeLoader"])
def test_an_atom_keeps_its_type(value: object, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON's numbers stay numbers and its strings strings, by PyYAML in C and, where an installation has no libyaml, in Python."""
    if reader == "SafeLoader":
        monkeypatch.delattr(yaml, "CSafeLoader")
    _loader.cache_clear()
    read = parse(f"a: {tojson(value)}\nb: {tojson([value])}\nc: {tojson({str(value): value})}\n", "shape")
    _loader.cache_clear()
    assert read == {"a": value, "b": [value], "c": {str(value): value}}
    assert type(read["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("# only\n", ""),
        ("- 1\n", ""),
        ("a: 1\nb: x: y\n", "line 2"),
        ("a: 1\n  b: 2\n", "line 2"),
        ("- 1\na: 2\n", "line 2"),
        ("a: {b: 1\n", "line"),
        ('a: "x" y\n', "line 1"),
        ("a: *x\n", "line 1"),
        ("a: !!python/name:os.system x\n", "line 1"),
        ("a: 1\n---\nb: 1\n", "line 2"),
        ("a: 1\nb: 2\na: 3\n", "line 1: a key stands twice"),
        ("a:\n  x: 1\n  'x': 2\n", "line 2: a key stands twice"),
    ],
)
def test_what_is_no_object_is_a_bug_that_names_the_place(text: str, line: str) -> None:
    """A template that breaks YAML, or says a key twice, is told by its name and line, and nothing of it is guessed."""
    with pytest.raises(OutputBug, match=f"^shape: .*{line}"):
        parse(text, "shape")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_a_word_without_quotes_means_one_thing_to_every_reader(path: Path) -> None:
    """Templates quote what YAML 1.1 or 1.2 could take for a boolean, null, date or number of another base."""
    text = re.sub(r"{#.*?#}|{%.*?%}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r'{{ " " \* \w+ }}', "", text)
    # a block that a macro fills stands for any object
    text = re.sub(r"^{{ fields\(.*\) }}$", "", text, flags=re.MULTILINE)
    text = re.sub(r"{{.*?}}", '"value"', text)
    words = [token.value for token in yaml.scan(text) if isinstance(token, yaml.ScalarToken) and token.plain]
    assert [word for word in words if not BARE.match(word) or word.lower() in MISREAD] == []


def test_a_value_that_is_not_given_is_a_bug() -> None:
    """StrictUndefined: a template's typing error never renders as nothing."""
    for text in ("{{ a | tojson }}", "{{ a.b | tojson }}", "{% if a %}{% endif %}", "{% for x in a %}{% endfor %}"):
        with pytest.raises(Exception, match="undefined"):
            _environment(()).from_string(text).render()


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
    tree = _environment(()).parse(path.read_text(encoding="utf-8"))
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
