"""Facts about `flowc config import`: what Terraform made is in the settings, all else in the file stays, and nothing is guessed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.running import HELLO, environment, flowc

from flowc.commands import importing
from flowc.config import BY_KEY, SettingsError, parse

HERE = Path(__file__).parent
KUBERNETES, NATIVE = HERE / "kubernetes.json", HERE / "aws-native.json"
"""What `terraform output -json` wrote after the examples were applied to moto."""
FILES = {
    "empty": "",
    "comments": '# ours\nimage = "x:1"  # pinned\nnamespace = "old"  # why\n\n[labels]\nteam = "x"\n',
    "tables": '[environment]\nA = "b"\n\n[env.prod]\nbranch = "main"\n',
    "no newline": 'image = "x:1"',
    "windows": 'image = "x:1" # a\r\nnamespace = "old"\r\n',
    "literal": "namespace = 'metaflow' # same\n",
}
PROJECTS = {
    "none": '[project]\nname = "x"\n\n[tool.ruff]\nline-length = 100 # wide\n',
    "table": '[tool.flowc]\n# ours\nimage = "x:1"\n\n[tool.flowc.labels]\nteam = "x"\n\n[tool.ruff]\nline-length = 100\n',
    "dotted": '[tool]\nflowc.image = "x:1"\nruff.line-length = 100\n',
    "inline": 'tool = {flowc = {image = "x:1"}, ruff = {line-length = 100}}\n',
    "apart": '[tool.flowc.labels]\nteam = "x"\n\n[tool.ruff]\nline-length = 100\n\n[tool.flowc]\nimage = "x:1"\n',
    "only tables": '[tool.flowc.labels]\nteam = "x"\n',
}
EDITS = [
    (file, text, env)
    for file, texts in (("flowc.toml", FILES), ("pyproject.toml", PROJECTS))
    for name, text in texts.items()
    for env in (None, "prod")
    if (name, env) != ("dotted", "prod")  # refused, see below
]


def outputs(path: Path, **changed: Any) -> str:
    """The outputs with other values; None takes one out."""
    data = json.loads(path.read_text())
    for name, value in changed.items():
        data.pop(name, None)
        if value is not None:
            data[name] = {"sensitive": False, "type": "string", "value": value}
    return json.dumps(data)


def load(text: str) -> dict[str, Any]:
    toml = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return dict(toml.loads(text))


def without(data: Any, keys: set[str]) -> Any:
    """The data less those keys, and less the tables that are empty then."""
    if not isinstance(data, dict):
        return data
    kept = {key: without(value, keys) for key, value in data.items() if key not in keys}
    return {key: value for key, value in kept.items() if value != {}}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "flow.py").write_text(HELLO)
    return tmp_path


@pytest.mark.parametrize("platform", ["kubernetes", "aws-native"])
def test_a_first_compile_needs_no_typing(here: Path, platform: str) -> None:
    """From the pipe into a new flowc.toml, and the manifests have the bucket, and the account or the queue, that Terraform made."""
    text = (HERE / f"{platform}.json").read_text()
    command = [sys.executable, "-m", "flowc", "config", "import", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment(), check=True)
    assert (done.stdout, done.stderr) == ("", "flowc: wrote flowc.toml\n")
    data = json.loads(text)
    target = {"kubernetes": "argo", "aws-native": "step-functions"}[platform]
    compiled = flowc("compile", "flow.py", "--target", target).stdout
    assert data["datastore_root"]["value"] in compiled
    assert data[{"kubernetes": "service_account", "aws-native": "batch_queue"}[platform]]["value"] in compiled


@pytest.mark.parametrize("platform", ["kubernetes", "aws-native"])
@pytest.mark.parametrize(("file", "text", "env"), EDITS)
def test_all_else_in_the_file_stays(platform: str, file: str, text: str, env: str | None) -> None:
    """Every comment, and every key that is not imported, is there afterwards; importing again changes nothing."""
    found = importing.read((HERE / f"{platform}.json").read_text(), "x")
    new = importing.edited(text, file, found.settings, env)
    keys = {key for key, option in BY_KEY.items() if option.field in found.settings}
    assert without(load(new), keys) == without(load(text), keys)
    assert {line.partition("#")[2] for line in text.splitlines()} <= {line.partition("#")[2] for line in new.splitlines()}
    values = parse(new, file, env)
    assert values is not None
    assert {name: values[name] for name in found.settings} == found.settings
    assert importing.edited(new, file, found.settings, env) == new


@pytest.mark.parametrize("env", [None, "prod"])
def test_an_environment_has_its_own(env: str | None) -> None:
    """With --env the values stand in that environment's table, and count there alone."""
    found = importing.read(KUBERNETES.read_text(), "x")
    new = importing.edited('namespace = "shared"\n', "flowc.toml", found.settings, "prod")
    values = parse(new, "flowc.toml", env)
    assert values is not None
    assert values["namespace"] == ("metaflow" if env else "shared")


