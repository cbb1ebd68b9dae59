"""What a name stands for, which modules a flow brings along, and which files are refused."""

from __future__ import annotations

import pytest
from reading import codes, reading

from flowc.frontend.modules import External, Local, LocalModule, NotFound, Program
from flowc.source import SourceFile

FLOW = "from metaflow import FlowSpec, step\n\n\nclass F(FlowSpec):\n    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"


def program(text: str, files: dict[str, str] | None = None, path: str = "flow.py") -> Program:
    beside = {name: data.encode() for name, data in (files or {}).items()}
    return Program(SourceFile(path, text), beside.get)


def stands_for(name: str, text: str, files: dict[str, str] | None = None) -> str:
    """In words: external path, module:name, module, or ?"""
    read = program(text, files)
    match read.resolve(read.entry, name):
        case External(path):
            return path
        case LocalModule(module):
            return f"module {module.name}"
        case Local(module, _, bound):
            return f"{module.label}:{bound}"
        case NotFound():
            return "?"


FILES = {
    "common.py": "import metaflow as mf\nfrom metaflow import retry as again\nfrom pkg.sub import thing as other\nX = 1\nY = X\n\n\nclass Base(mf.FlowSpec):\n    A = X\n",
    "pkg/__init__.py": "from .sub import thing\nfrom . import sub as alias\n",
    "pkg/sub.py": "from ..common import X\nfrom .leaf import *\nthing = 1\n",
    "pkg/leaf.py": "leaf = 1\n_hidden = 2\n",
    "space/inner.py": "Z = 1\n",
    "loop.py": "from loop2 import a\n",
    "loop2.py": "from loop import a\n",
}


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("mf.kubernetes", "import metaflow as mf\n", "metaflow.kubernetes"),
        ("s", "from metaflow import step as s\n", "metaflow.step"),
        ("step", "from metaflow import *\n", "metaflow.step"),
        ("nothing", "from metaflow import *\n", "?"),
        ("step", "from metaflow.decorators import step\n", "metaflow.step"),
        ("FlowSpec", "from metaflow.flowspec import FlowSpec\n", "metaflow.FlowSpec"),
        ("m.user_configs.config_parameters.Config", "import metaflow as m\n", "metaflow.Config"),
        ("requests.get", "import requests\n", "requests.get"),
        ("os.path.join", "import os.path\n", "os.path.join"),
        ("j", "from os.path import join as j\n", "os.path.join"),
        ("c.mf.retry", "import common as c\n", "metaflow.retry"),
        ("again", "from common import again\n", "metaflow.retry"),
        ("common.Base", "import common\n", "common:Base"),
        ("Base.A", "from common import Base\n", "common:X"),
        ("common.Y", "import common\n", "common:X"),
        ("common.missing", "import common\n", "?"),
        ("pkg.thing", "import pkg\n", "pkg.sub:thing"),
        ("pkg.alias", "import pkg\n", "module pkg.sub"),
        ("pkg.sub.leaf", "import pkg.sub\n", "pkg.leaf:leaf"),
        ("_hidden", "from pkg.leaf import *\n", "?"),
        ("sub", "from pkg import sub\n", "module pkg.sub"),
        ("space.inner.Z", "import space.inner\n", "space.inner:Z"),
        ("Z", "from space.inner import Z\n", "space.inner:Z"),
        ("a", "from loop import a\n", "?"),
        ("x", "x = y\ny = x\n", "flow:x"),
        ("x", "import far\nif far.a:\n    x = 1\nelse:\n    x = 2\n", "?"),
        ("x", "try:\n    from far import x\nexcept ImportError:\n    x = None\n", "?"),
        ("x", "try:\n    from metaflow import retry as x\nexcept ImportError:\n    x = None\n", "metaflow.retry"),
        ("x", "try:\n    import json as x\nexcept ImportError:\n    import simplejson as x\n", "json"),
        ("x", "x = 1\n\n\ndef x():\n    pass\n", "flow:x"),
    ],
)
def test_names_are_resolved(name: str, text: str, wanted: str) -> None:
    """Aliases, stars, packages, relative imports, re-exports, circles and alternatives."""
    assert stands_for(name, text, FILES) == wanted


def test_metaflow_itself_is_never_read_beside_the_flow() -> None:
    """A file called metaflow.py beside the flow does not shadow the package that the names are compared with."""
    assert stands_for("step", "from metaflow import step\n", {"metaflow.py": "step = 1\n"}) == "metaflow.step"


