"""In: single tasks. Out: proof of what a pod promises: code, user, logs, signals, exit codes, messages."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from runtime import simulate

from flowc.settings import Settings

FILE = simulate.FLOWS / "pod.py"


def pod(root: Path, mood: str = "quiet", **more: object) -> simulate.Engine:
    """An engine for PodFlow, of which single tasks are started."""
    root.mkdir(exist_ok=True)
    return simulate.engine(FILE, root, name="PodFlow", submitted={"mood": mood}, **more)


def run(engine: simulate.Engine, *options: str, **extra: str) -> simulate.Task:
    return engine.start("only", "", ["only", *(options or ("--first",))], extra)


def logs(engine: simulate.Engine) -> str:
    """What `flow.py logs` shows of the task."""
    command = [sys.executable, engine.command(["="])[1], "=", "pod.py", "--quiet", "--no-pylint", "logs", "argo-simulated/only", "--both"]
    env = engine.variables("only", [], {})
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True, cwd=engine.code).stdout


def test_logs_and_exit_code_are_the_steps(tmp_path: Path) -> None:
    """The streams of a failing step stand on the pod's own and in Metaflow's logs, its exit code is the pod's, and no result is told."""
    engine = pod(tmp_path, "angry")
    task = run(engine)
    assert (task.code, dict(task.result)) == (7, {})
    assert "out: ü\n" in task.stdout
    assert "err: angry\n" in task.stderr
    assert {"out: ü", "err: angry"} <= set(logs(engine).splitlines())


def test_a_signal_reaches_the_step_and_the_logs_are_saved(tmp_path: Path) -> None:
    """SIGTERM ends the step at once; the pod says 143 and has saved what was printed until then."""
    engine = pod(tmp_path, "tired")
    env = engine.variables("only", ["--first"], {})
    with subprocess.Popen(engine.command(["only", "--first"]), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(300, process.kill)
        watchdog.start()
        assert process.stderr is not None
        assert "err: tired\n" in process.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
        watchdog.cancel()
    assert "err: tired" in logs(engine)


def test_parameters_are_fixed_by_the_first_attempt(tmp_path: Path) -> None:
    """A retried first step finds the run's parameters and does not make them again."""
    engine = pod(tmp_path)
    assert run(engine).code == 0
    engine.submitted = {"mood": "other"}
    assert run(engine, "--first", "--attempt=1", "--user-retries=1").code == 0
    found = simulate.results("PodFlow", tmp_path, engine.run_id)
    assert found["only", ""]["mood"] == "quiet"


def test_code_is_copied_and_base64_decoded(tmp_path: Path) -> None:
    """Code that may not be written, files that travelled as base64, and variables whose text an engine would expand, all arrive."""
    mounted = tmp_path / "mounted"
    code, coded = mounted / "code", mounted / "b64" / "deep"
    code.mkdir(parents=True)
    coded.mkdir(parents=True)
    shutil.copy(FILE, code)
    blob = bytes(range(256))
    (coded.parent / "blob.bin").write_bytes(base64.b64encode(blob))
    (coded / "er.txt").write_bytes(base64.encodebytes(b"{{x}}"))
    code.chmod(0o555)
    engine = pod(tmp_path / "root")
    engine.code = code
    special = base64.b64encode(json.dumps({"SPECIAL": "{{workflow.name}}"}).encode()).decode()
    task = run(engine, FLOWC_ENVIRONMENT=special, HOME="/")
    assert task.code == 0, task.stderr
    found = simulate.results("PodFlow", engine.root, engine.run_id)["only", ""]
    assert found["files"] == {"pod.py": FILE.read_bytes(), "blob.bin": blob, "deep/er.txt": b"{{x}}"}
    assert found["variable"] == "{{workflow.name}}"
    assert found["home"].startswith(str(engine.root))
    assert [p.name for p in code.iterdir()] == ["pod.py"]
    assert not list(engine.root.glob("flowc-*"))


SEALED = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,ro,bind /
shift
exec "$@"
"""


def can_seal() -> bool:
    """Whether this machine lets a test have mounts of its own and become another user: mostly root may."""
    probe = ["unshare", "--mount", "setpriv", "--reuid=12345", "--clear-groups", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(probe, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_seal(), reason="needs mounts of its own and to become another user")
def test_a_user_without_a_name_or_home_on_a_sealed_file_system(tmp_path: Path) -> None:
    """A numeric user, one folder that can be written to, no HOME, no USER: as restricted pods have it."""
    engine = pod(tmp_path / "root")
    for folder in (tmp_path, *tmp_path.parents):
        if folder == tmp_path or folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o755)
    os.chown(engine.root, 12345, 12345)
    seal = ["unshare", "--mount", "sh", "-c", SEALED, "sh", str(engine.root)]
    # the interpreter may stand where only root may look
    user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    env = engine.variables("only", ["--first"], {})
    for name in ("HOME", "USER", "LOGNAME", "USERNAME", "METAFLOW_USER"):
        env.pop(name, None)
    command = [*seal, *user, *engine.command(["only", "--first"])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert (engine.root / ".metaflow" / "PodFlow").stat().st_uid == 12345


def test_a_merge_that_nobody_went_on_to(tmp_path: Path) -> None:
    """Where no parent led to the step, the pod and the logs say which were asked."""
    engine = pod(tmp_path)
    assert run(engine).code == 0
    task = engine.start("only", "", ["only", "--from=left,only", "--choose"], {})
    assert task.code == 1
    message = "flowc: of left, only, at '', none went on to only"
    assert message in task.stderr
    assert message in logs(engine)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"FLOWC_FLOW": "gone.py"}, "there is no flow file gone.py in"),
        ({"METAFLOW_DEFAULT_DATASTORE": "gs"}, "the gs datastore has no root: set METAFLOW_DATASTORE_SYSROOT_GS"),
    ],
)
def test_messages_of_a_pod_that_lacks_something(extra: dict[str, str], message: str, tmp_path: Path) -> None:
    """What is missing is said in one line, without a traceback."""
    task = run(pod(tmp_path, settings=Settings(install=False)), **extra)
    assert task.code == 1
    assert f"flowc: {message}" in task.stderr
    assert "Traceback" not in task.stderr


def out_folder() -> Path | None:
    """The folder that Metaflow's Argo decorator writes to, where this machine lets us make it."""
    folder = Path("/mnt/out")
    return folder if os.geteuid() == 0 and not folder.exists() else None


@pytest.mark.skipif(out_folder() is None, reason="Metaflow's Argo decorator writes to /mnt/out, which only root can make")
def test_metaflows_own_argo_decorator(tmp_path: Path) -> None:
    """Top-level options reach the step: with argo_workflows_internal, Metaflow writes the outputs that Argo reads."""
    folder = Path("/mnt/out")
    folder.mkdir()
    try:
        engine = pod(tmp_path, top=["--with=argo_workflows_internal:auto-emit-argo-events=0"])
        argo = {"ARGO_WORKFLOW_TEMPLATE": "podflow", "ARGO_WORKFLOW_NAME": "simulated", "ARGO_WORKFLOW_NAMESPACE": "default"}
        task = run(engine, **argo)
        assert task.code == 0, task.stderr
        assert (folder / "task_id").read_text() == "only"
    finally:
        shutil.rmtree(folder)
