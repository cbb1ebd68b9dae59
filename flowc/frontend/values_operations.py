"""In: plain Python values and an operator, method or builtin. Out: the result, bounded in size and time, or Stuck."""

from __future__ import annotations

import ast
import datetime as dt
import operator
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from flowc.frontend.values_objects import MAX_BITS, MAX_CHARACTERS, MAX_ITEMS, Stuck, weight

BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
PLAIN = (type(None), bool, int, float, str, bytes, list, tuple, dict, set, frozenset, range, dt.timedelta, slice)

_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        "capitalize casefold center count encode endswith find format format_map index isalnum isalpha isascii isdecimal isdigit "
        "isidentifier islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind "
        "rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill".split()
    ),
    bytes: frozenset(["decode"]),
    int: frozenset(["bit_length"]),
    float: frozenset(["is_integer"]),
    dict: frozenset("copy get items keys values".split()),
    list: frozenset("copy count index".split()),
    tuple: frozenset("count index".split()),
    set: frozenset("copy difference intersection isdisjoint issubset issuperset symmetric_difference union".split()),
    dt.timedelta: frozenset(["total_seconds"]),
}
CHANGING: Mapping[type, frozenset[str]] = {
    dict: frozenset("update setdefault pop popitem clear".split()),
    list: frozenset("append extend insert pop remove reverse clear".split()),
    set: frozenset("add update discard remove clear".split()),
}


def binary(node: type[ast.operator], left: Any, right: Any) -> Any:
    """`left <op> right`, refused before it grows."""
    size = 0
    if node is ast.Mult:
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, (str, bytes, list, tuple)) and isinstance(times, int):
                size = len(sequence) * times
    elif node is ast.Pow and isinstance(left, int) and isinstance(right, int) and right > 0:
        _small(left.bit_length() * right <= MAX_BITS)
    elif node is ast.LShift and isinstance(left, int) and isinstance(right, int):
        _small(left.bit_length() + right <= MAX_BITS)
    elif node is ast.Mod and isinstance(left, (str, bytes)):
        _widths(str(left))
        weight(right)
    _small(size <= (MAX_CHARACTERS if isinstance(left, str) or isinstance(right, str) else MAX_ITEMS))
    return checked(BINARY[node](left, right))


def compare(node: type[ast.cmpop], left: Any, right: Any) -> bool:
    if node not in (ast.Is, ast.IsNot):
        weight(left)
        weight(right)
    return bool(COMPARE[node](left, right))


