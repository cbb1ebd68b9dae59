"""Facts about terraform/ that need no cloud: documented, formatted, valid by the real provider's schema, and in step with flowc's table."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from terraform.terraform_text import EXAMPLES, MODULES, ROOT, TERRAFORM, blocks, defaults

from flowc.commands.importing import OUTPUTS, PEOPLE, PLATFORMS
from flowc.config import OPTIONS

TOOL = ROOT / "tests" / "engines" / "terraform" / "tfcheck.sh"


def names(path: Path) -> str:
    return path.relative_to(TERRAFORM).as_posix()


@pytest.fixture(scope="module")
def terraform() -> Path:
    """The checker of tests/engines/terraform, with the provider of this machine."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform on this machine")
    found = subprocess.run([TOOL, "providers"], capture_output=True, text=True, check=False)
    if "no mirror" in found.stderr:
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    return TOOL


@pytest.mark.parametrize("folder", [*MODULES, *EXAMPLES], ids=names)
def test_every_variable_and_output_says_what_it_is(folder: Path) -> None:
    """Each variable has a description and a type, each output a description."""
    variables, outputs = blocks(folder, "variable"), blocks(folder, "output")
    assert variables
    assert outputs
    assert [name for name, body in variables.items() if not re.search(r'^  description += ".+\."$', body, re.MULTILINE)] == []
    assert [name for name, body in variables.items() if not re.search(r"^  type += ", body, re.MULTILINE) or "= any" in body] == []
    assert [name for name, body in outputs.items() if not re.search(r'^  description += ".+"$', body, re.MULTILINE)] == []


@pytest.mark.parametrize("folder", [*MODULES, *EXAMPLES], ids=names)
def test_every_exception_has_a_reason(folder: Path) -> None:
    """What the scan leaves out is left out for a reason that stands on its line."""
    lines = [line for path in folder.glob("*.tf") for line in path.read_text(encoding="utf-8").splitlines() if "checkov:skip" in line]
    assert [line for line in lines if not re.fullmatch(r"\s+#checkov:skip=CKV2?_AWS_\d+:\S.{10,}", line)] == []


@pytest.mark.parametrize("folder", EXAMPLES, ids=names)
def test_outputs_are_those_of_the_table(folder: Path) -> None:
    """Each example has every output that flowc reads of its platform, and no other but those for people."""
    wanted = {output.name for output in OUTPUTS if folder.name in output.of}
    assert wanted <= set(blocks(folder, "output")) <= wanted | set(PEOPLE)


def test_the_table_names_settings_and_examples() -> None:
    """Each output becomes a setting that there is; each platform has an example; each name for people is of some example."""
    fields = {option.field for option in OPTIONS}
    assert {output.setting for output in OUTPUTS} - {""} <= fields
    assert {folder.name for folder in EXAMPLES} == set(PLATFORMS)
    assert set(PEOPLE) <= {name for folder in EXAMPLES for name in blocks(folder, "output")}


def test_defaults_are_safe() -> None:
    """Whoever sets nothing gets a private API server, network policy, logs, and artifacts that `destroy` leaves."""
    kubernetes = defaults(TERRAFORM / "examples" / "kubernetes")
    assert kubernetes["api_cidrs"] == "[]"
    assert (kubernetes["network_policy"], kubernetes["force_destroy"], kubernetes["eks_extras"]) == ("true", "false", "true")
    assert defaults(TERRAFORM / "modules" / "network")["flow_logs"] == "true"
    assert defaults(TERRAFORM / "modules" / "datastore")["access_logs"] == "true"


def test_all_is_formatted(terraform: Path) -> None:
    """`terraform fmt -check` has nothing to say."""
    done = subprocess.run(["terraform", "fmt", "-check", "-diff", "-recursive", TERRAFORM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", EXAMPLES, ids=names)
def test_valid_by_the_providers_schema(terraform: Path, folder: Path) -> None:
    """Each example, and with it every module, passes `terraform validate` with the real aws provider."""
    done = subprocess.run([terraform, "validate", folder], capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_judge_of_validity_works(terraform: Path) -> None:
    """A configuration with seven mistakes and a bad indent is refused for each."""
    bad = TOOL.parent / "sample-bad"
    done = subprocess.run([terraform, "validate", bad], capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 1
    assert told.count("Error: ") == 7, told
    assert "not formatted" in told
