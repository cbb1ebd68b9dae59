"""Facts about the coordinator: one file is all there is to apply, it may do little, and its name is what it runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from kubernetes_objects import Object, objects, one, plan_of, result

from flowc.cli import run
from flowc.deployment.samples import sample
from flowc.output import stream
from flowc.output.dump import dump
from flowc.targets.kubernetes.coordinator import library, readable

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOLDENS = sorted(FIXTURES.glob("*/kubernetes.yaml"))
SCHEDULED = sample("schedule", "@schedule(cron='0 6 ? * MON-FRI *', timezone='Europe/Berlin')")


def pod(job: Object) -> Object:
    template = job["spec"]["template"] if job["kind"] == "Job" else job["spec"]["jobTemplate"]["spec"]["template"]
    return dict(template["spec"])


def name(text: str, **settings: object) -> str:
    return str(one(objects(text, **settings), "Job")["metadata"]["name"])


def test_the_stream_is_complete() -> None:
    """What the coordinator's pod names (its account, its files) is in the same stream, before it."""
    made = objects(sample())
    assert [each["kind"] for each in made] == ["ServiceAccount", "Role", "RoleBinding", "ConfigMap", "ConfigMap", "Job"]
    spec = pod(made[-1])
    assert spec["serviceAccountName"] == made[0]["metadata"]["name"]
    held = one(made, "ConfigMap")
    volume = next(v["configMap"] for v in spec["volumes"] if "configMap" in v)
    assert volume["name"] == held["metadata"]["name"]
    assert {item["key"] for item in volume["items"]} == set(held["data"])
    shared = plan_of(made)["shared"]["spec"]["template"]["spec"]
    code = next(v["configMap"] for v in shared["volumes"] if "configMap" in v)
    assert code["name"] in [each["metadata"]["name"] for each in made]


def test_a_name_says_what_runs() -> None:
    """The same flow and settings give the same Job, so that applying them again starts nothing; any change that reaches a run gives another."""
    changed = sample().replace("pass", "print()")
    settings = [{}, {"image": "other:1"}, {"environment": {"A": "1"}}, {"tags": ("x",)}, {"kueue_queue": "q"}, {"max_workers": 7}]
    names = [name(sample(), **each) for each in settings] + [name(changed), name(sample(helpers="X = 1"))]
    assert len(set(names)) == len(names)
    assert name(sample()) == names[0]
    assert all(re.fullmatch(r"hello-[0-9a-f]{8}", each) for each in names)


def test_files_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder a changed flow replaces its files: no Job of before is left for GitOps to run; a schedule takes the Job's place."""
    monkeypatch.chdir(tmp_path)
    found = []
    for text in (sample(), sample().replace("pass", "print()"), SCHEDULED):
        Path("flow.py").write_text(text)
        assert run(["compile", "flow.py", "-t", "kubernetes", "--isolated", "--out-dir", "out"]) == 0
        found.append({path.name for path in Path("out").iterdir()})
    assert found[0] == found[1]
    assert found[2] ^ found[0] == {"hello.job.yaml", "hello.cronjob.yaml"}
    assert set(yaml.safe_load(Path("out/kustomization.yaml").read_text())["resources"]) == found[2] - {"kustomization.yaml", "flowc.outputs"}


def test_nothing_prunes_what_a_run_needs() -> None:
    """The code, the plan and the run itself ask Argo CD and Flux to leave them, and what is mounted cannot change."""
    made = objects(sample())
    for each in made:
        kept = each["metadata"]["annotations"].get("argocd.argoproj.io/sync-options") == "Prune=false"
        assert kept == (each["kind"] in ("ConfigMap", "Job"))
        assert each.get("immutable", False) == (each["kind"] == "ConfigMap")


def test_rights() -> None:
    """The coordinator may make and see Jobs, see pods and hold a lease; JobSets only where the flow has a gang. No rule has a wildcard."""
    rules = one(objects(sample()), "Role")["rules"]
    assert [rule["resources"] for rule in rules] == [["jobs"], ["pods"], ["pods/log"], ["leases"]]
    assert "*" not in json.dumps(rules)
    assert rules[1]["verbs"] == ["get", "list", "watch"]
    gang = (FIXTURES / "gang" / "flow.py").read_text()
    assert one(objects(gang), "Role")["rules"][-1]["resources"] == ["jobsets"]


def test_a_failed_run_is_not_tried_again() -> None:
    """The exit codes of a run that failed end the Job; a pod that is lost or cannot reach the API server is followed by another."""
    spec = one(objects(sample()), "Job")["spec"]
    fail, ignore = spec["podFailurePolicy"]["rules"]
    assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", [1, 2, 3])
    assert fail["onExitCodes"]["containerName"] == pod(one(objects(sample()), "Job"))["containers"][0]["name"]
    assert ignore["action"] == "Ignore"
    assert spec["backoffLimit"] > 6
    assert "ttlSecondsAfterFinished" not in spec


