"""In: a flow's Config declarations, and settings that override them. Out: Configs with the values that Metaflow reads, or diagnostics."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

from flowc.diagnostics import Code, Diagnostic, Example
from flowc.frontend.declarations import Declaration, bind, flow_with, refuse_functions, resolve
from flowc.frontend.modules import External
from flowc.frontend.parameters import beside, read_name
from flowc.ir import Config, DataFile, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BOTH = Code(
    "FC379",
    "config with two sources",
    why=(
        "A config takes its value from one place: Metaflow refuses `default` beside `default_value`, and a value beside a file on the "
        "command line."
    ),
    bad=Example({"flow.py": flow_with('conf = Config("conf", default="c.json", default_value={})'), "c.json": "{}"}, line=5),
    good=Example({"flow.py": flow_with('conf = Config("conf", default="c.json")'), "c.json": "{}"}),
)
NO_FILE = Code(
    "FC380",
    "config file that is not there",
    why="Metaflow reads the file when it deploys a flow. Without it there is no value, and Metaflow refuses to go on.",
    bad=Example({"flow.py": flow_with('conf = Config("conf", default="c.json")')}, line=5),
    good=Example({"flow.py": flow_with('conf = Config("conf", default="c.json")'), "c.json": "{}"}),
)
NO_MAPPING = Code(
    "FC381",
    "config that cannot be parsed",
    why="The text of a config is JSON, unless it names a parser, and holds a mapping, unless it is plain.",
    bad=Example({"flow.py": flow_with('conf = Config("conf", default="c.json")'), "c.json": "{a: 1}"}, line=5),
    good=Example({"flow.py": flow_with('conf = Config("conf", default="c.json")'), "c.json": '{"a": 1}'}),
)
NO_VALUE = Code(
    "FC382",
    "required config without a value",
    why="A required config has no default, so each deployment gives its value. Compiling is such a deployment.",
    bad=Example({"flow.py": flow_with('conf = Config("conf", required=True)')}, line=5),
    good=Example({"flow.py": flow_with('conf = Config("conf", required=True)')}, settings={"configs": {"conf": {"a": 1}}}),
)
FUNCTION = Code(
    "FC383",
    "config whose default is a function",
    why=(
        "Metaflow calls the function when it deploys a flow, and the value is fixed from then on. flowc runs nothing of the flow, so it "
        "does not know "
        "the value, and the pods of one deployment might each get another."
    ),
    bad=Example({"flow.py": flow_with('conf = Config("conf", default_value=lambda ctx: {"a": 1})')}, line=5),
    good=Example(
        {"flow.py": flow_with('conf = Config("conf", default_value=lambda ctx: {"a": 1})')}, settings={"configs": {"conf": {"a": 1}}}
    ),
)


class BadTextError(Exception):
    """The text of a config is not what its parser reads."""


def read_config(declared: Declaration, problems: list[Diagnostic], files: dict[str, DataFile]) -> Config | None:
    """One config; `files` collects the file it is read from. None where it has no readable name."""
    declared = bind(declared, problems)
    name = read_name(declared, problems)
    refuse_functions(declared, problems)
    parser = _parser(declared)
    plain = bool((found := declared.value("plain", problems)) and found.data)
    if name is None:
        return None
    config = Config(declared.attribute, name, None, None, parser, declared.span, plain)
    if "default" in declared.arguments and "default_value" in declared.arguments and _none_is_none(declared):
        message = f"{declared.label} has both default and default_value"
        problems.append(Diagnostic(BOTH, message, declared.span, help="Keep one of them."))
        return config
    settings = declared.scope.settings
    if name in settings.configs or name in settings.config_files:
        return _given(declared, config, problems)
    return _own(declared, config, problems, files)


def _none_is_none(declared: Declaration) -> bool:
    """Whether neither of the two defaults is a written None."""
    whats = [declared.arguments[n].what for n in ("default", "default_value")]
    return not any(isinstance(w, ast.Constant) and w.value is None for w in whats)


def _given(declared: Declaration, config: Config, problems: list[Diagnostic]) -> Config:
    """The value from settings, as Metaflow's --config-value and --config give it; the text goes to the pod."""
    settings, name = declared.scope.settings, config.name
    if name in settings.configs and name in settings.config_files:
        message = f"config {name} is given a value and a file"
        problems.append(Diagnostic(BOTH, message, declared.span, help="Keep one of --config-value and --config, or of their settings."))
        return config
    if name in settings.configs:
        data = settings.configs[name]
        text = data if isinstance(data, str) else json.dumps(data)
        return _parsed(declared, config, text, "[tool.flowc.configs]", problems, given=text)
    path = settings.config_files[name]
    raw = declared.scope.program.read(path)
    if raw is None:
        problems.append(
            Diagnostic(
                NO_FILE, f"config {name} is to be read from {path}, and there is no such file", declared.span, help=f"Create {path}."
            )
        )
        return config
    text = raw.decode("utf-8", "replace")
    return _parsed(declared, config, text, path, problems, given=text)