def test_the_nearest_settings_file_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is the one that a compile would read: above this folder, flowc.toml before pyproject.toml; else this folder's project."""
    (here / "pyproject.toml").write_text('[project]\nname = "x"\n')
    flowc("config", "import", str(KUBERNETES))
    assert "[tool.flowc]" in (here / "pyproject.toml").read_text()
    assert not (here / "flowc.toml").exists()
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    assert flowc("config", "import", str(KUBERNETES)).stderr == f"flowc: {here.as_posix()}/pyproject.toml is current\n"
    (here / "flowc.toml").write_text('image = "x:1"\n')
    flowc("config", "import", str(KUBERNETES))
    assert 'namespace = "metaflow"' in (here / "flowc.toml").read_text()
    flowc("config", "import", str(KUBERNETES), "--settings", "mine.toml")
    assert (here / "below" / "mine.toml").exists()


@pytest.mark.parametrize("flag", ["--dry-run", "--diff"])
def test_a_dry_run_writes_nothing(here: Path, flag: str) -> None:
    """The change is shown as a diff that `patch` takes, and the file is as it was."""
    before = 'namespace = "old"\n'
    (here / "flowc.toml").write_text(before)
    shown = flowc("config", "import", str(KUBERNETES), flag).stdout
    assert (here / "flowc.toml").read_text() == before
    flowc("config", "import", str(KUBERNETES))
    wanted = (here / "flowc.toml").read_text()
    (here / "flowc.toml").write_text(before)
    (here / "x.diff").write_text(shown)
    subprocess.run(["git", "apply", "x.diff"], cwd=here, check=True, env={**environment(), "GIT_CEILING_DIRECTORIES": str(here)})
    assert (here / "flowc.toml").read_text() == wanted


