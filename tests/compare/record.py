"""In: a Python with another version of Metaflow. Out: recorded/VERSION.json, what that version compiles of flows.OLD.

    uv venv /tmp/old && uv pip install --python /tmp/old/bin/python metaflow==2.12.39 boto3 kubernetes
    PYTHONPATH=.:tests python tests/compare/record.py /tmp/old/bin/python

Versions before 2.19 ask a cluster for the deployed template even then: $KUBECONFIG must name one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from compare import flows, made
from compare.made import ARGO
from e2e.runs import without_nulls

RECORDED = Path(__file__).parent / "recorded"


def main(python: str) -> None:
    """Write the file of the version that this Python has."""
    asked = [python, "-c", "import metaflow; print(metaflow.__version__.partition('+')[0])"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder, made.metaflow(Path(folder), python) as compiler:
        old = without_nulls(compiler.only_json(flows.OLD, ARGO))
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{version}.json").write_text(json.dumps(old, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