def _own(declared: Declaration, config: Config, problems: list[Diagnostic], files: dict[str, DataFile]) -> Config:
    """The value that the flow itself gives."""
    for argument in ("default", "default_value"):
        function = declared.function(argument)
        if function is not None:
            message = f"{declared.label} has {function} as {argument}, so its value is not known when compiling"
            remedy = f'Give the value: `--config-value {config.name} ...`, or "{config.name}" in [tool.flowc.configs].'
            problems.append(Diagnostic(FUNCTION, message, declared.span_of(argument), help=remedy))
            return config
    before = len(problems)
    default, inline = declared.path("default", problems), declared.value("default_value", problems)
    if len(problems) > before:
        return config
    if default is not None:
        path = beside(declared, str(default.data), "default", problems)
        if path is None:
            return config
        raw = declared.scope.program.read(path)
        if raw is None:
            message = f"{declared.label} is read from {default.data}, and there is no such file"
            remedy = f"Create {path} in the flow's folder, or give another file with --config {config.name} FILE."
            problems.append(Diagnostic(NO_FILE, message, declared.span_of("default"), help=remedy))
            return config
        files[path] = DataFile(path, raw)
        return _parsed(declared, config, raw.decode("utf-8", "replace"), path, problems, file=path)
    if inline is not None:
        text = inline.data if isinstance(inline.data, str) else json.dumps(inline.data)
        return _parsed(declared, config, text, "default_value", problems)
    required = declared.value("required", problems)
    if required and required.data:
        message = f"{declared.label} is required, and nothing gives its value"
        remedy = f'Give it: `--config {config.name} FILE`, `--config-value {config.name} JSON`, or "{config.name}" in [tool.flowc.configs].'
        problems.append(Diagnostic(NO_VALUE, message, declared.span, help=remedy))
    return config


def _parsed(
    declared: Declaration,
    config: Config,
    text: str,
    origin: str,
    problems: list[Diagnostic],
    *,
    file: str | None = None,
    given: str | None = None,
) -> Config:
    argument = "default" if file else "default_value"
    span = declared.span if given is not None else declared.span_of(argument)
    value = None
    try:
        known, data = parse(text, config.parser, config.plain)
        value = Value(data, span, origin) if known else None
    except BadTextError as error:
        message = f"{declared.label} cannot be read from {origin}: {error}"
        problems.append(Diagnostic(NO_MAPPING, message, span, help="Correct the text, or name the parser that reads it."))
    return Config(config.attribute, config.name, value, file, config.parser, config.span, config.plain, given)


# --- parsers ----------------------------------------------------------------------------------------------------------


def _parser(declared: Declaration) -> str | None:
    """The dotted name of the parser; "?" where it has none that the text tells."""
    argument = declared.arguments.get("parser")
    if argument is None or isinstance(argument.what, Value) or (isinstance(argument.what, ast.Constant) and argument.what.value is None):
        return str(argument.what.data) if argument and isinstance(argument.what, Value) and argument.what.data else None
    if isinstance(argument.what, ast.Constant) and isinstance(argument.what.value, str):
        return f"metaflow{argument.what.value}" if argument.what.value.startswith(".") else argument.what.value
    found = resolve(argument.scope, argument.what)
    return found.path if isinstance(found, External) else "?"


def parse(text: str, parser: str | None, plain: bool) -> tuple[bool, Any]:
    """Whether the parser is known, and the data it gives. Raises BadTextError."""
    if parser is None and plain:
        return True, text
    reader = _PARSERS.get(parser or "json.loads")
    if reader is None:
        return False, None
    try:
        data = reader(text)
    except Exception as error:
        raise BadTextError(" ".join(str(error).split()) or type(error).__name__) from error
    if not plain and not isinstance(data, dict):
        raise BadTextError(f"it holds a {type(data).__name__}, no mapping")
    return True, _plain_data(data)


def _plain_data(data: Any) -> Any:
    """What the IR holds: keys are text, and what JSON has no form for (dates of YAML and TOML) is its text."""
    if isinstance(data, dict):
        return {str(k): _plain_data(v) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain_data(v) for v in data]
    return data if data is None or isinstance(data, (bool, int, float, str)) else str(data)


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def _toml(text: str) -> Any:
    return importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "json.loads": json.loads,
    "tomllib.loads": _toml,
    "tomli.loads": _toml,
    "toml.loads": _toml,
    "yaml.safe_load": _yaml,
    "metaflow.yaml_parser": _yaml,
    "metaflow.plugins.yaml_parser": _yaml,
    "metaflow.plugins.parsers.yaml_parser": _yaml,
}
