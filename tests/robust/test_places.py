"""Facts about odd things where a flow, a folder or an output should be: each is told in one line with what to do, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cli.running import HELLO
from robust.conftest import named
from robust.faults import files, flowc, without_privileges

SETTINGS = 'flows = ["flows/**/*.py"]\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text(SETTINGS)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "hello.py").write_text(HELLO)
    return tmp_path


def refused(folder: Path, *arguments: str, **more: object) -> str:
    """The one line that flowc says about wrong usage; it writes nothing."""
    before = files(folder)
    done = flowc(folder, *arguments, **more)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done
    assert files(folder) == before
    return done.stderr.removeprefix("flowc: ").rstrip("\n")


COMMANDS = [["compile"], ["compile", "--check"], ["check"], ["check", "flows/**/*.py"], ["fix"], ["fix", "--diff", "flows/*.py"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_links_that_lead_nowhere(command: list[str], repository: Path) -> None:
    """A pattern that meets a dangling link, a link to itself or a FIFO says so; to pass over it would drop a flow's outputs."""
    odd = repository / "flows" / "odd.py"
    for make, message in [
        (lambda: odd.symlink_to("nothing.py"), "flows/odd.py: there is no such file"),
        (lambda: odd.symlink_to("odd.py"), "flows/odd.py cannot be read: Too many levels of symbolic links"),
        (lambda: os.mkfifo(odd), "flows/odd.py is no regular file"),
    ]:
        make()
        said = refused(repository, *command) if command[0] == "compile" else flowc(repository, *command).stderr
        assert message in said
        odd.unlink()


def test_loops_of_folders(repository: Path) -> None:
    """Links that lead back up have an end, and no flow is met twice; a link to a folder is followed where a pattern names it."""
    (repository / "flows" / "deep").mkdir()
    for number in range(4):
        (repository / "flows" / f"up{number}").symlink_to("..")
        (repository / "flows" / "deep" / f"here{number}").symlink_to(".")
    (repository / "flows" / "deep" / "other.py").write_text(named("OtherFlow"))
    assert "2 compiled" in flowc(repository, "compile").stderr
    assert "2 flows checked in 2 files" in flowc(repository, "check", "**/*.py").stderr
    assert "1 flow checked in 1 file" in flowc(repository, "check", "flows/deep/here0/*.py").stderr


def test_a_folder_called_flow(repository: Path) -> None:
    """A folder with the name of a file is gone into by `**`, and is no flow itself."""
    (repository / "flows" / "flow.py").mkdir()
    (repository / "flows" / "flow.py" / "inner.py").write_text(named("InnerFlow"))
    assert "2 compiled" in flowc(repository, "compile").stderr
    assert "flows/flow.py is a folder; name a file" in refused(repository, "check", "flows/flow.py")


def test_nothing_is_missed_without_permission(repository: Path) -> None:
    """A folder that cannot be listed and a flow that cannot be read are errors: their outputs would go as those of removed flows."""
    hidden = repository / "flows" / "hidden"
    hidden.mkdir()
    (hidden / "other.py").write_text(named("OtherFlow"))
    flowc(repository, "compile")
    hidden.chmod(0)
    assert refused_without_privileges(repository) == "flows/hidden cannot be listed: Permission denied; flows in it would be missed"
    hidden.chmod(0o755)
    (hidden / "other.py").chmod(0)
    assert refused_without_privileges(repository) == "flows/hidden/other.py cannot be read: Permission denied"


def refused_without_privileges(repository: Path) -> str:
    outputs = files(repository / "manifests")
    done = flowc(repository, "compile", "--all", preexec_fn=without_privileges)
    assert done.returncode == 2
    assert files(repository / "manifests") == outputs
    return done.stderr.removeprefix("flowc: ").rstrip("\n")


@pytest.mark.parametrize("name", [b"fl\xe9.py", b"new\nline.py", b"esc\x1b[31m.py", b"quote'\".py", "\u00fcn\u00ef.py".encode(), b"-rf.py", b"a b.py"])
def test_names_of_files(name: bytes, repository: Path) -> None:
    """A file name is compiled or refused: no bug, no escape sequence on the terminal, no message in two lines."""
    Path(os.fsdecode(bytes(repository) + b"/flows/" + name)).write_text(named("OddFlow"))
    for command in (["compile"], ["check"], ["compile"]):
        done = flowc(repository, *command)
        assert done.returncode in (0, 1), done
        assert "\x1b" not in done.stderr + done.stdout
    (repository / "flows" / "hello.py").write_text(HELLO.replace("def end", "def ende"))
    lines = flowc(repository, "check", "--output-format", "concise").stdout.splitlines()
    assert all(line.startswith("flows/") for line in lines), lines


