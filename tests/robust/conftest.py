"""In: nothing. Out: a repository of flows between two states, as it stood and as it is to be compiled now."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cli.running import HELLO
from robust.faults import files, flowc

SETTINGS = 'flows = ["flows/**/*.py"]\ntargets = ["argo", "kubernetes"]\n'


@dataclass(frozen=True)
class Between:
    """A repository whose outputs are those of `old`, while its flows are to become `new`: one changed, one gone, one added."""

    template: Path
    work: Path
    old: dict[str, str]
    new: dict[str, str]

    def fresh(self) -> Path:
        """The folder as it was in the beginning."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.template, self.work)
        return self.work

    def outputs(self) -> dict[str, str]:
        return files(self.work / "manifests")


def named(name: str, text: str = HELLO) -> str:
    return text.replace("HelloFlow", name)


@pytest.fixture
def between(states: Between, tmp_path: Path) -> Between:
    return replace(states, work=tmp_path / "work")


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> Between:
    """Both states, compiled once."""
    tmp_path = tmp_path_factory.mktemp("states")
    template = tmp_path / "template"
    (template / ".git").mkdir(parents=True)
    (template / "flowc.toml").write_text(SETTINGS)
    flows = template / "flows"
    flows.mkdir()
    (flows / "common.py").write_text("GPU = 1\n")
    (flows / "changed.py").write_text("import common\n" + named("ChangedFlow"))
    (flows / "gone.py").write_text(named("GoneFlow"))
    (flows / "same.py").write_text(named("SameFlow"))
    assert flowc(template, "compile").returncode == 0
    old = files(template / "manifests")
    (flows / "gone.py").unlink()
    (flows / "changed.py").write_text("import common\n\nMORE = 2\n\n\n" + named("ChangedFlow"))
    (flows / "added.py").write_text(named("AddedFlow"))
    target = tmp_path / "target"
    shutil.copytree(template, target)
    assert flowc(target, "compile").returncode == 0
    return Between(template, tmp_path / "work", old, files(target / "manifests"))
