"""`flowc targets --flow` tells of each feature of a flow what each target's own checks say of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO, flowc

pytestmark = pytest.mark.usefixtures("here")
LARGE = HELLO.replace("FlowSpec, step", "FlowSpec, environment, step").replace(
    "    @step\n    def start", "    @environment(vars={'A': 'x' * 70_000, 'B': 'x' * 70_000})\n    @step\n    def start", 1
)
TRIGGERED = HELLO.replace("FlowSpec, step", "FlowSpec, step, trigger").replace("class Hello", "@trigger(event='data')\nclass Hello")


def _table(*arguments: str) -> dict[str, dict[str, dict[str, object]]]:
    """Feature -> target -> what the table says."""
    (one,) = json.loads(flowc("targets", *arguments, "--output-format", "json").stdout)
    return {row["feature"]: row["targets"] for row in one["features"]}


def test_what_all_carry(here: Path) -> None:
    """A plain flow is carried by every target there is; the place of each feature is told."""
    listed = [line.partition(":")[0] for line in flowc("targets").stdout.splitlines() if not line.startswith(" ")]
    (one,) = json.loads(flowc("targets", "--flow", "hello.py", "--output-format", "json").stdout)
    assert one["flow"] == "HelloFlow"
    (row,) = one["features"]
    assert row["feature"] == "linear"
    assert row["places"] == [{"path": "hello.py", "line": (here / "hello.py").read_text().split("self.next")[0].count("\n") + 1}]
    assert list(row["targets"]) == listed
    assert all(cell["carried"] and cell["codes"] == [] and cell["since"] is None for cell in row["targets"].values())


def test_a_refusal_is_the_targets_own(here: Path) -> None:
    """What `compile` refuses for a target is refused in its column, with the code and the words of the diagnostic, at the feature it points to."""
    (here / "triggered.py").write_text(TRIGGERED)
    said = flowc("compile", "triggered.py", "-t", "argo", code=1).stderr
    code, message = re.findall(r"error\[(FC\d+)\]: (.*)", said)[0]
    cell = _table("--flow", "triggered.py")["@trigger"]["argo"]
    assert (cell["carried"], cell["codes"], cell["messages"]) == (False, [code], [message])
    assert f"refused {code}" in flowc("targets", "--flow", "triggered.py").stdout
    settings = ["--events-event", "e", "--events-event-source", "s", "--events-service-account", "a"]
    assert _table("--flow", "triggered.py", *settings)["@trigger"]["argo"]["carried"], "settings count"


def test_since_which_version(here: Path) -> None:
    """What only later versions of an engine carry is told with the first of them; a warning is told too."""
    (here / "large.py").write_text(LARGE)
    cell = _table("--flow", "large.py")["a step that this Argo cannot hand to a pod"]["argo"]
    assert (cell["carried"], cell["since"], cell["until"]) == (True, "3.6", None)
    told = flowc("targets", "--flow", "large.py").stdout
    assert "carried from 3.6" in told
    assert "carried, see FC534" in told


def test_what_belongs_to_no_feature(here: Path) -> None:
    """A refusal of the flow as a whole has a row of its own, named as the code is."""
    row = _table("--flow", "hello.py", "--name", "x" * 70)
    assert row["the workflow's name is too long"]["argo"]["carried"] is False


def test_a_wrong_flow_has_no_table(here: Path) -> None:
    """Errors that no target has to do with are reported, and nothing is printed; one file is asked for."""
    (here / "broken.py").write_text(BROKEN)
    done = flowc("targets", "--flow", "broken.py", code=1)
    assert done.stdout == ""
    assert done.stderr.startswith("error[FC")
    assert "--flow takes one" in flowc("targets", "--flow", "*.py", code=2).stderr
