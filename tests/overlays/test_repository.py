"""Facts about overlays in a repository: environments, what is compiled anew, and an overlay that is for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cli.running import flowc

FLOW = """\
from metaflow import FlowSpec, step


class {0}(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
SETTINGS = """\
flows = ["*.py"]

[overlays.one]
kind = "Pod"
flows = ["A*"]
patch.spec.priorityClassName = "low"

[overlays.two]
kind = "Pod"
patch.metadata.labels = { team = "a" }

[env.prod.overlays.one]
kind = "Pod"
patch.spec.priorityClassName = "high"

[env.prod.overlays.three]
kind = "Pod"
steps = ["end"]
patch.metadata.labels = { team = "b" }

[argo.overlays.four]
kind = "Pod"
patch.metadata.labels = { argo = "yes" }
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    for name in ("Alpha", "Beta"):
        (tmp_path / f"{name.lower()}.py").write_text(FLOW.format(name))
    (tmp_path / "flowc.toml").write_text(SETTINGS)
    return tmp_path


def spec(folder: Path, flow: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((folder / "manifests" / "argo" / f"{flow}.workflowtemplate.yaml").read_text())["spec"]
    return found


def test_environments(repository: Path) -> None:
    """An environment's overlay replaces the one of its name, in its place; new ones come last; a target's are for that target."""
    flowc("compile")
    assert [spec(repository, flow).get("podPriorityClassName") for flow in ("alpha", "beta")] == ["low", None]
    labels = spec(repository, "beta")["templateDefaults"]["metadata"]["labels"]  # type: ignore[index]
    assert labels == {"team": "a", "argo": "yes"}
    flowc("compile", "--env", "prod")
    assert [spec(repository, flow).get("podPriorityClassName") for flow in ("alpha", "beta")] == ["high", "high"]
    end = next(each for each in spec(repository, "beta")["templates"] if each["name"] == "end")  # type: ignore[attr-defined]
    assert end["metadata"]["labels"] == {"team": "b"}


def test_what_changed_is_compiled(repository: Path) -> None:
    """A changed patch makes outputs stale; a comment beside it, which moves its line, does not."""
    flowc("compile")
    (repository / "flowc.toml").write_text("# moved\n" + SETTINGS)
    assert "0 compiled, 2 unchanged" in flowc("compile").stderr
    (repository / "flowc.toml").write_text(SETTINGS.replace('"low"', '"lower"'))
    assert "2 compiled" in flowc("compile").stderr


@pytest.mark.parametrize("wrong", ['flows = ["A*"]\nsteps = ["strat"]', 'flows = ["Alfa"]'])
def test_never_vacuous(repository: Path, wrong: str) -> None:
    """An overlay whose globs match nothing in all flows is refused, by name and line, and nothing is written."""
    (repository / "flowc.toml").write_text(SETTINGS.replace('flows = ["A*"]', wrong))
    done = flowc("compile", code=2)
    assert done.stderr == "flowc: flowc.toml:3: overlay `one` is for no flow, or no step of one: see its `flows` and `steps`\n"
    assert not (repository / "manifests").exists()


def test_the_flow_is_gone(repository: Path) -> None:
    """A check in CI tells of an overlay whose flow was removed."""
    flowc("compile")
    (repository / "alpha.py").unlink()
    assert "overlay `one` is for no flow" in flowc("compile", "--check", code=2).stderr


def test_shown(repository: Path) -> None:
    """`flowc config` shows the overlays as a settings file has them, with all their lines; `flowc diff` says what an environment has instead."""
    shown = flowc("config", "show", "--env", "prod").stdout
    assert '"one" = { "kind" = "Pod", "patch" = { "spec" = { "priorityClassName" = "high" } } }' in shown
    assert shown.rstrip().endswith("# flowc.toml:3, flowc.toml:12 (env.prod)")
    assert flowc("diff", "--env", "prod", code=1).stdout.splitlines() == [
        "all 2 flows",
        "  + overlay three, Pod of step end: metadata.labels.team added b",
        "",
        "alpha.py:Alpha",
        "  ~ overlay one, Pod: spec.priorityClassName low → high",
        "",
        "beta.py:Beta",
        "  + overlay one, Pod: spec.priorityClassName added high",
    ]


def test_a_mistake_is_placed(repository: Path) -> None:
    """The report points at the line of the settings file where the overlay stands, for people and for CI."""
    (repository / "flowc.toml").write_text(SETTINGS.replace("priorityClassName = \"low\"", "priorityClas = \"low\""))
    done = flowc("compile", "--output-format", "concise", code=1)
    assert done.stderr.startswith("flowc.toml:3:1: ")
    assert "FC510" in done.stderr
    assert "'priorityClas' was unexpected" in done.stderr
