"""In: the text of a JSONata expression. Out: the variables that it reads from outside, or what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"\s+|/\*.*?\*/"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<variable>\$\$?\w*)"
    r"|`(?P<quoted>[^`]*)`"
    r"|(?P<operator>\.\.|:=|!=|>=|<=|\*\*|~>|\?\?|\?:|[.\[\]{}(),@#;:?+\-*/%|=<>^&])"
    r"|(?P<name>[^\s\"'`$.\[\]{}(),@#;:?+\-*/%|=<>^&!~][^\s.\[\]{}(),@#;:?+\-*/%|=<>^&!~]*)",
    re.DOTALL,
)
_REGEX = re.compile(r"/(?:[^/\\\n]|\\.)+/[im]*")
_SIGNATURE = re.compile(r"<[^<>]*(?:<[^<>]*>[^<>]*)*>")
# how tightly each operator binds what stands at its left, as JSONata's own parser has it
_POWER = {".": 75, "[": 80, "{": 70, "(": 80, "@": 80, "#": 80, "?": 20, "+": 50, "-": 50, "*": 60, "/": 60, "%": 60, "=": 40, "<": 40}
_POWER |= {">": 40, "^": 40, ":=": 10, "!=": 40, "<=": 40, ">=": 40, "~>": 40, "and": 30, "or": 25, "in": 40, "&": 50, "??": 40, "?:": 40}
_BINARY = {"+", "-", "*", "/", "%", "=", "<", ">", "!=", "<=", ">=", "~>", "and", "or", "in", "&", "??", "?:"}
_END = ("end", "")
Token = tuple[str, str]


class Malformed(Exception):
    """An expression that JSONata cannot read; the message says what is wrong."""


@dataclass(slots=True)
class Reads:
    """What an expression reads from outside: each variable (without `$`) with the field asked of it, and whether it asks for `$` itself."""

    variables: list[tuple[str, str | None]] = field(default_factory=list)
    context: bool = False


def read(text: str) -> Reads:
    """Parse the expression (without `{%` and `%}`). Malformed where it is none."""
    parser = _Parser(text)
    parser.expression(0)
    if parser.token != _END:
        raise Malformed(f"`{parser.token[1]}` at character {parser.start + 1} does not belong there")
    return parser.reads


class _Parser:
    """A top-down operator-precedence parser that keeps nothing but the variables in scope."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.start = text, 0, 0
        self.token: Token = _END
        self.scopes: list[set[str]] = [set()]
        self.inside = 0
        self.reads = Reads()
        self.advance()

    def advance(self, expected: str | None = None) -> None:
        if expected is not None and self.token != ("operator", expected):
            what = f"`{self.token[1]}` stands" if self.token != _END else "the expression ends"
            raise Malformed(f"{what} where a `{expected}` is due, at character {self.start + 1}")
        while self.at < len(self.text):
            match = _TOKEN.match(self.text, self.at)
            if match is None or match.end() == self.at:
                raise Malformed(f"`{self.text[self.at]}` at character {self.at + 1} begins nothing")
            self.start, self.at = self.at, match.end()
            if match.lastgroup:
                word = match[match.lastgroup] in ("and", "or", "in") and match.lastgroup == "name"
                self.token = ("operator" if word else match.lastgroup, match[match.lastgroup])
                return
        self.start, self.token = len(self.text), _END

    def sees(self, *operators: str) -> bool:
        return self.token[0] == "operator" and self.token[1] in operators

    def expression(self, power: int) -> Token:
        """Parse what binds tighter than `power`; returns the token that the expression is, or one of kind `value`."""
        left = self.prefix()
        while self.token[0] == "operator" and _POWER.get(self.token[1], 0) > power:
            left = self.infix(left)
        return left

    def inner(self, power: int = 0) -> Token:
        """An expression in which `$` is an item of what stands before."""
        self.inside += 1
        found = self.expression(power)
        self.inside -= 1
        return found

    def prefix(self) -> Token:
        kind, text = token = self.token
        if kind == "operator":
            return self.prefix_operator(text)
        if token == _END:
            raise Malformed("the expression ends too early")
        self.advance()
        if kind == "name" and text in ("function", "λ") and self.sees("("):
            return self.function()
        if kind == "variable":
            self.reads.context |= text in ("$", "$$") and not self.inside
            if text not in ("$", "$$") and not self.sees(":=") and not any(text[1:] in scope for scope in self.scopes):
                self.reads.variables.append((text[1:], None))
        return token

    def prefix_operator(self, text: str) -> Token:
        if text == "/":
            match = _REGEX.match(self.text, self.start)
            if match is None:
                raise Malformed(f"the regular expression at character {self.start + 1} does not end")
            try:
                re.compile(match[0][1:].rpartition("/")[0])
            except re.error as error:
                raise Malformed(f"the regular expression at character {self.start + 1} cannot be read: {error}") from None
            self.at = match.end()
            self.advance()
            return ("value", "")
        self.advance()
        if text == "-":
            self.expression(70)
        elif text == "(":
            self.block()
        elif text == "[":
            self.listed("]", self.item)
        elif text == "{":
            self.listed("}", self.pair)
        elif text == "|":
            self.transform()
        elif text not in ("*", "**", "and", "or", "in") and not (text == "%" and self.inside):
            raise Malformed(f"`{text}` at character {self.start} begins no value")
        return ("value", text)

    def block(self) -> None:
        self.scopes.append(set())
        while not self.sees(")"):
            self.expression(0)
            if not self.sees(";"):
                break
            self.advance()
        self.scopes.pop()
        self.advance(")")

    def item(self) -> None:
        self.expression(20)
        if self.sees(".."):
            self.advance()
            self.expression(20)

    def pair(self) -> None:
        self.expression(0)
        self.advance(":")
        self.expression(0)

    def listed(self, end: str, part: object) -> None:
        assert callable(part)
        while not self.sees(end):
            part()
            if not self.sees(","):
                break
            self.advance()
        self.advance(end)

    def transform(self) -> None:
        self.inner()
        self.advance("|")
        self.inner()
        if self.sees(","):
            self.advance()
            self.inner()
        self.advance("|")

    def function(self) -> Token:
        self.advance("(")
        names: set[str] = set()
        while self.token[0] == "variable":
            names.add(self.token[1][1:])
            self.advance()
            if not self.sees(","):
                break
            self.advance()
        self.advance(")")
        if self.sees("<"):
            match = _SIGNATURE.match(self.text, self.start)
            if match is None:
                raise Malformed(f"the signature at character {self.start + 1} does not end")
            self.at = match.end()
            self.advance()
        self.scopes.append(names)
        self.advance("{")
        self.inner()
        self.scopes.pop()
        self.advance("}")
        return ("value", "")

    def infix(self, left: Token) -> Token:
        operator = self.token[1]
        shape = _shape(left, operator, self.start)
        self.advance()
        if operator == ".":
            shape = "filtered " * self.field(left) + shape
        elif operator == ":=":
            if left[0] != "variable" or left[1] in ("$", "$$"):
                raise Malformed("only a variable can stand before `:=`")
            self.expression(_POWER[operator] - 1)
            self.scopes[-1].add(left[1][1:])
        elif operator == "(":
            self.listed(")", self.argument)
        elif operator == "[":
            if not self.sees("]"):
                self.inner()
            self.advance("]")
        elif operator == "{":
            self.inside += 1
            self.listed("}", self.pair)
            self.inside -= 1
        elif operator == "^":
            self.advance("(")
            self.listed(")", self.order)
        elif operator == "?":
            self.expression(0)
            if self.sees(":"):
                self.advance()
                self.expression(0)
        elif operator in ("@", "#"):
            if self.token[0] != "variable":
                raise Malformed(f"a variable is due after `{operator}`")
            self.scopes[-1].add(self.token[1][1:])
            self.advance()
        else:
            assert operator in _BINARY, operator
            self.expression(_POWER[operator])
        return (shape, operator)

    def field(self, left: Token) -> bool:
        """What follows a `.`, and whether it is filtered: of a variable from outside the field is noted."""
        variables = self.reads.variables
        if left[0] == "variable" and self.token[0] in ("name", "quoted") and variables and variables[-1] == (left[1][1:], None):
            variables[-1] = (left[1][1:], self.token[1])
        start = self.start
        found = self.inner(_POWER["."])
        if _kind(found) == "literal":
            raise Malformed(f"the literal at character {start + 1} is no field")
        return "filtered" in found[0]

    def argument(self) -> None:
        if self.sees("?"):
            self.advance()
            return
        self.expression(0)

    def order(self) -> None:
        if self.sees("<", ">"):
            self.advance()
        self.inner()


