"""In: a Flow and Settings. Out: the names that Metaflow (2.17 and later) gives a deployment: workflow, sensor, project, branch, token."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import string
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity

if TYPE_CHECKING:
    from flowc.ir import Decorator, Flow
    from flowc.settings import Settings

NAME_LIMIT = 45
BRANCH_LIMIT = 128
VALID_NAME = re.compile(r"[a-z]([a-z0-9.-]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")

LONG = "AVeryLongNameForAFlowThatSaysEverythingItDoes"
TOO_LONG = Code(
    "FC410",
    "the workflow's name is too long",
    "Argo appends to the name of a workflow, so Metaflow lets it have 45 characters. It cuts the names of @project flows only.",
    bad=Example({"flow.py": sample().replace("Hello", LONG + "X")}, line=4, target="argo"),
    good=Example({"flow.py": sample().replace("Hello", LONG + "X")}, target="argo", settings={"name": "everything"}),
)
INVALID = Code(
    "FC411",
    "no valid name for the workflow",
    "A workflow's name has lower-case letters, digits, `-` and `.`, starts with a letter and ends with a letter or digit.",
    bad=Example({"flow.py": sample()}, line=4, target="argo", settings={"name": "My_Flow"}),
    good=Example({"flow.py": sample()}, target="argo", settings={"name": "my-flow"}),
)
NAMED_PROJECT = Code(
    "FC412",
    "a name for a flow of a project",
    "The deployments of a @project flow are named by project, branch and flow. A name of its own would hide them from Metaflow.",
    bad=Example({"flow.py": sample("project", "@project(name='ads')")}, line=4, target="argo", settings={"name": "mine"}),
    good=Example({"flow.py": sample("project", "@project(name='ads')")}, target="argo", settings={"branch": "mine"}),
)
NO_TOKEN = Code(
    "FC413",
    "production without its token",
    "The token is the namespace of a production deployment: with another one, its runs land where nobody looks. It is never made up.",
    bad=Example({"flow.py": sample("project", "@project(name='ads')")}, line=4, target="argo", settings={"production": True}),
    good=Example(
        {"flow.py": sample("project", "@project(name='ads')")},
        target="argo",
        settings={"production": True, "production_token": "mfprj-hfqmyfv3q3osfwm3-0-vkpr"},
    ),
)
BAD_BRANCH = Code(
    "FC414",
    "no valid branch",
    "A branch of a project has lower-case letters, digits and underscores, at most 128.",
    bad=Example({"flow.py": sample("project", "@project(name='ads')")}, line=4, target="argo", settings={"branch": "feature/x"}),
    good=Example({"flow.py": sample("project", "@project(name='ads')")}, target="argo", settings={"branch": "feature_x"}),
)
SAID_TWICE = Code(
    "FC415",
    "branch or production said twice",
    "Metaflow takes the branch and the production flag of a project from the decorator or from the command line, and refuses two answers.",
    bad=Example({"flow.py": sample("project", "@project(name='ads', branch='a')")}, line=4, target="argo", settings={"branch": "b"}),
    good=Example({"flow.py": sample("project", "@project(name='ads', branch='a')")}, target="argo"),
)
NO_PROJECT = Code(
    "FC416",
    "a branch without a project",
    "Branch and production belong to @project. A flow without it has one deployment, whatever they say.",
    bad=Example({"flow.py": sample()}, line=4, target="argo", settings={"branch": "b"}),
    good=Example({"flow.py": sample()}, target="argo"),
    severity=Severity.NOTE,
)


@dataclass(frozen=True, slots=True)
class Project:
    """What @project makes of a flow: `branch` is `prod`, `prod.x`, `test.x` or `user.<owner>`; `flow_name` is `project.branch.Flow`."""

    name: str
    branch: str
    flow_name: str
    given_branch: str | None
    production: bool


def project(flow: Flow, settings: Settings) -> Project | None:
    """None for a flow without @project."""
    decorator = flow.decorator("project")
    if decorator is None:
        return None
    name = str(decorator.get("name"))
    given = decorator.get("branch") if "branch" in decorator.attributes else settings.branch
    production = bool(decorator.get("production") if "production" in decorator.attributes else settings.production)
    if given:
        branch = f"{'prod' if production else 'test'}.{given}"
    else:
        branch = "prod" if production else f"user.{settings.owner}"
    return Project(name, branch, f"{name}.{branch}.{flow.name}", given, production)


def workflow_name(flow: Flow, settings: Settings) -> str:
    """The name of the WorkflowTemplate and CronWorkflow."""
    found = project(flow, settings)
    if found is None:
        name = settings.name or flow.name
    elif len(found.flow_name) > NAME_LIMIT:
        name = _shortened(found, flow.name)
    else:
        name = found.flow_name
    return name if VALID_NAME.fullmatch(name) else _sanitized(name)


def _shortened(found: Project, flow_name: str) -> str:
    """Metaflow's cut: each of project, branch and flow keeps a share by its length, project and flow lose their middle, a hash follows."""
    parts = [found.name, found.branch, flow_name]
    total, remaining = sum(map(len, parts)), NAME_LIMIT - 6 - 3 * 7
    extras = [int(remaining * len(part) / total) for part in parts]
    while sum(extras) < remaining:
        extras[extras.index(min(extras))] += 1
    project_room, branch_room, flow_room = (7 + extra for extra in extras)
    cut = f"{_middle_out(found.name, project_room)}.{found.branch[:branch_room]}.{_middle_out(flow_name, flow_room)}"
    return f"{_sanitized(cut)}-{_base32_sha1(found.flow_name)[:5].lower()}"


