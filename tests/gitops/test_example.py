"""Facts about examples/gitops: its outputs are current, kustomize builds them, Argo CD and Flux take what points to them, nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from gitops.example import ENVIRONMENTS, EXAMPLE, cloned, flowc, names
from real_kubectl import kustomized, needs_kubectl

SCHEMAS = json.loads((Path(__file__).parent / "schemas.json").read_text(encoding="utf-8"))
POINTERS = [path for folder in ("argocd", "flux") for path in sorted((EXAMPLE / folder).glob("*.yaml"))]
WRITTEN = (".pre-commit-config.yaml", ".gitlab-ci.yml", ".github/workflows/flows.yml")


def pointing(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_outputs_are_current(env: str, request: pytest.FixtureRequest) -> None:
    """What is committed is what the flows compile to, the lock included; `--update` compiles them."""
    flowc(EXAMPLE, "compile", "--env", env, *([] if request.config.getoption("--update") else ["--check"]))


def test_hooks_and_ci_are_those_of_init(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The files for pre-commit, GitHub and GitLab are what `flowc init` writes where that flowc.toml is."""
    (tmp_path / "flowc.toml").write_bytes((EXAMPLE / "flowc.toml").read_bytes())
    for ci in ("github", "gitlab"):
        flowc(tmp_path, "init", "--yes", "--ci", ci)
    for name in WRITTEN:
        if request.config.getoption("--update"):
            (EXAMPLE / name).write_bytes((tmp_path / name).read_bytes())
        assert (EXAMPLE / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("path", POINTERS, ids=lambda path: path.relative_to(EXAMPLE).as_posix())
def test_argo_cd_and_flux_take_what_points_to_a_folder(path: Path) -> None:
    """Upstream's schemas accept it, and its folder and namespace are there; both prune."""
    found = {each["kind"]: each for each in pointing(path)}
    for each in found.values():
        jsonschema.validate(each, SCHEMAS[f"{each['apiVersion']} {each['kind']}"])
    overlay = yaml.safe_load((EXAMPLE / "deploy" / path.stem / "kustomization.yaml").read_text(encoding="utf-8"))
    if path.parent.name == "argocd":
        spec = found["Application"]["spec"]
        assert spec["destination"]["namespace"] == overlay["namespace"]
        assert spec["syncPolicy"]["automated"]["prune"] is True
        where = spec["source"]["path"]
    else:
        spec = found["Kustomization"]["spec"]
        assert spec["prune"] is True
        assert spec["sourceRef"] == {"kind": "GitRepository", "name": found["GitRepository"]["metadata"]["name"]}
        where = spec["path"].removeprefix("./")
    assert where == f"deploy/{path.stem}"


def test_the_schemas_refuse() -> None:
    """The judge works: a key that is not upstream's, or one of the wrong kind, is refused."""
    (application,) = pointing(EXAMPLE / "argocd" / "prod.yaml")
    for spec in ({"prune": True}, {"syncPolicy": {"automated": {"prune": "yes"}}}, {"destination": None}):
        wrong = {**application, "spec": {**application["spec"], **spec}}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMAS["argoproj.io/v1alpha1 Application"])


@needs_kubectl
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_kustomize_builds_an_environment(env: str) -> None:
    """The real kustomize puts all objects into the environment's namespace, with its label; images and patches reach the flows."""
    objects = kustomized(EXAMPLE / "deploy" / env)
    assert {each["metadata"].get("namespace") for each in objects if each["kind"] != "Namespace"} == {f"shop-{env}"}
    assert {each["metadata"]["labels"]["shop.example.com/environment"] for each in objects} == {env}
    branch = "prod" if env == "prod" else "test.staging"
    flows = {name for kind, name in names(objects) if kind == "WorkflowTemplate"}
    assert flows == {f"shop.{branch}.{name}" for name in ("features", "forecast", "weeklyreport")}
    templates = [each["spec"] for each in objects if each["kind"] == "WorkflowTemplate"]
    tag = {"prod": "2026.11.1", "staging": "2026.12.0-rc1"}[env]
    assert {each["templateDefaults"]["container"]["image"] for each in templates} == {f"registry.example.com/shop/flows:{tag}"}
    assert {"ttlStrategy" in each for each in templates} == {env == "prod"}
    assert {each["spec"]["suspend"] for each in objects if each["kind"] == "CronWorkflow"} == {env == "staging"}
    accounts = {name for kind, name in names(objects) if kind == "ServiceAccount"}
    assert {each["serviceAccountName"] for each in templates} <= accounts


@needs_kubectl
def test_what_a_commit_takes_away_is_not_built(tmp_path: Path) -> None:
    """A changed flow keeps its objects; a removed and a renamed one are gone from the build, from the folder and from the lock."""
    work = cloned(tmp_path)
    before = names(kustomized(work / "deploy" / "prod"))
    (work / "flows" / "forecast.py").unlink()
    report = work / "flows" / "report.py"
    report.write_text(report.read_text().replace("WeeklyReport", "MondayReport"))
    features = work / "flows" / "features.py"
    features.write_text(features.read_text().replace("memory=8192", "memory=12288"))
    assert "flows/forecast.py:Forecast" in flowc(work, "diff", code=1).stdout
    flowc(work, "compile", "--env", "prod", "--check", code=1)
    assert "4 outputs removed" in flowc(work, "compile", "--env", "prod").stderr
    after = names(kustomized(work / "deploy" / "prod"))
    assert before - after == {
        ("CronWorkflow", "shop.prod.weeklyreport"),
        ("WorkflowTemplate", "shop.prod.weeklyreport"),
        ("WorkflowTemplate", "shop.prod.forecast"),
        ("Sensor", "shop-prod-forecast"),
    }
    assert after - before == {("CronWorkflow", "shop.prod.mondayreport"), ("WorkflowTemplate", "shop.prod.mondayreport")}
    assert "weekly" not in (work / "manifests" / "prod" / "flowc.lock").read_text()
