"""In: a WorkflowTemplate that Metaflow deployed, on a real cluster. Out: proof of what the page on migration says of replacing it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from compare.made import ARGO, MATCHING, metaflow
from e2e.cluster import ROOT, SESSION, Cluster, run
from e2e.kubernetes_runs import plain
from e2e.runs import flowc_command, without_nulls

pytestmark = pytest.mark.e2e
NAMESPACE = f"flowc-migration-{SESSION.partition('-')[0]}"
FLOW = ROOT / "examples" / "train.py"


def test_metaflows_template_is_taken_over_and_not_applied_over(cluster: Cluster, tmp_path: Path) -> None:
    """A plain server-side apply leaves Metaflow's `onExit` without the template that it names; flowc refuses that, and with --replace
    what is deployed then, in the same object, means what Metaflow's did.
    """
    with metaflow(tmp_path / "metaflow") as compiler:
        old = without_nulls(compiler.only_json(FLOW.read_text(), ARGO, METAFLOW_KUBERNETES_NAMESPACE=NAMESPACE))
    settings = [*("--datastore", "s3", "--datastore-root", str(MATCHING[ARGO]["datastore_root"])), "--namespace", NAMESPACE, "--isolated"]
    env = {**plain(), "KUBECONFIG": cluster.env["KUBECONFIG"]}
    applied = [*flowc_command(), "apply", str(FLOW), "--target", "argo", *settings]

    def kubectl(*arguments: str, text: str | None = None) -> str:
        return run(["kubectl", "-n", NAMESPACE, *arguments], env=cluster.env, text=text)

    run(["kubectl", "create", "namespace", NAMESPACE], env=cluster.env)
    try:
        kubectl("create", "-f", "-", text=json.dumps(old))
        made = json.loads(kubectl("get", "workflowtemplate", "train", "-o", "json"))
        text = run([*flowc_command(), "compile", str(FLOW), "--target", "argo", *settings], env=env)
        mixed = json.loads(kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-o", "json", "-f", "-", text=text))
        spec = next(each for each in mixed["items"] if each["kind"] == "WorkflowTemplate")["spec"]
        assert spec["onExit"] not in {template["name"] for template in spec["templates"]}
        refused = subprocess.run([*applied, "--force-conflicts"], env=env, capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert "spec.onExit" in refused.stderr
        run([*applied, "--replace"], env=env)
        live = json.loads(kubectl("get", "workflowtemplate", "train", "-o", "json"))
        assert live["metadata"]["uid"] == made["metadata"]["uid"]
        assert "onExit" not in live["spec"]
        assert run([*applied, "--diff"], env=env) == ""
        (tmp_path / "live.json").write_text(kubectl("get", "workflowtemplate", "train", "-o", "json"))
        (tmp_path / "old.json").write_text(json.dumps(old))
        for name in ("old.json", "live.json"):
            said = run([*flowc_command(), "compare", "--only-json", str(tmp_path / name), str(FLOW), *settings], env=env)
            assert "means the same" in said
    finally:
        run(["kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"], env=cluster.env)