def _shape(left: Token, operator: str, at: int) -> str:
    """The kind of token that an expression is: `path`, `literal` or `value`, after what was done to its step: `grouped`, `filtered`.

    A step is bound to a variable before it is filtered or sorted; grouped once, and filtered before that where it is no path.
    """
    kind, done = _kind(left), left[0].split()[:-1]
    if "grouped" in done and (operator == "{" or (operator == "[" and kind != "path")):
        raise Malformed(f"`{operator}` at character {at + 1} follows a grouping of the same step")
    if "filtered" in done and operator == "@":
        raise Malformed(f"`@` at character {at + 1} follows a filter or an order of the same step")
    if operator == "." and kind == "literal":
        raise Malformed(f"`.` at character {at + 1} follows a literal")
    if operator in (".", "^"):
        kept, kind = ["grouped"] if "grouped" in done and kind == "path" else [], "path"
        return " ".join([*kept, *(["filtered"] if operator == "^" else []), kind])
    if operator not in ("{", "[", "@", "#"):
        return "value"
    if operator == "#" and kind == "value":
        kind, done = "path", [each for each in done if each != "grouped"]
    return " ".join([*done, *{"{": ["grouped"], "[": ["filtered"]}.get(operator, []), kind])


def _kind(token: Token) -> str:
    kind, text = token
    if kind == "number" or (kind == "name" and text in ("true", "false", "null")):
        return "literal"
    last = kind.rpartition(" ")[2]
    return "path" if kind in ("name", "quoted") else last if last in ("path", "literal") else "value"
