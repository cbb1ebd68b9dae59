"""Facts about the files of the cache: no state of them does harm, and no change of a flow hides behind what they note."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.running import HELLO, environment
from cli.test_cache import FLOWS, entries, told
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.commands import cache, digests
from flowc.commands.digests import Digests
from flowc.commands.verdicts import restored

USES = "import other\nfrom metaflow import resources\n" + HELLO.replace("    @step\n", "    @resources(cpu=other.CPU)\n    @step\n", 1)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two flows; notes of digests are in use, and are taken 20 ms after a change."""
    monkeypatch.setattr(cache, "MANY", 1)
    monkeypatch.setattr(cache, "WORTH", 1)
    monkeypatch.setattr(digests, "SETTLED", 20_000_000)
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text('flows = ["flows/*.py"]\n')
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "a.py").write_text(USES)
    (tmp_path / "flows" / "b.py").write_text(FLOWS[4])
    (tmp_path / "flows" / "other.py").write_text("CPU = 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def warmed() -> None:
    """Verdicts and, by the first check that used them, notes are kept."""
    time.sleep(0.05)
    told()
    told()
    assert json.loads(Path(".flowc_cache", "digests.json").read_text())["files"]


def same() -> tuple[int, str, str]:
    """What a check says, after proof that it says the same without the cache."""
    found = told()
    assert found == told("--no-cache")
    return found


def test_a_note_is_used(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose stamp is noted is not read again."""
    warmed()
    monkeypatch.setattr(digests, "digest", None)
    assert told()[2].endswith("flowc: 2 flows checked in 2 files\n")


def test_a_check_of_one_file_leaves_the_notes(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where few files are checked they are read; the notes on all the others stay."""
    warmed()
    notes = Path(".flowc_cache", "digests.json")
    before = notes.read_text()
    monkeypatch.setattr(cache, "MANY", 2)
    (repository / "flows" / "b.py").write_text(HELLO)
    time.sleep(0.05)
    assert told("flows/b.py")[0] == told("flows/b.py")[0] == 0
    assert notes.read_text() == before


def test_same_size_and_time_of_change(repository: Path) -> None:
    """A file that was rewritten in place with as many bytes, and whose time of change was put back, is seen as changed."""
    warmed()
    path = repository / "flows" / "other.py"
    before = path.stat()
    with path.open("r+") as file:
        file.write("CPU = f\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert same()[0] == 1


def test_no_note_while_the_clock_may_stand(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has just changed could change again within one tick of its file system's clock: it has no note, and an old one goes."""
    warmed()
    monkeypatch.setattr(digests, "SETTLED", 10**12)
    (repository / "flows" / "other.py").write_text("CPU = 2\n")
    told()
    noted = json.loads(Path(".flowc_cache", "digests.json").read_text())["files"]
    assert str(repository / "flows" / "other.py") not in noted
    assert str(repository / "flows" / "b.py") in noted


def test_a_link_within_the_folder(repository: Path) -> None:
    """A module that is a link changes with what it leads to."""
    (repository / "flows" / "lib").mkdir()
    (repository / "flows" / "other.py").rename(repository / "flows" / "lib" / "real.py")
    (repository / "flows" / "other.py").symlink_to("lib/real.py")
    warmed()
    (repository / "flows" / "lib" / "real.py").write_text("CPU = f(\n")
    assert same()[0] == 1


def test_a_folder_that_moved_out(repository: Path) -> None:
    """A package that is the same as before, but now is a link that leads out of the flow's folder, is not read."""
    package = repository / "flows" / "other"
    package.mkdir()
    (repository / "flows" / "other.py").rename(package / "__init__.py")
    warmed()
    package.rename(repository / "elsewhere")
    package.symlink_to(repository / "elsewhere")
    code, _, err = same()
    assert code == 2
    assert "leads out of the flow's folder" in err


def test_a_file_that_changes_while_it_is_read(repository: Path) -> None:
    """A stamp is taken before its file is read: what is written meanwhile is read the next time."""
    path = repository / "flows" / "other.py"
    time.sleep(0.05)
    found = Digests()

    def read() -> bytes:
        data = path.read_bytes()
        path.write_text("CPU = 7\n")
        return data

    assert found.of(str(path), read) == digests.digest(b"CPU = 1\n")
    assert Digests(found.known).of(str(path), path.read_bytes) == digests.digest(b"CPU = 7\n")


JUNK: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(os.urandom(100)),
    lambda path: path.write_text(path.read_text()[:-20]),
    lambda path: path.write_text("[" * 100_000),
    lambda path: path.write_text("[1]"),
    lambda path: path.write_text('{"key": 1, "flows": [], "version": "0.1.0", "files": 3}'),
    lambda path: (path.unlink(), path.mkdir()),
    lambda path: (path.unlink(), os.mkfifo(path)),
    lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    lambda path: (path.unlink(), path.symlink_to(path.name)),
]


@pytest.mark.parametrize("junk", JUNK, ids=["empty", "random", "cut", "deep", "list", "foreign", "folder", "fifo", "device", "loop"])
def test_what_is_no_cache_is_not_there(repository: Path, junk: Callable[[Path], object]) -> None:
    """Whatever stands where the cache's files should, the check is as without a cache; where it can, it writes them anew."""
    warmed()
    before = told("--no-cache")
    for path in Path(".flowc_cache").rglob("*.json"):
        junk(path)
    assert told() == before
    if not any(path.is_dir() for path in Path(".flowc_cache").rglob("*.json")):
        assert {name.partition("\n")[0] for name in entries(repository)} == {"flows/a.py", "flows/b.py", "flows/other.py"}


PLAIN = {
    "flows": 1,
    "empty": False,
    "codes": {"FC190": ["title", "why", "warning"]},
    "found": [["FC190", "message", ["a.py", 1, 1, 1, 2], "note", [[["a.py", 2, 1, 2, 2], "label"]], "help"]],
}
VALUES = st.sampled_from([None, True, -1, 1.5, "FC305", "", [], {}, [[]], {"FC190": []}, "\x1b[2J"])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(places(PLAIN)[1:]), VALUES)
def test_an_entry_that_is_none(place: tuple[Any, ...], value: object) -> None:
    """A kept verdict of another shape is told from one that can be read, and one that can be read can be reported."""
    data = json.loads(json.dumps(PLAIN))
    holder = data
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    try:
        verdict = restored("a.py", data, lambda _: None)
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    from flowc.report import FORMATS, render

    for form in FORMATS:
        assert "\x1b" not in render(verdict.reported, verdict.texts, form).replace("\\u001b", "")


@pytest.mark.parametrize("name", ["makedirs", "replace", "urandom"])
def test_where_nothing_can_be_written(repository: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """On a disk that is full or read-only a check says what it always says."""
    before = told("--no-cache")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, name, refuse)
    assert told() == before
    assert entries(repository) == {}
    assert not [path for path in Path(".flowc_cache").rglob("*") if path.name.count(".") > 1]


def test_a_link_is_not_followed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A repository cannot have flowc write elsewhere by a link that stands where its cache should."""
    other = tmp_path_factory.mktemp("other")
    Path(".flowc_cache").symlink_to(other)
    same()
    Path(".flowc_cache").unlink()
    Path(".flowc_cache").mkdir()
    Path(".flowc_cache", f"{sys.implementation.name}{sys.version_info.major}{sys.version_info.minor}").symlink_to(other)
    same()
    assert list(other.iterdir()) == []


def test_checks_at_once(repository: Path) -> None:
    """Checks that run at the same time all say the same, and leave a whole cache and nothing else."""
    for number in range(40):
        (repository / "flows" / f"{number}.py").write_text(FLOWS[number % 6])
    command = [sys.executable, "-m", "flowc", "check"]
    running = [subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [each.communicate() for each in running]
    assert len(set(said)) == 1
    assert {path.suffix for path in Path(".flowc_cache").rglob("*") if path.is_file() and path.name != ".gitignore"} == {".json", ".TAG"}
    assert told()[1] == said[0][0]


def test_flowc_that_changed_has_no_old_verdicts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Verdicts are of the very files that flowc, its templates and its schemas are made of."""
    (tmp_path / "templates" / "argo").mkdir(parents=True)
    template = tmp_path / "templates" / "argo" / "one.j2"
    template.write_text("a")
    monkeypatch.setattr("flowc.data.ROOT", tmp_path)
    before = cache.key(None)
    assert cache.key(None) == before
    template.write_text("ab")
    assert cache.key(None) != before


def test_compile_sees_what_notes_could_hide(repository: Path) -> None:
    """An output that was edited by hand, size and time of change as before, is written again; so is that of a module that changed."""
    (repository / "flows" / "b.py").write_text(HELLO.replace("HelloFlow", "OtherFlow"))
    compiled = [sys.executable, "-c", "from flowc.commands import cache, digests; cache.MANY, cache.WORTH, digests.SETTLED = 1, 1, 20_000_000; from flowc import cli; cli.main()"]

    def run() -> str:
        time.sleep(0.05)
        return subprocess.run([*compiled, "compile"], env=environment(), capture_output=True, text=True, check=True).stderr

    run()
    assert "0 compiled, 2 unchanged" in run()
    assert "0 compiled, 2 unchanged" in run()
    output = repository / "manifests" / "argo" / "otherflow.workflowtemplate.yaml"
    before, text = output.stat(), output.read_text()
    with output.open("r+") as file:
        file.write("#")
    os.utime(output, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "1 compiled, 1 unchanged" in run()
    assert output.read_text() == text
    (repository / "flows" / "other.py").write_text("CPU = 2\n")
    assert "1 compiled, 1 unchanged" in run()
