"""Facts about the example's CI: the files pass GitLab's and GitHub's schemas, and their scripts, run by bash as a runner does, find what they should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cli.running import environment
from gitops.example import EXAMPLE, ROOT, cloned, flowc, git

FILES = {"gitlab-ci": ".gitlab-ci.yml", "github-workflows": ".github/workflows/flows.yml"}


def read(file: str) -> Any:
    # `on` is a key of GitHub's, which YAML 1.1 takes for true
    return {("on" if key is True else key): value for key, value in yaml.safe_load((EXAMPLE / file).read_text(encoding="utf-8")).items()}


def judge(name: str) -> Any:
    """A validator of one of the schemas that check-jsonschema brings."""
    schema = json.loads((resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{name}.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


@pytest.mark.parametrize("schema", FILES)
def test_the_files_are_well_formed(schema: str) -> None:
    """Each is what the schema of its server takes, which refuses a key that is not the server's."""
    validator = judge(schema)
    found = read(FILES[schema])
    validator.validate(found)
    job = found["jobs"]["flows"] if "jobs" in found else found["flows"]
    job["artefacts"] = job.pop("artifacts", {})
    assert not validator.is_valid(found)


def test_the_action_and_the_hooks_are_well_formed() -> None:
    """GitHub takes action.yml, and pre-commit itself the hooks that it finds in this repository."""
    judge("github-actions").validate(yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8")))
    from pre_commit.clientlib import load_manifest

    assert {hook["id"] for hook in load_manifest(str(ROOT / ".pre-commit-hooks.yaml"))} == {"flowc-check", "flowc-compile"}


def run(lines: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The lines as one script, as runners start it: the first that fails ends it."""
    commands = folder.parent / "bin"
    commands.mkdir(exist_ok=True)
    (commands / "flowc").write_text(f'#!/bin/sh\nexec {sys.executable} -m flowc "$@"\n')
    (commands / "flowc").chmod(0o755)
    env = environment(PATH=f"{commands}:{os.environ['PATH']}", **more)
    script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", "\n".join(lines)]
    return subprocess.run(script, cwd=folder, env=env, capture_output=True, text=True, check=False)


def gitlab(job: str) -> list[str]:
    return list(read(FILES["gitlab-ci"])[job]["script"])


def github() -> list[str]:
    steps = read(FILES["github-workflows"])["jobs"]["flows"]["steps"]
    return [step["run"] for step in steps if "flowc" in step.get("run", "") and "pip" not in step["run"]]


def break_a_flow(work: Path) -> None:
    path = work / "flows" / "report.py"
    path.write_text(path.read_text().replace("self.next(self.end)", "self.next(self.missing)"))


def test_gitlab_passes_what_is_right(tmp_path: Path) -> None:
    """The job ends well, and its reports are there: no code quality problem, no failed test."""
    work = cloned(tmp_path)
    done = run(gitlab("flows"), work)
    assert done.returncode == 0, done.stderr
    reports = read(FILES["gitlab-ci"])["flows"]["artifacts"]["reports"]
    assert json.loads((work / reports["codequality"]).read_text()) == []
    assert ET.parse(work / reports["junit"]).findall(".//failure") == []


def test_gitlab_shows_a_mistake(tmp_path: Path) -> None:
    """A wrong flow fails the job; both reports name its file and line, as GitLab's widgets read them."""
    work = cloned(tmp_path)
    break_a_flow(work)
    assert run(gitlab("flows"), work).returncode == 1
    (problem,) = json.loads((work / "gl-code-quality-report.json").read_text())
    assert (problem["location"]["path"], problem["location"]["lines"]["begin"]) == ("flows/report.py", 13)
    assert {"description", "check_name", "fingerprint", "severity"} <= set(problem)
    assert len(ET.parse(work / "flows.xml").findall(".//failure")) == 1


def test_drift_fails_everywhere(tmp_path: Path) -> None:
    """A flow that was changed and not compiled fails the job on both servers, with the command that mends it."""
    work = cloned(tmp_path)
    path = work / "flows" / "report.py"
    path.write_text(path.read_text().replace("0 7 * * 1", "0 8 * * 1"))
    for lines in (gitlab("flows"), github()[:-1]):
        done = run(lines, work)
        assert (done.returncode, "run `flowc compile --env staging`" in done.stderr) == (1, True)
    flowc(work, "compile", "--env", "staging")
    assert "run `flowc compile --env prod`" in run(gitlab("flows"), work).stderr


def test_a_change_is_told(tmp_path: Path) -> None:
    """The text for the merge request says what differs from its base; that it differs is no failure, that flowc failed is one."""
    work = cloned(tmp_path)
    base = git(work, "rev-parse", "HEAD")
    path = work / "flows" / "features.py"
    path.write_text(path.read_text().replace("memory=8192", "memory=12288"))
    done = run(gitlab("changes"), work, CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
    assert done.returncode == 0, done.stderr
    assert "8192 MB` → `12288 MB" in (work / "changes.md").read_text()
    assert (work / "changes.md").read_text() in done.stdout
    assert run([github()[-1]], work, BASE=base, GITHUB_STEP_SUMMARY="summary.md").returncode == 0
    assert (work / "summary.md").read_text() == (work / "changes.md").read_text()
    assert run(gitlab("changes"), work, CI_MERGE_REQUEST_DIFF_BASE_SHA="nothing").returncode == 1


def test_nothing_of_a_request_is_pasted_into_a_script() -> None:
    """Expressions of GitHub stand in variables only: a branch's name cannot become a command."""
    assert all("${{" not in line for line in github())
