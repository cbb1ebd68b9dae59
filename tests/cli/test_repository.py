"""Facts about `flowc compile` without a flow: a repository's outputs follow its flows, and `--check` tells when they do not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO, flowc

SETTINGS = 'flows = ["flows/**/*.py"]\n\n[env.prod]\nout = "prod"\nnamespace = "prod"\n'
OTHER = HELLO.replace("HelloFlow", "OtherFlow")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two flows, one of which imports a module that stands beside it, and settings."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text(SETTINGS)
    (tmp_path / "flows" / "deep").mkdir(parents=True)
    (tmp_path / "flows" / "hello.py").write_text("import common\n" + HELLO)
    (tmp_path / "flows" / "common.py").write_text("GPU = 1\n")
    (tmp_path / "flows" / "deep" / "other.py").write_text(OTHER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_outputs_follow_the_flows(repository: Path) -> None:
    """All is compiled once, then only what changed; what a removed flow left goes, its entry in the list of resources too."""
    note = "flowc: note: manifests (argo) is of no environment; flowc.toml has prod: flowc compile --env prod\n"
    assert flowc("compile").stderr == f"flowc: 2 compiled, 0 unchanged, 0 outputs removed in manifests\n{note}"
    first = outputs(repository / "manifests")
    assert set(first) == {"argo/helloflow.workflowtemplate.yaml", "argo/otherflow.workflowtemplate.yaml", "argo/kustomization.yaml", "flowc.lock"}
    assert flowc("compile", "flows/hello.py", "--target", "argo").stdout == first["argo/helloflow.workflowtemplate.yaml"]

    assert "0 compiled, 2 unchanged" in flowc("compile").stderr
    (repository / "flows" / "common.py").write_text("GPU = 2\n")
    assert "1 compiled, 1 unchanged" in flowc("compile").stderr
    (repository / "manifests" / "argo" / "otherflow.workflowtemplate.yaml").write_text("edited by hand")
    assert "1 compiled, 1 unchanged" in flowc("compile").stderr
    assert outputs(repository / "manifests")["argo/otherflow.workflowtemplate.yaml"] == first["argo/otherflow.workflowtemplate.yaml"]

    (repository / "flows" / "deep" / "other.py").unlink()
    (repository / "manifests" / "mine.txt").write_text("not flowc's")
    assert "0 compiled, 1 unchanged, 1 output removed" in flowc("compile").stderr
    left = outputs(repository / "manifests")
    assert set(left) == {"argo/helloflow.workflowtemplate.yaml", "argo/kustomization.yaml", "flowc.lock", "mine.txt"}
    assert "otherflow" not in left["argo/kustomization.yaml"] + left["flowc.lock"]


def test_the_lock_is_the_same_anywhere(repository: Path) -> None:
    """It holds no time, no path of the machine, and is written alike from another folder, with settings by flag or by file."""
    flowc("compile")
    first = outputs(repository / "manifests")
    (repository / "manifests" / "flowc.lock").unlink()
    os.chdir(repository / "flows" / "deep")
    flowc("compile", "--all", "--settings", "../../flowc.toml")
    assert outputs(repository / "manifests") == first
    assert str(repository) not in first["flowc.lock"]
    read = json.loads(first["flowc.lock"])["flows"]["flows/hello.py"]["read"]
    assert {path for path, digest in read.items() if digest} == {"flows/hello.py", "flows/common.py"}
    assert read["flows/common/__init__.py"] is None, "a package of that name would be imported instead"


def test_check_tells_what_differs(repository: Path) -> None:
    """Missing, changed and left-over outputs fail a check, each by name, and nothing is written; a current repository passes."""
    missing = flowc("compile", "--check", code=1)
    assert "manifests/argo/helloflow.workflowtemplate.yaml is missing" in missing.stderr
    assert missing.stderr.endswith("outputs are not current; run `flowc compile`\n")
    assert not (repository / "manifests").exists()

    flowc("compile")
    assert flowc("compile", "--check").stderr == "flowc: 2 flows are current in manifests\n"
    (repository / "flows" / "hello.py").write_text(HELLO + "# changed\n")
    (repository / "flows" / "deep" / "other.py").unlink()
    before = outputs(repository / "manifests")
    told = flowc("compile", "--check", code=1).stderr
    assert "manifests/argo/helloflow.workflowtemplate.yaml is not what its flow compiles to" in told
    assert "manifests/argo/otherflow.workflowtemplate.yaml belongs to no flow any more" in told
    assert outputs(repository / "manifests") == before


def test_environments(repository: Path) -> None:
    """An environment has its own settings and folder, and its check names it."""
    assert "run `flowc compile --env prod`" in flowc("compile", "--env", "prod", "--check", code=1).stderr
    flowc("compile", "--env", "prod")
    assert "namespace: prod" in outputs(repository / "prod")["argo/helloflow.workflowtemplate.yaml"]
    assert not (repository / "manifests").exists()


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_never_vacuous(repository: Path, arguments: list[str]) -> None:
    """No settings, patterns without files, files without flows: a compile of nothing is a mistake, and so is a check."""
    for settings, message in [
        ('flows = ["none/*.py"]', "no file matches 'none/*.py'"),
        ('flows = ["flows/common.py"]', "none of the 1 files that flows/common.py match holds a flow"),
        ("", 'name a flow, or say in flowc.toml which are compiled: flows = ["flows/**/*.py"]'),
        ('flows = ["flows/*.py"]\ntargets = ["argos"]', "there is no target 'argos'; did you mean 'argo'?"),
    ]:
        (repository / "flowc.toml").write_text(settings)
        assert message in flowc("compile", *arguments, code=2).stderr


def test_one_error_and_nothing_is_written(repository: Path) -> None:
    """A wrong flow is reported with its line, and no flow's outputs change."""
    flowc("compile")
    before = outputs(repository / "manifests")
    (repository / "flows" / "hello.py").write_text(HELLO + "# changed\n")
    (repository / "flows" / "broken.py").write_text(BROKEN)
    assert "flows/broken.py:7" in flowc("compile", code=1).stderr
    assert outputs(repository / "manifests") == before


