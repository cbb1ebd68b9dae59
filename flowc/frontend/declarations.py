"""In: the attributes of a flow class. Out: its Parameter, IncludeFile and Config calls with their arguments by name."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowc.diagnostics import Code, Diagnostic, Example
from flowc.frontend.modules import External, Local, Module, NotFound, Program, dotted_name
from flowc.frontend.paths import near_file
from flowc.frontend.values import Scope, Unknown, evaluate, given, not_static, setting_key
from flowc.ir import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flowc.frontend.members import Member
    from flowc.source import Span

SIGNATURES: Mapping[str, tuple[str, ...]] = {
    "Parameter": ("name", "default", "type", "help", "required", "show_default"),
    "IncludeFile": ("name", "required", "is_text", "encoding", "help", "parser"),
    "Config": ("name", "default", "default_value", "help", "required", "parser", "plain"),
}
MAKERS = frozenset(f"metaflow.{name}" for name in SIGNATURES)
# what else click.Option takes; it acts in the pod, which runs the source
_CLICK = frozenset(
    [
        "separator",
        "multiple",
        "nargs",
        "envvar",
        "hidden",
        "prompt",
        "confirmation_prompt",
        "hide_input",
        "is_flag",
        "flag_value",
        "count",
        "allow_from_autoenv",
        "show_choices",
        "show_envvar",
        "metavar",
        "callback",
        "expose_value",
        "is_eager",
        "autocompletion",
        "cls",
        "default",
        "show_default",
    ]
)


def flow_with(line: str, before: str = "from metaflow import Config, FlowSpec, IncludeFile, JSONType, Parameter, step\n") -> str:
    """The flow of the examples: `line` is line 5."""
    steps = "    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
    return f"{before}\n\nclass Hello(FlowSpec):\n    {line}\n\n{steps}"


UNREADABLE = Code(
    "FC375",
    "parameter whose declaration cannot be read",
    why=(
        "A flow's parameters are part of the manifest. They are read from the calls of Parameter, IncludeFile and Config in the class; "
        "a subclass of these, or a function that makes one, may do anything, and what it does is not guessed. Nor is what becomes of a "
        "call within another expression or in a loop."
    ),
    bad=Example(
        {"flow.py": flow_with("alpha = make()").replace("class Hello", 'def make():\n    return Parameter("alpha")\n\n\nclass Hello')},
        line=9,
    ),
    good=Example({"flow.py": flow_with('alpha = Parameter("alpha")')}),
)
ARGUMENTS = Code(
    "FC384",
    "arguments that the call does not take",
    why="Python raises a TypeError for this call, or click does when Metaflow makes the command-line option of it, before any step runs.",
    bad=Example({"flow.py": flow_with('alpha = Parameter("alpha", defualt=1)')}, line=5),
    good=Example({"flow.py": flow_with('alpha = Parameter("alpha", default=1)')}),
)
FUNCTION_FIELD = Code(
    "FC378",
    "function where Metaflow takes a value",
    why="Metaflow evaluates a function for `default` only. In `required`, `separator` and `show_default` it refuses one.",
    bad=Example({"flow.py": flow_with('alpha = Parameter("alpha", required=lambda ctx: True)')}, line=5),
    good=Example({"flow.py": flow_with('alpha = Parameter("alpha", required=True)')}),
)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of the call: an expression with the scope it stands in, or a value that came by `**mapping`."""

    what: ast.expr | Value
    scope: Scope

    @property
    def span(self) -> Span:
        return self.what.span if isinstance(self.what, Value) else self.scope.module.span(self.what)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One Parameter, IncludeFile or Config of a flow. `flow` and `attribute` make the keys of its settings: "Flow.attribute.default"."""

    kind: str
    flow: str
    attribute: str
    call: ast.Call
    scope: Scope
    member: Member
    arguments: Mapping[str, Argument] = field(default_factory=dict)

    @property
    def span(self) -> Span:
        return self.scope.module.span(self.call)

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.kind} {self.attribute}"

    def key(self, name: str) -> str:
        return setting_key(self.flow, self.attribute, name)

    def span_of(self, name: str) -> Span:
        return self.arguments[name].span if name in self.arguments else self.span

    def value(self, name: str, problems: list[Diagnostic]) -> Value | None:
        """The static value of an argument; None where it was not given or is None. What is not known becomes a problem."""
        found = self._value(name)
        if isinstance(found, Unknown):
            problems.append(not_static(found, f"{name} of {self.label}", self.key(name)))
            return None
        return None if found is None or found.data is None else found

    def path(self, name: str, problems: list[Diagnostic]) -> Value | None:
        """As `value`, for the path of a file beside the flow: `__file__` is known to that extent (relative to its folder)."""
        found = self._value(name)
        argument = self.arguments.get(name)
        if isinstance(found, Unknown) and argument is not None and isinstance(argument.what, ast.expr):
            found = near_file(argument.what, argument.scope) or found
        if isinstance(found, Unknown):
            return self.value(name, problems)
        return None if found is None or found.data is None else found

    def called(self, name: str) -> Value | None:
        """What a function argument gives when Metaflow calls it with a context; None where that hangs on more than the text."""
        argument = self.arguments[name]
        assert isinstance(argument.what, ast.expr)
        for values in ([None, True], [None]):
            call = ast.Call(argument.what, [ast.Constant(v) for v in values], [])
            ast.fix_missing_locations(ast.copy_location(call, argument.what))
            found = evaluate(call, argument.scope)
            if isinstance(found, Unknown):
                found = near_file(call, argument.scope) or found
            if isinstance(found, Value):
                return found
        return None

    def _value(self, name: str) -> Value | Unknown | None:
        setting = given(self.scope.settings, self.key(name), self.span_of(name))
        if setting is not None:
            return setting
        argument = self.arguments.get(name)
        if argument is None or isinstance(argument.what, Value):
            return argument.what if argument and isinstance(argument.what, Value) else None
        return evaluate(argument.what, argument.scope)

    def function(self, name: str) -> str | None:
        """The text of an argument that is a function (a lambda, a def in sight, functools.partial), else None."""
        argument = self.arguments.get(name)
        if argument is None or isinstance(argument.what, Value) or self.key(name) in self.scope.settings.values:
            return None
        expr = argument.what
        if isinstance(expr, ast.Lambda):
            return "a lambda"
        called = expr.func if isinstance(expr, ast.Call) else expr
        found = resolve(argument.scope, called)
        if isinstance(found, External) and found.path == "functools.partial" and called is not expr:
            return "a functools.partial"
        if called is expr and isinstance(found, Local) and isinstance(found.node, (ast.FunctionDef, ast.Lambda)):
            return f"function {ast.unparse(expr)}"
        return None


def resolve(scope: Scope, expr: ast.expr) -> Local | External | NotFound | None:
    """What a name in a scope stands for; a builtin is External("builtins.<name>"); None for expressions that are no name."""
    dotted = dotted_name(expr)
    if dotted is None:
        return None
    found = scope.program.resolve(scope.module, expr, body=scope.body, before=scope.before)
    if isinstance(found, NotFound) and hasattr(builtins, dotted):
        return External(f"builtins.{dotted}")
    return found if isinstance(found, (Local, External, NotFound)) else None


def find(member: Member, flow: str, scope: Scope) -> Declaration | Diagnostic | None:
    """The declaration that an attribute of the flow is; None where it is something else; a problem where it cannot be read."""
    scope = replace(scope, before=member.binding.line)
    expr, scope = _expression(member, scope)
    if not isinstance(expr, ast.Call):
        return None
    found = resolve(scope, expr.func)
    if isinstance(found, External):
        name = found.path.rpartition(".")[2]
        if found.path in MAKERS:
            return Declaration(name, flow, member.name, expr, scope, member)
        if name not in ("Parameter", "IncludeFile", "Config") or found.path.startswith("inspect."):
            return None
        reason = f"{ast.unparse(expr.func)} is no class of Metaflow's"
    elif isinstance(found, Local) and _makes(found.node, found.module, scope.program):
        reason = f"{ast.unparse(expr.func)} is not Metaflow's own, but may make one"
    else:
        return None
    message = f"{flow}.{member.name} may be a parameter that cannot be read: {reason}"
    return Diagnostic(UNREADABLE, message, member.span, help="Call Parameter, IncludeFile or Config in the class body.")


def inner(flow: str, body: Sequence[ast.stmt], scope: Scope, decide: Callable[[ast.expr], bool | None]) -> Iterator[Diagnostic]:
    """What may make a parameter of the flow and is not bound as it is: a call within another expression, or in a loop."""
    for call in _inner_calls(body, decide):
        found = resolve(replace(scope, before=call.lineno), call.func)
        if isinstance(found, External) and found.path in MAKERS:
            message = f"{flow} may have a parameter that cannot be read: {ast.unparse(call.func)}() stands within something else"
            remedy = "Bind the call itself to an attribute, as a statement of the class body."
            yield Diagnostic(UNREADABLE, message, scope.module.span(call), help=remedy)


def _inner_calls(body: Sequence[ast.AST], decide: Callable[[ast.expr], bool | None]) -> Iterator[ast.Call]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                pass
            case ast.If():
                known = decide(node.test)
                taken = [*(node.body if known is not False else ()), *(node.orelse if known is not True else ())]
                yield from _inner_calls([node.test, *taken], decide)
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                for each in value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]:
                    yield from _inner_calls([*each.args, *each.keywords, each.func] if isinstance(each, ast.Call) else [each], decide)
            case ast.For() | ast.AsyncFor() | ast.While() | ast.expr() | ast.keyword():
                yield from (each for each in ast.walk(node) if isinstance(each, ast.Call))
            case _:
                yield from _inner_calls(list(ast.iter_child_nodes(node)), decide)


def _expression(member: Member, scope: Scope) -> tuple[ast.expr | None, Scope]:
    """The expression that a member is bound to, aliases of constants of modules followed, with the scope it stands in."""
    if member.binding.kind in ("from", "module"):
        target = scope.program.follow(member.cls.module, member.binding, member.name)
        if isinstance(target, Local) and isinstance(target.node, ast.expr):
            return target.node, replace(scope, module=target.module, body=None, before=None)
        return None, scope
    expr = member.binding.node if member.binding.kind == "value" else None
    for index in member.binding.unpack:
        if not isinstance(expr, (ast.Tuple, ast.List)) or index >= len(expr.elts):
            return None, scope
        expr = expr.elts[index]
    if isinstance(expr, (ast.Name, ast.Attribute)):
        found = resolve(scope, expr)
        if isinstance(found, Local) and isinstance(found.node, ast.expr) and not found.binding.unpack:
            return found.node, replace(scope, module=found.module, body=None, before=None)
    return (expr if isinstance(expr, ast.expr) else None), scope


def _makes(node: ast.AST, module: Module, program: Program) -> bool:
    """Whether a class derives from, or a function calls, one of Metaflow's parameter classes."""
    if isinstance(node, ast.ClassDef):
        names: list[ast.expr] = node.bases
    elif isinstance(node, (ast.FunctionDef, ast.Lambda)):
        names = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
    else:
        return False
    for name in names:
        found = program.resolve(module, name)
        if isinstance(found, External) and found.path in MAKERS:
            return True
        if (
            isinstance(found, Local)
            and isinstance(found.node, ast.ClassDef)
            and found.node is not node
            and _makes(found.node, found.module, program)
        ):
            return True
    return False


