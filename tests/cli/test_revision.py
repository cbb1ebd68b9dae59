"""Facts about the copy of a revision that `flowc diff` reads: it is that of the flow's repository, and nothing in it leads out."""

from __future__ import annotations

import zlib
from hashlib import sha1
from pathlib import Path

import pytest
from cli.running import HELLO, flowc
from cli.test_pre_commit import git

from flowc.commands.files import DATA_LIMIT, PathError
from flowc.commands.revision import copied, top_of


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A commit with a flow in a folder, changed since, and a settings file at the root."""
    work = tmp_path / "work"
    (work / "flows").mkdir(parents=True)
    flow = work / "flows" / "hello.py"
    flow.write_text(HELLO)
    (work / "flowc.toml").write_text('flows = ["flows/*.py"]\n')
    git(work, "init", "-q")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "one")
    flow.write_text(HELLO.replace("    @step\n    def end", "    @retry\n    @step\n    def end").replace("step\n", "step, retry\n", 1))
    return work


def stored(work: Path, kind: str, data: bytes) -> bytes:
    """Put an object into a repository, also one that git itself would refuse to make; its id."""
    whole = f"{kind} {len(data)}\0".encode() + data
    name = sha1(whole, usedforsecurity=False).hexdigest()
    place = work / ".git" / "objects" / name[:2] / name[2:]
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(zlib.compress(whole))
    return bytes.fromhex(name)


def committed(work: Path, *entries: tuple[str, str, bytes]) -> str:
    """A commit whose tree has entries of any mode, name and object."""
    tree = stored(work, "tree", b"".join(f"{mode} {name}\0".encode() + each for mode, name, each in entries))
    text = f"tree {tree.hex()}\nauthor a <a@example.com> 0 +0000\ncommitter a <a@example.com> 0 +0000\n\nhostile\n"
    return stored(work, "commit", text.encode()).hex()


def copy(work: Path, revision: str) -> set[str]:
    """The copy of a revision in the folder `copy` beside the repository: paths of what is no folder."""
    folder = work.parent / "copy"
    folder.mkdir()
    copied(top_of(str(work)), revision, str(folder))
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def test_from_outside(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository is that of the file, be it named by an absolute path, one with `..`, a link, or through the settings file."""
    other = repository.parent / "other"
    other.mkdir()
    (repository.parent / "link").symlink_to(repository)
    monkeypatch.chdir(other)
    told = "  ~ step end: retries 0 → 3\n  + step end: minutes_between_retries none → 2\n  ~ code of hello.py changed\n"
    for name in (str(repository / "flows" / "hello.py"), "../work/flows/hello.py", "../work/flows/*.py", "../link/flows/hello.py"):
        where = "../link" if "link" in name else "../work"
        assert flowc("diff", name, code=1).stdout == f"{where}/flows/hello.py:HelloFlow\n{told}"
    for name in (str(repository / "flowc.toml"), "../work/flowc.toml", "../link/flowc.toml"):
        assert flowc("diff", "--settings", name, code=1).stdout == f"../work/flows/hello.py:HelloFlow\n{told}"
    git(other, "init", "-q")
    git(other, "commit", "-q", "--allow-empty", "-m", "one")
    (other / "new.py").write_text(HELLO)
    both = flowc("diff", "new.py", "../work/flows/hello.py", code=1).stdout
    assert both == f"../work/flows/hello.py:HelloFlow\n{told}\nnew.py:HelloFlow\n  + new flow\n"


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that is in none is said, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.py").write_text(HELLO)
    assert "not a git repository" in flowc("diff", "flow.py", code=2, GIT_CEILING_DIRECTORIES=str(tmp_path.parent)).stderr


def test_within_a_hook(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git sets in hooks, relative to where it starts them, misleads nobody."""
    monkeypatch.chdir(repository)
    assert "step end: retries" in flowc("diff", "flows/hello.py", code=1, GIT_DIR=".git", GIT_INDEX_FILE=".git/index").stdout


def test_attributes_change_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that archives leave out or fill in is compared as it is."""
    (repository / ".gitattributes").write_text("*.py export-subst\nflows/hello.py export-ignore\n")
    (repository / "flows" / "hello.py").write_text("# $Format:%H$\n" + HELLO)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    monkeypatch.chdir(repository)
    assert flowc("diff").stderr == "flowc: nothing differs in 1 file\n"


def test_names_that_lead_elsewhere(repository: Path) -> None:
    """Of a hostile tree only what may stand in the copy is written: no `..`, no absolute name, no `.git`."""
    blob = stored(repository, "blob", b"evil")
    inner = stored(repository, "tree", b"100644 inner.txt\0" + blob)
    revision = committed(
        repository,
        ("100644", "../evil.txt", blob),
        ("100644", "/evil.txt", blob),
        ("40000", "..", inner),
        ("40000", ".", inner),
        ("40000", ".GIT", inner),
        ("160000", "module", blob),
        ("100755", "good.txt", blob),
    )
    assert copy(repository, revision) == {"good.txt"}
    names = {path.name for path in repository.parent.rglob("*") if "copy" not in path.parts}
    assert not {"evil.txt", "inner.txt"} & names


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_name_below_a_link(repository: Path, kind: str) -> None:
    """A tree that has a link and a folder of one name writes nothing where the link leads."""
    blob = stored(repository, "blob", b"evil")
    outside = repository.parent / "outside"
    outside.mkdir()
    mode = b"100644" if kind == "file" else b"120000"
    revision = committed(
        repository,
        ("120000", "away", stored(repository, "blob", str(outside).encode())),
        ("40000", "away", stored(repository, "tree", mode + b" inner\0" + blob)),
    )
    if kind == "file":
        with pytest.raises(PathError, match=r"cannot be copied to .*away: File exists"):
            copy(repository, revision)
    else:
        assert copy(repository, revision) == set()
    assert list(outside.iterdir()) == []


def test_links(repository: Path) -> None:
    """Links within the copy stay, those that lead out are gone, also where they do it by way of others."""

    def link(to: str) -> bytes:
        return stored(repository, "blob", to.encode())

    blob = stored(repository, "blob", b"text")
    deep = stored(repository, "tree", b"120000 a\0" + link("b/../../evil") + b"120000 b\0" + link("../top"))
    here = str(repository.parent / "copy")
    revision = committed(
        repository,
        ("40000", "deep", deep),
        ("120000", "fine", link("top/good.txt")),
        ("120000", "loop", link("loop")),
        ("120000", "passwd", link("/etc/passwd")),
        ("40000", "top", stored(repository, "tree", b"100644 good.txt\0" + blob)),
        ("120000", "up", link(f"{here}-not/x")),
    )
    assert copy(repository, revision) == {"top/good.txt", "fine", "deep/b", "loop"}
    assert (repository.parent / "copy" / "fine").read_text() == "text"


def test_a_large_file_is_left_out(repository: Path) -> None:
    """What is larger than anything that a flow reads need not be copied."""
    (repository / "large.bin").write_bytes(bytes(DATA_LIMIT + 1))
    (repository / "empty.txt").write_bytes(b"")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    assert copy(repository, "HEAD") == {"flows/hello.py", "flowc.toml", "empty.txt"}


def test_a_lost_object(repository: Path) -> None:
    """A repository that is broken is told, and no file is taken for another."""
    name = git(repository, "rev-parse", "HEAD:flows/hello.py").strip()
    (repository / ".git" / "objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(PathError, match=f"git has lost the object {name}: see `git fsck`"):
        copy(repository, "HEAD")