def _middle_out(text: str, room: int) -> str:
    head = room // 2
    return text if len(text) <= room else text[:head] + text[head - room :]


def _base32_sha1(text: str) -> str:
    return base64.b32encode(hashlib.sha1(text.encode(), usedforsecurity=False).digest()).decode()


def _sanitized(text: str) -> str:
    clean = re.sub(r"^[^A-Za-z0-9]+", "", text).translate(str.maketrans("", "", "_@+")).lower()
    return re.sub(r"[^a-z0-9]*\.[^a-z0-9]*", ".", clean)


def sensor_name(flow: Flow, settings: Settings) -> str:
    """The workflow's name without dots, which Argo Events does not take in the name of a Sensor."""
    return workflow_name(flow, settings).replace(".", "-")


def token_prefix(flow: Flow, settings: Settings) -> str:
    """What Metaflow's production tokens of this deployment start with, and the name of the file that caches them."""
    found = project(flow, settings)
    if found is None:
        return (settings.name or flow.name).lower()
    return f"mfprj-{_base32_sha1(f'{found.name}.{found.branch}')[:16]}".lower()


def first_token(flow: Flow, settings: Settings) -> str:
    """The token that Metaflow itself makes for the first deployment: a function of the prefix alone."""
    prefix = f"{token_prefix(flow, settings)}-0-"
    letters = random.Random(zlib.adler32(prefix.encode())).sample(string.ascii_lowercase, 4)  # noqa: S311 - Metaflow's own generator
    return prefix + "".join(letters)


def production_token(flow: Flow, settings: Settings) -> str:
    """The token from settings, without the `production:` that Metaflow prints before it; else the first one."""
    given = settings.production_token
    return given.removeprefix("production:") if given else first_token(flow, settings)


def check(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """What makes Metaflow refuse to name or authorize a deployment on Argo Workflows."""
    found = check_project(flow, settings)
    if flow.decorator("project") is not None:
        if not any(each.code is BAD_BRANCH for each in found) and not SUBDOMAIN.fullmatch(workflow_name(flow, settings)):
            found.append(_invalid(flow, settings, workflow_name(flow, settings)))
        return found
    name = settings.name or flow.name
    if settings.name and not VALID_NAME.fullmatch(settings.name):
        found.append(_invalid(flow, settings, settings.name))
    elif len(name) > NAME_LIMIT:
        text = f"the workflow's name `{name}` has {len(name)} characters, {NAME_LIMIT} is the limit"
        found.append(Diagnostic(TOO_LONG, text, flow.span, help=remedy(flow, settings, "a shorter name")))
    elif not SUBDOMAIN.fullmatch(workflow_name(flow, settings)):
        found.append(_invalid(flow, settings, workflow_name(flow, settings)))
    return found


def _invalid(flow: Flow, settings: Settings, name: str) -> Diagnostic:
    text = f"`{name}` is no valid name for a workflow"
    return Diagnostic(INVALID, text, flow.span, help=remedy(flow, settings, "a name like `my-flow`"))


def remedy(flow: Flow, settings: Settings, wanted: str) -> str:
    """What to do where a deployment cannot have its name, by what made it; `wanted` says which it can have: `a shorter name`."""
    if flow.decorator("project") is not None:
        return "rename the class, project or branch: @project names by all three, and each needs ASCII letters or digits, and no others"
    if settings.name:
        return f"give {wanted}: `--name`, or `name` in the settings"
    # a name in the settings of a repository would be that of all its flows
    ways = "`--name` where its file is compiled alone, else `name` in a flowc.toml in a folder of its own"
    return f"rename the class, or give {wanted}: {ways}, which counts there instead of the one above"


def check_project(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """What makes Metaflow refuse to place or authorize a deployment, on any platform: project, branch, production and token."""
    decorator = flow.decorator("project")
    if decorator is not None:
        return _check_project(flow, decorator, settings)
    if not settings.branch and not settings.production:
        return []
    text = f"`{flow.name}` has no @project, so branch and production mean nothing to it"
    return [Diagnostic(NO_PROJECT, text, flow.span, help="add @project(name=...) or leave them out")]


def _check_project(flow: Flow, decorator: Decorator, settings: Settings) -> list[Diagnostic]:
    found = []
    if settings.name:
        text = f"the name `{settings.name}` cannot be given to `{flow.name}`, which @project names"
        found.append(Diagnostic(NAMED_PROJECT, text, decorator.span, help="leave it out; `--branch` makes another deployment"))
    for option, given in (("branch", settings.branch), ("production", settings.production)):
        if option in decorator.attributes and given and decorator.get(option) != given:
            text = f"@project says {option}={decorator.get(option)!r} and the settings say {given!r}"
            found.append(Diagnostic(SAID_TWICE, text, decorator.span_of(option), help=f"leave {option} to one of them"))
    named = project(flow, settings)
    branch = named.given_branch if named else None
    if branch and (re.search(r"[^a-z0-9_]", str(branch)) or len(str(branch)) > BRANCH_LIMIT):
        remedy = "use lower-case letters, digits and underscores, at most 128"
        found.append(Diagnostic(BAD_BRANCH, f"`{branch}` is no valid branch of a project", decorator.span_of("branch"), help=remedy))
    if named and named.production and not settings.production_token:
        text = f"the production deployment of `{flow.name}` needs its production token"
        first = first_token(flow, settings)
        remedy = (
            f"set production_token; Metaflow's own for a first deployment is `{first}` (an existing one prints its token when deployed)"
        )
        found.append(Diagnostic(NO_TOKEN, text, decorator.span, help=remedy))
    return found
