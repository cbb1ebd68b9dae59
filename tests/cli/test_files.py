"""Facts about the edge to the file system: what is read, what is refused, and that files are written whole or not at all."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

from flowc.commands import writing
from flowc.commands.files import DATA_LIMIT, SOURCE_LIMIT, Folder, PathError, Wanted, above, decode, expand, load, shown
from flowc.commands.writing import write


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_expand(here: Path) -> None:
    """An argument is a path, a path and a flow's name, or a pattern, whose matches are sorted files."""
    for name in ("b.py", "a.py", "odd[1].py", "c:Flow"):
        (here / name).write_text("")
    (here / "d.py").mkdir()
    assert expand("a.py") == [Wanted("a.py")]
    assert expand("a.py:Hello") == [Wanted("a.py", "Hello")]
    assert expand("[ab].py") == [Wanted("a.py", exact=False), Wanted("b.py", exact=False)]
    assert expand("?.py:Hello") == [Wanted("a.py", "Hello", exact=False), Wanted("b.py", "Hello", exact=False)]
    assert expand("odd[1].py") == [Wanted("odd[1].py")]
    assert expand("c:Flow") == [Wanted("c:Flow")]
    assert expand("missing.py") == [Wanted("missing.py")]
    with pytest.raises(PathError, match=r"^x\*\.py: no file matches the pattern$"):
        expand("x*.py")


def test_shown(here: Path) -> None:
    """A path below the working directory is shown relative to it, any other as it was given."""
    assert shown(str(here / "a" / "flow.py")) == "a/flow.py"
    assert shown("./a/../flow.py") == "flow.py"
    assert shown("../flow.py") == "../flow.py"
    assert shown("/nowhere/flow.py") == "/nowhere/flow.py"


def test_load_refuses(here: Path) -> None:
    """Whatever is no readable regular file of a sane size is refused with its reason, and no FIFO or device is opened."""
    (here / "folder").mkdir()
    os.mkfifo(here / "fifo")
    (here / "loop").symlink_to("loop")
    (here / "dangling").symlink_to("nothing")
    with (here / "big.py").open("wb") as file:
        file.truncate(SOURCE_LIMIT + 1)
    (here / "most.py").write_bytes(b"#" * SOURCE_LIMIT)
    reasons = {
        "folder": "folder is a folder; name a file, or a pattern in quotes: 'folder/**/*.py'",
        "fifo": "fifo is no regular file",
        "/dev/zero": "/dev/zero is no regular file",
        "loop": "loop cannot be read: Too many levels of symbolic links",
        "dangling": "dangling: there is no such file",
        "missing.py": "missing.py: there is no such file",
        "big.py/flow.py": "big.py/flow.py cannot be read: Not a directory",
        "big.py": "big.py is larger than 4 MiB, which no flow is",
        "nu\0ll": "nu\0ll: no path has a null byte in it",
    }
    for path, reason in reasons.items():
        with pytest.raises(PathError) as error:
            load(path)
        assert str(error.value) == reason
    assert len(load("most.py")) == SOURCE_LIMIT


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_load_without_permission(here: Path) -> None:
    """A file that may not be read is refused with the system's reason."""
    (here / "secret.py").write_text("")
    (here / "secret.py").chmod(0)
    with pytest.raises(PathError, match=r"secret\.py cannot be read: Permission denied"):
        load("secret.py")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"x = 1\r\ny = 2\r", "x = 1\ny = 2\n"),
        (codecs.BOM_UTF8 + b"x = 1\n", "x = 1\n"),
        ("# coding: utf-8\nx = 'é'\n".encode(), "# coding: utf-8\nx = 'é'\n"),
        (b"# coding: latin-1\nx = 1\n", "# coding: latin-1\nx = 1\n"),
        (b"", ""),
    ],
)
def test_decode(data: bytes, text: str) -> None:
    """A file is read as Python reads it: byte order mark, coding line, any line ends."""
    source, found = decode("flow.py", data)
    assert source is not None
    assert (source.text, found) == (text, [])