def test_schedule() -> None:
    """A flow with @schedule is a CronJob in its time zone, which keeps its name; nothing runs when it is applied."""
    made = objects(SCHEDULED, suspend_schedule=True, job_ttl=3600)
    cron = one(made, "CronJob")
    assert cron["metadata"]["name"] == "hello"
    assert "argocd.argoproj.io/sync-options" not in cron["metadata"]["annotations"]
    spec = cron["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 6 ? * MON-FRI", "Europe/Berlin", True)
    assert spec["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 3600
    assert not [each for each in made if each["kind"] == "Job"]


def test_projects_have_deployments_of_their_own() -> None:
    """The branches of a @project flow share no object, and no name has a dot, which no host name may have."""
    text = sample("project", "@project(name='ads')")
    names = [{each["metadata"]["name"] for each in objects(text, branch=branch)} for branch in ("a", "b")]
    assert not names[0] & names[1]
    assert not [each for each in names[0] if "." in each]


def test_settings_reach_the_coordinator() -> None:
    """Its image, pull secrets, namespace and environment come from settings; the pods' secrets do not reach it."""
    chosen = {"image": "task:1", "coordinator_image": "lead:1", "image_pull_secrets": ("pull",), "secrets": ("db",)}
    made = objects(sample(), namespace="team", environment={"PIP_INDEX_URL": "https://x/$(A)"}, **chosen)
    assert {each["metadata"]["namespace"] for each in made} == {"team"}
    spec = pod(made[-1])
    main = spec["containers"][0]
    assert (main["image"], spec["imagePullSecrets"]) == ("lead:1", [{"name": "pull"}])
    assert {"name": "PIP_INDEX_URL", "value": "https://x/$$(A)"} in main["env"]
    assert "envFrom" not in main
    assert "FLOWC_INSTALL" not in json.dumps(pod(objects(sample(), install=False)[-1]))
    assert main["securityContext"]["readOnlyRootFilesystem"] is True


def test_values_for_the_coordinator() -> None:
    """Values of parameters reach the coordinator by a setting, and another value is another run."""
    text = sample("Parameter", body="n = Parameter('n', required=True)")
    chosen = [{"FLOWC_VALUES": json.dumps({"n": n})} for n in (1, 2)]
    assert len({name(text, environment=each) for each in chosen}) == 2
    main = pod(objects(text, environment=chosen[0])[-1])["containers"][0]
    assert {"name": "FLOWC_VALUES", "value": '{"n": 1}'} in main["env"]


def test_library_is_complete(tmp_path: Path) -> None:
    """With the files of the ConfigMap alone, and neither flowc nor the client, the coordinator starts and says what it lacks."""
    made = objects(sample())
    held = one(made, "ConfigMap")["data"]
    volume = next(v["configMap"] for v in pod(made[-1])["volumes"] if "configMap" in v)
    for item in volume["items"]:
        path = tmp_path / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(held[item["key"]])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "lib"), "FLOWC_RUN": "x"}
    command = [sys.executable, "-S", "-m", "flowc.run.incluster", str(tmp_path / "plan.json")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    assert "no package `kubernetes`" in done.stdout + done.stderr
    assert set(library()) >= {"flowc/run/incluster.py", "flowc/run/coordinator.py", "flowc/deployment/jobs.py", "flowc/run/__init__.py"}


@pytest.mark.parametrize("path", GOLDENS, ids=lambda p: p.parent.name)
def test_kubernetes_takes_the_goldens(path: Path) -> None:
    """kubernetes-validate, which has Kubernetes' schemas of its own, accepts every object of every golden, unknown fields refused."""
    objects_ = [each for each in yaml.safe_load_all(path.read_text()) if each]
    assert len(objects_) >= 6
    for each in objects_:
        kubernetes_validate.validate(each, "1.33", strict=True)


def test_every_golden_is_of_this_target() -> None:
    """Each fixture that compiles has a golden here, so that the test above judges them all."""
    assert {p.parent.name for p in GOLDENS} >= {"linear", "branches", "gang", "nested_foreach", "production", "switch_skips", "loop_in_foreach"}


def test_the_plan_is_readable() -> None:
    """The plan is JSON with what is small on one line, and the same JSON whatever its layout."""
    value = {"a": [1, 2, {"b": "x" * 200}], "c": {}, "d": [], "e": "é"}
    text = readable(value)
    assert json.loads(text) == value
    assert max(len(line) for line in text.splitlines() if "x" * 200 not in line) <= 120
    assert readable({"a": [1]}) == '{"a": [1]}'


def test_the_stream_reads_back() -> None:
    """The text of the stream is the objects."""
    made = objects(sample())
    assert list(yaml.safe_load_all("---\n".join(dump(each) for each in made))) == made
    assert stream([]) == ""


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"labels": {"bad key": "x"}}, "FC560"),
        ({"labels": {"k": "bad value"}}, "FC560"),
        ({"namespace": "a.b"}, "FC564"),
        ({"secrets": ("My Secret",)}, "FC564"),
        ({"kueue_queue": "Q"}, "FC564"),
        ({"environment": {"1 A": "x"}}, "FC561"),
    ],
)
def test_settings_that_kubernetes_refuses(settings: dict[str, object], code: str) -> None:
    """A setting that the API server would refuse is a diagnostic, and nothing is written."""
    made, said = result(sample(), **settings)
    assert made == []
    assert code in [each.code.id for each in said]
