"""In: an object and a patch. Out: what the real `kubectl patch --local --type=strategic` makes of them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from real_kubectl import KUBECTL


def patched(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any] | None:
    """The object as kubectl gives it; None where it refuses the patch."""
    assert KUBECTL is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object.json"
        path.write_text(json.dumps(value))
        command = [KUBECTL, "patch", "--local", "-f", str(path), "--type=strategic", "-o", "json", "-p", json.dumps(patch)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found
