"""In: a flow's Parameter and IncludeFile declarations. Out: Parameters as Metaflow makes them, the files they include, and refusals."""

from __future__ import annotations

import ast
import json
import posixpath
from typing import TYPE_CHECKING, Any

from flowc.diagnostics import Code, Diagnostic, Example, Label, Severity
from flowc.frontend.declarations import Declaration, bind, flow_with, refuse_functions, resolve
from flowc.frontend.modules import External
from flowc.ir import Config, DataFile, Dynamic, Parameter, Value

if TYPE_CHECKING:
    from collections.abc import Iterable

TYPES = {"builtins.int": "int", "builtins.float": "float", "builtins.str": "str", "builtins.bool": "bool", "metaflow.JSONType": "JSON"}
RESERVED = frozenset(
    [
        "params",
        "with",
        "tag",
        "namespace",
        "obj",
        "tags",
        "decospecs",
        "run-id-file",
        "max-num-splits",
        "max-workers",
        "max-log-size",
        "user-namespace",
        "run-id",
        "task-id",
        "runner-attribute-file",
    ]
)
IGNORED = frozenset({"cmd", "foreach_stack", "index", "input", "script_name", "name"})
"""Attributes in which Metaflow looks for no parameter, besides those that begin with an underscore."""

RESERVED_NAME = Code(
    "FC370",
    "parameter name that Metaflow reserves",
    why="Metaflow's own command line has an option or argument of this name, so it refuses the parameter.",
    bad=Example({"flow.py": flow_with('alpha = Parameter("max-workers", default=1)')}, line=5),
    good=Example({"flow.py": flow_with('alpha = Parameter("workers", default=1)')}),
)
TWICE = Code(
    "FC371",
    "parameter specified twice",
    why="Parameter names become options of the command line, where neither upper and lower case nor - and _ make a difference.",
    bad=Example({"flow.py": flow_with('alpha = Parameter("alpha", default=1)\n    beta = Parameter("Alpha", default=2)')}, line=6),
    good=Example({"flow.py": flow_with('alpha = Parameter("alpha", default=1)\n    beta = Parameter("beta", default=2)')}),
)
WRONG_DEFAULT = Code(
    "FC372",
    "default that is none of the parameter's type",
    why=(
        "Metaflow converts the default to the parameter's type when a run starts. This one cannot be converted, so every run without a "
        "value fails."
    ),
    bad=Example({"flow.py": flow_with('alpha = Parameter("alpha", type=int, default="many")')}, line=5),
    good=Example({"flow.py": flow_with('alpha = Parameter("alpha", type=int, default="12")')}),
)
SEPARATOR = Code(
    "FC373",
    "separator on a parameter that is no text",
    why="`separator` splits the text that was given. Metaflow takes it only for a parameter of type str whose default, if any, is a str.",
    bad=Example({"flow.py": flow_with('alpha = Parameter("alpha", type=int, separator=",")')}, line=5),
    good=Example({"flow.py": flow_with('alpha = Parameter("alpha", default="a,b", separator=",")')}),
)
NO_FILE = Code(
    "FC374",
    "included file that is not there",
    why=(
        "The default of an IncludeFile is the path of a file, relative to the folder in which the flow runs. It is delivered with the flow."
    ),
    bad=Example({"flow.py": flow_with('data = IncludeFile("data", default="data.csv")')}, line=5),
    good=Example({"flow.py": flow_with('data = IncludeFile("data", default="data.csv")'), "data.csv": "a,b\n"}),
)
BAD_NAME = Code(
    "FC376",
    "parameter name that makes no option",
    why="The name becomes `--name` on the command line: with - as _, it must be a Python identifier.",
    bad=Example({"flow.py": flow_with('alpha = Parameter("learning rate", default=0.1)')}, line=5),
    good=Example({"flow.py": flow_with('alpha = Parameter("learning-rate", default=0.1)')}),
)
BAD_TYPE = Code(
    "FC377",
    "parameter type that no submission can carry",
    why=(
        "A submitted value reaches the run as text, which Metaflow turns into int, float, str, bool or JSONType. For other types (a "
        "list or dict "
        "without JSONType, click's types) the run would see the text's characters, or Metaflow's Argo compiler fails."
    ),
    bad=Example({"flow.py": flow_with('alpha = Parameter("alpha", default=[1, 2])')}, line=5),
    good=Example({"flow.py": flow_with('alpha = Parameter("alpha", default=[1, 2], type=JSONType)')}),
)
UNSEEN = Code(
    "FC385",
    "parameter that Metaflow does not see",
    why=(
        "Metaflow looks for parameters in no attribute that begins with an underscore, nor in cmd, foreach_stack, index, input, name "
        "and script_name."
    ),
    bad=Example({"flow.py": flow_with('_alpha = Parameter("alpha", default=1)')}, line=5),
    good=Example({"flow.py": flow_with('alpha = Parameter("alpha", default=1)')}),
    severity=Severity.WARNING,
)
FAR_FILE = Code(
    "FC386",
    "file that does not stand beside the flow",
    why=(
        "Files are delivered under their path relative to the flow's folder. One above it, or at an absolute path, has no such place in "
        "the pod."
    ),
    bad=Example({"flow.py": flow_with('data = IncludeFile("data", default="/data/data.csv")')}, line=5),
    good=Example({"flow.py": flow_with('data = IncludeFile("data", default="data.csv")'), "data.csv": "a,b\n"}),
)
UNKNOWN_FILE = Code(
    "FC387",
    "included file that only running the flow would name",
    why=(
        "The file that an IncludeFile includes is delivered with the flow. Where a function that asks its surroundings names it, flowc "
        "cannot know it."
    ),
    bad=Example({"flow.py": flow_with('data = IncludeFile("data", default=lambda ctx: ctx.user_name)')}, line=5),
    good=Example({"flow.py": flow_with('data = IncludeFile("data", default=lambda ctx: "data.csv")'), "data.csv": "a,b\n"}),
)


