"""In: an interpreter that lacks Metaflow. Out: proof that the bootstrap installs it where it may write, or says why not."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from runtime import simulate

from flowc.settings import METAFLOW_VERSION, Settings

FILE = simulate.FLOWS / "pod.py"
BARE = sys._base_executable  # type: ignore[attr-defined]


def lacks_metaflow(python: str) -> bool:
    """Whether an interpreter has pip, but no Metaflow: what an image for Python has."""
    probe = "import importlib.util as u, sys; sys.exit(not (u.find_spec('pip') and not u.find_spec('metaflow')))"
    return subprocess.run([python, "-c", probe], check=False).returncode == 0


pytestmark = pytest.mark.skipif(not lacks_metaflow(BARE), reason="needs an interpreter with pip and without Metaflow")


def wheel(name: str, folder: Path) -> list[str]:
    """Packs an installed distribution as the wheel it came from, and what it requires here; the names of what it requires."""
    found = metadata.distribution(name)
    tag = next(line[5:] for line in reversed((found.read_text("WHEEL") or "").splitlines()) if line.startswith("Tag: "))
    stem = found.metadata["Name"].replace("-", "_").replace(".", "_")
    with zipfile.ZipFile(folder / f"{stem}-{found.version}-{tag}.whl", "w") as archive:
        for file in found.files or ():
            if ".." not in file.parts and file.suffix != ".pyc" and file.name not in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
                archive.write(str(found.locate_file(file)), str(file))
        archive.writestr(f"{stem}-{found.version}.dist-info/RECORD", "")
    return [re.split(r"[^\w.-]", line)[0] for line in found.requires or () if "extra ==" not in line]


def pod(root: Path, install: bool) -> simulate.Engine:
    return simulate.engine(FILE, root, Settings(install=install), name="PodFlow", python=BARE)


def test_installing_is_off(tmp_path: Path) -> None:
    """Without leave to install, the pod says that the image has no Metaflow."""
    task = pod(tmp_path, install=False).start("only", "", ["only", "--first"], {})
    assert task.code == 1
    assert "flowc: the image has no metaflow, and may not install it" in task.stderr


def test_no_index_to_install_from(tmp_path: Path) -> None:
    """Where pip finds nothing, the pod says what it wanted and what can be done."""
    task = pod(tmp_path, install=True).start("only", "", ["only", "--first"], {"PIP_NO_INDEX": "1"})
    assert task.code == 1
    assert "flowc: pip cannot install " in task.stderr
    assert f"metaflow=={METAFLOW_VERSION}" in task.stderr


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("metaflow") is None, reason="packs the installed Metaflow")
def test_metaflow_is_installed_into_the_work_folder(tmp_path: Path) -> None:
    """From an index, the pinned Metaflow and its client are installed for this pod only, and run the step."""
    wheels, wanted, seen = tmp_path / "wheels", ["metaflow", "requests", "boto3"], set()
    wheels.mkdir()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            wanted += wheel(name, wheels)
    engine = pod(tmp_path, install=True)
    packages = json.dumps({"": [f"metaflow=={METAFLOW_VERSION}"], "local": ["requests"]})
    place = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "FLOWC_INSTALL": packages}
    task = engine.start("only", "", ["only", "--first"], place)
    assert task.code == 0, task.stderr
    assert not list(tmp_path.glob("flowc-*"))
    assert ("only", "") in simulate.results("PodFlow", tmp_path, engine.run_id)
