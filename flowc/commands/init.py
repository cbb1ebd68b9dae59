"""In: `flowc init` in a repository. Out: a settings file, hooks for pre-commit and a CI job that work, for files that are not there yet."""

from __future__ import annotations

import glob
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from flowc import __version__, config
from flowc.commands.config_show import toml
from flowc.commands.files import load
from flowc.commands.options import Source, known_targets, text_of
from flowc.commands.writing import make_folder, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", "build", "dist", "site-packages"}
CLASS = re.compile(rb"^class\s[^:]*\bFlowSpec\b", re.MULTILINE)
STEP = re.compile(rb"^[ \t]+@(metaflow\.)?step\b", re.MULTILINE)
SETTINGS = """\
# flowc: which flows are compiled, for what, and where to. `flowc compile --help` lists all settings.
flows = {flows}
targets = {targets}
out = {out}
"""
ENVIRONMENT = """
[env.{name}]
out = {out}
"""
HOOKS = """\
repos:
  - repo: {repository}
    rev: v{version}
    hooks:
      - id: flowc-check
"""
HOOK = "      - id: flowc-compile\n"
HOOK_OF = "        name: flowc compile ({name})\n        args: [--env, {name}]\n"
GITHUB = """\
name: flows
on: [push, pull_request]
permissions:
  contents: read
jobs:
  flows:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install "flowc @ git+{repository}@v{version}"
      - run: flowc check --output-format github
{drift}      - if: github.event_name == 'pull_request'
        env:
          BASE: ${{{{ github.event.pull_request.base.sha }}}}
        # 1 says that something differs
        run: flowc diff --against "$BASE" --format markdown >> "$GITHUB_STEP_SUMMARY" || [ $? -eq 1 ]
"""
GITLAB = """\
flows:
  image: python:3.11
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  before_script:
    - pip install "flowc @ git+{repository}@v{version}"
  script:
    - flowc check --output-format junit --exit-zero > flows.xml
    - flowc check --output-format gitlab > gl-code-quality-report.json
{drift}  artifacts:
    when: always
    reports:
      codequality: gl-code-quality-report.json
      junit: flows.xml

changes:
  image: python:3.11
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"
  before_script:
    - pip install "flowc @ git+{repository}@v{version}"
  script:
    # 1 says that something differs
    - flowc diff --against "$CI_MERGE_REQUEST_DIFF_BASE_SHA" --format markdown > changes.md || [ $? -eq 1 ]
    - cat changes.md
  artifacts:
    paths: [changes.md]
"""
SHARED = {".pre-commit-config.yaml": "flowc-check", ".gitlab-ci.yml": "flowc check"}
"""Files that tools of others stand in too, and a word of flowc's part."""
CI = {
    "github": (".github/workflows/flows.yml", GITHUB, "      - run: {command}\n"),
    "gitlab": (".gitlab-ci.yml", GITLAB, "    - {command}\n"),
    "none": ("", "", ""),
}


@click.command("init", short_help="Write settings, hooks and a CI job for a repository.")
@click.option("--flows", multiple=True, metavar="GLOB", help="Files that hold flows. Repeatable; found by looking, where not given.")
@click.option("-t", "--target", "targets", multiple=True, callback=known_targets, metavar="TARGET", help="What to compile for. Repeatable.")
@click.option("--out", metavar="DIR", help="Folder of the outputs.")
@click.option("--env", "environments", multiple=True, metavar="NAME", help="An environment with outputs of its own. Repeatable.")
@click.option("--ci", type=click.Choice(sorted(CI)), help="Which CI job to write.")
@click.option(
    "--repository", default="https://github.com/OWNER/flowc", metavar="URL", show_default=True, help="Where hooks and CI get flowc from."
)
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: take what is found and the defaults.")
def init_command(**answers: Any) -> None:
    """Write flowc.toml, .pre-commit-config.yaml and a CI job into this folder.

    What no flag gives is asked. A file that is there already is left alone; hooks and CI follow the settings file that is there.
    """
    try:
        _set_up(**answers)
    except click.Abort as error:
        if sys.stdin.isatty():  # ^C or ^D at a question
            raise
        raise click.UsageError("there is nobody to ask: --yes takes what is found and the defaults, flags say the rest") from error


