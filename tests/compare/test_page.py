"""What the page on migration says is so: its commands and settings are run in their order, beside the flow that they name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli.running import environment
from compare.made import ARGO, Metaflow
from kubernetes_server import Server, kubeconfig, served
from test_docs import ROOT, fences

PAGE = ROOT / "docs" / "migration.md"


def run(folder: Path, line: str, metaflow: Metaflow, **more: str) -> subprocess.CompletedProcess[str]:
    """A line of the page in a shell, with Metaflow's configuration; `flowc` and `python` are those of the tests."""
    bins = folder / "bin"
    bins.mkdir(exist_ok=True)
    (bins / "flowc").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flowc "$@"\n')
    (bins / "python").write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec "{sys.executable}" "$@"\n')
    for each in bins.iterdir():
        each.chmod(0o755)
    env = environment(**{**metaflow.environment, "METAFLOW_HOME": str(folder), "PATH": f"{bins}{os.pathsep}{os.environ['PATH']}", **more})
    return subprocess.run(["sh", "-c", line], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_the_page_in_its_order(tmp_path: Path, metaflow: Metaflow) -> None:
    """Metaflow's output differs from flowc's without settings, the text ends in the settings that the page shows, and with them nothing differs.

    Then flowc takes over, after a look, in a cluster that has what Metaflow made.
    """
    (tmp_path / ".git").mkdir()
    (tmp_path / "train.py").write_text((ROOT / "examples" / "train.py").read_text())
    first, second, third = (fence.text.splitlines() for fence in fences("sh") if fence.page == PAGE)
    (settings,) = (fence.text for fence in fences("toml") if fence.page == PAGE)
    made, compared = (run(tmp_path, line, metaflow) for line in first)
    assert made.returncode == 0, made.stderr
    assert compared.returncode == 1, compared.stderr
    assert compared.stdout.endswith(settings)
    (tmp_path / "pyproject.toml").write_text(settings)
    for line in second:
        done = run(tmp_path, line, metaflow)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "means the same" in run(tmp_path, second[0], metaflow).stdout
    server, path = Server(), "/apis/argoproj.io/v1alpha1/namespaces/default/workflowtemplates/train"
    old = json.loads((tmp_path / "old.json").read_text())
    server.objects[path] = {**old, "metadata": {**old["metadata"], "uid": "1", "resourceVersion": "1"}}
    server.owners[path] = dict.fromkeys((f"spec.{key}" for key in old["spec"]), "OpenAPI-Generator")
    with served(server) as address:
        (tmp_path / "config").write_text(json.dumps(kubeconfig(address, "default")))
        looked, taken = (run(tmp_path, line, metaflow, KUBECONFIG=str(tmp_path / "config")) for line in third)
    assert (looked.returncode, taken.returncode) == (0, 0), looked.stderr + taken.stderr
    assert "-  onExit: " in looked.stdout
    assert server.objects[path]["spec"] == next(yaml.safe_load_all((tmp_path / "train.yaml").read_text()))["spec"]
    assert server.objects[path]["metadata"]["uid"] == "1"


@pytest.mark.parametrize("heading", ["not compared", "not in Metaflow's output", "by design"])
def test_headings_of_the_page_are_those_of_the_text(heading: str, tmp_path: Path, metaflow: Metaflow) -> None:
    """The three lists that the page names stand in the text under these words."""
    from compare.made import compared
    from compare.test_changes import flows, put

    from flowc.report.comparison import render

    assert tmp_path
    old = metaflow.only_json(flows.PLAIN, ARGO)
    put(old["spec"], "ttlStrategy", {"secondsAfterCompletion": 5})
    text = render(compared(old, flows.PLAIN), "old → new", "text")
    assert f"*{heading}*" in PAGE.read_text(encoding="utf-8")
    assert re.search(rf"(?mi)^\w*.*{heading}", text)
