"""Other judges of what flowc writes for Step Functions: npm's asl-validator of its state machines, cfn-lint of its stacks; needs npm's registry.

asl-validator 4.0 refuses some good JSONPath (`$.['a', 'b']`, `$.[0]`), which flowc does not write.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from e2e.laptop import FLOWS
from stepfunctions.generated import several

from flowc import cli

FIXTURES = FLOWS.parents[1] / "fixtures"
VALIDATOR = "asl-validator@4.0.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flowc-npm"
GENERATED = 60
BATCH = 25


@pytest.fixture(scope="module")
def asl_validator() -> Path:
    """The validator's program, from npm at a pinned version, once a machine."""
    program = CACHE / VALIDATOR / "node_modules" / ".bin" / "asl-validator"
    if not program.exists():
        if shutil.which("npm") is None:
            pytest.skip("there is no npm here")
        subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--prefix", str(CACHE / VALIDATOR), VALIDATOR], check=True, capture_output=True)
    return program


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with state machines and stacks: of the flows that run elsewhere, of the fixtures, and of generated flows."""
    folder = tmp_path_factory.mktemp("written")
    for flow in [*sorted(FLOWS.glob("*.py")), *sorted(FIXTURES.glob("*/flow.py"))]:
        name = flow.stem if flow.stem != "flow" else flow.parent.name
        for form in ("asl", "cloudformation"):
            _written(flow, folder / f"{name}-{form}", form)
    for number, done in enumerate(several(GENERATED, 4)):
        for artifact in done.artifacts:
            path = folder / f"generated-{number}" / artifact.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(artifact.text)
    return folder


def _written(flow: Path, folder: Path, form: str) -> None:
    """Compile one flow, in this process since there are many; that flowc refuses it, with a diagnostic, is fine."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = cli.run(["compile", str(flow), "--target", "step-functions", "--isolated", "--format", form, "--out-dir", str(folder)])
    assert code == 0 or (code == 1 and "error[FC" in said.getvalue()), said.getvalue()


def batches(paths: Sequence[Path]) -> list[list[str]]:
    return [[str(path) for path in paths[start : start + BATCH]] for start in range(0, len(paths), BATCH)]


@pytest.mark.e2e
def test_asl_validator_accepts_the_machines(asl_validator: Path, written: Path) -> None:
    """Every state machine is valid by asl-validator."""
    machines = sorted(written.glob("*/*.asl.json"))
    assert len(machines) > GENERATED // 4
    for several_ in batches(machines):
        options = [part for path in several_ for part in ("--json-path", path)]
        done = subprocess.run([str(asl_validator), *options], capture_output=True, text=True, check=False)
        refused = [line for line in (done.stdout + done.stderr).splitlines() if "✓" not in line and line.strip()]
        assert (done.returncode, refused) == (0, [])


@pytest.mark.e2e
def test_asl_validator_is_a_judge(asl_validator: Path, written: Path) -> None:
    """The same program refuses a machine with a state that nothing leads to."""
    machine = json.loads(next(iter(sorted(written.glob("*/*.asl.json")))).read_text())
    machine["States"]["orphan"] = {"Type": "Pass", "End": True}
    path = written / "orphan.json"
    path.write_text(json.dumps(machine))
    assert subprocess.run([str(asl_validator), "--json-path", str(path)], capture_output=True, check=False).returncode != 0


@pytest.mark.e2e
def test_cfn_lint_accepts_the_stacks(written: Path) -> None:
    """cfn-lint finds neither errors nor warnings in any stack."""
    stacks = sorted(written.glob("*/*.stack.yaml"))
    assert len(stacks) > GENERATED // 4
    for several_ in batches(stacks):
        command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "json", "--regions", "us-east-1", "--", *several_]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = json.loads(done.stdout or "[]")
        assert [(each["Filename"], each["Rule"]["Id"], each["Message"]) for each in found] == [], done.stderr[-2000:]
        assert done.returncode == 0, done.stderr[-2000:]
