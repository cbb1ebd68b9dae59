"""Facts about a compile that dies, or whose disk fails, at each moment where it changes anything: no half output, and the next one mends."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import environment
from robust.conftest import Between
from robust.faults import changes, failing, files, flowc, forked, in_namespace, is_temporary, killed, without_privileges

NEVER = 1 << 30


def each_whole(between: Between) -> None:
    """Every output is as it was or as it is to be; what else there is says itself that it is no output."""
    for path in (path for path in (between.work / "manifests").rglob("*") if path.is_file()):
        name = path.relative_to(between.work / "manifests").as_posix()
        if name != "flowc.lock" and not is_temporary(path):
            assert path.read_text() in {between.old.get(name), between.new.get(name)}, name


@pytest.mark.slow
def test_killed_at_every_call(between: Between) -> None:
    """SIGKILL before each call that changes a folder leaves whole outputs; `--check` tells the truth, and the next compile mends all."""
    work = between.fresh()
    calls = forked(work, ["compile"], changes(work), killed(NEVER)).calls
    assert calls > 20
    assert between.outputs() == between.new
    for at in range(1, calls + 1):
        between.fresh()
        done = forked(work, ["compile"], changes(work), killed(at))
        assert done.code == -signal.SIGKILL
        each_whole(between)
        left = {name: text for name, text in between.outputs().items() if not is_temporary(Path(name))}
        checked = forked(work, ["compile", "--check"], changes(work), killed(NEVER))
        assert (checked.code, checked.calls) == (0 if left == between.new else 1, 0), at
        assert forked(work, ["compile"], changes(work), killed(NEVER)).code == 0
        assert between.outputs() == between.new, at


@pytest.mark.slow
def test_nothing_of_a_killed_run_is_forgotten(between: Between) -> None:
    """A flow that is taken away again after a compile of it was killed leaves no output, wherever it was killed."""
    work = between.fresh()
    calls = forked(work, ["compile"], changes(work), killed(NEVER)).calls
    for at in range(1, calls + 1):
        between.fresh()
        forked(work, ["compile"], changes(work), killed(at))
        (work / "flows" / "added.py").unlink()
        assert forked(work, ["compile"], changes(work), killed(NEVER)).code == 0
        assert "added" not in " ".join(between.outputs()), at


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_every_call_fails_once(code: int, between: Between) -> None:
    """Where one call fails the exit code is 2 with the system's reason, outputs are whole, nothing temporary stays, and a new try mends."""
    work = between.fresh()
    calls = forked(work, ["compile"], changes(work), killed(NEVER)).calls
    for at in range(1, calls + 1):
        between.fresh()
        done = forked(work, ["compile"], changes(work), failing(at, code))
        assert done.code == 2, (at, done)
        assert "Traceback" not in done.errors
        assert os.strerror(code) in done.errors
        each_whole(between)
        assert not [path for path in work.rglob("*") if is_temporary(path)]
        assert forked(work, ["compile"], changes(work), killed(NEVER)).code == 0
        assert between.outputs() == between.new, at