@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        (b"x = 1\ny = '\xe9'\n", "FC141", (2, 6)),
        ("é = 1\n".encode() + b"\xe9", "FC141", (2, 1)),
        (b"x = 1\nab\0", "FC141", (2, 3)),
        ("x = 1".encode("utf-16"), "FC141", (1, 1)),
        ("# coding: latin-1\nx = 'é'\n".encode("latin-1"), "FC141", (1, 1)),
        (b"#!/usr/bin/python\n# coding: nonsense\n", "FC180", (2, 1)),
        (codecs.BOM_UTF8 + b"# coding: latin-1\n", "FC180", (1, 1)),
    ],
)
def test_decode_refuses(data: bytes, code: str, place: tuple[int, int]) -> None:
    """What is no UTF-8 is a diagnostic at the first byte that is none; a wrong coding line is one on its line."""
    source, found = decode("flow.py", data)
    assert source is None
    [diagnostic] = found
    assert diagnostic.span is not None
    assert (diagnostic.code.id, (diagnostic.span.line, diagnostic.span.column)) == (code, place)


def test_reader_stays_in_the_folder(here: Path) -> None:
    """The core gets files below the flow's folder and those the user pointed to; nothing by `..`, by an absolute path, by a link out."""
    flows = here / "flows"
    (flows / "pkg").mkdir(parents=True)
    (here / "outside.py").write_text("outside")
    (flows / "common.py").write_text("common")
    (flows / "pkg" / "mod.py").write_text("mod")
    (flows / "inside.py").symlink_to("common.py")
    (flows / "leak.py").symlink_to("../outside.py")
    (flows / "leak").symlink_to("..")
    folder = Folder("flows", {"../deploy/c.json": str(here / "outside.py")})
    assert folder("common.py") == folder("inside.py") == b"common"
    assert folder("pkg/mod.py") == b"mod"
    assert folder("../deploy/c.json") == b"outside"
    for path in ("../outside.py", str(here / "outside.py"), "pkg/../../outside.py", "pkg", "missing.py", "", "nu\0ll", "pkg\\mod.py"):
        assert folder(path) is None
    for path in ("leak.py", "leak/outside.py"):
        with pytest.raises(PathError, match="is a link that leads out of the flow's folder"):
            folder(path)


def test_reader_limits_size(here: Path) -> None:
    """A file beside a flow that no manifest could carry is refused, not read."""
    with (here / "data.bin").open("wb") as file:
        file.truncate(DATA_LIMIT + 1)
    with pytest.raises(PathError, match=r"data\.bin is larger than 16 MiB"):
        Folder("", {})("data.bin")


def test_write(here: Path) -> None:
    """Files get their whole text; permissions and links are kept; a file that is right already is not touched."""
    (here / "old.yaml").write_text("old")
    (here / "old.yaml").chmod(0o640)
    (here / "same.yaml").write_text("same")
    os.utime(here / "same.yaml", (1, 1))
    (here / "link.yaml").symlink_to("old.yaml")
    write({"link.yaml": "new", "same.yaml": "same", "fresh.yaml": "é"})
    assert (here / "old.yaml").read_text() == "new"
    assert (here / "old.yaml").stat().st_mode & 0o777 == 0o640
    assert (here / "link.yaml").is_symlink()
    assert (here / "same.yaml").stat().st_mtime == 1
    assert (here / "fresh.yaml").read_bytes() == "é".encode()
    assert sorted(path.name for path in here.iterdir()) == ["fresh.yaml", "link.yaml", "old.yaml", "same.yaml"]


def test_write_all_or_nothing(here: Path) -> None:
    """Where one file cannot be written none is, and no temporary file stays."""
    (here / "a.yaml").write_text("old")
    (here / "folder").mkdir()
    for last, reason in {"folder": "is a folder", "missing/b.yaml": "cannot be written: No such file or directory"}.items():
        with pytest.raises(PathError, match=reason):
            write({"a.yaml": "new", last: "new"})
        assert (here / "a.yaml").read_text() == "old"
        assert sorted(path.name for path in here.iterdir()) == ["a.yaml", "folder"]


def test_write_survives_an_interrupt(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt between staging and moving leaves what was there, and no temporary file."""
    (here / "a.yaml").write_text("old")

    def interrupt(*_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write({"a.yaml": "new", "b.yaml": "new"})
    assert {path.name: path.read_text() for path in here.iterdir()} == {"a.yaml": "old"}


def test_write_to_what_is_no_file(here: Path) -> None:
    """A device or a FIFO is written into, not replaced."""
    write({"/dev/null": "text"})
    assert not Path("/dev/null").is_file()


def test_settings_are_looked_for_up_to_the_repository(here: Path) -> None:
    """Folders above the flow are searched up to the root of its git repository, not in what happens to lie above it."""
    (here / "repo" / ".git").mkdir(parents=True)
    (here / "repo" / "flows").mkdir()
    assert list(above("repo/flows")) == [str(here / "repo" / "flows"), str(here / "repo")]
