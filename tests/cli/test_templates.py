"""Facts about a team's own templates: they extend flowc's by blocks, and what they give is judged like all output."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cli.running import HELLO, flowc

EXTENDED = """\
{% extends "flowc/argo/workflowtemplate.yaml.j2" %}
{% block spec %}
{{ super() }}
  ttlStrategy: {"secondsAfterCompletion": 86400}
  podGC:
    strategy: OnPodSuccess
{% endblock %}
"""


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A flow, and settings that name a folder of templates; the path of the one for WorkflowTemplates."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "flow.py").write_text(HELLO)
    (tmp_path / "flowc.toml").write_text('templates = "ours"\n')
    path = tmp_path / "ours" / "argo" / "workflowtemplate.yaml.j2"
    path.parent.mkdir(parents=True)
    return path


def test_a_block_is_extended(team: Path) -> None:
    """What a block adds stands in the manifest beside what flowc writes; everything else is as without it."""
    team.write_text(EXTENDED)
    ours = yaml.safe_load(flowc("compile", "flow.py", "--target", "argo").stdout)
    assert ours["spec"].pop("ttlStrategy") == {"secondsAfterCompletion": 86400}
    assert ours["spec"].pop("podGC") == {"strategy": "OnPodSuccess"}
    assert ours == yaml.safe_load(flowc("compile", "flow.py", "--target", "argo", "--isolated").stdout)
    assert flowc("compile", "flow.py", "--target", "argo", "--isolated", "--templates", "ours").stdout == flowc("compile", "flow.py", "--target", "argo").stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EXTENDED.replace("secondsAfterCompletion", "secondsAfter"), "'secondsAfter' was unexpected"),
        (EXTENDED.replace("OnPodSuccess", "{{ missing }}"), "'missing' is undefined"),
        (EXTENDED.replace("{% endblock %}", ""), "templates/argo/workflowtemplate.yaml.j2"),
        (EXTENDED.replace("  podGC:", "  podGC: ["), "templates/argo/workflowtemplate.yaml.j2: rendered line"),
        (EXTENDED.replace("OnPodSuccess", "{{ ''.__class__.__mro__[1].__subclasses__() }}"), "is unsafe"),
        ('{% extends "flowc/argo/none.j2" %}', "argo/none.j2"),
        (EXTENDED.replace("OnPodSuccess", "{{ 1 // 0 }}"), "division"),
        ('{% include "argo/workflowtemplate.yaml.j2" %}', "recursion"),
        (EXTENDED.replace("flowc/", ""), "it extends itself; flowc's own is called flowc/argo/workflowtemplate.yaml.j2"),
        (EXTENDED.replace("block spec", "block specs"), "has no block 'specs'; it has container, defaults, extras, metadata, spec"),
    ],
)
def test_what_they_give_is_judged(team: Path, text: str, message: str) -> None:
    """Wrong templates, unknown fields, text that is no YAML, reaching into Python: each is the user's mistake, told with its place."""
    team.write_text(text)
    told = flowc("compile", "flow.py", "--target", "argo", code=1).stderr
    assert "error[FC501]" in told
    assert message in told


def test_a_folder_that_is_none(team: Path) -> None:
    """A folder that is not there, or holds what is no text, is a mistake."""
    team.write_bytes(b"\xff\xfe")
    assert "ours/argo/workflowtemplate.yaml.j2 is no UTF-8 text" in flowc("compile", "flow.py", "--target", "argo", code=2).stderr
    assert "there is no such folder" in flowc("compile", "flow.py", "--target", "argo", "--templates", "theirs", code=2).stderr


def test_no_template_is_idle(team: Path) -> None:
    """A file whose name is none of flowc's is told, unless another one uses it; what is no template may stand beside them."""
    (team.parent / "README.md").write_text("{% ours")
    (team.parent / "macros.j2").write_text("{% macro kept() %}{\"secondsAfterCompletion\": 86400}{% endmacro %}")
    (team.parent / "workflowtemplat.yaml.j2").write_text(EXTENDED)
    team.write_text('{% import "argo/macros.j2" as ours %}' + EXTENDED.replace('{"secondsAfterCompletion": 86400}', "{{ ours.kept() }}"))
    told = flowc("compile", "flow.py", "--target", "argo", code=1).stderr
    assert "templates/argo/workflowtemplat.yaml.j2: flowc has no template of that name, and none of yours uses it" in told
    (team.parent / "workflowtemplat.yaml.j2").unlink()
    assert "secondsAfterCompletion: 86400" in flowc("compile", "flow.py", "--target", "argo").stdout


@pytest.mark.parametrize("name", ["../../secret.txt", "flowc/../../secret.txt", "/secret.txt", "flowc/argo", "a\\0b", "../ours/secret.txt"])
def test_no_file_of_the_machine_is_included(team: Path, name: str) -> None:
    """A template can name those of its folder and flowc's, and nothing else that the machine has."""
    from flowc import data

    (team.parents[2] / "secret.txt").write_text("key: AKIA")
    up = "../" * len(data.ROOT.parts)
    for path in (name, f"{up}{team.parents[2]}/secret.txt"):
        team.write_text(EXTENDED.replace("{{ super() }}", f"{{{{ super() }}}}{{% include '{path}' %}}"))
        done = flowc("compile", "flow.py", "--target", "argo", code=1)
        assert "error[FC501]" in done.stderr
        assert "there is no template " in done.stderr
        assert "AKIA" not in done.stdout + done.stderr
        assert "rendered line" not in done.stderr, "it was not rendered at all"


def test_a_link_stays_in_the_repository(team: Path) -> None:
    """Links to a folder that the repository's projects share are read; one that leaves the repository is named and refused, also of a folder."""
    root = team.parents[2]
    (root / "shared").mkdir()
    (root / "shared" / "workflow.j2").write_text(EXTENDED)
    team.symlink_to("../../shared/workflow.j2")
    assert "secondsAfterCompletion: 86400" in flowc("compile", "flow.py", "--target", "argo").stdout

    (root / "shared" / ".git").mkdir()  # the folder is now a repository of its own, and what is linked is not in it
    (root / "flowc.toml").write_text('templates = "shared"\n')
    (root / "ours" / "secret.txt").write_text("key: AKIA")
    for target in ("../ours/secret.txt", "../ours", str(root / "ours" / "secret.txt"), "../none"):
        (root / "shared" / "notes.txt").symlink_to(target)
        told = flowc("compile", "flow.py", "--target", "argo", code=2).stderr
        assert "shared/notes.txt is a link that leads out of the repository" in told
        assert "AKIA" not in told
        (root / "shared" / "notes.txt").unlink()


def test_a_link_without_a_repository(team: Path) -> None:
    """Where there is no git, as in an image, what is below the settings file counts as the repository."""
    root = team.parents[2]
    (root / ".git").rmdir()
    (root / "workflow.j2").write_text(EXTENDED)
    team.symlink_to(root / "workflow.j2")
    assert "secondsAfterCompletion: 86400" in flowc("compile", "flow.py", "--target", "argo").stdout
    team.unlink()
    team.symlink_to(root.parent / "workflow.j2")
    assert "is a link that leads out of the repository" in flowc("compile", "flow.py", "--target", "argo", code=2).stderr
