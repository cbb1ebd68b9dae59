"""In: a Flow's parameters. Out: the arguments of its workflow, and Metaflow's own record of them."""

from __future__ import annotations

import json
import re
from typing import Any

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Label
from flowc.ir import Flow, Parameter, Value
from flowc.runtime import safe_json

RESERVED = ("script",)

BAD_NAME = Code(
    "FC438",
    "a parameter's name that Argo cannot carry",
    "Argo's own `script` is taken, and the name of a workflow's parameter has letters, digits, `_` and `-`.",
    bad=Example({"flow.py": sample("Parameter", body="script = Parameter('script', default='x')")}, line=5, target="argo"),
    good=Example({"flow.py": sample("Parameter", body="text = Parameter('text', default='x')")}, target="argo"),
)

_CONFIG = "rates = Config('rate', default_value='{}')\n    "
SAME_NAME = Code(
    "FC439",
    "a parameter and a config of one name",
    "Metaflow's Argo compiler counts configs among the parameters and takes no name twice, in whatever case it is written.",
    bad=Example(
        {"flow.py": sample("Config, Parameter", body=_CONFIG + "speed = Parameter('Rate', default=1)")},
        line=6,
        target="argo",
    ),
    good=Example(
        {"flow.py": sample("Config, Parameter", body=_CONFIG + "speed = Parameter('speed', default=1)")},
        target="argo",
    ),
)


def default_text(parameter: Parameter) -> str:
    """The value of the workflow's parameter when nobody gives one: JSON, a JSON parameter's doubly so.

    `null` where there is no default, or one that only the pod knows (a function, a file): then Metaflow's own default counts there.
    """
    default = parameter.default
    if not isinstance(default, Value) or default.data is None or parameter.type == "File":
        return "null"
    data = default.data
    if parameter.type == "JSON" and not isinstance(data, str):
        data = json.dumps(data)
    return safe_json(data)


def records(flow: Flow) -> dict[str, dict[str, Any]]:
    """Metaflow's record of each parameter, as its annotation `metaflow/parameters` holds it, in the order of the flow."""
    found = {}
    for parameter in flow.parameters:
        record = {
            "python_var_name": parameter.attribute,
            "name": parameter.name,
            "value": default_text(parameter),
            "type": "FilePath" if parameter.type == "File" else parameter.type,
            "description": parameter.help,
            "is_required": parameter.required,
        }
        if parameter.type == "File":
            record |= {"is_text": parameter.is_text, "encoding": parameter.encoding}
        found[parameter.name] = record
    return found


def arguments(flow: Flow) -> list[dict[str, Any]]:
    """`spec.arguments.parameters` for the flow's own parameters. Help texts lose their `{{` to `{ {`: they are for people."""
    found = []
    for parameter in flow.parameters:
        argument = {"name": parameter.name, "value": default_text(parameter)}
        if parameter.help:
            argument["description"] = parameter.help.replace("{{", "{ {")
        found.append(argument)
    return found


def check(flow: Flow) -> list[Diagnostic]:
    """Names that Argo, or Metaflow's Argo compiler, refuses."""
    found = []
    for parameter in flow.parameters:
        if parameter.name.lower() in RESERVED or not re.fullmatch(r"[-a-zA-Z0-9_]+", parameter.name):
            text = f"a parameter called `{parameter.name}` cannot run on Argo Workflows"
            found.append(Diagnostic(BAD_NAME, text, parameter.span, help="give it another name"))
        config = next((c for c in flow.configs if c.name.lower() == parameter.name.lower()), None)
        if config:
            text = f"the parameter `{parameter.name}` has the name of a config"
            labels = (Label(config.span, "the config"),)
            found.append(Diagnostic(SAME_NAME, text, parameter.span, labels=labels, help="give one of them another name"))
    return found
