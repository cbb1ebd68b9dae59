"""Facts about `flowc compile FLOW --out-dir`: what a flow wrote there once and writes no more goes; everything else stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.running import HELLO
from robust.faults import changes, files, flowc, forked, is_temporary, killed

NEVER = 1 << 30
ASL = ["compile", "flow.py", "-t", "step-functions", "--format", "asl", "--out-dir", "out"]
ARGO = ["compile", "flow.py", "-t", "argo", "--out-dir", "out"]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / ".git").mkdir(parents=True)
    (folder / "flow.py").write_text(HELLO)
    return folder


def large(text: str) -> str:
    """The flow with so much source that Argo's pods get it from a ConfigMap, whose name follows from what is in it."""
    return text + "".join(f"# {number:0100}\n" for number in range(1200))


@pytest.mark.parametrize("command", [ASL, ARGO], ids=["step-functions", "argo"])
def test_names_that_follow_a_hash(command: list[str], work: Path) -> None:
    """Where a flow has other files than before, of other hashes or fewer, the folder holds those of the last compile, as a fresh one would."""
    other = HELLO.replace("FlowSpec, step", "FlowSpec, resources, step").replace("@step", "@resources(gpu=1)\n    @step", 1)
    (work / "flow.py").write_text(large(other))
    assert flowc(work, *command).returncode == 0
    first = files(work / "out")
    (work / "out" / "mine.json").write_text("{}")
    (work / "flow.py").write_text(large(HELLO))
    checked = flowc(work, *command, "--check")
    assert checked.returncode == 1
    done = flowc(work, *command)
    assert done.returncode == 0
    left = files(work / "out")
    assert left.pop("mine.json") == "{}"
    gone = first.keys() - left.keys()
    assert len(gone) == 1
    (name,) = gone
    assert f"out/{name} belongs to no flow any more" in checked.stderr
    assert done.stderr == f"flowc: removed what the flow writes no more: out/{name}\n"
    assert flowc(work, *command[:-1], "fresh").returncode == 0
    assert files(work / "fresh") == left
    assert flowc(work, *command, "--check").returncode == 0


def test_each_flow_and_branch_for_itself(work: Path) -> None:
    """A flow takes away nothing of another flow, of the same one on another branch, or of another target; nor what two of them share."""
    project = HELLO.replace("FlowSpec, step", "FlowSpec, project, step").replace("class", '@project(name="ml")\nclass', 1)
    (work / "flow.py").write_text(project)
    for branch in ("one", "two"):
        assert flowc(work, *ARGO, "--branch", branch, "--rbac", "--service-account", "shared").returncode == 0
    both = files(work / "out")
    assert flowc(work, *ASL).returncode == 0
    assert flowc(work, *ARGO, "--branch", "two").returncode == 0
    left = files(work / "out")
    assert {name for name in both if name not in left} == set()
    assert json.loads(left["flowc.outputs"]).keys() == {"argo ml.test.one.helloflow", "argo ml.test.two.helloflow", "step-functions ml.user.flowc.helloflow"}


@pytest.mark.parametrize("text", ["<<<<", "[]", '{"argo helloflow": ["../flow.py"]}', '{"argo helloflow": [1]}', '{"argo helloflow": ["/etc/x"]}'])
def test_a_note_that_is_none(text: str, work: Path) -> None:
    """A note that flowc did not write names nothing that is removed: it is refused."""
    (work / "out").mkdir()
    (work / "out" / "flowc.outputs").write_text(text)
    done = flowc(work, *ARGO)
    assert done.returncode == 2
    assert "out/flowc.outputs is no note of flowc on what it wrote; remove it" in done.stderr
    assert files(work / "out") == {"flowc.outputs": text}


@pytest.mark.slow
def test_killed_at_every_call(work: Path) -> None:
    """Wherever a compile was killed, the next one leaves the folder as a fresh one would, also of another state of the flow."""
    (work / "flow.py").write_text(large(HELLO))
    calls = forked(work, ASL, changes(work), killed(NEVER)).calls
    (work / "flow.py").write_text(large(HELLO + "# second\n"))
    assert flowc(work, *ASL[:-1], "fresh").returncode == 0
    expected = files(work / "fresh")
    for at in range(1, calls + 1):
        for path in (work / "out").iterdir():
            path.unlink()
        (work / "flow.py").write_text(large(HELLO))
        forked(work, ASL, changes(work), killed(at))
        (work / "flow.py").write_text(large(HELLO + "# second\n"))
        assert forked(work, ASL, changes(work), killed(NEVER)).code == 0
        assert files(work / "out") == expected, at
    assert not [path for path in work.rglob("*") if is_temporary(path)]