def read_parameter(declared: Declaration, problems: list[Diagnostic], files: dict[str, DataFile]) -> Parameter | None:
    """One parameter; `files` collects what it includes. None where it has no readable name."""
    declared = bind(declared, problems)
    name = read_name(declared, problems)
    refuse_functions(declared, problems)
    default = _default(declared, problems)
    if declared.kind == "IncludeFile":
        kind = "File"
        if isinstance(default, Dynamic):
            _include_called(declared, problems, files)
        _include(declared, default, problems, files)
    else:
        kind = _type(declared, default, problems)
        _fits(declared, kind, default, problems)
    separator = declared.value("separator", problems) if declared.function("separator") is None else None
    if separator and separator.data and not (kind == "str" and _may_be_split(default)):
        message = f"{declared.label} has a separator, but it is no text"
        problems.append(
            Diagnostic(SEPARATOR, message, declared.span_of("separator"), help="Leave separator out, or make it a str parameter.")
        )
    if name is None:
        return None
    required = declared.value("required", problems) if declared.function("required") is None else None
    return Parameter(
        attribute=declared.attribute,
        name=name,
        type=kind,
        default=default,
        required=bool(required and required.data),
        help=_text(declared.value("help", problems)),
        span=declared.span,
        separator=_text(separator),
        multiple=bool((multiple := declared.value("multiple", problems)) and multiple.data),
        is_text=True if (is_text := declared.value("is_text", problems)) is None else bool(is_text.data),
        encoding=_text(declared.value("encoding", problems)),
    )


def read_name(declared: Declaration, problems: list[Diagnostic]) -> str | None:
    """The name of a parameter or config, with Metaflow's and click's refusals."""
    name = declared.value("name", problems)
    if name is None:
        return None
    span = declared.span_of("name")
    if not isinstance(name.data, str) or not name.data.replace("-", "_").lower().isidentifier() or "/" in name.data:
        message = f"{declared.label} has the name {name.data!r}, which makes no option of the command line"
        problems.append(Diagnostic(BAD_NAME, message, span, help="Use letters, digits, - and _."))
        return None
    if name.data in RESERVED or name.data in {r.replace("-", "_") for r in RESERVED}:
        message = f"{declared.label} has the name {name.data}, which Metaflow reserves"
        problems.append(Diagnostic(RESERVED_NAME, message, span, help="Give it another name; the attribute may stay as it is."))
    return name.data


def unseen(declared: Declaration) -> Diagnostic | None:
    """A warning for a declaration in an attribute that Metaflow passes over."""
    if not declared.attribute.startswith("_") and declared.attribute not in IGNORED:
        return None
    message = f"{declared.label} is not seen by Metaflow: it looks for no parameter in this attribute"
    return Diagnostic(UNSEEN, message, declared.member.span, help="Bind it to another attribute.")


def twice(found: Iterable[Parameter | Config]) -> list[Diagnostic]:
    """Metaflow's refusal of one name for two."""
    seen: dict[str, Parameter | Config] = {}
    problems = []
    for one in sorted(found, key=lambda p: p.span.key):
        first = seen.setdefault(one.name.lower().replace("-", "_"), one)
        if first is not one:
            message = f"parameter {one.name} is specified twice, by {first.attribute} and by {one.attribute}"
            labels = (Label(first.span, f"{first.name} is specified here"),)
            problems.append(Diagnostic(TWICE, message, one.span, labels=labels, help="Give one of them another name."))
    return problems


def _text(value: Value | None) -> str | None:
    return None if value is None else str(value.data)


def _default(declared: Declaration, problems: list[Diagnostic]) -> Value | Dynamic | None:
    function = declared.function("default")
    if function is not None:
        return Dynamic(declared.span_of("default"), f"the default is {function}, which Metaflow calls when a run starts")
    return declared.path("default", problems) if declared.kind == "IncludeFile" else declared.value("default", problems)


