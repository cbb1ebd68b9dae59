"""Facts about modules above the flow's folder: FC143 tells of those that a pod will miss, and of nothing else, whatever is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import HELLO, environment, flowc
from cli.test_cache import told as check

SETTINGS = 'flows = ["flows/*/*.py"]\nimage = "example.com/i:1"\n'
LINE = "from libs.features import NAME\n"
IN_STEP = HELLO.replace("        pass\n", "        {}\n")
FILES = {
    "libs/features.py": "NAME = 1\n",
    "libs/deep/inner.py": "NAME = 1\n",
    "flows/near.py": "NAME = 1\n",
    "flows/train/beside.py": "NAME = 1\n",
    "flows/train/lib/__init__.py": "",
    "lib/only_above.py": "NAME = 1\n",
    "package/__init__.py": "NAME = 1\n",
    "package/part.py": "NAME = 1\n",
    "single.py": "NAME = 1\n",
    "single/part.py": "NAME = 1\n",
    "yaml/values.yaml": "a: 1\n",
    "pandas/notes/readme.md": "",
    "flows/json.py": "NAME = 1\n",
    "flows/metaflow/__init__.py": "",
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text(SETTINGS)
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(folder: Path, text: str, *flags: str) -> list[str]:
    """What FC143 says of the flow, each message up to its first comma with its line; the same where the verdict was kept."""
    (folder / "flows" / "train" / "flow.py").write_text(text)
    arguments = ("flows/train/flow.py", "--output-format", "concise", *flags)
    _, found, _ = check(*arguments)
    assert check(*arguments)[1] == found
    lines = [line.split(": FC143 ") for line in found.splitlines() if "FC143" in line]
    return [f"{place.split(':')[1]} {rest.partition(',')[0].partition(' to who')[0]}" for place, rest in lines]


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("import libs.features", ["libs.features is libs/features.py"]),
        ("from libs.features import NAME", ["libs.features is libs/features.py"]),
        ("from libs.features import *", ["libs.features is libs/features.py"]),
        ("from libs import features, missing", ["libs.features is libs/features.py"]),
        ("import libs.deep.inner as inner", ["libs.deep.inner is libs/deep/inner.py"]),
        ("import near", ["near is flows/near.py"]),
        ("import package", ["package is package/__init__.py"]),
        ("import package.part", ["package.part is package/part.py"]),
        ("from package import NAME", ["package is package/__init__.py"]),
        ("from package import part", ["package.part is package/part.py"]),
        ("import single", ["single is single.py"]),
        ("import train.beside", ["train.beside is flows/train/beside.py"]),
        ("__import__('importlib').import_module('libs.features')", ["libs.features is libs/features.py"]),
        ("import beside, libs.features", ["libs.features is libs/features.py"]),
        # what Python would not find there either
        ("import libs, libs.missing, libs.deep, package.missing, single.part", []),
        ("from libs.missing import NAME", []),
        ("import yaml, pandas.notes, missing", []),
        # what pods have
        ("import beside, json, metaflow.cards", []),
        ("from beside import NAME", []),
        ("import lib.only_above", []),
        # what need not be there
        ("try: import libs.features\n{0}except ImportError: pass", []),
        ("try: import libs.features\n{0}except (KeyError, ModuleNotFoundError): pass", []),
        ("try: import libs.features\n{0}except KeyError: pass", ["libs.features is libs/features.py"]),
        ("try: import libs.features\n{0}except ImportError: raise SystemExit", ["libs.features is libs/features.py"]),
        (
            "try: pass\n{0}except KeyError: import near\n{0}else: import single\n{0}finally: import package",
            ["near is", "single is", "package is"],
        ),
        (
            "match 1:\n{0}  case 1: import near\n{0}for _ in (): import single\n{0}else: import package",
            ["near is", "single is", "package is"],
        ),
        ("def f():\n{0}  class A: import near\n{0}async def g():\n{0}  async with g() as x: import single", ["near is", "single is"]),
        ("import contextlib\n{0}with contextlib.suppress(ImportError): import libs.features", []),
        ("if TYPE_CHECKING: import libs.features", []),
        ("if not TYPE_CHECKING: import libs.features", ["libs.features is libs/features.py"]),
        ("if TYPE_CHECKING: pass\n{0}else: import libs.features", ["libs.features is libs/features.py"]),
        ("__import__('importlib').import_module('../libs/features')", []),
        ("__import__('importlib').import_module('.features', 'libs')", []),
    ],
)
def test_what_is_told(repository: Path, statement: str, wanted: list[str]) -> None:
    """An import is resolved as Python would from each folder above; the same at the top of the file and in a step, where it fails."""
    at_top = told(repository, f"from typing import TYPE_CHECKING\n{statement.replace('{0}', '')}\n{HELLO}")
    assert _is_told(at_top, wanted)
    in_step = told(repository, "from typing import TYPE_CHECKING\n" + IN_STEP.replace("{}", statement.replace("{0}", " " * 8)))
    assert _is_told(in_step, wanted)


def _is_told(found: list[str], wanted: list[str]) -> bool:
    """Whether just these are told, in order; what is wanted may be the beginning."""
    return len(found) == len(wanted) and all(one.partition(" ")[2].startswith(each) for one, each in zip(found, wanted, strict=True))


def test_each_module_once_a_file(repository: Path) -> None:
    """A module that several steps import is told once, at the first; again where a module beside the flow imports it."""
    (repository / "flows/train/beside.py").write_text(LINE)
    (repository / "flows/train/typed.py").write_text(LINE)
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING: import typed\n"
        + LINE
        + "import beside\n"
        + IN_STEP.replace("{}", LINE.strip())
    )
    assert told(repository, text) == ["1 libs.features is libs/features.py", "3 libs.features is libs/features.py"]


def test_not_where_the_image_has_the_code(repository: Path) -> None:
    """Silent with the code in the image, by flag, by the settings of one target, and where a comment or a glob says so."""
    assert told(repository, LINE + HELLO, "--code", "image", "--code-path", "/app") == []
    assert told(repository, LINE.replace("\n", "  # flowc: ignore[FC143]\n") + HELLO) == []
    (repository / "flowc.toml").write_text(SETTINGS + '[per-file-ignores]\n"flows/*" = ["FC143"]\n')
    assert told(repository, LINE + HELLO) == []
    (repository / "flowc.toml").write_text(SETTINGS + '[argo]\ncode = "image"\ncode-path = "/app"\n')
    assert told(repository, LINE + HELLO, "--target", "argo") == []
    assert told(repository, LINE + HELLO, "--target", "kubernetes") == ["1 libs.features is libs/features.py"]


def test_the_flow_imported_by_its_folder(repository: Path) -> None:
    """A module beside the flow by its name from above is no help to a pod either; the remedy is the name that is."""
    (repository / "flows/train/flow.py").write_text("from train.beside import NAME\n" + HELLO)
    assert "= help: Import it as `beside`." in flowc("check", "flows/train/flow.py").stdout


def test_the_root_is_the_end(repository: Path) -> None:
    """Nothing above the root of the repository is looked at: that of git, else the folder of the settings file, else none."""
    inner = repository / "inner"
    (inner / "flows" / "train").mkdir(parents=True)
    wanted = ["1 libs.features is libs/features.py"]
    assert told(repository, LINE + HELLO) == wanted
    (repository / ".git").rmdir()
    assert told(repository, LINE + HELLO) == wanted
    (inner / "flows/train/flow.py").write_text(LINE + HELLO)
    assert "FC143" in flowc("check", "inner/flows/train/flow.py").stdout
    (inner / "flowc.toml").write_text(SETTINGS)
    assert "FC143" not in flowc("check", "inner/flows/train/flow.py").stdout
    (repository / "flowc.toml").unlink()
    assert told(repository, LINE + HELLO) == []


def test_a_module_that_comes_or_goes_is_noticed(repository: Path) -> None:
    """A warm check and `compile --check` follow the files above; the lock and the outputs do not depend on them."""
    (repository / "flows/train/flow.py").write_text(LINE + HELLO)
    features, checks = repository / "libs/features.py", (("check",), ("compile", "--check"))
    assert "FC143" in flowc("compile").stderr
    lock = (repository / "manifests" / "flowc.lock").read_text()
    for there in (True, False, True):
        features.write_text("NAME = 2\n") if there else features.unlink()
        for command in checks:
            for _ in range(2):
                done = flowc(*command)
                assert ("FC143" in done.stdout + done.stderr) == there
    features.rename(repository / "flows" / "features.py")
    (repository / "flows" / "libs").mkdir()
    (repository / "flows" / "features.py").rename(repository / "flows" / "libs" / "features.py")
    assert "libs.features is flows/libs/features.py" in flowc("check").stdout
    assert "0 compiled, 1 unchanged" in flowc("compile").stderr
    assert (repository / "manifests" / "flowc.lock").read_text() == lock


def test_pods_fail_as_it_says(repository: Path) -> None:
    """With the flow's folder alone on the path Python does not find what FC143 tells of, and with the root on it it does."""
    (repository / "flows/train/main.py").write_text(LINE)
    for path, code in (("", 1), (str(repository), 0)):
        done = subprocess.run(
            [sys.executable, "flows/train/main.py"], env=environment(PYTHONPATH=path), capture_output=True, text=True, check=False
        )
        assert (done.returncode, "No module named 'libs'" in done.stderr) == (code, bool(code))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="its grammar has no except*")
def test_groups_of_exceptions(repository: Path) -> None:
    """`except*` takes a failed import as `except` does."""
    assert told(repository, f"try:\n    import near\nexcept* ImportError:\n    import single\n{HELLO}") == ["4 single is single.py"]