def bind(declaration: Declaration, problems: list[Diagnostic]) -> Declaration:
    """The declaration with its arguments by name, as Python binds them."""
    call, scope = declaration.call, declaration.scope
    signature = SIGNATURES[declaration.kind]
    arguments: dict[str, Argument] = {}

    def wrong(node: ast.expr, text: str, remedy: str) -> None:
        problems.append(Diagnostic(ARGUMENTS, f"{declaration.label} {text}", scope.module.span(node), help=remedy))

    for index, expr in enumerate(call.args):
        if isinstance(expr, ast.Starred) or index >= len(signature):
            wrong(expr, "takes no such positional argument", "Give the arguments by name.")
            break
        arguments[signature[index]] = Argument(expr, scope)
    for keyword in call.keywords:
        for name, argument in _spread(keyword, declaration, problems):
            if name in arguments:
                wrong(keyword.value, f"gets {name} twice", f"Give {name} once.")
            elif name not in signature and not _accepted(declaration.kind, name):
                wrong(keyword.value, f"takes no argument {name}", f"It takes {', '.join(signature)}.")
            arguments[name] = argument
    if "name" not in arguments and not any(isinstance(expr, ast.Starred) for expr in call.args):
        problems.append(
            Diagnostic(ARGUMENTS, f"{declaration.label} has no name", declaration.span, help="Give the name as the first argument.")
        )
    return replace(declaration, arguments=arguments)


