"""Facts about several flowc at work in one folder: they take turns, and what they leave is what one after the other would."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli.running import HELLO, environment
from robust.conftest import Between, named
from robust.faults import flowc, is_temporary

from flowc.commands.writing import PREFIX, SUFFIX, alone, write


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flowc", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [2, 3])
def test_compiles_at_once(number: int, between: Between) -> None:
    """Several compiles with edits in between end in what the last one alone would have made; nothing temporary stays."""
    work = between.fresh()
    running = []
    for turn in range(number):
        (work / "flows" / "common.py").write_text(f"GPU = {turn}\n")
        (work / "flows" / "changed.py").write_text(f"import common\n\nTURN = {turn}\n\n\n" + named("ChangedFlow"))
        running.append(started(work, "compile"))
    for each in running:
        _, errors = each.communicate(timeout=300)
        assert each.returncode == 0, errors
    left = between.outputs()
    assert not [name for name in left if is_temporary(Path(name))]
    assert flowc(work, "compile", "--check").returncode == 0
    assert flowc(work, "compile", "--all").returncode == 0
    assert between.outputs() == left
    assert f"TURN = {number - 1}" in left["argo/changedflow.workflowtemplate.yaml"]


def test_one_waits_for_the_other(between: Between) -> None:
    """While somebody holds the repository a compile waits, and says so; it goes on when the other is done, or was killed."""
    work = between.fresh()
    for way in ("done", "killed"):
        holder = subprocess.Popen(
            [sys.executable, "-c", "import fcntl,os,sys; fcntl.flock(os.open(sys.argv[1], 0), 2); print('held', flush=True); input()", work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waiting = started(work, "compile")
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == "flowc: waits for another flowc that is at work in .\n"
        assert waiting.poll() is None
        if way == "killed":
            holder.send_signal(signal.SIGKILL)
            holder.communicate()
        else:
            holder.communicate("\n")
        assert waiting.communicate(timeout=120)[1].endswith("in manifests\n")
        assert waiting.returncode == 0


def test_settings_that_change_while_one_waits(between: Between) -> None:
    """Who waited reads the settings as they are when its turn comes."""
    work = between.fresh()
    held = os.open(work, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    waiting = started(work, "compile")
    assert waiting.stderr is not None
    assert "waits" in waiting.stderr.readline()
    settings = work / "flowc.toml"
    settings.write_text(settings.read_text() + 'namespace = "late"\n')
    os.close(held)
    waiting.communicate(timeout=120)
    assert waiting.returncode == 0
    assert "namespace: late" in between.outputs()["argo/sameflow.workflowtemplate.yaml"]
    assert flowc(work, "compile", "--check").returncode == 0


def test_flows_that_join_a_folder_at_once(tmp_path: Path) -> None:
    """Flows that are compiled into one folder at the same time are all listed there."""
    (tmp_path / ".git").mkdir()
    names = [f"Flow{number}" for number in range(4)]
    for name in names:
        (tmp_path / f"{name}.py").write_text(named(name))
    running = [started(tmp_path, "compile", f"{name}.py", "-t", "argo", "--out-dir", "out") for name in names]
    for each in running:
        _, errors = each.communicate(timeout=300)
        assert each.returncode == 0, errors
    expected = [f"{name.lower()}.workflowtemplate.yaml" for name in names]
    assert yaml.safe_load((tmp_path / "out" / "kustomization.yaml").read_text())["resources"] == expected
    assert sorted(json.loads((tmp_path / "out" / "flowc.outputs").read_text())) == [f"argo {name.lower()}" for name in names]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*expected, "flowc.outputs", "kustomization.yaml"])


def test_a_copy_of_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """Workers that outlive a killed flowc keep nobody out."""
    told, tell = os.pipe()
    until, end = os.pipe()
    parent = os.fork()
    if parent == 0:
        with alone(str(tmp_path)):
            if os.fork() == 0:
                os.close(end)
                os.write(tell, b".")
                os.read(until, 1)  # ends with the test
            else:
                os.waitpid(-1, 0)
        os._exit(0)
    os.read(told, 1)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for each in (lock, told, tell, until, end):
        os.close(each)


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    """Leftovers go with the next writing into their folder; a name that only looks alike stays; nothing of it is a manifest by its ending."""
    (tmp_path / f"{PREFIX}0123{SUFFIX}").write_text("half")
    (tmp_path / "mine.tmp").write_text("")
    write({str(tmp_path / "out.yaml"): "text"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.tmp", "out.yaml"]
    assert PREFIX.startswith(".")
    assert not SUFFIX.endswith((".yaml", ".yml", ".json"))


def test_a_folder_in_a_folder_that_is_held(tmp_path: Path) -> None:
    """Outputs beside the settings file are written by who holds that folder already."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text('flows = ["*.py"]\nout = "."\n')
    (tmp_path / "hello.py").write_text(HELLO)
    assert flowc(tmp_path, "compile").returncode == 0
    assert (tmp_path / "argo" / "helloflow.workflowtemplate.yaml").exists()
    assert flowc(tmp_path, "compile", "--check").returncode == 0
