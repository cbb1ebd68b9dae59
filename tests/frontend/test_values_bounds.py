"""Text that would cost time, memory or safety is Unknown; configs are read as Metaflow reads them, after the decorators."""

from __future__ import annotations

from typing import Any

import pytest
from evaluating import reason_of, value_of

from flowc.frontend.values import Unknown
from flowc.ir import Value


@pytest.mark.parametrize(
    "expr",
    [
        "10 ** 10 ** 10",
        "'a' * 10 ** 9",
        "[0] * 10 ** 9",
        "1 << 10 ** 9",
        "list(range(10 ** 12))",
        "sum(range(10 ** 12))",
        "[[[1 for a in range(999)] for b in range(999)] for c in range(999)]",
        "'%999999999d' % 1",
        "f'{1:999999999}'",
        "'{:>{w}}'.format(1, w=10 ** 9)",
        "'a'.ljust(10 ** 9)",
        "('a' * 1000).replace('a', 'b' * 10000)",
        "('x' * 100000).join(['a'] * 10000)",
        "int('9' * 5000)",
        "round(1, -10 ** 9)",
        "(lambda f: f(f))(lambda f: f(f))",
        "max(range(10 ** 12))",
        "str([[[['a' * 900] * 900] * 900] * 900])",
        "'a'.zfill(10 ** 10)",
        "pow(10, 10 ** 10)",
        "[sum(range(19999)) for _ in range(19999)]",
        "['a' * 999999 for _ in range(19999)]",
        "[('a' * 999999)[1:] for _ in range(19999)]",
        "[[[[0] * 100] * 100] == [[[0] * 100] * 100] for _ in range(19999)]",
        "[f'{\"a\" * 999999}' for _ in range(19999)]",
        "[('a ' * 400000).split() for _ in range(19999)]",
        "[str([0] * 19999) for _ in range(19999)]",
    ],
)
def test_bombs_are_refused_quickly(expr: str) -> None:
    """Text that would take Python's time or memory is Unknown instead."""
    assert isinstance(value_of(expr), Unknown)


def test_deep_and_doubling_constants_are_refused() -> None:
    """Chains of constants that double, and functions that recurse, end in Unknown."""
    doubling = "a0 = ['x']\n" + "".join(f"a{i + 1} = [a{i}, a{i}]\n" for i in range(40))
    assert "flowc computes" in reason_of("a40", doubling)
    assert "flowc computes" in reason_of("a40 == a40", doubling)
    long = "a0 = 1\n" + "".join(f"a{i + 1} = a{i} + 1\n" for i in range(2000))
    assert isinstance(value_of("a2000", long), Unknown)
    assert "too deep" in reason_of("f(1)", "def f(n):\n    return f(n + 1)\n")


@pytest.mark.parametrize(
    ("expr", "before"),
    [
        ("__import__('os').system('touch /tmp/x')", ""),
        ("().__class__.__bases__[0].__subclasses__()", ""),
        ("'{0.__class__}'.format(1)", ""),
        ("open('x').read()", ""),
        ("eval('1')", ""),
        ("exec('1')", ""),
        ("globals()", ""),
        ("subprocess.run('x')", "import subprocess\n"),
        ("'a'.__class__.mro()", ""),
        ("getattr('a', '__class__')", ""),
    ],
)
def test_nothing_is_executed(expr: str, before: str) -> None:
    """The ways out of an evaluator lead nowhere."""
    assert isinstance(value_of(expr, before), Unknown)


CONFIG = {"size": {"a": {"b": 2}, "name": "x", "list": [5], "a-b": 1, "items": 3}}


@pytest.mark.parametrize(
    ("expr", "wanted"),
    [
        ("config_expr('size.a.b + 1')", 3),
        ("config_expr('size')", CONFIG["size"]),
        ("config_expr('size').a.b", 2),
        ("config_expr('size.name.upper()')", "X"),
        ("config_expr('size[\"a-b\"]')", 1),
        ("config_expr('f\"{size.name}-{LOCAL}\"')", "x-7"),
        ("config_expr('size.list[0]')", 5),
        ("{**config_expr('size.a'), 'c': 1}", {"b": 2, "c": 1}),
        ("[config_expr('size.name'), 1]", ["x", 1]),
    ],
)
def test_config_expr(expr: str, wanted: Any) -> None:
    """Expressions over configs see the configs by name and the module's own names."""
    found = value_of(expr, "from metaflow import config_expr\nLOCAL = 7\n", configs=CONFIG)
    assert isinstance(found, Value), found
    assert found.data == wanted


@pytest.mark.parametrize(
    "expr", ["config_expr('size.a').b + 1", "f\"{config_expr('size.name')}\"", "config_expr('size').list[0]", "config_expr('size').items"]
)
def test_configs_read_before_metaflow_reads_them_are_unknown(expr: str) -> None:
    """Metaflow evaluates a Config after the decorators, so Python cannot compute with it there; the remedy is config_expr."""
    assert "config_expr(" in reason_of(expr, "from metaflow import config_expr\n", configs=CONFIG)


def test_missing_keys_of_a_config_are_said() -> None:
    """The message names the key."""
    assert "no key 'zz'" in reason_of("config_expr('size').zz", "from metaflow import config_expr\n", configs=CONFIG)