def _accepted(kind: str, name: str) -> bool:
    return name in _CLICK and not (kind == "Config" and name == "separator")


def _spread(keyword: ast.keyword, declaration: Declaration, problems: list[Diagnostic]) -> Iterator[tuple[str, Argument]]:
    """The arguments that a keyword gives: itself, or those of its `**mapping` (a dict in sight keeps its expressions, for `type=int`)."""
    scope = declaration.scope
    if keyword.arg is not None:
        yield keyword.arg, Argument(keyword.value, scope)
        return
    expr, where = keyword.value, scope
    found = resolve(scope, expr)
    if isinstance(found, Local) and isinstance(found.node, ast.expr) and found.module.changed(found.name) is None:
        expr, where = found.node, replace(scope, module=found.module, body=None, before=None)
    if isinstance(expr, ast.Dict) and all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in expr.keys):
        for key, value in zip(expr.keys, expr.values, strict=True):
            assert isinstance(key, ast.Constant)
            yield str(key.value), Argument(value, where)
        return
    value_found = evaluate(keyword.value, scope)
    if isinstance(value_found, Unknown):
        problems.append(not_static(value_found, f"what ** gives to {declaration.label}"))
    elif isinstance(value_found.data, dict):
        for name, data in value_found.data.items():
            yield name, Argument(Value(data, value_found.span, value_found.origin), scope)


def refuse_functions(declaration: Declaration, problems: list[Diagnostic]) -> None:
    """Metaflow's check of the fields that take no function."""
    for name in ("show_default", "separator", "required"):
        text = declaration.function(name)
        if text is not None:
            message = f"{name} of {declaration.label} is {text}, and Metaflow takes no function there"
            problems.append(Diagnostic(FUNCTION_FIELD, message, declaration.span_of(name), help=f"Give {name} as a value."))