def test_unknown_and_sensitive_outputs_are_passed_over(here: Path) -> None:
    """A note names each; the value of a sensitive one is nowhere."""
    data = json.loads(outputs(KUBERNETES, namespaces="x"))
    data["password"] = {"sensitive": True, "type": "string", "value": "hunter2"}
    (here / "o.json").write_text(json.dumps(data))
    told = flowc("config", "import", "o.json").stderr
    assert "the output namespaces is none that flowc knows; did you mean 'namespace'?; it was passed over" in told
    assert "the output password is sensitive and was not read" in told
    assert "hunter2" not in told + (here / "flowc.toml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[]", "is not what `terraform output -json` writes"),
        ('{"namespace": "x"}', "is not what `terraform output -json` writes"),
        ("{}", "has no outputs; has `terraform apply` been run in this folder?"),
        (outputs(KUBERNETES, platform=None), "the output platform is missing"),
        (outputs(KUBERNETES, platform="azure"), "must be kubernetes or aws-native, not 'azure'"),
        (outputs(KUBERNETES, namespace=None), "the output namespace (the namespace of flows) is missing"),
        (outputs(KUBERNETES, namespace="A b"), 'the output namespace (the namespace of flows) cannot be "A b"'),
        (outputs(KUBERNETES, namespace=3), "cannot be 3"),
        (outputs(KUBERNETES, datastore_root="/tmp"), 'cannot be "/tmp"'),
        (outputs(KUBERNETES, datastore_root="s3://b/x\nimage = 'y'"), "cannot be"),
        (outputs(KUBERNETES, metadata="service@ftp://x"), "cannot be"),
        (outputs(KUBERNETES, task_role_arn="arn:aws:iam::1:user/x"), "cannot be"),
        (outputs(NATIVE, batch_queue="a b"), "cannot be"),
        (outputs(NATIVE, batch_job_role_arn=None), "is missing"),
        (outputs(NATIVE, namespace="x", batch_job_role_arn=None, batch_queue=""), "; the output batch_job_role_arn (the role of jobs)"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(here: Path, text: str, message: str) -> None:
    """Wrong outputs end with exit code 2 and all that is wrong with them."""
    (here / "o.json").write_text(text)
    assert message in flowc("config", "import", "o.json", code=2).stderr
    assert not (here / "flowc.toml").exists()


def test_a_settings_file_with_mistakes_is_left_alone(here: Path) -> None:
    """What a compile would refuse is refused here too."""
    (here / "flowc.toml").write_text("imge = 'x'\n")
    assert "did you mean 'image'?" in flowc("config", "import", str(KUBERNETES), code=2).stderr
    with pytest.raises(SettingsError, match="is no TOML"):
        importing.edited("x = = 1", "flowc.toml", {"namespace": "x"})


def test_a_file_that_cannot_be_edited_is_left_alone(here: Path) -> None:
    """Where tomlkit would lose something, here a key after dotted ones, the keys are shown instead of written."""
    (here / "pyproject.toml").write_text(PROJECTS["dotted"])
    told = flowc("config", "import", str(KUBERNETES), "--env", "prod", code=2).stderr
    assert "cannot edit without loss; put there, [tool.flowc.env.prod]: " in told
    assert ', namespace = "metaflow", ' in told
    assert (here / "pyproject.toml").read_text() == PROJECTS["dotted"]


@pytest.mark.parametrize("role", ["arn:aws:iam::123456789012:role/metaflow-tasks", None])
def test_manifests_hold_what_terraform_made(here: Path, role: str | None) -> None:
    """The ConfigMap has Metaflow's own names; accounts name their roles with IRSA, and none with Pod Identity."""
    (here / "eks").mkdir()
    (here / "o.json").write_text(outputs(KUBERNETES, task_role_arn=role, metadata="service@http://metadata.example"))
    flowc("config", "import", "o.json", "--manifests", "eks")
    config_map = yaml.safe_load((here / "eks" / "metaflow-config.yaml").read_text())
    assert config_map["metadata"] == {"name": "metaflow-config", "namespace": "metaflow"}
    assert config_map["data"] == {
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": json.loads(KUBERNETES.read_text())["datastore_root"]["value"],
        "METAFLOW_KUBERNETES_NAMESPACE": "metaflow",
        "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "metaflow-tasks",
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_SERVICE_URL": "http://metadata.example",
        "METAFLOW_ARGO_EVENTS_EVENT": "metaflow-event",
        "METAFLOW_ARGO_EVENTS_EVENT_BUS": "default",
        "METAFLOW_ARGO_EVENTS_EVENT_SOURCE": "metaflow",
        "METAFLOW_ARGO_EVENTS_WEBHOOK_URL": "http://metaflow-eventsource-svc.metaflow:12000/metaflow-event",
        "METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT": "metaflow-events",
    }
    accounts = list(yaml.safe_load_all((here / "eks" / "service-accounts.yaml").read_text()))
    assert [each["metadata"]["name"] for each in accounts] == ["metaflow-tasks", "argo", "argo-server"]
    annotations = None if role is None else {"eks.amazonaws.com/role-arn": role}
    assert accounts[0]["metadata"].get("annotations") == annotations


def test_manifests_of_another_namespace_or_platform_are_refused(here: Path) -> None:
    """Roles trust accounts of one namespace: a base that builds for another is refused, and so are outputs without Kubernetes."""
    for name in ("base", "eks"):
        (here / name).mkdir()
    (here / "base" / "kustomization.yaml").write_text("namespace: elsewhere\n")
    told = flowc("config", "import", str(KUBERNETES), "--manifests", "eks", code=2).stderr
    assert "Terraform's namespace is metaflow, that of base/kustomization.yaml is elsewhere" in told
    assert "is no folder" in flowc("config", "import", str(KUBERNETES), "--manifests", "nowhere", code=2).stderr
    assert "these outputs are of aws-native" in flowc("config", "import", str(NATIVE), "--manifests", "eks", code=2).stderr
    assert not (here / "flowc.toml").exists()
