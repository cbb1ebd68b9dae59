"""Facts about what is the same: of flows that both compile, Metaflow's own output and flowc's are read to the same meaning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from compare import flows, made
from compare.made import ARGO, MAIN, STATES

HERE = Path(__file__).parents[1]
GOLDEN = ("linear", "branches", "nested_foreach", "loop_in_foreach", "switch_skips", "gang", "production")
FLOWS = ("branches", "fan", "nested", "loop", "loop_in_fan", "retries", "timeouts", "one_step", "own_ends", "pod", "switch", "text", "hooks", "clock")


def text_of(path: Path) -> tuple[str, dict[str, str]]:
    """A flow's text, launched where its file launches none, and the modules beside it."""
    text = path.read_text()
    name = re.findall(r"^class (\w+)\(FlowSpec", text, re.MULTILINE)[-1]
    beside = {each.name: each.read_text() for each in path.parent.glob("*.py") if each != path} if path.name == "flow.py" else {}
    return (text if "__main__" in text else text + MAIN.format(name)), beside


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_flows_on_argo(name: str, metaflow: made.Metaflow) -> None:
    """The flows of the goldens mean on Argo what Metaflow's own WorkflowTemplate means, and nothing is left unread on either side."""
    text, beside = text_of(HERE / "fixtures" / name / "flow.py")
    found = made.compared(metaflow.only_json(text, ARGO, files=beside), text, files=beside)
    assert found.changes == ()
    assert found.not_compared == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_flows_of_the_clusters(name: str, metaflow: made.Metaflow) -> None:
    """So do those that run on the clusters."""
    text, beside = text_of(HERE / "e2e" / "flows" / f"{name}.py")
    found = made.compared(metaflow.only_json(text, ARGO, files=beside), text, files=beside)
    assert found.changes == ()
    assert found.not_compared == ()


def test_a_flow_with_much_in_it(metaflow: made.Metaflow) -> None:
    """Every attribute of @kubernetes, retries, @catch, @timeout, variables that Argo would expand, schedule, events, hooks, limits and tags."""
    options = ("--tag", "a", "--max-workers", "7", "--workflow-timeout", "900", "--workflow-priority", "3", "--workflow-title", "Mine")
    old = metaflow.only_json(flows.RICH, ARGO, *options, **flows.EVENT_VARIABLES)
    settings = {"tags": ("a",), "max_workers": 7, "workflow_timeout": 900, "workflow_priority": 3, "title": "Mine"}
    found = made.compared(old, flows.RICH, environment=flows.EVENT_VARIABLES, **settings, **flows.EVENTS)
    assert made.told(found) == {}
    assert found.not_compared == ()
    assert any("CronWorkflow rich, Sensor rich" in sentence for sentence in found.absent)


@pytest.mark.parametrize("name", ["linear", "nested_foreach"])
def test_golden_flows_on_step_functions(name: str, metaflow: made.Metaflow) -> None:
    """State machines too: Maps within Maps, and defaults of parameters."""
    text, beside = text_of(HERE / "fixtures" / name / "flow.py")
    found = made.compared(metaflow.only_json(text, STATES, files=beside), text, STATES)
    assert found.changes == ()
    assert found.not_compared == ()


def test_a_flow_for_batch(metaflow: made.Metaflow) -> None:
    """Branches, a foreach in one of them, @batch, @retry, @timeout and @environment."""
    found = made.compared(metaflow.only_json(flows.BATCH, STATES), flows.BATCH, STATES)
    assert made.told(found) == {}
    assert found.not_compared == ()
    assert any(sentence.startswith("Time limits: flowc gives each attempt 300 s more") for sentence in found.by_design)


@pytest.mark.parametrize(("top", "settings"), [(("--branch", "b1"), {"branch": "b1"}), ((), {"owner": "tests"})])
def test_projects(top: tuple[str, ...], settings: dict[str, str], metaflow: made.Metaflow) -> None:
    """@project gives the same name, branch and title on both sides, of a branch and of a person."""
    text = flows.PLAIN.replace("import FlowSpec, step\n\n\n", 'import FlowSpec, project, step\n\n\n@project(name="ads")\n')
    old = metaflow.only_json(text, ARGO, top=("--with", "kubernetes", *top))
    assert made.told(made.compared(old, text, **settings)) == {}