@pytest.mark.slow
def test_no_room_for_a_whole_file(between: Between) -> None:
    """A file that may not grow to its size is an error that names it, and all outputs stay as they were, whichever is the first too large."""
    work = between.fresh()
    fresh = between.outputs()
    sizes = sorted({len(text) - 1 for name, text in between.new.items() if between.old.get(name) != text})
    for size in [0, *sizes[:: max(1, len(sizes) // 4)]]:
        between.fresh()
        done = flowc(work, "compile", preexec_fn=lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        assert done.returncode == 2, (size, done)
        assert "cannot be written: File too large" in done.stderr
        assert {k: v for k, v in between.outputs().items() if k != "flowc.lock"} == {k: v for k, v in fresh.items() if k != "flowc.lock"}
        assert flowc(work, "compile").returncode == 0
        assert between.outputs() == between.new


@pytest.mark.parametrize("size", ["8k", "16k", "24k"])
def test_a_full_disk(size: str, between: Between) -> None:
    """On a real file system without room nothing changes, and the message says so."""
    work = between.fresh()
    (work / "small").mkdir()
    (work / "flowc.toml").write_text((work / "flowc.toml").read_text() + 'out = "small/manifests"\n')
    before = in_namespace(f"mount -t tmpfs -o size={size} none {work}/small", f"mkdir {work}/small/manifests")
    if before is None:
        pytest.skip("this machine lets nobody mount a file system of his own; test_no_room_for_a_whole_file stands for it")
    before[-2] = before[-2].replace('exec "$@"', '"$@"; code=$?; find small -type f ! -name flowc.lock >&2; exit $code')
    done = flowc(work, "compile", before=before)
    assert done.returncode == 2
    assert "cannot be written: No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1, "no file but the lock may be there"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("command", [["compile", "flows/same.py", "-t", "argo"], ["compile", "--help"], ["explain", "FC101"], ["x"]])
def test_a_full_disk_behind_a_stream(command: list[str], stream: str, between: Between) -> None:
    """/dev/full as standard output is no bug of flowc's, and no success; as standard error it changes no exit code."""
    work = between.fresh()
    code = flowc(work, *command).returncode
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        done = subprocess.run([sys.executable, "-m", "flowc", *command], cwd=work, env=environment(), text=True, check=False, **streams)
    if stream == "stderr":
        assert done.returncode == code
    elif command[0] == "x":
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), "nothing is written to stdout"
    else:
        assert (done.returncode, done.stderr) == (2, "flowc: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream(closed: int, between: Between) -> None:
    """Where the caller closed a stream nothing strays into the other, and an artefact that goes nowhere is no success."""
    work = between.fresh()
    plain = flowc(work, "compile", "flows/same.py", "-t", "argo")
    done = flowc(work, "compile", "flows/same.py", "-t", "argo", preexec_fn=lambda: os.close(closed))
    if closed == 1:
        assert (done.returncode, done.stderr) == (2, "flowc: standard output cannot be written: write\n")
    else:
        assert (done.returncode, done.stdout) == (0, plain.stdout)
        assert flowc(work, "compile", "nothing.py", "-t", "argo", preexec_fn=lambda: os.close(2)).stdout == ""


def test_a_read_only_folder(between: Between) -> None:
    """A folder that nobody may write into is an error that names the file; outputs stay, and a check needs no right to write."""
    work = between.fresh()
    before = between.outputs()
    for folder in ("manifests/argo", "manifests/kubernetes", "manifests"):
        (work / folder).chmod(0o555)
        done = flowc(work, "compile", preexec_fn=without_privileges)
        assert done.returncode == 2
        assert "cannot be written: Permission denied" in done.stderr
        assert {k: v for k, v in between.outputs().items() if k != "flowc.lock"} == {k: v for k, v in before.items() if k != "flowc.lock"}
        assert flowc(work, "compile", "--check", preexec_fn=without_privileges).returncode == 1
        (work / folder).chmod(0o755)
    assert flowc(work, "compile").returncode == 0
    assert between.outputs() == between.new


def test_a_read_only_file_system(between: Between) -> None:
    """A repository on a volume that is mounted read-only can be checked, and cannot be compiled into."""
    work = between.fresh()
    before = in_namespace(f"mount --bind {work} {work}", f"mount -o remount,ro,bind {work}", f"cd {work}")
    if before is None:
        pytest.skip("this machine lets nobody mount a file system of his own; test_a_read_only_folder stands for it")
    done = flowc(work, "compile", before=before)
    assert (done.returncode, "cannot be written: Read-only file system" in done.stderr) == (2, True), done
    assert flowc(work, "compile", "--check", before=before).returncode == 1
    assert flowc(work, "check", before=before).returncode == 0
    assert files(work / "manifests") == between.old
