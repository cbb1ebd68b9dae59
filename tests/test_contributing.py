"""The recipes of CONTRIBUTING work: a target, a diagnostic and a case are added as it says, by nothing but the files that it names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def copied(folder: Path, *parts: str) -> Path:
    """Parts of the checkout in another folder."""
    for part in ("flowc", "templates", "schemas", *parts):
        here = ROOT / part
        if here.is_dir():
            shutil.copytree(here, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(here, folder / part)
    return folder


def python(folder: Path, *arguments: str) -> str:
    """The output of Python in a copy, whose flowc it imports."""
    env = {**os.environ, "PYTHONPATH": str(folder), "CI": ""}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


TINY = '''"""In: a Flow. Out: a ConfigMap of its steps."""

from flowc.target import Document, Lowered, Target


def lower(flow, graph, settings):
    values = {"name": flow.name.lower(), "steps": " ".join(graph.order)}
    return Lowered((Document("tiny/steps.yaml.j2", values, "tiny/1.json", "steps.yaml"),))


TARGET = Target("tiny", "A list of steps", lambda *_: (), lower, lambda *_: ())
'''
TINY_TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ name | tojson }}
data:
  steps: {{ steps | tojson }}
"""


def test_a_target_is_a_package_templates_and_schemas(tmp_path: Path) -> None:
    """With the folders that the recipe names, and no other change, a new target is listed and compiles."""
    here = copied(tmp_path, "examples")
    for path, text in {"flowc/targets/tiny/__init__.py": TINY, "templates/tiny/steps.yaml.j2": TINY_TEMPLATE}.items():
        (here / path).parent.mkdir()
        (here / path).write_text(text, encoding="utf-8")
    (here / "schemas/tiny").mkdir()
    shutil.copy(ROOT / "schemas/kubernetes/1.33.json", here / "schemas/tiny/1.json")

    assert "tiny: A list of steps" in python(here, "-m", "flowc", "targets")
    made = yaml.safe_load(python(here, "-m", "flowc", "compile", "examples/train.py", "--target", "tiny"))
    assert made["data"] == {"steps": "start score choose judge ship end"}


CODE = '''

from flowc.diagnostics import Code, Example

TOO_LONG = Code(
    "FC299",
    "a name of forty letters",
    "A name that nobody can read.",
    bad=Example({"flow.py": ""}, line=1),
    good=Example({"flow.py": ""}),
)
'''


def test_a_diagnostic_is_a_declaration(tmp_path: Path) -> None:
    """A Code beside a check has its page after `make docs`, and `flowc explain` tells it."""
    here = copied(tmp_path, "tools", "docs/diagnostics")
    module = here / "flowc/checks/joins_codes.py"
    module.write_text(module.read_text(encoding="utf-8") + CODE, encoding="utf-8")
    python(here, "tools/docs.py")

    assert "A name that nobody can read." in (here / "docs/diagnostics/FC299.md").read_text(encoding="utf-8")
    assert "FC299" in (here / "docs/diagnostics/README.md").read_text(encoding="utf-8")
    assert "A name that nobody can read." in python(here, "-m", "flowc", "explain", "FC299")


def test_a_case_is_a_folder(tmp_path: Path) -> None:
    """A folder with a flow.py gets its output from `--update` and passes from then on; without it the golden test fails."""
    here = copied(tmp_path, "tests/test_golden.py", "tests/conftest.py", "pyproject.toml")
    case = here / "tests/fixtures/fresh"
    case.mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "train.py", case / "flow.py")
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_golden.py")
    with pytest.raises(AssertionError, match="1 failed"):
        python(here, *command)
    python(here, *command, "--update")

    assert yaml.safe_load_all((case / "argo.yaml").read_text(encoding="utf-8"))
    python(here, *command)
