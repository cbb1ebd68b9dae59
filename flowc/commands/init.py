"""In: `flowc init` in a repository. Out: a settings file, hooks for pre-commit and a CI job that work, for files that are not there yet."""

from __future__ import annotations

import json
import os
import sys

import click

from flowc import __version__
from flowc.commands.files import make_folder, write
from flowc.commands.options import known_target

SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", "build", "dist", "site-packages"}
SETTINGS = """\
# flowc: which flows are compiled, for what, and where to. `flowc compile --help` lists all settings.
flows = {flows}
targets = {targets}
out = {out}
"""
HOOKS = """\
repos:
  - repo: {repository}
    rev: v{version}
    hooks:
      - id: flowc-check
      - id: flowc-compile
"""
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
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install "flowc @ git+{repository}@v{version}"
      - run: flowc check --output-format github
      - run: flowc compile --check
"""
GITLAB = """\
flows:
  image: python:3.11
  script:
    - pip install "flowc @ git+{repository}@v{version}"
    - flowc check --output-format gitlab > gl-code-quality-report.json
    - flowc compile --check
  artifacts:
    when: always
    reports:
      codequality: gl-code-quality-report.json
"""
CI = {"github": (".github/workflows/flows.yml", GITHUB), "gitlab": (".gitlab-ci.yml", GITLAB), "none": ("", "")}


def _known(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str]:
    return [name for each in value if (name := known_target(ctx, param, each))]


@click.command("init", short_help="Set up a repository.")
@click.option("--flows", multiple=True, metavar="GLOB", help="Files that hold flows. Repeatable; found by looking, where not given.")
@click.option("-t", "--target", "targets", multiple=True, callback=_known, metavar="TARGET", help="What to compile for. Repeatable.")
@click.option("--out", metavar="DIR", help="Folder of the outputs.")
@click.option("--ci", type=click.Choice(sorted(CI)), help="Which CI job to write.")
@click.option("--repository", default="https://github.com/OWNER/flowc", show_default=True, help="Where hooks and CI get flowc from.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: take what is found and the defaults.")
def init_command(flows: tuple[str, ...], targets: list[str], out: str | None, ci: str | None, repository: str, yes: bool) -> None:
    """Write flowc.toml, .pre-commit-config.yaml and a CI job into this folder.

    What no flag gives is asked. A file that is there already is left alone.
    """
    found = list(flows) or _patterns(_flows(os.curdir))
    if not flows and not yes:
        found = click.prompt("Files that hold flows (globs, by spaces)", default=" ".join(found) or "flows/**/*.py").split()
    if not found:
        raise click.UsageError("no file here holds a flow; name them: --flows 'flows/**/*.py'")
    chosen = targets or (["argo"] if yes else _asked_targets())
    folder = out or ("manifests" if yes else click.prompt("Folder of the outputs", default="manifests"))
    job = ci or ("none" if yes else click.prompt("CI", type=click.Choice(sorted(CI)), default="github"))
    texts = {"flowc.toml": SETTINGS.format(flows=json.dumps(found), targets=json.dumps(chosen), out=json.dumps(folder))}
    values = {"repository": repository, "version": __version__}
    texts[".pre-commit-config.yaml"] = HOOKS.format(**values)
    path, text = CI[job]
    if path:
        texts[path] = text.format(**values)
    there = [path for path in texts if os.path.lexists(path)]
    new = {path: text for path, text in texts.items() if path not in there}
    for path in new:
        make_folder(os.path.dirname(path) or os.curdir)
    write(new)
    for path in texts:
        print(f"flowc: {path} {'is there already and is left as it is' if path in there else 'written'}", file=sys.stderr)
    print("flowc: next: flowc compile", file=sys.stderr)


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
                    if b"(FlowSpec)" in file.read(1 << 20):
                        found.append(os.path.relpath(path, root).replace(os.sep, "/"))
    return found


def _patterns(paths: list[str]) -> list[str]:
    """A glob for each folder that holds flows."""
    return [f"{folder}/*.py" if folder else "*.py" for folder in sorted({path.rpartition("/")[0] for path in paths})]
