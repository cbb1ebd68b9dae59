"""What the text tells is computed as Python computes it; what it does not tell is Unknown with a reason and a remedy, and never executed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from evaluating import data_of, reason_of, value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.frontend.values import Unknown
from flowc.ir import Value

AS_PYTHON = [
    "[1, 2 * 3, (4, 5), {'a': None}]",
    "-3 ** 2 + 7 // 2 % 3 - (1 << 4 | 3 & 6 ^ 1) + ~5 + 6 / 4",
    "1 < 2 <= 2 != 3 and 'a' in 'abc' and not (3 in [1]) or None",
    "0 or [] or 'x' and 'y'",
    "'a' if 1 > 2 else 'b'",
    "f'{1 + 1}-{3.14159:.2f}-{\"x\"!r:>5}-{7:0{3}d}-{{}}'",
    "'%s/%05d' % ('a', 3)",
    "'%(x)s' % {'x': 1}",
    "'{}-{a:>4}-{b[k]}'.format(1, a=2, b={'k': 3})",
    "'a-b'.upper().replace('-', '_').split('_')",
    "'/'.join(str(i) for i in range(3))",
    "{k: v * 2 for k, v in {'a': 1, 'b': 2}.items() if v > 1}",
    "[x + y for x in (1, 2) for y in (10, 20) if x != 2]",
    "sorted({3, 1, 2}, reverse=True)",
    "dict(a=1, **{'b': 2}) | {'c': 3}",
    "max(1, 2, *[5, 4]) + min([3, 2]) + sum([1, 2], 10) + abs(-3) + len('abc') + round(2.567, 1) + int('7') + float('1.5')",
    "list(zip('ab', range(2))) + list(enumerate('x', 3)) + list(reversed([1, 2]))",
    "'abc'[1:] + 'abc'[-1] + str([1, 2, 3][0:2])",
    "all([1, 2]) and any([0, 1])",
    "bool('x') is True",
    "(lambda a, *b, c=3, **d: [a, b, c, d])(1, 2, c=4, e=5)",
    "isinstance('a', (str, int)) and not isinstance(1, str)",
    "hex(255) + repr('a') + str(1.0) + 'ß'.upper()",
    "pow(2, 10) + divmod(7, 2)[1]",
    "[*range(3), *(4, 5)]",
    "list(map(lambda x: x + 1, [1, 2]))",
]


@pytest.mark.parametrize("expr", AS_PYTHON)
def test_expressions_come_out_as_in_python(expr: str) -> None:
    """Python's own eval is the oracle; tuples are lists, as in JSON."""
    assert data_of(expr) == json.loads(json.dumps(eval(expr)))


