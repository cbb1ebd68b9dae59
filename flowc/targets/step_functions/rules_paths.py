"""In: the text of a JSONPath or of an intrinsic function of Step Functions. Out: its parts, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

Step = str | int | None
"""A field's name, an element's index, or None for a step that may find several values (`*`, a slice, a filter, `..`)."""

_NAME = re.compile(r"[A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_INDEX = re.compile(r"-?\d+")
_SLICE = re.compile(r"-?\d*:-?\d*(?::-?\d*)?|-?\d+(?:\s*,\s*-?\d+)+")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'")
_DEPTH = 10
# name -> least and most arguments; None is no limit
INTRINSICS: dict[str, tuple[int, int | None]] = {
    "Array": (0, None),
    "ArrayContains": (2, 2),
    "ArrayGetItem": (2, 2),
    "ArrayLength": (1, 1),
    "ArrayPartition": (2, 2),
    "ArrayRange": (3, 3),
    "ArrayUnique": (1, 1),
    "Base64Decode": (1, 1),
    "Base64Encode": (1, 1),
    "Format": (1, None),
    "Hash": (2, 2),
    "JsonMerge": (3, 3),
    "JsonToString": (1, 1),
    "MathAdd": (2, 2),
    "MathRandom": (2, 3),
    "StringSplit": (2, 2),
    "StringToJson": (1, 1),
    "UUID": (0, 0),
}


class Malformed(Exception):
    """A path or an intrinsic that Step Functions cannot read; the message completes `... is no path: `."""


@dataclass(frozen=True, slots=True)
class Path:
    """`root` is `$` (the input), `$$` (the context object) or a variable's name; `union` the fields that `['a', 'b']` keeps at its end."""

    root: str
    steps: tuple[Step, ...]
    union: tuple[str, ...] = ()

    @property
    def definite(self) -> bool:
        return None not in self.steps and not self.union


@dataclass(frozen=True, slots=True)
class Call:
    """An intrinsic function and its arguments: paths, calls, and constants (None stands for each of these)."""

    name: str
    arguments: tuple[Path | Call | None, ...]

    def paths(self) -> Iterator[Path]:
        for argument in self.arguments:
            if isinstance(argument, Path):
                yield argument
            elif argument is not None:
                yield from argument.paths()


def path(text: str) -> Path:
    """The parts of a whole JSONPath. Malformed where it is none."""
    if not text.startswith("$"):
        raise Malformed("it does not begin with `$`")
    found, end = _path(text, 0)
    if end != len(text):
        raise Malformed(f"`{text[end:]}` follows its end")
    return found


def reference(text: str) -> Path:
    """A path that names exactly one place, as ResultPath and ItemsPath ask."""
    found = path(text)
    if not found.definite:
        raise Malformed("it may name several places, where only one can be")
    return found


def expression(text: str) -> Path | Call:
    """The value of a field whose name ends in `.$`: a path or a call of an intrinsic function."""
    if text.startswith("$"):
        return path(text)
    if not text.startswith("States."):
        raise Malformed("it begins neither with `$` nor with `States.`")
    found, end = _call(text, 0, 1)
    if end != len(text):
        raise Malformed(f"`{text[end:]}` follows its end")
    return found


def _path(text: str, at: int) -> tuple[Path, int]:
    if text.startswith("$$", at):
        root, at = "$$", at + 2
    elif match := _NAME.match(text, at + 1):
        root, at = match[0], match.end()
    else:
        root, at = "$", at + 1
    steps: list[Step] = []
    union: tuple[str, ...] = ()
    while at < len(text) and text[at] in ".[":
        if union:
            raise Malformed("nothing can follow a choice of several fields")
        if text.startswith("..", at):
            steps.append(None)
            at += 1 if text.startswith("..[", at) else 2
            if match := _NAME.match(text, at):
                at = match.end()
            elif text.startswith("*", at):
                at += 1
            elif not text.startswith(".[", at):
                raise Malformed("`..` needs a name after it")
            continue
        if text[at] == "." and not text.startswith(".[", at):
            match = _NAME.match(text, at + 1)
            if match is None and not text.startswith("*", at + 1):
                raise Malformed(f"no name follows the `.` at character {at + 1}")
            steps.append(match[0] if match else None)
            at = match.end() if match else at + 2
            continue
        names, step, at = _bracket(text, at + 1 if text[at] == "[" else at + 2)
        if len(names) > 1:
            union = names
        else:
            steps.append(names[0] if names else step)
    return Path(root, tuple(steps), union), at


def _bracket(text: str, at: int) -> tuple[tuple[str, ...], Step, int]:
    """What stands in brackets, from after the `[`: names, or else an index or None; and where it ends."""
    names: list[str] = []
    step: Step = None
    if text.startswith("*", at):
        at += 1
    elif text.startswith("?(", at):
        at = _closing(text, at + 1)
    elif match := _SLICE.match(text, at):
        at = match.end()
    elif match := _INDEX.match(text, at):
        step, at = int(match[0]), match.end()
    else:
        while match := _QUOTED.match(text, at):
            names.append(re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2]))
            at = match.end()
            comma = re.compile(r"\s*,\s*").match(text, at)
            if not comma:
                break
            at = comma.end()
        else:
            raise Malformed(f"neither an index nor a quoted name follows the `[` at character {at}")
    if not text.startswith("]", at):
        raise Malformed(f"the `[` before character {at + 1} is not closed")
    return tuple(names), step, at + 1


def _closing(text: str, at: int) -> int:
    """Where the bracket that opens at `at` has closed."""
    depth = 0
    while at < len(text):
        if match := _QUOTED.match(text, at):
            at = match.end()
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
        if not depth:
            return at
    raise Malformed("a `(` is not closed")


def _call(text: str, at: int, depth: int) -> tuple[Call, int]:
    match = re.compile(r"States\.(\w+)\(").match(text, at)
    if match is None:
        raise Malformed(f"no call like `States.Format(...)` begins at character {at + 1}")
    name = match[1]
    if name not in INTRINSICS:
        raise Malformed(f"there is no intrinsic function States.{name}")
    if depth > _DEPTH:
        raise Malformed(f"calls are nested more than {_DEPTH} deep")
    arguments: list[Path | Call | None] = []
    at = _space(text, match.end())
    first: str | None = None
    while not text.startswith(")", at):
        if arguments:
            if not text.startswith(",", at):
                raise Malformed(f"a `,` or `)` is missing at character {at + 1}")
            at = _space(text, at + 1)
        constant = _TEXT.match(text, at)
        if not arguments and constant:
            first = constant[1]
        argument, at = _argument(text, at, depth)
        arguments.append(argument)
        at = _space(text, at)
    least, most = INTRINSICS[name]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        raise Malformed(f"States.{name} has {len(arguments)} arguments")
    if name == "Format" and first is not None and (places := len(re.findall(r"(?<!\\)\{\}", first))) != len(arguments) - 1:
        raise Malformed(f"States.Format has {places} `{{}}` for {len(arguments) - 1} values")
    return Call(name, tuple(arguments)), at + 1


def _argument(text: str, at: int, depth: int) -> tuple[Path | Call | None, int]:
    if text.startswith("$", at):
        return _path(text, at)
    if text.startswith("States.", at):
        return _call(text, at, depth + 1)
    for form in (_TEXT, _NUMBER, re.compile("true|false|null")):
        if match := form.match(text, at):
            return None, match.end()
    raise Malformed(f"no argument begins at character {at + 1}")


def _space(text: str, at: int) -> int:
    while text.startswith(" ", at):
        at += 1
    return at
