"""In: a deployment that flowc wrote. Out: proof that Metaflow's own tools find it, start it and follow its run."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from e2e.cases import Case
from e2e.cluster import LABEL, LOGS, SESSION, Cluster, run
from e2e.laptop import FLOWS
from e2e.runs import by_flowc, deploy, finish

DEPLOYER = """
from metaflow import DeployedFlow
from metaflow.plugins.argo.argo_workflows import ArgoWorkflows
assert "e2e-tools" in ArgoWorkflows.list_templates("OneStepFlow")
found = DeployedFlow.from_argo_workflows("e2e-tools")
run = found.trigger(base=7)
print(found.flow_name, run.pathspec)
"""


@pytest.mark.e2e
def test_metaflow_finds_and_starts_it(cluster: Cluster) -> None:
    """`argo-workflows trigger`, the list of deployments and the Deployer take flowc's deployment for Metaflow's own."""
    template = deploy(by_flowc(Case("tools", "one_step"), cluster), cluster, LOGS / cluster.argo_version / "flowc-tools")
    command = [sys.executable, "one_step.py", "--no-pylint", "argo-workflows", "--name", template]

    with tempfile.TemporaryDirectory() as folder:
        run([*command, "trigger", "--base", "41", "--run-id-file", f"{folder}/id"], env=cluster.metaflow_env(), cwd=FLOWS)
        by_command = Path(folder, "id").read_text().strip().removeprefix("argo-")
    said = run([sys.executable, "-c", DEPLOYER], env=cluster.metaflow_env(), cwd=FLOWS)
    by_deployer = said.split()[-1].removeprefix("OneStepFlow/argo-")

    for name, base in ((by_command, "41"), (by_deployer, "7")):
        cluster.kubectl("label", "workflow", name, f"{LABEL}={SESSION}")
        workflow = finish(name, cluster)
        assert workflow["status"]["phase"] == "Succeeded"
        assert {p["name"]: p["value"] for p in workflow["spec"]["arguments"]["parameters"]} == {"base": base}
