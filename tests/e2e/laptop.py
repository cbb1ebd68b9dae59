"""In: a flow and its parameters. Out: the artifacts of `python flow.py run` on this machine, the truth that a run on a cluster is compared with."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FLOWS = HERE / "flows"
MEMORY = HERE.parents[1] / ".pytest_cache" / "flowc-laptop"
"""What laptop runs left, a file a run; thrown away with pytest's cache."""
COLLECT = HERE / "collect.py"
_LOCKS: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def key(flow: str, parameters: Mapping[str, str]) -> str:
    """Names a laptop run: equal where nothing that it depends on has changed."""
    seen = hashlib.sha256(json.dumps([sys.version_info[:2], flow, dict(parameters)], sort_keys=True).encode())
    for path in sorted(p for p in FLOWS.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        if path.suffix != ".py" or path.stem in (flow, "shared_base"):
            seen.update(path.read_bytes())
    seen.update(COLLECT.read_bytes())
    return seen.hexdigest()[:20]


def environment(home: Path) -> dict[str, str]:
    """An environment in which Metaflow stays inside `home`. `python` is this interpreter: Metaflow starts a gang's tasks by that name."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "HOME": str(home),
        "METAFLOW_HOME": str(home),
        "METAFLOW_USER": "e2e",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home),
    }


def run(flow: str, class_name: str, parameters: Mapping[str, str], *, seconds: float = 300) -> dict[str, Any]:
    """`{"phase": Succeeded or Failed, "artifacts": step -> tasks, "log": the end of the output}`"""
    with tempfile.TemporaryDirectory(prefix="flowc-laptop-") as folder:
        home = Path(folder)
        shutil.copytree(FLOWS, home / "flows", ignore=shutil.ignore_patterns("__pycache__", ".metaflow"))
        given = [f"--{name}={value}" for name, value in parameters.items()]
        command = [sys.executable, f"{flow}.py", "--no-pylint", "--quiet", "run", "--run-id-file", str(home / "run"), *given]
        env = environment(home)
        done = subprocess.run(command, cwd=home / "flows", env=env, capture_output=True, text=True, timeout=seconds, check=False)
        log = (done.stdout + done.stderr)[-6000:]
        run_file = home / "run"
        if not run_file.exists():
            raise AssertionError(f"the laptop did not start {flow}:\n{log}")
        arguments = ["local", str(home / ".metaflow"), class_name, run_file.read_text().strip()]
        reading = [sys.executable, str(COLLECT), *arguments]
        collected = subprocess.run(reading, env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False)
        if collected.returncode:
            raise AssertionError(f"the laptop's artifacts of {flow} cannot be read:\n{collected.stderr[-4000:]}")
        return {"phase": "Failed" if done.returncode else "Succeeded", "artifacts": json.loads(collected.stdout), "log": log}


def truth(flow: str, class_name: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """What `run` gives, remembered until something that it depends on changes; of several threads that ask at once, one runs it."""
    name = key(flow, parameters)
    known = MEMORY / f"{name}.json"
    with _LOCKS[name]:
        if not known.exists():
            text = json.dumps(run(flow, class_name, parameters), sort_keys=True)
            MEMORY.mkdir(parents=True, exist_ok=True)
            whole = known.with_suffix(f".{os.getpid()}")
            whole.write_text(text)
            whole.replace(known)
        return dict(json.loads(known.read_text()))
