"""What the pages on repositories say is so: their settings and commands are run, in their order, and every command of flowc is run by some page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from gitops.example import ENVIRONMENTS, EXAMPLE, cloned
from real_kubectl import KUBECTL, needs_kubectl
from test_docs import ROOT, fences
from walking import commands, lines, walk

from flowc.cli import COMMANDS

DOCS = ROOT / "docs"
ON_THE_EXAMPLE = ("docs/argo-cd.md", "docs/flux.md", "docs/gitlab.md", "examples/gitops/README.md")
WALKED = ("docs/gitops.md", "docs/terraform.md", "docs/run.md", *ON_THE_EXAMPLE)
"""Pages whose shell blocks are run here; `console` blocks are run by test_docs.py, whichever page they stand on."""
ELSEWHERE = ("docs/overlays.md", "docs/migration.md")
"""Pages whose shell blocks have a test of their own: tests/overlays/test_page.py, tests/compare/test_page.py."""
ON_A_CLUSTER = ("docs/kubernetes.md",)
"""Pages whose lines of flowc are run by tests/e2e/test_gitops.py."""
OPTIONS = (
    "check --output-format full|concise|json|github|gitlab|sarif|junit", "check --baseline", "check --write-baseline",
    "compile --check", "compile --env", "compile --all", "compile --exit-non-zero-on-change", "compile --profile restricted",
    "diff --against", "diff --env", "diff --format markdown|json", "fix --diff",
    "graduate --step", "graduate --cpu", "graduate --memory", "graduate --retry", "graduate --schedule",
    "graph --format mermaid|dot|json|html", "init --ci github|gitlab", "compare --only-json",
    "config show", "config schema", "config import", "completion bash",
)  # fmt: skip
"""What a repository lives by."""
AUTHOR = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def test_the_repository_of_the_page(tmp_path: Path) -> None:
    """Every command of the page on repositories does what it says, with the settings that stand there, beside the examples."""
    page = DOCS / "gitops.md"
    work = tmp_path / "work"
    shutil.copytree(ROOT / "examples", work / "examples", ignore=shutil.ignore_patterns("gitops"))
    (settings,) = (fence.text for fence in fences("toml") if fence.page == page and "flows =" in fence.text)
    (work / "pyproject.toml").write_text(settings)
    subprocess.run(["git", "init", "-q", work], check=True)
    env = {**commands(tmp_path / "bin"), **AUTHOR}
    assert walk(page, work, env, program="(flowc|git)")
    written = {path.relative_to(work).as_posix() for path in work.rglob("*.lock") if ".git" not in path.parts}
    assert written == {"manifests/flowc.lock", "deploy/prod/flowc.lock"}
    assert "cpu=8" in (work / "examples" / "train.py").read_text()


@pytest.mark.parametrize("page", ON_THE_EXAMPLE)
def test_the_pages_on_the_example(page: str, tmp_path: Path) -> None:
    """Their commands run in a clone of examples/gitops."""
    assert walk(ROOT / page, cloned(tmp_path), commands(tmp_path / "bin"))


@needs_kubectl
@pytest.mark.parametrize("page", ON_THE_EXAMPLE)
def test_kubectl_on_the_example(page: str, tmp_path: Path) -> None:
    """Those of kubectl too, where there is one."""
    work = cloned(tmp_path)
    walk(ROOT / page, work, commands(tmp_path / "bin"))
    walk(ROOT / page, work, commands(tmp_path / "bin", kubectl=f'exec {KUBECTL} "$@"'), program="kubectl")


def test_terraform_outputs_become_settings(tmp_path: Path) -> None:
    """What the page on Terraform pipes into flowc becomes settings; a file of outputs stands in for terraform."""
    env = commands(tmp_path / "bin", terraform=f"exec cat {ROOT / 'tests' / 'terraform' / 'kubernetes.json'}")
    work = tmp_path / "work"
    (work / ".git").mkdir(parents=True)
    assert walk(DOCS / "terraform.md", work, env)
    assert "datastore" in (work / "flowc.toml").read_text()


@pytest.mark.slow
def test_the_page_on_runs(tmp_path: Path) -> None:
    """Its command runs the example on this machine."""
    work = tmp_path / "work"
    shutil.copytree(ROOT / "examples", work / "examples", ignore=shutil.ignore_patterns("gitops"))
    env = commands(tmp_path / "bin") | {"METAFLOW_HOME": str(tmp_path), "METAFLOW_USER": "me", "HOME": str(tmp_path)}
    assert walk(DOCS / "run.md", work, env)


def run_by_tests() -> list[str]:
    """Every line of a page that calls flowc and that a test runs, the program left out."""
    of_pages = [line.text for page in (*WALKED, *ELSEWHERE, *ON_A_CLUSTER) for line in lines(ROOT / page) if line.runs("flowc")]
    of_consoles = [line.removeprefix("$ ") for fence in fences("console") for line in fence.text.splitlines() if line.startswith("$ flowc")]
    return [line.partition("flowc ")[2] for line in (*of_pages, *of_consoles)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_run_by_a_page(command: str) -> None:
    """What `flowc --help` lists stands on a page, in a block that a test runs."""
    assert [line for line in run_by_tests() if line.split()[0] == command]


@pytest.mark.parametrize("option", OPTIONS)
def test_what_a_repository_lives_by_is_run_by_a_page(option: str) -> None:
    """So do its options, those with a choice of values with each of them (or left out, where it is the default)."""
    command, name, *values = option.split()
    texts = [line for line in run_by_tests() if re.search(rf"^{command}\b.* {name}\b", line)]
    assert texts
    for value in filter(None, "".join(values).split("|")):
        default = (command, value) in (("check", "full"), ("graph", "json"))
        assert default or [text for text in texts if re.search(rf"{name} {value}\b", text)], value


@pytest.mark.parametrize("page", ["docs/argo-cd.md", "docs/flux.md", "docs/gitlab.md"])
def test_their_yaml_is_the_examples(page: str) -> None:
    """Every YAML block of the pages on GitOps is a file of the example, whole."""
    texts = {path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*") if path.suffix in (".yaml", ".yml")}
    found = [fence.text for fence in fences("yaml") if fence.page == ROOT / page]
    assert found
    assert [text for text in found if text not in texts] == []


def test_environments_are_staging_and_prod() -> None:
    """What the pages compile are the environments that the example has."""
    named = {name for page in ON_THE_EXAMPLE for line in lines(ROOT / page) for name in re.findall(r"--env (\w+)", line.text)}
    assert named == set(ENVIRONMENTS)