def test_an_error_is_told_once(repository: Path) -> None:
    """What is wrong for every target is one error, however many there are."""
    (repository / "flowc.toml").write_text('targets = ["argo", "kubernetes", "step-functions"]\n' + SETTINGS)
    (repository / "flows" / "hello.py").write_text(BROKEN)
    told = flowc("compile", "--output-format", "concise", code=1).stderr
    assert told.count("FC216") == 1
    assert "flowc: 1 error\n" in told


def test_a_folder_with_settings_of_its_own(repository: Path) -> None:
    """They count whole for the flows in it, so an environment must be there too; `out` is that of the file where flowc runs."""
    (repository / "flows" / "deep" / "flowc.toml").write_text('out = "elsewhere"\nimage = "deep"\n')
    assert "2 compiled" in flowc("compile").stderr
    assert "image: deep" in (repository / "manifests" / "argo" / "otherflow.workflowtemplate.yaml").read_text()
    assert "image: deep" not in (repository / "manifests" / "argo" / "helloflow.workflowtemplate.yaml").read_text()
    told = "flows/deep/flowc.toml: there is no environment 'prod'; a table of that name makes one, and may be empty"
    assert told in flowc("compile", "--env", "prod", code=2).stderr
    (repository / "flows" / "deep" / "flowc.toml").write_text("[env.prod]\n")
    assert "2 compiled, 0 unchanged, 0 outputs removed in prod" in flowc("compile", "--env", "prod").stderr


def test_two_flows_for_one_output(repository: Path) -> None:
    """Two flows of one name are named, whether both are new or one is unchanged."""
    twin = repository / "flows" / "twin.py"
    twin.write_text(HELLO)
    expected = "flows/hello.py and flows/twin.py: two flows would be written to argo/helloflow.workflowtemplate.yaml"
    assert expected in flowc("compile", code=2).stderr
    twin.unlink()
    flowc("compile")
    twin.write_text(HELLO)
    assert expected in flowc("compile", code=2).stderr


def test_many_flows_by_several_processes(repository: Path) -> None:
    """Beyond a few flows several processes compile; outputs and reports are the same."""
    for number in range(30):
        (repository / "flows" / f"flow_{number}.py").write_text(HELLO.replace("HelloFlow", f"Flow{number}"))
    assert "32 compiled" in flowc("compile").stderr
    assert len(outputs(repository / "manifests")) == 34
    for number in range(30):
        (repository / "flows" / f"flow_{number}.py").write_text(BROKEN.replace("HelloFlow", f"Flow{number}"))
    told = flowc("compile", "--output-format", "concise", code=1).stderr
    assert told.count("FC216") == 30


def test_a_lock_that_is_none(repository: Path) -> None:
    """A lock that flowc did not write, or cannot read, is a mistake with a remedy; it can name no file outside of the folder."""
    flowc("compile")
    lock = repository / "manifests" / "flowc.lock"
    for text in ("<<<<<<< HEAD", "[]"):
        lock.write_text(text)
        assert "remove it, and everything is compiled anew" in flowc("compile", code=2).stderr
    lock.write_text(json.dumps({"flowc": "0", "flows": {"x.py": {"settings": "", "read": {}, "outputs": {"../flowc.toml": "", "/etc/x": ""}}}}))
    flowc("compile")
    assert (repository / "flowc.toml").exists()


