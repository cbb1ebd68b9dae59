"""The bytes of a compile are a function of the flow and the settings: not of the user, the machine, the place, the time or the Python."""

from __future__ import annotations

import datetime as dt
import functools
import getpass
import os
import platform
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import click
import pytest
from cli.running import environment

import flowc
from flowc.compiler import check, compile_flow
from flowc.output import stream
from flowc.settings import Settings
from flowc.source import SourceFile

ROOT = Path(__file__).resolve().parents[1]
FLOWS = {path.parent.name: path for path in sorted((ROOT / "tests" / "fixtures").glob("*/flow.py")) if (path.parent / "argo.yaml").exists()}
EVENTS = ("--events-event", "flow", "--events-event-source", "webhook", "--events-service-account", "argo-events")
PROGRAM = """\
import sys
from flowc.cli import run
options, flows = sys.argv[1].split("|"), sys.argv[2:]
for path in flows:
    sys.stdout.flush()
    code = run(["compile", path, "--target", "argo", *options])
    assert code == 0, path
"""
PLACES = {
    "user": {"USER": "zzuser", "LOGNAME": "zzuser", "USERNAME": "zzuser", "METAFLOW_USER": "zzuser"},
    "home": {"HOME": "/nonexistent/zzhome"},
    "time zone": {"TZ": "Pacific/Kiritimati"},
    "seed 0": {"PYTHONHASHSEED": "0"},
    "seed 4711": {"PYTHONHASHSEED": "4711"},
    "locale": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "metaflow": {"METAFLOW_DEFAULT_DATASTORE": "gs", "METAFLOW_PROFILE": "zzprofile", "METAFLOW_KUBERNETES_NAMESPACE": "zz"},
    "optimised": {"PYTHONOPTIMIZE": "2"},
}


def compiled(*flows: str, python: str = sys.executable, cwd: Path = ROOT, umask: int = -1, **env: str) -> bytes:
    """What a process writes for all the flows."""
    command = [python, "-c", PROGRAM, "|".join((*EVENTS, "--isolated")), *flows]
    done = subprocess.run(command, capture_output=True, cwd=cwd, env={**environment(), **env}, umask=umask, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@functools.cache
def expected() -> bytes:
    """The same in this process."""
    settings = Settings(events_event="flow", events_event_source="webhook", events_service_account="argo-events")
    texts = []
    for path in FLOWS.values():
        files = {each.name: each.read_bytes() for each in path.parent.glob("*.py")}
        source = SourceFile("flow.py", files["flow.py"].decode())
        for flow, graph in check(source, files.get, settings).flows:
            texts.append(stream(compile_flow(flow, graph, "argo", settings).artifacts))
    return "".join(texts).encode()


@pytest.mark.parametrize("place", PLACES)
def test_the_environment_decides_nothing(place: str) -> None:
    """Users, homes, time zones, seeds, locales and Metaflow's configuration."""
    assert compiled(*map(str, FLOWS.values()), **PLACES[place]) == expected()


def test_the_place_decides_nothing(tmp_path: Path) -> None:
    """Absolute and relative paths, other working folders, another folder of the flow, another umask."""
    moved = []
    for name, path in FLOWS.items():
        shutil.copytree(path.parent, tmp_path / "a folder" / name)
        moved.append(f"{name}/flow.py")
    assert compiled(*moved, cwd=tmp_path / "a folder") == expected()
    assert compiled(*(f"a folder/../a folder/{path}" for path in moved), cwd=tmp_path, umask=0o077) == expected()
    assert compiled(*map(str, FLOWS.values()), cwd=Path("/")) == expected()


def interpreters() -> dict[str, str]:
    """Python 3.10 to 3.13 as far as they are on this machine, by version; this process's own is not among them."""
    found = {}
    for minor in range(10, 14):
        version = f"3.{minor}"
        pyenv = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
        candidates = [shutil.which(f"python{version}") or "", *map(str, pyenv)]
        for python in filter(None, candidates):
            probe = "import sys; print('%d.%d' % sys.version_info[:2])"
            done = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
            if done.stdout.strip() == version and version != ".".join(platform.python_version_tuple()[:2]):
                found[version] = python
    return found


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_the_python_decides_nothing(version: str) -> None:
    """Other Pythons, with the packages that are installed here: those that a compile needs run without their extensions."""
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine, or it runs this test")
    path = os.pathsep.join([environment()["PYTHONPATH"], str(Path(click.__file__).parents[1])])
    env = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    assert compiled(*map(str, FLOWS.values()), python=python, **env) == expected()


def test_nothing_of_the_machine_is_written() -> None:
    """No date, no user, no host, no path of the machine, no version of flowc."""
    text = expected().decode()
    now = dt.datetime.now(tz=dt.timezone.utc)
    words = {getpass.getuser(), socket.gethostname(), str(Path.home()), str(ROOT), f"{now:%Y-%m-%d}", str(int(now.timestamp()))[:6]}
    # a name that flows use too ("root", "runner") tells nothing
    sources = "".join(p.read_text(encoding="utf-8") for path in FLOWS.values() for p in path.parent.glob("*.py"))
    script = Path(flowc.__file__).with_name("bootstrap.py").read_text(encoding="utf-8")
    assert {word for word in words if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) and word not in sources + script} == set()
    assert re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text) == []
    assert flowc.__version__ not in text


def test_the_core_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading, checking and lowering never ask for the time, the user, the host, chance, or the environment."""
    asked = []

    def trap(name: str) -> Any:
        return lambda *_args, **_named: asked.append(name)

    expected.cache_clear()
    with monkeypatch.context() as patch:
        for module, name in ((time, "time"), (time, "gmtime"), (time, "localtime"), (getpass, "getuser"), (socket, "gethostname")):
            patch.setattr(module, name, trap(name))
        for module, name in ((random, "random"), (uuid, "uuid4"), (uuid, "uuid1"), (os, "getcwd"), (os, "getenv"), (os, "urandom")):
            patch.setattr(module, name, trap(name))
        patch.setattr(platform, "node", trap("node"))
        again = expected()
    expected.cache_clear()
    assert asked == []
    assert again == expected()