def method(owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A pure method of a plain value."""
    known = next((names for kind, names in _METHODS.items() if isinstance(owner, kind)), frozenset())
    if name not in known:
        raise Stuck(f"the method {name} of {type(owner).__name__} is not one that flowc computes")
    weight(args)
    weight(list(kwargs.values()))
    if isinstance(owner, str):
        if name in ("center", "ljust", "rjust", "zfill"):
            _small(bool(args) and isinstance(args[0], int) and args[0] <= MAX_CHARACTERS)
        elif name == "replace" and len(args) >= 2:
            _small((owner.count(args[0]) + 1) * (len(args[1]) + 1) <= MAX_CHARACTERS)
        elif name == "join" and args:
            args = [list(args[0])]
            _small(len(owner) * len(args[0]) + sum(len(a) for a in args[0]) <= MAX_CHARACTERS)
        elif name in ("format", "format_map"):
            return text_format(owner, args, kwargs if name == "format" else dict(args[0]))
    found = getattr(owner, name)(*args, **kwargs)
    return checked(list(found) if isinstance(owner, dict) and name in ("items", "keys", "values") else found)


def text_format(text: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    """`str.format`, with plain values and no attribute access that could leave the data."""
    _widths(text)
    if re.search(r"\{[^{}]*[.\[]\s*_", text):
        raise Stuck("a format field that starts with an underscore is not one that flowc computes")
    for value in (*args, *kwargs.values()):
        if not isinstance(value, PLAIN):
            raise Stuck("a format argument is no plain value")
        if isinstance(value, int):
            _small(value.bit_length() <= MAX_BITS)
    if re.search(r":[^{}]*\{", text):
        for value in (*args, *kwargs.values()):
            _small(not isinstance(value, int) or abs(value) < MAX_ITEMS)
    return str(checked(text.format(*args, **kwargs)))


def format_value(value: Any, spec: str, conversion: int) -> str:
    """One field of an f-string."""
    weight(value)
    _widths("{:" + spec + "}")
    if conversion == ord("r"):
        value = repr(value)
    elif conversion == ord("a"):
        value = ascii(value)
    elif conversion == ord("s"):
        value = str(value)
    return format(value, spec)


def checked(value: Any) -> Any:
    """A result, when it is small enough to go on with. Only its top is looked at: what is inside was checked when it was made."""
    if isinstance(value, int):
        _small(value.bit_length() <= MAX_BITS)
    elif isinstance(value, (str, bytes)):
        _small(len(value) <= MAX_CHARACTERS)
    elif isinstance(value, (list, tuple, dict, set, frozenset)):
        _small(len(value) <= MAX_ITEMS)
    elif not isinstance(value, PLAIN):
        raise Stuck(f"a {type(value).__name__} is not a value that flowc computes")
    return value


def _small(fits: bool) -> None:
    if not fits:
        raise Stuck("the value is larger than flowc computes")


def _widths(spec: str) -> None:
    """A width of five digits or more could ask for gigabytes of spaces."""
    if re.search(r"\d{5,}", spec) and re.search(r"[%{]", spec):
        raise Stuck("a format width of five digits or more is not one that flowc computes")


def _items(value: Any) -> list[Any]:
    weight(value)
    if not isinstance(value, (str, bytes, list, tuple, dict, set, frozenset, range)):
        raise TypeError(f"{type(value).__name__!r} object is not iterable")
    if isinstance(value, (set, frozenset)) and len(value) > 1:
        raise Stuck("the order of a set is not defined; sort it")
    return list(value)


def _int(value: Any = 0, base: int | None = None) -> int:
    if isinstance(value, str):
        _small(len(value) <= 1000)
    return int(value) if base is None else int(value, base)


def _round(value: Any, digits: int | None = None) -> Any:
    _small(digits is None or abs(digits) <= 300)
    return round(value, digits) if digits is not None else round(value)


def _text(value: Any = "") -> str:
    weight(value)
    return str(value)


def _sorted(value: Any, *, reverse: bool = False) -> list[Any]:
    weight(value)
    return sorted(value, reverse=reverse)


def _set(value: Any = ()) -> set[Any]:
    weight(value)
    return set(value)


def _sum(value: Any, start: Any = 0) -> Any:
    for item in _items(value):
        start = binary(ast.Add, start, item)
    return start


def _dict(value: Any = (), **kwargs: Any) -> dict[Any, Any]:
    weight(value)
    return dict(value, **kwargs)


def _json_dumps(
    value: Any, *, indent: int | str | None = None, sort_keys: bool = False, separators: Any = None, ensure_ascii: bool = True
) -> str:
    import json

    weight(value)
    _small(not isinstance(indent, int) or indent <= 64)
    return json.dumps(value, indent=indent, sort_keys=sort_keys, separators=separators, ensure_ascii=ensure_ascii)


def _json_loads(text: str) -> Any:
    import json

    return json.loads(text)


def _dedent(text: str) -> str:
    import textwrap

    return textwrap.dedent(text)


def _ceil(value: float) -> int:
    return -int(-value // 1)


def _repr(value: Any) -> str:
    weight(value)
    return repr(value)


def _pair(value: Any, start: int = 0) -> list[Any]:
    return list(enumerate(_items(value), start))


BUILTINS: Mapping[str, Callable[..., Any]] = {
    "builtins.abs": abs,
    "builtins.all": lambda v: all(_items(v)),
    "builtins.any": lambda v: any(_items(v)),
    "builtins.bool": lambda v=False: bool(v),
    "builtins.dict": _dict,
    "builtins.divmod": divmod,
    "builtins.enumerate": _pair,
    "builtins.float": lambda v=0.0: float(v),
    "builtins.frozenset": _set,
    "builtins.hex": hex,
    "builtins.int": _int,
    "builtins.len": len,
    "builtins.list": lambda v=(): _items(v),
    "builtins.max": lambda *a, **k: max(*[_items(v) if len(a) == 1 else v for v in a], **k),
    "builtins.min": lambda *a, **k: min(*[_items(v) if len(a) == 1 else v for v in a], **k),
    "builtins.pow": lambda a, b: binary(ast.Pow, a, b),
    "builtins.range": range,
    "builtins.repr": _repr,
    "builtins.reversed": lambda v: _items(v)[::-1],
    "builtins.round": _round,
    "builtins.set": _set,
    "builtins.sorted": _sorted,
    "builtins.str": _text,
    "builtins.sum": _sum,
    "builtins.tuple": lambda v=(): tuple(_items(v)),
    "builtins.zip": lambda *a: list(zip(*[_items(v) for v in a])),  # noqa: B905 - as the flow wrote it
    "collections.OrderedDict": _dict,
    "datetime.timedelta": dt.timedelta,
    "json.dumps": _json_dumps,
    "json.loads": _json_loads,
    "math.ceil": _ceil,
    "math.floor": lambda v: int(v // 1),
    "os.path.basename": posixpath.basename,
    "os.path.dirname": posixpath.dirname,
    "os.path.join": posixpath.join,
    "os.path.normpath": posixpath.normpath,
    "os.path.splitext": posixpath.splitext,
    "posixpath.join": posixpath.join,
    "shlex.quote": lambda v: __import__("shlex").quote(v),
    "textwrap.dedent": _dedent,
}
"""Pure functions, by the path under which Python knows them. They run on plain values only."""