def test_check_of_one_flow(repository: Path) -> None:
    """A flow that is compiled by name can be checked in its file and in its folder, against nothing else."""
    flowc("compile", "flows/hello.py", "--target", "argo", "-o", "one.yaml")
    flowc("compile", "flows/hello.py", "--target", "argo", "-o", "one.yaml", "--check")
    flowc("compile", "flows/hello.py", "--target", "argo", "--out-dir", "out")
    flowc("compile", "flows/hello.py", "--target", "argo", "--out-dir", "out", "--check")
    (repository / "out" / "helloflow.workflowtemplate.yaml").write_text("")
    assert "not what its flow compiles to" in flowc("compile", "flows/hello.py", "--target", "argo", "--out-dir", "out", "--check", code=1).stderr
    assert "name it by -o or --out-dir" in flowc("compile", "flows/hello.py", "--target", "argo", "--check", code=2).stderr
    assert "the settings file says what is compiled where" in flowc("compile", "--target", "argo", code=2).stderr


def test_environments_that_share_a_folder(repository: Path) -> None:
    """Each would replace what the other wrote, so that one of two checks always fails: it is told, with what to do."""
    (repository / "flowc.toml").write_text('flows = ["flows/**/*.py"]\n[env.a]\nnamespace = "a"\n[env.b]\nout = "./manifests/"\n[env.c]\nout = "c"\n')
    told = "flowc: warning: flowc.toml: a and b have the same `out`, manifests: each replaces what the other wrote; give each a folder of its own\n"
    assert flowc("compile", "--env", "a").stderr.startswith(told)
    assert flowc("compile", "--env", "b", "--check", code=1).stderr.startswith(told)
    assert "warning" not in flowc("compile", "--env", "c").stderr + flowc("compile").stderr


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("flows", "flows: 'flows' is a folder; name the files in it: 'flows/**/*.py'"),
        ("flows/", "flows: 'flows/' is a folder; name the files in it: 'flows/**/*.py'"),
        ("flows/*.yaml", "flows: no file matches 'flows/*.yaml' in ."),
        ("flows\\\\*.py", "flows: no file matches 'flows\\\\*.py' in .; write it with /"),
    ],
)
def test_patterns_that_match_nothing(repository: Path, pattern: str, message: str) -> None:
    """A pattern without a match is an error, which says what it should have been where that is plain."""
    (repository / "flowc.toml").write_text(f'flows = ["flows/*.py", "{pattern}"]\n')
    assert flowc("compile", code=2).stderr == f"flowc: {message}\n"


def test_flows_that_the_settings_do_not_reach(repository: Path) -> None:
    """In a submodule, or outside the folder of the settings file, no settings would count: that is refused, not compiled without them."""
    (repository / "deploy").mkdir()
    (repository / "team" / "flows").mkdir(parents=True)
    (repository / "team" / ".git").write_text("gitdir: ../.git/modules/team\n")
    (repository / "team" / "flows" / "mine.py").write_text(OTHER)
    (repository / "flowc.toml").write_text('flows = ["team/flows/*.py"]\nimage = "ml:1"\n[env.prod]\n')
    message = "flowc: flows: team/flows/mine.py stands in a git repository of its own, where flowc.toml does not count: add `--settings flowc.toml`, "
    for command in (["compile"], ["compile", "--env", "prod"], ["check"], ["fix", "--diff"]):
        assert flowc(*command, code=2).stderr == f"{message}or put a flowc.toml there\n"
    flowc("compile", "--settings", "flowc.toml")
    assert "image: ml:1" in (repository / "manifests" / "argo" / "otherflow.workflowtemplate.yaml").read_text()
    (repository / "team" / "flowc.toml").write_text('image = "ml:2"\n')
    flowc("compile")
    assert "image: ml:2" in (repository / "manifests" / "argo" / "otherflow.workflowtemplate.yaml").read_text()

    (repository / "flowc.toml").rename(repository / "deploy" / "flowc.toml")
    (repository / "deploy" / "flowc.toml").write_text('flows = ["../flows/hello.py"]\n')
    os.chdir(repository / "deploy")
    assert "../flows/hello.py stands outside its folder, where flowc.toml does not count" in flowc("compile", code=2).stderr


def test_a_base_of_the_team_is_no_flow(repository: Path) -> None:
    """A class without steps that nothing launches is there to derive from: patterns pass over its file, and who names it is told."""
    base = "from metaflow import FlowSpec, Parameter, project\n\n\n@project(name='ads')\nclass Base(FlowSpec):\n    day = Parameter('day', default='')\n"
    (repository / "flows" / "base.py").write_text(base)
    (repository / "flows" / "hello.py").write_text(HELLO.replace("FlowSpec, step", "step\nfrom base import Base").replace("(FlowSpec)", "(Base)"))
    flowc("compile")
    assert set(outputs(repository / "manifests")) >= {"argo/ads.user.flowc.helloflow.workflowtemplate.yaml"}
    assert "Class Base has no step: name a file with a flow that derives from it." in flowc("check", "flows/base.py", code=1).stdout
    (repository / "flows" / "base.py").write_text(base + "\n\nif __name__ == '__main__':\n    Base()\n")
    assert "error[FC200]: flow Base has no start step" in flowc("compile", code=1).stderr