def _type(declared: Declaration, default: Value | Dynamic | None, problems: list[Diagnostic]) -> str:
    """Metaflow's `_get_type`: the type given, else that of the default, else str."""
    argument = declared.arguments.get("type")
    what = None if argument is None else argument.what
    span, remedy = declared.span_of("type"), "Use int, float, str, bool or JSONType."
    if argument is not None and isinstance(what, ast.expr) and not (isinstance(what, ast.Constant) and what.value is None):
        found = resolve(argument.scope, what)
        if isinstance(found, External) and found.path in TYPES:
            return TYPES[found.path]
        message = f"{declared.label} has the type {ast.unparse(what)}, which no submission can carry"
        problems.append(Diagnostic(BAD_TYPE, message, span, help=remedy))
        return "str"
    if not isinstance(default, Value):
        return "str"
    if isinstance(default.data, (list, dict)):
        if declared.value("multiple", []) is None:
            message = f"{declared.label} has a {type(default.data).__name__} as default and no type"
            problems.append(Diagnostic(BAD_TYPE, message, declared.span_of("default"), help="Add type=JSONType."))
        return "JSON"
    return type(default.data).__name__


def _may_be_split(default: Value | Dynamic | None) -> bool:
    return default is None or (isinstance(default, Value) and isinstance(default.data, str))


def _fits(declared: Declaration, kind: str, default: Value | Dynamic | None, problems: list[Diagnostic]) -> None:
    """Whether click's conversion takes the default. Options that change the conversion are left to click."""
    if not isinstance(default, Value) or any(n in declared.arguments for n in ("nargs", "callback", "is_flag", "count", "flag_value")):
        return
    multiple = declared.value("multiple", [])
    items = default.data if multiple and multiple.data and isinstance(default.data, list) else [default.data]
    for item in items:
        if not _converts(kind, item):
            message = f"{declared.label} is of type {kind}, and its default {json.dumps(item)} is not"
            problems.append(Diagnostic(WRONG_DEFAULT, message, declared.span_of("default"), help=f"Give a default that is of type {kind}."))
            return


def _converts(kind: str, data: Any) -> bool:
    try:
        if kind == "JSON":
            return not isinstance(data, str) or json.loads(data) is not ...
        if kind == "bool":
            return isinstance(data, bool) or data.lower() in ("true", "t", "1", "yes", "y", "false", "f", "0", "no", "n")
        if kind in ("int", "float"):
            (int if kind == "int" else float)(data)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return False
    return True


# --- files beside the flow ------------------------------------------------------------------------------------------------


def _include(declared: Declaration, default: Value | Dynamic | None, problems: list[Diagnostic], files: dict[str, DataFile]) -> None:
    if not isinstance(default, Value):
        return
    span = declared.span_of("default")
    if not isinstance(default.data, str):
        message = f"{declared.label} has {json.dumps(default.data)} as default, which is no path"
        problems.append(Diagnostic(WRONG_DEFAULT, message, span, help="Give the path of a file, relative to the flow's folder."))
        return
    if "://" in default.data:
        message = f"{declared.label} names {default.data}: Metaflow includes local files only"
        problems.append(Diagnostic(NO_FILE, message, span, help="Put the file beside the flow, or read the address in a step."))
        return
    path = beside(declared, default.data, "default", problems)
    data = None if path is None else declared.scope.program.read(path)
    if path is not None and data is None:
        message = f"{declared.label} includes {default.data}, and there is no such file"
        problems.append(Diagnostic(NO_FILE, message, span, help=f"Create {path} in the flow's folder, or correct the path."))
    elif path is not None and data is not None:
        files[path] = DataFile(path, data)


def _include_called(declared: Declaration, problems: list[Diagnostic], files: dict[str, DataFile]) -> None:
    """The file that a function names is delivered where the text tells which; the pod calls the function again."""
    named = declared.called("default")
    if named is not None:
        _include(declared, named, problems, files)
        return
    message = f"{declared.label} has a function as default, and which file it names is not known when compiling"
    remedy = f'Give the path in [tool.flowc.values]: "{declared.key("default")}" = ..., or as a literal.'
    problems.append(Diagnostic(UNKNOWN_FILE, message, declared.span_of("default"), help=remedy))


def beside(declared: Declaration, path: str, argument: str, problems: list[Diagnostic]) -> str | None:
    """The path relative to the flow's folder; a problem where the file stands elsewhere."""
    normal = posixpath.normpath(path) if path else "."
    if normal.startswith(("/", "~", "../")) or normal in (".", ".."):
        message = f"{declared.label} names the file {path!r}, which does not stand beside the flow"
        problems.append(
            Diagnostic(
                FAR_FILE, message, declared.span_of(argument), help="Put the file into the flow's folder and name it relative to it."
            )
        )
        return None
    return normal