LEAVES = st.one_of(
    st.integers(-9, 99).map(str),
    st.sampled_from(["True", "False", "None", "'a'", "'b c'", "''", "1.5", "[]", "[1, 2]", "{'k': 1}", "(3,)", "'%d'"]),
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    operators = st.sampled_from(["+", "-", "*", "/", "//", "%", "==", "<", ">=", "and", "or", "in", "!=", "|", "&", "<<"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        pair.map(lambda t: f"[{t[0]}, *({t[1]},)]"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        inner.map(lambda t: f"(not {t})"),
        pair.map(lambda t: f"{{'x': {t[0]}, 'y': {t[1]}}}"),
        pair.map(lambda t: f"({t[0]})[{t[1]}]"),
        inner.map(lambda t: f"[x for x in [{t}, 1] if x]"),
        st.tuples(st.sampled_from(["len", "str", "int", "sorted", "list", "bool", "sum", "max", "abs", "tuple"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
    )


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@given(st.recursive(LEAVES, _grown, max_leaves=8))
@settings(max_examples=400, deadline=None)
def test_any_expression_equals_python_or_python_raises(expr: str) -> None:
    """Over a grammar of expressions: the same plain value as Python's, and Unknown just where Python raises or the value is not JSON's."""
    try:
        theirs: Any = json.dumps(eval(expr), allow_nan=True)
    except Exception:  # noqa: BLE001 - whatever Python raises
        theirs = None
    found = value_of(expr)
    if theirs is None:
        assert isinstance(found, Unknown)
    elif isinstance(found, Unknown):
        assert "larger than flowc computes" in found.reason or "key of the mapping" in found.reason
    else:
        assert json.dumps(found.data, allow_nan=True) == theirs


CONSTANTS = {
    "module constant": ("A + 1", "A = 1\n", 2),
    "annotated": ("A", "A: int = 1\n", 1),
    "unpacked": ("A + B[1]", "A, B = 1, (2, 3)\n", 4),
    "rebound": ("A", "A = 1\nA = 2\n", 2),
    "if": ("A", "X = 1\nif X == 1:\n    A = 1\nelse:\n    A = 2\n", 1),
    "elif": ("A", "X = 3\nif X == 1:\n    A = 1\nelif X == 3:\n    A = 5\nelse:\n    A = 2\n", 5),
    "only in an if": ("A", "import far\nif far.x:\n    A = 1\n", 1),
    "TYPE_CHECKING": ("A", "from typing import TYPE_CHECKING\nA = 1\nif TYPE_CHECKING:\n    A = 2\n", 1),
    "local name is no change": ("A", "A = [1]\n\n\ndef f():\n    A = []\n    A.append(1)\n", [1]),
    "method is no change": ("A", "A = [1]\n\n\nclass C:\n    def f(self):\n        A.append(1)\n", [1]),
    "walrus in a comprehension": ("[y for x in [1, 2] if (y := x * 2)]", "", [2, 4]),
    "class constant": ("C.A + C.B", "class B:\n    A = 1\n\n\nclass C(B):\n    B = 2\n", 3),
    "nested class": ("C.D.A", "class C:\n    class D:\n        A = 1\n", 1),
    "SimpleNamespace": ("n.a.b", "from types import SimpleNamespace as N\nn = N(a=N(b=3))\n", 3),
    "NamedTuple": (
        "[T(1).b, T(1)[0], T(5, b=6)]",
        "from typing import NamedTuple\n\n\nclass T(NamedTuple):\n    a: int\n    b: int = 4\n",
        [4, 1, [5, 6]],
    ),
    "property": (
        "C('x').image",
        "class C:\n    def __init__(self, tag):\n        self.tag = tag\n\n    @property\n    def image(self):\n        return f'r:{self.tag}'\n",
        "r:x",
    ),
    "dataclass by base": (
        "[C().a, C(a=5).b, C().c]",
        "from dataclasses import dataclass, field\n\n\n@dataclass\nclass B:\n    a: int = 1\n\n\n@dataclass(order=True)\nclass C(B):\n"
        "    b: str = 'x'\n    c: list = field(default_factory=lambda: [1])\n",
        [1, "x", [1]],
    ),
    "Enum values": ("[e.value for e in E]", "from enum import Enum\n\n\nclass E(Enum):\n    A = 1\n    B = 2\n", [1, 2]),
    "Enum by value and key": (
        "[E('x').name, E['A'].value, E.A == E.A, E.A is E('x')]",
        "import enum\n\n\nclass E(enum.Enum):\n    A = 'x'\n",
        ["A", "x", True, True],
    ),
    "str Enum": ("E.A", "from enum import Enum\n\n\nclass E(str, Enum):\n    A = 'x'\n", "x"),
    "timedelta": ("int((D * 2).total_seconds())", "from datetime import timedelta\nD = timedelta(hours=1)\n", 7200),
    "os.path": ("os.path.join('a', 'b')", "import os\n", "a/b"),
    "function": (
        "f(3)",
        "def f(n, k=2):\n    total = 0\n    for i in range(n):\n        if i == 1:\n            continue\n        total += i * k\n    return total\n",
        4,
    ),
    "function with a dict": (
        "f(1)",
        "def f(n):\n    d = {'a': n}\n    d['b'] = 2\n    d.update(c=3)\n    return d\n",
        {"a": 1, "b": 2, "c": 3},
    ),
    "closure": ("f(1)(2)", "def f(a):\n    def g(b):\n        return a + b\n\n    return g\n", 3),
    "json": ("json.loads('[1]') + [json.dumps({'a': 1})]", "import json\n", [1, '{"a": 1}']),
    "__name__": ("__name__", "", "__main__"),
    "getattr": ("getattr(n, 'a', 1) + getattr(n, 'b', 2)", "from types import SimpleNamespace\nn = SimpleNamespace(a=5)\n", 7),
    "copy": (
        "f()",
        "import copy\nC = {'a': [1]}\n\n\ndef f():\n    d = copy.deepcopy(C)\n    d['a'].append(2)\n    return d\n",
        {"a": [1, 2]},
    ),
}


@pytest.mark.parametrize("case", CONSTANTS)
def test_constants_functions_and_classes_in_sight(case: str) -> None:
    """The values that real flows keep in constants and small helpers; Python's exec of the same text agrees."""
    expr, before, wanted = CONSTANTS[case]
    assert data_of(expr, before) == wanted
    if "far" not in before and case != "__name__":
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(before, "flow.py", "exec", dont_inherit=True), names)
        assert json.loads(json.dumps(eval(expr, names))) == wanted


SIBLINGS = {
    "common.py": "import os\nfrom sizes import *\nfrom pkg.deep import DEEP as D\n\nREGISTRY = 'r.example.com'\nIMAGE = f'{REGISTRY}/train'\nLIST = [1]\n",
    "sizes.py": "__all__ = ['BIG']\nBIG = 16\nSMALL = 1\n",
    "pkg/__init__.py": "from . import deep\n",
    "pkg/deep.py": "from .other import X\nDEEP = X + 1\n",
    "pkg/other.py": "X = 41\n",
}


@pytest.mark.parametrize(
    ("expr", "before", "wanted"),
    [
        ("IMAGE", "from common import IMAGE\n", "r.example.com/train"),
        ("c.IMAGE.upper()", "import common as c\n", "R.EXAMPLE.COM/TRAIN"),
        ("common.BIG", "import common\n", 16),
        ("common.D", "import common\n", 42),
        ("pkg.deep.DEEP", "import pkg.deep\n", 42),
        ("deep.DEEP", "from pkg import deep\n", 42),
        ("pkg.deep.X", "import pkg\n", 41),
    ],
)
def test_sibling_modules(expr: str, before: str, wanted: Any) -> None:
    """Names of modules and packages beside the flow, through every form of import."""
    found = value_of(expr, before, SIBLINGS)
    assert isinstance(found, Value)
    assert found.data == wanted


def test_origin_says_where_a_value_came_from() -> None:
    """For people: a literal, the constant and its file, the setting."""
    origin = [
        getattr(value_of(*args, **given), "origin", None)
        for args, given in (
            (("[1]",), {}),
            (("1 + 1",), {}),
            (("IMAGE", "from common import IMAGE\n", SIBLINGS), {}),
            (("f'{A}'", "A = 1\n"), {}),
            (("far.X", "import far\n"), {"values": {"far.X": 1}}),
            (("os.environ['X']", "import os\n"), {"environment": {"X": "1"}}),
        )
    ]
    assert origin == [
        "literal",
        "expression",
        "constant IMAGE of common.py",
        "constant A of flow.py",
        "far.X of [tool.flowc.values]",
        "os.environ.X of [tool.flowc.environment]",
    ]


UNKNOWN = {
    "mutated by item": ("A", "A = {}\nA['a'] = 1\n", "flow.A"),
    "mutated by call": ("A", "A = []\nA.append(1)\n", "flow.A"),
    "mutated in a function": ("A", "A = []\n\n\ndef f():\n    A.append(1)\n", "flow.A"),
    "augmented": ("A", "A = 1\nA += 1\n", "flow.A"),
    "bound in a loop": ("A", "for A in range(3):\n    pass\n", "flow.A"),
    "bound within a loop": ("A", "for i in range(3):\n    A = i\n", "flow.A"),
    "bound in a with": ("A", "with open('x') as A:\n    pass\n", "flow.A"),
    "global": ("A", "A = [1]\n\n\ndef f():\n    global A\n    A = [2]\n", "flow.A"),
    "two branches": ("A", "import far\nif far.x:\n    A = 1\nelse:\n    A = 2\n", "flow.A"),
    "try": ("A", "try:\n    A = far()\nexcept Exception:\n    A = 2\n", "flow.A"),
    "call out of sight": ("far.make()", "import far\n", ""),
    "attribute out of sight": ("far.A.B", "import far\n", "far.A.B"),
    "bound in a match": ("A", "B = 1\nmatch B:\n    case 1:\n        A = 1\n    case _:\n        A = 2\n", "flow.A"),
    "not bound": ("A", "", ""),
    "bound elsewhere only": ("A", "B = 1\n", ""),
    "star import out of sight": ("A", "from far import *\n", "flow.A"),
    "under a condition of the environment": ("A", "import os\nif os.getenv('CI'):\n    A = 1\nelse:\n    A = 2\n", "os.environ.CI"),
    "mutated through the module": ("common.LIST", "import common\ncommon.LIST.append(2)\n", "flow.common"),
    "set": ("{1, 2}", "", ""),
    "Enum member": ("E.A", "from enum import Enum\n\n\nclass E(Enum):\n    A = 1\n", ""),
    "Enum printed": ("f'{E.A}'", "from enum import Enum\n\n\nclass E(str, Enum):\n    A = 'x'\n", ""),
    "timedelta itself": ("timedelta(1)", "from datetime import timedelta\n", ""),
    "base out of sight": ("C().a", "from far import B\n\n\nclass C(B):\n    a = 1\n", ""),
    "environment": ("os.environ.get('A', 'd')", "import os\n", "os.environ.A"),
    "getenv": ("getenv('A')", "from os import getenv\n", "os.environ.A"),
    "environment by a constant": ("A", "import os\nA = os.environ['B']\n", "os.environ.B"),
    "dataclass with InitVar": ("C(1).a", "import dataclasses as d\n\n\n@d.dataclass\nclass C:\n    a: d.InitVar[int]\n", ""),
    "raises": ("f()", "def f():\n    raise ValueError\n", ""),
    "generator": ("f()", "def f():\n    yield 1\n", ""),
    "constant changed by a function": ("f()", "C = [1]\n\n\ndef f():\n    d = C\n    d.append(2)\n    return d\n", ""),
    "Parameter": ("p", "from metaflow import Parameter\np = Parameter('p', default=1)\n", ""),
    "circle": ("A", "A = B\nB = A\n", ""),
    "key that is no text": ("{1: 2}", "", ""),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_the_text_does_not_tell_is_unknown(case: str) -> None:
    """Never a guess: a reason, and the setting that gives the value where one can."""
    expr, before, key = UNKNOWN[case]
    found = value_of(expr, before, SIBLINGS)
    assert isinstance(found, Unknown)
    assert found.span.path == "flow.py"
    assert key in found.help
    if key and key != "flow.common":
        assert isinstance(value_of(expr, before, SIBLINGS, values={key: 7}), Value)


def test_the_machines_environment_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set where flowc runs changes nothing; a declared one counts."""
    monkeypatch.setenv("A", "machine")
    assert "os.environ.A" in reason_of("os.environ['A']", "import os\n")
    assert data_of("os.environ.get('A')", "import os\n", values={"os.environ.A": "x"}) == "x"
    assert data_of("os.getenv('A', 'd')", "import os\n", environment={"A": "y"}) == "y"


def test_a_table_in_the_settings_stands_for_an_object() -> None:
    """Attributes and items of what flowc cannot load, at every level, by one key."""
    before = "import yaml\nimport far\ncfg = yaml.safe_load(open('c.yaml'))\n"
    given = {"flow.cfg": {"train": {"image": "a"}}, "far.settings": {"x": 1}}
    assert data_of("[cfg['train']['image'], cfg.train.image, far.settings.x, cfg]", before, values=given) == [
        "a",
        "a",
        1,
        given["flow.cfg"],
    ]
