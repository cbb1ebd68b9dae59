"""In: a Flow. Out: what @project, @exit_hook and the flow's package decorators refuse (FC327, FC328, FC335)."""

from __future__ import annotations

import re

from flowc.checks.attributes import not_a_dict, problem, shown
from flowc.checks.example import END, START_END, example
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.ir import Decorator, Flow

LONGEST_NAME = 128


def _on(decorator: str, imports: str, *, error: bool = False, body: str = "") -> Example:
    return example(body + START_END + END, imports=imports, above=f"{decorator}{'  # error' if error else ''}\n")


PROJECT_NAME = Code(
    "FC327",
    "name of @project that Metaflow does not take",
    "The name becomes part of the deployment's name and of its namespace: lowercase letters, digits and underscores, at most 128.",
    bad=_on('@project(name="Fraud Model")', "project", error=True),
    good=_on('@project(name="fraud_model")', "project"),
)
BRANCH_NAME = Code(
    "FC328",
    "branch of @project that Metaflow does not take",
    "The branch becomes part of the deployment's name: lowercase letters, digits and underscores, at most 128.",
    bad=_on('@project(name="fraud", branch="Try-1")', "project", error=True),
    good=_on('@project(name="fraud", branch="try_1")', "project"),
)
NO_HOOK = Code(
    "FC335",
    "exit hook that hooks nothing",
    "`@exit_hook` names the functions to call after the run: `on_success`, `on_error`, or both.",
    bad=_on("@exit_hook(options={})", "exit_hook", error=True),
    good=example(
        START_END + END,
        imports="exit_hook",
        above='def tell(run):\n    print("done")\n\n\n@exit_hook(on_success=[tell])\n',
    ),
)


def check(flow: Flow) -> list[Diagnostic]:
    """The flow's decorators, triggers aside."""
    found: list[Diagnostic] = []
    for decorator in flow.decorators:
        match decorator.name:
            case "project":
                found += _project(decorator)
            case "exit_hook":
                if not decorator.unread and not decorator.get("on_success") and not decorator.get("on_error"):
                    help_ = "Give on_success or on_error a list of functions, or remove @exit_hook."
                    found.append(Diagnostic(NO_HOOK, "@exit_hook has neither on_success nor on_error", decorator.span, help=help_))
            case "conda_base" | "pypi_base":
                found += not_a_dict(decorator, ("packages", "libraries"), none=False)
            case _:
                pass
    return found


def _project(decorator: Decorator) -> list[Diagnostic]:
    found = []
    name, branch = decorator.get("name"), decorator.get("branch")
    if not name and not decorator.unread:
        help_ = 'Write the project\'s name, such as `@project(name="fraud")`.'
        found.append(problem(PROJECT_NAME, decorator, "name", "@project has no name", help_))
    elif name and (reason := _refused(name)):
        found.append(problem(PROJECT_NAME, decorator, "name", f"@project name {shown(name)} {reason}", _help(name)))
    if branch and (reason := _refused(branch)):
        found.append(problem(BRANCH_NAME, decorator, "branch", f"@project branch {shown(branch)} {reason}", _help(branch)))
    return found


def _refused(name: object) -> str:
    if not isinstance(name, str):
        return "is no string"
    if re.search("[^a-z0-9_]", name):
        return "has other characters than lowercase letters, digits and underscores"
    return f"is longer than {LONGEST_NAME} characters" if len(name) > LONGEST_NAME else ""


def _help(name: object) -> str:
    suggestion = re.sub("[^a-z0-9_]+", "_", str(name).lower())[:LONGEST_NAME]
    return f"Use lowercase letters, digits and underscores: {suggestion}"