def test_modules_to_deliver_are_all_that_imports_reach() -> None:
    """Imports in functions, methods, tries and TYPE_CHECKING, packages' __init__, dynamic imports of a literal; each once, by path; not the flow."""
    text = (
        "import a.b.c\nimport json, far\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import types_only\ntry:\n    import tried\nexcept ImportError:\n    pass\n"
        "\n\nclass X:\n    def m(self):\n        from pkg import inner\n        import importlib\n        importlib.import_module('dynamic')\n        match self:\n"
        "            case 1:\n                import cased\n"
    )
    files = {
        "a/__init__.py": "",
        "a/b/__init__.py": "from .. import sibling\n",
        "a/b/c.py": "import flow\n",
        "a/sibling.py": "",
        "types_only.py": "",
        "tried.py": "import a\n",
        "pkg/inner.py": "",
        "dynamic.py": "",
        "cased.py": "",
        "unused.py": "",
        "flow.py": text,
    }
    read = program(text, files, "jobs/flow.py")
    paths = [
        "a/__init__.py",
        "a/b/__init__.py",
        "a/b/c.py",
        "a/sibling.py",
        "cased.py",
        "dynamic.py",
        "pkg/inner.py",
        "tried.py",
        "types_only.py",
    ]
    assert [m.path for m in read.delivered()] == paths
    assert [m.source.path for m in read.local_modules()] == [f"jobs/{p}" for p in paths]


def test_each_file_is_read_once() -> None:
    """The Reader is asked once a path, also for what is not there."""
    asked: list[str] = []

    def reader(path: str) -> bytes | None:
        asked.append(path)
        return b"X = 1\n" if path == "common.py" else None

    read = Program(SourceFile("flow.py", "import common\nimport far\nfrom common import X\nfrom far import y\n"), reader)
    for _ in range(3):
        read.local_modules()
        read.resolve(read.entry, "common.X")
        read.resolve(read.entry, "far.z")
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("def f(:\n    pass\n", 1, 7),
        ("x = 1\nif x:\n  y = (\n", 3, 7),
        ("a = '''\n", 1, 5),
        ("é = (\n", 1, 5),
        ("print 'x'\n", 1, 1),
        ("", None, None),
    ],
)
def test_syntax_errors_have_their_place(text: str, line: int | None, column: int | None) -> None:
    """FC140 at the line and column that Python names."""
    found = program(text).diagnostics
    if line is None:
        assert not found
        return
    assert [d.code.id for d in found] == ["FC140"]
    span = found[0].span
    assert span is not None
    assert (span.line, span.column) == (line, column)


@pytest.mark.parametrize("text", ["x = 1\x00\n", "(" * 5000, "-" * 100000 + "1\n", "x = " + "[" * 300 + "]" * 300 + "\n"])
def test_files_that_no_parser_survives_are_diagnostics(text: str) -> None:
    """Null bytes and absurd nesting end in FC140, never in an exception."""
    assert [d.code.id for d in program(text).diagnostics] == ["FC140"]


def test_broken_siblings_are_said_with_the_path_that_the_user_sees() -> None:
    """A syntax error beside the flow, and a module in another encoding, are reported under the folder of the flow."""
    files = {"flow.py": "import broken\nimport latin\n" + FLOW, "broken.py": "x = (\n", "latin.py": b"x = '\xe9'\n"}
    assert codes(reading(files)) == ["FC141", "FC140"]  # type: ignore[arg-type]
    read = Program(SourceFile("jobs/flow.py", "import broken\n"), {"broken.py": b"x = (\n"}.get)
    read.local_modules()
    assert read.diagnostics[0].message.startswith("jobs/broken.py is not valid Python")


def test_a_byte_order_mark_and_windows_lines_are_read() -> None:
    """Files as Windows editors save them."""
    read = Program(SourceFile("flow.py", "from common import X\r\nY = X\r\n"), {"common.py": b"\xef\xbb\xbfX = 1\r\n"}.get)
    assert isinstance(read.resolve(read.entry, "Y"), Local)
    assert not read.diagnostics


def test_relative_imports_of_a_flow_file_are_refused_unless_guarded() -> None:
    """A script has no package; the idiom that tries both ways is fine."""
    assert codes(reading({"flow.py": "from .common import X\n" + FLOW, "common.py": "X = 1\n"})) == ["FC142"]
    both = "try:\n    from .common import X\nexcept ImportError:\n    from common import X\n"
    assert codes(reading({"flow.py": both + FLOW, "common.py": "X = 1\n"})) == []
