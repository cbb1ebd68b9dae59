"""Facts about files that change or vanish while flowc looks at them, at each moment in turn: one state is compiled, or none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cli.running import HELLO
from robust.conftest import Between, named
from robust.faults import changes, files, flowc, forked, killed, reads

NEVER = 1 << 30
MODULE = "flows/common.py"


def edited(work: Path, turn: int) -> None:
    (work / MODULE).write_text(f"STATE = {turn}\n")
    (work / "flows" / "changed.py").write_text(f"import common\n\nSTATE = {turn}\n\n\n" + named("ChangedFlow"))


@pytest.mark.slow
def test_edited_at_every_read(between: Between) -> None:
    """Whichever read an edit comes before: both targets hold one state, the lock says which, and the next compile makes the last one."""
    work = between.fresh()
    edited(work, 0)
    calls = forked(work, ["compile"], reads(work / "flows"), killed(NEVER)).calls
    assert calls >= 4
    for at in range(1, calls + 1):
        between.fresh()
        edited(work, 0)
        done = forked(work, ["compile"], reads(work / "flows"), lambda number, at=at: edited(work, 1) if number == at else None)
        assert done.code == 0, done
        outputs = between.outputs()
        lock = json.loads(outputs["flowc.lock"])["flows"]
        for entry in lock.values():
            for name, digest in entry["outputs"].items():
                assert hashlib.sha256(outputs[name].encode()).hexdigest() == digest
        entry = lock["flows/changed.py"]
        (state,) = [turn for turn in (0, 1) if entry["read"][MODULE] == hashlib.sha256(f"STATE = {turn}\n".encode()).hexdigest()]
        held = {name for name in entry["outputs"] if f"STATE = {state}\n" in outputs[name].replace("\\n", "\n")}
        assert {name.split("/")[0] for name in held} == {"argo", "kubernetes"}, at
        assert forked(work, ["compile"], reads(work / "flows"), killed(NEVER)).code == 0
        left = between.outputs()
        assert flowc(work, "compile", "--all").returncode == 0
        assert between.outputs() == left, at


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flows/changed.py", "flows/same.py", MODULE])
def test_gone_before_every_read(name: str, between: Between) -> None:
    """A file that vanishes is an error that names it, or is not missed; outputs stay whole; the next compile goes on without it."""
    work = between.fresh()
    calls = forked(work, ["compile"], reads(work / "flows"), killed(NEVER)).calls
    for at in range(1, calls + 1):
        between.fresh()
        before = between.outputs()
        done = forked(work, ["compile"], reads(work / "flows"), lambda number, at=at: (work / name).unlink() if number == at else None)
        if done.code:
            assert (done.code, done.errors) == (2, f"flowc: {name}: there is no such file\n")
            assert between.outputs() == before
        assert forked(work, ["compile"], reads(work / "flows"), killed(NEVER)).code in ((0,) if name != MODULE else (0, 1))


@pytest.mark.parametrize("command", [["fix", "flow.py"], ["graduate", "flow.py", "--retry", "2"]], ids=" ".join)
def test_edited_while_it_is_mended(command: list[str], tmp_path: Path) -> None:
    """A flow that somebody saves while flowc rewrites it keeps what was saved."""
    work = tmp_path / "work"
    work.mkdir()
    (work / ".git").mkdir()
    flow = work / "flow.py"
    flow.write_text(HELLO.replace("def start(self):\n", "def start(self):  # flowc: ignore[FC305]\n"))
    done = forked(work, command, changes(work), lambda _: flow.write_text("# saved\n"))
    assert done.code == 2
    assert "flow.py has changed while flowc was at work; nothing was written: run the command again" in done.errors
    assert files(work) == {"flow.py": "# saved\n"}


def test_killed_while_it_is_mended(tmp_path: Path) -> None:
    """A flow that flowc rewrites is the old or the new one, wherever flowc is killed."""
    work = tmp_path / "work"
    right = f'{HELLO}\n\nif __name__ == "__main__":\n    HelloFlow()\n'
    wrong = right.replace("def start(self):\n", "def start(self):  # flowc: ignore[FC305]\n")
    codes = []
    for at in range(1, 9):
        (work / ".git").mkdir(parents=True, exist_ok=True)
        (work / "flow.py").write_text(wrong)
        codes.append(forked(work, ["fix", "flow.py"], changes(work), killed(at)).code)
        assert (work / "flow.py").read_text() in (wrong, right)
    assert codes[0] < 0
    assert codes[-1] == 0
    assert sorted(path.name for path in work.iterdir()) == [".git", "flow.py"]
