"""Facts about deploy/: every folder builds without a network, what it builds is pinned, narrow and in step with Terraform."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from real_kubectl import kustomized, needs_kubectl
from terraform.terraform_text import TERRAFORM, defaults

from flowc import config, data
from flowc.commands import importing

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
FOLDERS = ("base", "eks", "local", "local-s3")
VENDORED = sorted(path.name for path in (DEPLOY / "vendor").iterdir())
COMPONENTS = sorted(path.name for path in (DEPLOY / "components").iterdir())

@cache
def built(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(kustomized(DEPLOY / name))


def of(objects: Any, kind: str, name: str) -> dict[str, Any]:
    return next(each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name)


@needs_kubectl
@pytest.mark.parametrize("name", FOLDERS)
def test_every_image_is_pinned(name: str) -> None:
    """No image is without a tag, and none has the tag latest."""
    pods = [each["spec"]["template"]["spec"] for each in built(name) if each["kind"] == "Deployment"]
    found = {container["image"] for pod in pods for container in pod["containers"]}
    assert found
    assert [image for image in found if not re.search(r":v?[0-9][\w.-]*$", image)] == []


@needs_kubectl
@pytest.mark.parametrize("name", FOLDERS)
def test_plain_objects_are_valid(name: str) -> None:
    """Accounts, roles, ConfigMaps, Secrets and claims pass Kubernetes' schema, made strict; the API server judges the rest in e2e."""
    schema = json.loads(data.read("schemas/kubernetes/1.33.json"))
    judged = 0
    for each in built(name):
        if each["kind"] in schema["kinds"]:
            jsonschema.validate(each, {**schema, "oneOf": [schema["kinds"][each["kind"]]]})
            judged += 1
    assert judged > 5


@needs_kubectl
@pytest.mark.parametrize("name", ["base", "local", "local-s3"])
def test_argo_has_no_rights_beyond_its_namespace(name: str) -> None:
    """One namespace, roles and no cluster roles; nobody but upstream's own may read Secrets."""
    objects = built(name)
    assert {each["metadata"].get("namespace", "metaflow") for each in objects} == {"metaflow"}
    assert {each["kind"] for each in objects} & {"ClusterRole", "ClusterRoleBinding"} == set()
    roles = [each for each in objects if each["kind"] == "Role"]
    assert {role["metadata"]["name"] for role in roles if any("secrets" in rule["resources"] for rule in role["rules"])} == {
        "argo-role",
        "argo-server-role",
    }
    assert of(objects, "Namespace", "metaflow")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"
    assert "--namespaced" in of(objects, "Deployment", "workflow-controller")["spec"]["template"]["spec"]["containers"][0]["args"]


@needs_kubectl
def test_names_are_those_that_terraform_trusts() -> None:
    """The namespace, accounts, event source and group of deploy/ are those of the roles that Terraform makes."""
    objects = built("eks")
    root = (TERRAFORM / "examples" / "kubernetes" / "outputs.tf").read_text()
    accounts = {each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"}
    identity = defaults(TERRAFORM / "modules" / "identity")
    trusted = set(re.findall(r'"([\w-]+)"', identity["task_service_account"] + identity["controller_service_accounts"]))
    assert trusted == {"metaflow-tasks", "argo", "argo-server"}
    assert trusted | {"metaflow-events"} <= accounts
    assert identity["namespace"] == '"metaflow"'
    source = of(objects, "EventSource", "metaflow")
    assert f'= "{next(iter(source["spec"]["webhook"]))}"' in root
    assert f'= "{source["metadata"]["name"]}"' in root
    group = re.search(r'kubernetes_groups = \["([\w-]+)"\]', (TERRAFORM / "modules" / "eks" / "main.tf").read_text())
    assert group is not None
    assert of(objects, "RoleBinding", "metaflow-deployers")["subjects"][0]["name"] == group[1]


@needs_kubectl
def test_what_import_writes_builds(tmp_path: Path) -> None:
    """deploy/eks with the files of `flowc config import --manifests`: the accounts have their roles, the ConfigMap the bucket."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    imported = importing.read((Path(__file__).parent / "kubernetes.json").read_text(), "x")
    for file, text in importing.manifests(imported).items():
        assert (tmp_path / "deploy" / "eks" / file).exists()
        (tmp_path / "deploy" / "eks" / file).write_text(text)
    objects = kustomized(tmp_path / "deploy" / "eks")
    for account, output in (("metaflow-tasks", "task_role_arn"), ("argo", "controller_role_arn"), ("argo-server", "controller_role_arn")):
        annotations = of(objects, "ServiceAccount", account)["metadata"]["annotations"]
        assert annotations["eks.amazonaws.com/role-arn"] == imported.values[output]
    assert of(objects, "ConfigMap", "metaflow-config")["data"]["METAFLOW_DATASTORE_SYSROOT_S3"] == imported.values["datastore_root"]


@needs_kubectl
@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_can_be_switched_on(name: str, tmp_path: Path) -> None:
    """Each component builds on the base and adds to it or changes it."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "deploy" / "mine").mkdir()
    text = f"resources: [../base]\ncomponents: [../components/{name}]\n"
    (tmp_path / "deploy" / "mine" / "kustomization.yaml").write_text(text)
    objects = kustomized(tmp_path / "deploy" / "mine")
    plain = list(built("base"))
    assert [each for each in objects if each not in plain] != []
    enforced = of(objects, "Namespace", "metaflow")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == ("restricted" if name == "restricted" else "baseline")


@pytest.mark.parametrize("name", ["local", "local-s3"])
def test_laptop_settings_are_in_step(name: str) -> None:
    """The flowc.toml of a laptop's folder names what the folder installs."""
    values = config.parse((DEPLOY / name / "flowc.toml").read_text(), "flowc.toml")
    assert values is not None
    assert (values["namespace"], values["service_account"]) == ("metaflow", "metaflow-tasks")
    if name == "local":
        claim, settings = yaml.safe_load_all((DEPLOY / "local" / "artifacts.yaml").read_text())
        assert claim["metadata"]["name"] == values["datastore_claim"]
        assert settings["data"]["METAFLOW_DATASTORE_SYSROOT_LOCAL"] == values["datastore_root"]


@pytest.mark.parametrize("name", VENDORED)
def test_vendored_files_say_where_they_are_from(name: str) -> None:
    """Source, version and licence stand at the head, and the pinned Argo is one that flowc is tried on."""
    head = (DEPLOY / "vendor" / name / "install.yaml").read_text().split("\n", 2)[:2]
    match = re.fullmatch(r"# \S+ (v[0-9.]+), \S+, as `kubectl kustomize` builds it; Apache-2\.0, https://github\.com/\S+/LICENSE\.", head[0])
    assert match is not None, head[0]
    assert "Written by tools/vendor.py" in head[1]
    if name == "argo-workflows":
        script = (ROOT / "tests" / "engines" / "cluster" / "cluster.sh").read_text()
        assert f'ARGO_VERSIONS="{match[1].lstrip("v")} ' in script
