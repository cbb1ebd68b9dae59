"""In: a Flow and Settings. Out: a warning for each literal variable that looks like a secret, since whoever reads the output reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowc.ir import Flow
    from flowc.settings import Settings

PLAIN = Code(
    "FC417",
    "a secret in plain text",
    (
        "A variable called like a password or a key, or a value that has the form of one, stands in the output as it is written, "
        "and outputs get committed. A Secret of the cluster, or AWS Secrets Manager by @secrets, brings it to the pods without that."
    ),
    bad=Example({"flow.py": sample("environment", on_start="@environment(vars={'DB_PASSWORD': 'hunter2'})")}, line=5, target="argo"),
    good=Example({"flow.py": sample("secrets", on_start="@secrets(sources=['db'])")}, target="argo"),
    severity=Severity.WARNING,
)
_NAME = re.compile(r"(?i)(^|_)(secret|password|passwd|token|api_?key|access_?key|private_?key|credentials)$|^METAFLOW_SERVICE_HEADERS$")
_VALUE = re.compile(
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[opsu]_\w{36}|\bgithub_pat_\w{20}|\bglpat-[\w-]{20}|\bxox[abprs]-\w|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/@\s:]*:[^/@\s]+@|hooks\.slack\.com/services/|(?i:\bbearer \S{8})"
)
_NO_SECRET = re.compile(r"\s*|/.*|\d+|(?i:true|false|none|null)|<[^<>]*>|\[[A-Z]+\]", re.DOTALL)
"""Nothing, the path of a file that holds it, a number of tokens, a switch, or a token of a language model."""


def check(flow: Flow, settings: Settings) -> Iterator[Diagnostic]:
    """Of the settings' variables, and of those of each step's @environment. The value itself is in no message."""
    for name in _secret(settings.environment):
        text = f"the variable {name} of the settings would stand in the output in plain text"
        remedy = 'put it into a Secret that pods get whole: secrets = ["NAME"]; where it is none, `# flowc: ignore[FC417]`'
        yield Diagnostic(PLAIN, text, flow.span, help=remedy)
    for step in flow.steps.values():
        decorator = step.decorator("environment")
        given = decorator.get("vars") if decorator else None
        if decorator is None or not isinstance(given, dict):
            continue
        for name in _secret(given):
            text = f"the variable {name} of step `{step.name}` would stand in the output in plain text"
            remedy = "bring it by @secrets, or @kubernetes(secrets=...); where it is none, `# flowc: ignore[FC417]`"
            yield Diagnostic(PLAIN, text, decorator.span_of("vars"), help=remedy)


def _secret(variables: Mapping[Any, Any]) -> list[str]:
    return [str(name) for name, value in variables.items() if _looks_secret(str(name), str(value))]


def _looks_secret(name: str, value: str) -> bool:
    return _VALUE.search(value) is not None or (_NAME.search(name) is not None and _NO_SECRET.fullmatch(value) is None)
