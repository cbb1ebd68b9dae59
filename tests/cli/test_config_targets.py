"""Facts about `[tool.flowc.TARGET]`: settings of one target, laid over the file's own, below and within environments."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from cli.running import flowc

from flowc.config import SettingsError, parse

SETTINGS = """\
flows = ["*.py"]
targets = ["argo", "kubernetes"]
image = "base"

[labels]
team = "x"

[argo]
image = "for-argo"
labels = { engine = "argo" }

[env.prod]
image = "prod"

[env.prod.argo]
namespace = "prod-argo"
"""
FLOW = """\
from metaflow import FlowSpec, step


class Hello(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text(SETTINGS)
    (tmp_path / "hello.py").write_text(FLOW)
    return tmp_path


@pytest.mark.parametrize(
    ("env", "target", "image", "labels", "namespace"),
    [
        (None, None, "base", {"team": "x"}, None),
        (None, "argo", "for-argo", {"team": "x", "engine": "argo"}, None),
        (None, "kubernetes", "base", {"team": "x"}, None),
        ("prod", None, "prod", {"team": "x"}, None),
        ("prod", "argo", "prod", {"team": "x", "engine": "argo"}, "prod-argo"),
    ],
)
def test_order(env: str | None, target: str | None, image: str, labels: dict[str, str], namespace: str | None) -> None:
    """The file's own, then the target's, then the environment's, then the environment's for the target."""
    found = parse(SETTINGS, "flowc.toml", env, target) or {}
    assert (found["image"], found["labels"], found.get("namespace")) == (image, labels, namespace)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[argo]\nimag = 'x'", "flowc.toml:2: there is no setting 'imag'; did you mean 'image'?"),
        ("image = 'a'\n[argo]\nimage = 1", "flowc.toml:3: argo: image must be a text (in quotes), not 1"),
        ("image = 'a'\n[env.prod.argo]\nimage = 1", "flowc.toml:3: env.prod.argo: image must be a text (in quotes), not 1"),
        ("[argo]\nout = 'x'", "flowc.toml:2: argo: out is about the repository, not one target"),
        ("[argoo]\nimage = 'x'", "flowc.toml:1: there is no setting 'argoo'; did you mean 'argo'?"),
        ("[stepfunctions]\nimage = 'x'", "flowc.toml:1: there is no setting 'stepfunctions'; did you mean 'step-functions'?"),
        ("[env.prod.kubernets]\nimage = 'x'", "flowc.toml:1: there is no setting 'kubernets'; did you mean 'kubernetes'?"),
        ("[envs.prod]\nimage = 'x'", "flowc.toml:1: there is no setting 'envs'; did you mean 'env'?"),
        ("[env.prod.envs]\nimage = 'x'", "flowc.toml:1: there is no setting 'envs'"),
        ("argo = 1", "flowc.toml:1: there is no setting 'argo'"),
    ],
)
def test_strict(text: str, message: str) -> None:
    """A mistake in any target's table is found at its line, whichever target is asked for."""
    with pytest.raises(SettingsError) as caught:
        parse(text, "flowc.toml")
    assert str(caught.value).startswith(message)


def test_reaches_outputs(here: Path) -> None:
    """A repository's outputs differ by target; to change one target's table compiles anew, and makes the outputs of it alone differ."""
    flowc("compile")
    assert "image: for-argo" in (here / "manifests/argo/hello.workflowtemplate.yaml").read_text()
    kubernetes = {path: path.read_text() for path in (here / "manifests/kubernetes").iterdir()}
    assert any("base" in text for text in kubernetes.values())
    assert not any("for-argo" in text for text in kubernetes.values())
    assert "1 unchanged" in flowc("compile").stderr
    (here / "flowc.toml").write_text(SETTINGS.replace("for-argo", "newer"))
    assert "argo/hello.workflowtemplate.yaml is not what" in flowc("compile", "--check", code=1).stderr
    assert "1 compiled" in flowc("compile").stderr
    assert kubernetes == {path: path.read_text() for path in (here / "manifests/kubernetes").iterdir()}
    alone = flowc("compile", "hello.py", "--target", "argo").stdout
    assert "image: newer" in alone
    assert "image: newer" not in flowc("compile", "hello.py", "--target", "argo", "--image", "flag").stdout


def test_shown(here: Path) -> None:
    """`flowc config --target` names the tables that values come from; `flowc diff` tells a change of one target's."""
    told = json.loads(flowc("config", "--target", "argo", "--env", "prod", "--as", "json").stdout)
    assert told["image"] == {"value": "prod", "origin": "flowc.toml:13 (env.prod)"}
    assert told["labels"]["origin"] == "flowc.toml:5, flowc.toml:10 (argo)"
    assert told["namespace"]["origin"] == "flowc.toml:16 (env.prod.argo)"
    assert "setting argo.namespace: none → prod-argo" in flowc("diff", "--env", "prod", code=1).stdout


def test_unknown_targets_of_other_environments(here: Path) -> None:
    """A target that is not known is refused where it counts, else told once: it may be a plug-in's that is not installed here."""
    text = SETTINGS.replace('[env.prod]', '[env.next]\ntargets = ["argo", "kubernets", "theirs"]\n\n[env.prod]')
    (here / "flowc.toml").write_text(text)
    known = "; did you mean 'kubernetes'?"
    warnings = [
        f"flowc: warning: flowc.toml:13: env.next: targets: there is no target 'kubernets'{known}",
        "flowc: warning: flowc.toml:13: env.next: targets: there is no target 'theirs'; there are ",
    ]
    for command in (("check",), ("compile",), ("compile", "--check"), ("config",), ("config", "--env", "prod")):
        told = flowc(*command).stderr
        assert [told.count(each) for each in warnings] == [1, 1], (command, told)

    assert "there is no target" not in flowc("check", "hello.py").stderr
    refused = flowc("check", "--env", "next", code=2).stderr
    assert (refused.count("there is no target"), "warning" in refused) == (1, False)
    (here / "flowc.toml").write_text(SETTINGS)
    assert "warning" not in flowc("check").stderr + flowc("config").stderr
    (here / "flowc.toml").unlink()
    assert "warning" not in flowc("config").stderr


def test_an_environment_with_the_name_of_a_table() -> None:
    """An environment `prod.argo` is not what `prod` says of Argo."""
    text = '[env.prod.argo]\nimage = "a"\n[env."prod.argo"]\nname = "b"\n'
    assert parse(text, "flowc.toml", "prod.argo") == {"name": "b"}
    assert parse(text, "flowc.toml", "prod", "argo") == {"image": "a"}


def test_schema_knows_targets() -> None:
    """Editors complete a target's table, and mark what is wrong in it."""
    schema = json.loads(flowc("config", "schema").stdout)
    jsonschema.validate({"argo": {"image": "a"}, "env": {"prod": {"kubernetes": {"image": "b"}}}}, schema)
    for wrong in ({"argo": {"imag": "a"}}, {"argo": {"out": "a"}}, {"argoo": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
