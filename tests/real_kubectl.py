"""In: this machine. Out: the real kubectl, and the mark of tests that ask it: `make test` skips them where there is none, `make e2e` runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

HOME = Path(os.environ.get("FLOWC_CLUSTER_HOME") or Path.home() / ".cache" / "flowc-cluster")
# the stamp: in CI the cluster is being built while these tests run
BUILT = HOME / "bin" / "kubectl" if any((HOME / "stamp").glob("kube-*")) else None
KUBECTL = shutil.which("kubectl") or (str(BUILT) if BUILT else None)
"""The machine's, or that of tests/engines/cluster where it was built."""


def needs_kubectl(test: Callable[..., None]) -> Callable[..., None]:
    """The mark."""
    return pytest.mark.kubectl(pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on this machine")(test))


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """The objects that `kubectl kustomize` builds of a folder."""
    assert KUBECTL is not None
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]