def _set_up(
    flows: tuple[str, ...],
    targets: tuple[str, ...],
    out: str | None,
    environments: tuple[str, ...],
    ci: str | None,
    repository: str,
    yes: bool,
) -> None:
    """Write what is not there yet; say what belongs into files that are."""
    settings = Source({}).settings_file(os.curdir) if any(os.path.lexists(name) for name in config.FILES) else None
    texts: dict[str, str] = {}
    if settings is None or os.path.dirname(settings) not in ("", os.path.abspath(os.curdir)):
        texts["flowc.toml"] = _settings(flows, targets, out, environments, yes)
    else:
        print(f"flowc: {os.path.basename(settings)} is there already and is left as it is", file=sys.stderr)
        environments = config.environments(text_of(settings) or "", os.path.basename(settings))
    for name in environments:  # they become words of shells and of YAML
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
            raise click.UsageError(f"environment {name!r}: hooks and CI take names of letters, digits, - and _ only")
    if re.search(r"[\s\"'`$\\]", repository):
        raise click.UsageError(f"--repository {repository!r}: no address has spaces, quotes, $ or \\ in it")
    job = ci or ("none" if yes else click.prompt("CI", type=click.Choice(sorted(CI)), default="github"))
    texts |= _hooks_and_ci(job, environments, {"repository": repository, "version": __version__})
    there = [path for path in texts if os.path.lexists(path)]
    new = {path: text for path, text in texts.items() if path not in there}
    for path in new:
        make_folder(os.path.dirname(path) or os.curdir)
    write(new)
    for path in texts:
        print(f"flowc: {path} {'is there already and is left as it is' if path in there else 'written'}", file=sys.stderr)
        if path in there and path in SHARED and SHARED[path] not in load(path).decode(errors="replace"):
            print(f"flowc: add this to {path}:\n", texts[path].removeprefix("repos:\n"), sep="\n", file=sys.stderr)
    print(f"flowc: next: {'; '.join(f'flowc compile{suffix}' for suffix in _suffixes(environments))}", file=sys.stderr)


def _settings(flows: Sequence[str], targets: Sequence[str], out: str | None, environments: Sequence[str], yes: bool) -> str:
    """The text of the settings file, of flags and of answers."""
    found = list(flows) or _patterns(_flows(os.curdir))
    if not flows and not yes:
        found = click.prompt("Files that hold flows (globs, by spaces)", default=" ".join(found) or "flows/**/*.py").split()
    if not found:
        raise click.UsageError("no file here holds a flow; name them: --flows 'flows/**/*.py'")
    chosen = targets or (["argo"] if yes else _asked_targets())
    folder = out or ("manifests" if yes else click.prompt("Folder of the outputs", default="manifests"))
    text = SETTINGS.format(flows=toml(found), targets=toml(list(chosen)), out=toml(folder))
    return text + "".join(ENVIRONMENT.format(name=name, out=toml(f"{folder}/{name}")) for name in environments)


def _suffixes(environments: Sequence[str]) -> list[str]:
    """What `flowc compile` needs to compile all that there is."""
    return [f" --env {name}" for name in environments] or [""]


def _hooks_and_ci(ci: str, environments: Sequence[str], values: Mapping[str, str]) -> dict[str, str]:
    """The texts of pre-commit's file and of the CI job, by path; each environment is compiled and compared."""
    hooks = [HOOK + HOOK_OF.format(name=name) for name in environments] or [HOOK]
    texts = {".pre-commit-config.yaml": HOOKS.format(**values) + "".join(hooks)}
    path, text, line = CI[ci]
    if path:
        drift = "".join(line.format(command=f"flowc compile --check{suffix}") for suffix in _suffixes(environments))
        texts[path] = text.format(**values, drift=drift)
    return texts


def _asked_targets() -> list[str]:
    from flowc import target

    return [str(click.prompt("Compile for", type=click.Choice(target.names()), default="argo"))]


def _flows(root: str) -> list[str]:
    """Files below the folder that define a flow, by their text."""
    found = []
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(place, name)
            if name.endswith(".py") and os.path.isfile(path):
                with open(path, "rb") as file:
                    if _may_be_flow(file.read(1 << 20)):
                        found.append(os.path.relpath(path, root).replace(os.sep, "/"))
    return found


def _may_be_flow(text: bytes) -> bool:
    """Whether a class inherits from FlowSpec, or has steps of Metaflow and its base in another file."""
    return (b"FlowSpec" in text and CLASS.search(text) is not None) or (b"metaflow" in text and STEP.search(text) is not None)


def _patterns(paths: list[str]) -> list[str]:
    """A glob for each folder that holds flows."""
    return [f"{glob.escape(folder)}/*.py" if folder else "*.py" for folder in sorted({path.rpartition("/")[0] for path in paths})]
