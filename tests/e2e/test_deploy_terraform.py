"""Both roots of terraform/ are planned and applied to moto, what comes out feeds a first compile, and a security scan finds nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from e2e.cluster import ROOT, run
from e2e.runs import flowc_command

pytestmark = pytest.mark.e2e

ENGINE = ROOT / "tests" / "engines" / "terraform"
EXAMPLES = ROOT / "terraform" / "examples"
REGION = ("-var", "region=eu-west-1")
GITHUB = ("-var", 'github={repository="acme/flows"}')
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_", "TF_VAR_"))}


@pytest.fixture(scope="module")
def terraform() -> Path:
    """The checker of tests/engines/terraform, built."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform on this machine")
    built = subprocess.run([ENGINE / "tfcheck.sh", "build"], capture_output=True, text=True, check=False)
    if "no mirror" in built.stderr:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built.stderr
    return ENGINE / "tfcheck.sh"


@pytest.fixture(scope="module")
def scan() -> Path:
    """The scanner, built."""
    run([ENGINE / "scan.sh", "build"], env=ENV, seconds=600)
    return ENGINE / "scan.sh"


def failed(command: list[str | Path]) -> str:
    """All that a command says that must fail."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENV, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "variables", "target", "kept"),
    [
        # moto has no add-ons, access entries and pod identity: these are planned below
        ("kubernetes", ("-var", "eks_extras=false"), "argo", "service_account"),
        ("aws-native", ("-var", "metadata_service=true"), "step-functions", "batch_queue"),
    ],
)
def test_an_apply_feeds_a_first_compile(
    terraform: Path, platform: str, variables: tuple[str, ...], target: str, kept: str, tmp_path: Path
) -> None:
    """`apply`, `terraform output -json | flowc config import -`, `flowc compile`: three commands, nothing typed between them."""
    outputs = tmp_path / "outputs.json"
    command = [terraform, "apply", EXAMPLES / platform, *REGION, *GITHUB, *variables]
    told = run(command, env={**ENV, "FLOWC_TF_OUTPUTS": str(outputs)}, seconds=400)
    assert "Apply complete!" in told
    flow = shutil.copy(ROOT / "examples" / "train.py", tmp_path)
    run([*flowc_command(), "config", "import", "-"], env=ENV, cwd=tmp_path, text=outputs.read_text())
    manifest = run([*flowc_command(), "compile", flow, "--target", target], env=ENV, cwd=tmp_path)
    values = json.loads(outputs.read_text())
    assert values["datastore_root"]["value"] in manifest
    assert values[kept]["value"] in manifest
    # the outputs that tests without Terraform use are these, but for what is made of chance
    remembered = json.loads((ROOT / "tests" / "terraform" / f"{platform}.json").read_text())
    assert set(remembered) == set(values)
    assert {name: each["type"] for name, each in remembered.items()} == {name: each["type"] for name, each in values.items()}


@pytest.mark.parametrize(
    ("platform", "variables"),
    [
        ("kubernetes", ("api_cidrs=[\"203.0.113.7/32\"]", "pod_roles=pod-identity", "observability=true", "metadata_service=true")),
        ("kubernetes", ("nodes=karpenter", "nat=none", "private_endpoints=true", 'admin_role_arns=["arn:aws:iam::123456789012:role/a"]')),
        ("aws-native", ("event_bus=true", "table=true", "nat=per-zone", "zones=3", 'compute_environments={flows={type="FARGATE"}}')),
    ],
)
def test_every_switch_plans(terraform: Path, platform: str, variables: tuple[str, ...]) -> None:
    """What moto cannot create is planned all the same: add-ons, access entries, pod identity, Karpenter, Fargate, endpoints."""
    flags = [part for variable in variables for part in ("-var", variable)]
    told = run([terraform, "plan", EXAMPLES / platform, *REGION, *GITHUB, *flags], env=ENV, seconds=300)
    assert "0 to change, 0 to destroy" in told
    for switch, resource in SHOWN.items():
        assert (f'{resource}"' in told or f"{resource}[" in told or f"{resource} " in told) == (switch in variables), (switch, resource)


SHOWN = {
    "pod_roles=pod-identity": "aws_eks_pod_identity_association.pods",
    "nodes=karpenter": "aws_sqs_queue.karpenter",
    "event_bus=true": "aws_cloudwatch_event_bus.this",
    "table=true": "aws_dynamodb_table.this",
    "metadata_service=true": "aws_db_instance.this",
}


@pytest.mark.parametrize(
    ("platform", "unsafe"),
    [
        (
            "kubernetes",
            {
                'api_cidrs=["0.0.0.0/0"]': "nothing wider than /8",
                "nat=none": "needs private_endpoints",
                'github={repository="acme/flows", subjects=["pull_request"]}': "anybody can open",
            },
        ),
        ("aws-native", {"stack_prefix=": "CI may make and pass every role", "default_queue=nowhere": "one of compute_environments"}),
    ],
    ids=["kubernetes", "aws-native"],
)
def test_unsafe_values_are_refused(terraform: Path, platform: str, unsafe: dict[str, str]) -> None:
    """Each variable's own validation stops a plan that would open something, and says why; one plan tells of all."""
    flags = [part for variable in unsafe for part in ("-var", variable)]
    told = " ".join(failed([terraform, "plan", EXAMPLES / platform, *REGION, *flags]).replace("│", " ").split())
    assert told.count("Error: Invalid value for variable") == len(unsafe)
    assert [message for message in unsafe.values() if message not in told] == []


def test_the_scan_finds_nothing(scan: Path) -> None:
    """checkov has no finding in terraform/, and could read every file."""
    told = run([scan, "scan", ROOT / "terraform"], env=ENV)
    assert "Failed checks: 0" in told


def test_the_scan_sees_what_is_wrong(scan: Path) -> None:
    """The judge works: an open bucket, a role that may do all, an open database and an open port are found."""
    told = failed([scan, "scan", ENGINE / "sample-insecure"])
    for code in ("CKV_AWS_20", "CKV_AWS_1", "CKV_AWS_17", "CKV_AWS_24"):
        assert f"Check: {code}:" in told, code