def test_very_deep_folders(repository: Path) -> None:
    """A tree deeper than a path may be long is told, not fallen over."""
    here = os.open(repository / "flows", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    done = flowc(repository, "compile")
    subprocess.run(["rm", "-rf", repository / "flows"], check=True)  # Python's own way needs whole paths
    assert done.returncode == 2
    assert done.stderr.endswith("cannot be listed: File name too long; flows in it would be missed\n")
    assert not (repository / "manifests").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda out: out.write_text("mine"), "manifests cannot be made: a file of that name is in the way"),
        (lambda out: out.symlink_to("manifests"), "manifests cannot be made: a file of that name is in the way"),
        (lambda out: out.symlink_to("nothing"), "manifests cannot be made: a file of that name is in the way"),
        (lambda out: (out / "argo" / "helloflow.workflowtemplate.yaml").mkdir(parents=True), "helloflow.workflowtemplate.yaml is a folder"),
        (lambda out: out.mkdir() or (out / "argo").write_text(""), "manifests/argo cannot be made: a file of that name is in the way"),
        (
            lambda out: (out / "argo").mkdir(parents=True) or (out / "argo" / "helloflow.workflowtemplate.yaml").symlink_to("helloflow.workflowtemplate.yaml"),
            "manifests/argo/helloflow.workflowtemplate.yaml cannot be written: Too many levels of symbolic links",
        ),
        (lambda out: out.mkdir() or (out / "flowc.lock").mkdir(), "manifests/flowc.lock is a folder"),
        (lambda out: out.mkdir() or os.mkfifo(out / "flowc.lock"), "manifests/flowc.lock is no regular file"),
        (lambda out: out.mkdir() or (out / "flowc.lock").write_text('{"flows": {"x": 1}}'), "manifests/flowc.lock is no lock of flowc; remove it"),
        (lambda out: out.mkdir() or (out / "flowc.lock").write_text('{"flows": {}, "pending": [1]}'), "is no lock of flowc; remove it"),
    ],
)
def test_outputs_in_odd_places(make, message: str, repository: Path) -> None:  # type: ignore[no-untyped-def]
    """What stands where an output should go is named, and stays as it is."""
    make(repository / "manifests")
    done = flowc(repository, "compile")
    assert done.returncode == 2, done
    assert message in done.stderr
    assert "helloflow" not in " ".join(files(repository))


def test_an_output_that_became_a_fifo(repository: Path) -> None:
    """Neither a compile nor a check waits for the other end of a FIFO that stands for an output or a module."""
    (repository / "flows" / "hello.py").write_text("import common\n" + HELLO)
    (repository / "flows" / "common.py").write_text("X = 1\n")
    flowc(repository, "compile")
    output = repository / "manifests" / "argo" / "helloflow.workflowtemplate.yaml"
    output.unlink()
    os.mkfifo(output)
    assert "is not what its flow compiles to" in flowc(repository, "compile", "--check").stderr
    output.unlink()
    (repository / "flows" / "common.py").unlink()
    os.mkfifo(repository / "flows" / "common.py")
    assert "flows/common.py is no regular file" in flowc(repository, "compile").stderr


def test_an_output_behind_a_link(repository: Path) -> None:
    """A link that stands for an output, or for the folder, stays; what it leads to is replaced whole."""
    (repository / "elsewhere").mkdir()
    (repository / "manifests").symlink_to("elsewhere")
    assert flowc(repository, "compile").returncode == 0
    assert (repository / "manifests").is_symlink()
    assert (repository / "elsewhere" / "flowc.lock").exists()
    assert flowc(repository, "compile", "--check").returncode == 0


def test_templates_in_odd_places(repository: Path) -> None:
    """A loop below the folder of templates has an end; what is no text, or cannot be read, is named."""
    folder = repository / "templates"
    (folder / "argo").mkdir(parents=True)
    (folder / "argo" / "loop").symlink_to("..")
    (repository / "flowc.toml").write_text(SETTINGS + 'templates = "templates"\n')
    assert flowc(repository, "compile").returncode == 0
    for make, message in [
        (lambda path: path.symlink_to("x.j2"), "templates/argo/x.j2 cannot be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("nothing"), "templates/argo/x.j2: there is no such file"),
        (lambda path: path.write_bytes(b"\xff"), "templates/argo/x.j2 is no UTF-8 text"),
        (os.mkfifo, "templates/argo/x.j2 is no regular file"),
    ]:
        make(folder / "argo" / "x.j2")
        assert message in flowc(repository, "compile").stderr
        (folder / "argo" / "x.j2").unlink()
    (folder / "argo").chmod(0)
    said = flowc(repository, "compile", preexec_fn=without_privileges).stderr
    (folder / "argo").chmod(0o755)
    assert "templates/argo cannot be listed: Permission denied" in said


def test_a_clock_that_goes_back(repository: Path) -> None:
    """Times of files decide nothing: an edit of the same length with an older time is compiled, a newer time alone is not."""
    flow = repository / "flows" / "hello.py"
    flow.write_text("A = 1\n" + HELLO)
    flowc(repository, "compile")
    times = flow.stat()
    flow.write_text("A = 2\n" + HELLO)
    os.utime(flow, ns=(times.st_atime_ns, times.st_mtime_ns - 10**12))
    assert flowc(repository, "compile", "--check").returncode == 1
    assert "1 compiled" in flowc(repository, "compile").stderr
    assert "A = 2" in (repository / "manifests" / "argo" / "helloflow.workflowtemplate.yaml").read_text()
    os.utime(flow, (2**31, 2**31))
    assert "0 compiled, 1 unchanged" in flowc(repository, "compile").stderr
