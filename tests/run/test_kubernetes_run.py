"""In: objects of a cluster, coordinators of both kinds. Out: proof of what is read from them, what a run needs, how it says that it cannot go on."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run.fake_kubernetes import Ended, Fault
from run.kubernetes_world import RUN, Stage
from run.test_kubernetes_chaos import PLANS, SMALL, quick, stages

from flowc import frontend, graph
from flowc.compiler import compile_flow
from flowc.run import incluster, kubernetes_facts, kubernetes_laptop
from flowc.run.coordinator import lead
from flowc.run.job import Job, UsageError
from flowc.run.kubernetes_api import Api, ClusterError, FinalError
from flowc.run.kubernetes_laptop import finish, prepared
from flowc.run.kubernetes_objects import Run, build, group_of, name, portions
from flowc.run.kubernetes_view import paths
from flowc.settings import Settings
from flowc.source import SourceFile

__all__ = ["quick", "stages"]
pytest.importorskip("kubernetes")
RUNNING = Run(PLANS["small"], RUN, "ns")


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 300), st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from("ab"))))
def test_results_are_packed_and_unpacked(told: dict[int, tuple[int | None, str | None]]) -> None:
    """What is written to a Job's annotation is read back."""
    results = {index: {"splits": splits, "case": case} for index, (splits, case) in told.items()}
    assert dict(kubernetes_facts.unpack(kubernetes_facts.pack(results))) == results


def test_equal_results_take_no_space() -> None:
    """Ten thousand equal results of neighbours are one entry."""
    assert len(kubernetes_facts.pack({i: {"splits": None, "case": "a"} for i in range(10_000)})) < 40


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, unique=True), st.sampled_from(["", "3", "1-2"]))
def test_a_group_says_its_paths(indexes: list[int], base: str) -> None:
    """The paths of a group, noted short or whole, are those that it was made of, and its pods get the same."""
    tasks = [f"{base}-{i}" if base else str(i) for i in sorted(indexes)]
    group = group_of("work", tasks, "")
    assert paths(group) == tasks
    (container,) = build(RUNNING, group, tasks, 1)["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    listed = json.loads(env.get("FLOWC_PATHS", "[]")) or [env["FLOWC_PATH"].replace("@", str(i)) for i in range(len(tasks))]
    assert listed == tasks


def test_names_are_the_groups_own() -> None:
    """Another path, round, resumption or run is another name; the same group has the same, whoever asks."""
    groups = [group_of("work", [str(i)], turn, generation=g) for i in range(5) for turn in ("", "1") for g in (0, 1)]
    names = {name(run, group) for group in groups for run in (RUNNING, Run(PLANS["small"], "k8s-other", "ns"))}
    assert len(names) == 2 * len(groups)
    assert all(len(each) <= 46 for each in names)
    assert name(RUNNING, group_of("work", ["3"], "")) == name(RUNNING, {"step": "work", "paths": ["3"]})


def test_lists_of_paths_fit_an_environment() -> None:
    """A group that a switch thinned out is split where its list would be too long for a variable."""
    many = [f"{i}-{2 * i}" for i in range(30_000)]
    parts = list(portions(many))
    assert [path for part in parts for path in part] == many
    assert all(len(json.dumps(list(part))) < 131_072 for part in parts)
    assert len(parts) > 1


def test_a_gang_is_tried_again_as_a_whole(stages: Any) -> None:
    """A JobSet that fails is followed by another with the next attempt; then the run fails, or goes on."""
    stage = stages("gang", flaky=frozenset({"train"}))
    run, _ = stage.led()
    stage.judge(run)
    sets = stage.cluster.items("jobsets")
    assert [json.loads(s["metadata"]["annotations"]["flowc/group"]).get("attempt", 0) for s in sets] == [0, 1]
    hopeless = stages("gang", fails=frozenset({"train"}))
    run, _ = hopeless.led()
    assert run is not None
    assert [f.task.id for f in run.failed.values()] == ["train"]
    assert hopeless.ran["train"] == 2


def test_a_pod_without_its_image(stages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that waits for an image is told of, and fails its task after a time; a later coordinator takes that for the end too."""
    monkeypatch.setenv("FLOWC_STUCK_SECONDS", "1")
    stage = stages("small")
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}

    def stuck(pod: Any) -> None:
        fresh = {**pod, "status": {"phase": "Pending", "containerStatuses": [{"name": "main", "state": waiting}]}}
        if pod["status"] != fresh["status"]:
            stage.cluster.put("pods", fresh, "MODIFIED")

    stage.cluster._pod = stuck
    said: list[str] = []
    run, _ = stage.led(say=said.append)
    assert said == ["start waits: ImagePullBackOff: no such image"]
    assert run is not None
    (failed,) = run.failed.values()
    assert failed.reason == "ImagePullBackOff: no such image (for 1 s)"
    again, _ = stage.led()
    assert again is not None
    assert [f.reason for f in again.failed.values()] == [failed.reason]


def test_what_the_cluster_refuses_is_said(stages: Any) -> None:
    """A Job that may not be made ends the coordinator with the step and Kubernetes' words; a quota may have room later."""
    stage = stages("small")
    stage.cluster.fault = lambda _n, method, path: Fault(422) if method == "POST" and path.endswith("jobs") else None
    with pytest.raises(FinalError, match="the step start cannot be started: as asked"):
        stage.led()


def test_a_name_that_another_run_has(stages: Any) -> None:
    """A Job of the right name that is not this run's is not taken for it."""
    stage = stages("small")
    taken = {"metadata": {"name": name(Run(stage.plan, RUN, "ns"), group_of("start", [""], "")), "labels": {}}, "spec": {"suspend": True}}
    stage.cluster.create("jobs", taken)
    with pytest.raises(FinalError, match="choose another run id"):
        stage.led()


# --- led from a laptop -----------------------------------------------------------------------------------------------------


def objects() -> list[dict[str, Any]]:
    settings = Settings()
    (flow,) = frontend.read(SourceFile("flow.py", SMALL), lambda _: None, settings).flows
    return [dict(made.object) for made in compile_flow(flow, graph.build(flow), "kubernetes", settings).artifacts]


def api_of(stage: Stage) -> Api:
    from kubernetes import client

    settings = client.Configuration()
    settings.host = stage.cluster.url
    return Api(client.ApiClient(settings), "ns", lambda seconds: time.sleep(min(seconds, 0.02)))


def test_a_laptops_run_owns_what_it_makes(stages: Any) -> None:
    """The run's ConfigMap owns code and Jobs; at the end the Jobs get their time to live, and the ConfigMap goes with the last of them."""
    stage = stages("small")
    executor = prepared(api_of(stage), objects(), RUN, {"alpha": '"1"'})
    run = lead(executor.plan, executor)
    finish(executor)
    executor.close()
    stage.judge(run)
    maps = {m["metadata"]["name"]: m for m in stage.cluster.items("configmaps")}
    mine = maps.pop(executor.owner["name"])
    (code,) = maps.values()
    jobs = stage.cluster.items("jobs")
    assert {o["uid"] for item in [code, *jobs] for o in item["metadata"]["ownerReferences"]} == {mine["metadata"]["uid"]}
    assert {job["spec"]["ttlSecondsAfterFinished"] for job in jobs} == {7 * 24 * 3600}
    assert mine["metadata"]["ownerReferences"][0]["name"] in {job["metadata"]["name"] for job in jobs}
    first = next(job for job in jobs if "-start-" in job["metadata"]["name"])
    assert "FLOWC_PARAMETERS" in str(first)


def test_a_run_id_goes_on_or_is_refused(stages: Any) -> None:
    """The id of a run that is there goes on with its parameters; one of another flow, or one to resume that is not there, is refused."""
    stage = stages("small")
    api = api_of(stage)
    with pytest.raises(FinalError, match="no run k8s-chaos in ns to resume"):
        prepared(api, objects(), RUN, {}, resume=True)
    prepared(api, objects(), RUN, {"alpha": '"1"'})
    assert prepared(api, objects(), RUN, {}, resume=True).parameters == {"alpha": '"1"'}
    plan = json.loads(stage.cluster.items("configmaps")[0]["data"]["plan.json"])
    api.patch("configmaps", stage.cluster.items("configmaps")[0]["metadata"]["name"], {"data": {"plan.json": json.dumps({**plan, "flow": "Other"})}})
    with pytest.raises(FinalError, match="by a run of Other"):
        prepared(api, objects(), RUN, {})


# --- led from inside ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pod(stages: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Stage, Path]:
    """A coordinator's pod: its Job, its plan, its environment."""
    stage = stages("small")
    stage.cluster.held = True
    made = stage.cluster.create("jobs", {"metadata": {"name": "small-1"}, "spec": {"suspend": True}})
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(stage.plan))
    run_id = f"k8s-small-1-{made['metadata']['uid'][:5]}"
    monkeypatch.setattr("run.kubernetes_world.RUN", run_id)
    for key, value in {"FLOWC_RUN": "small-1", "FLOWC_NAMESPACE": "ns"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(incluster, "connect", lambda _: api_of(stage))
    stage.cluster.held = False
    return stage, plan


def test_a_coordinators_pod(pod: tuple[Stage, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """It leads the run of its Job to the end, owns what it makes by that Job, says what happens, and exits with 0."""
    stage, plan = pod
    assert incluster.main([str(plan)]) == 0
    said = capsys.readouterr().out
    assert "start 3 tasks of work" in said
    assert "the run of SmallFlow succeeded" in said
    jobs = [job for job in stage.cluster.items("jobs") if job["metadata"]["name"] != "small-1"]
    assert {job["metadata"]["ownerReferences"][0]["name"] for job in jobs} == {"small-1"}
    assert stage.ran == Counter({task.id: 1 for task in stage.expected})


def test_a_run_that_fails_in_its_pod(pod: tuple[Stage, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1, and the log of the task is in the coordinator's, with the task's name."""
    stage, plan = pod
    stage.world.fails = frozenset({"start"})
    assert incluster.main([str(plan)]) == 1
    said = capsys.readouterr().out
    assert "FAILED start, attempt 0: container main: exit code 1" in said
    assert "    start | log of" in said


def test_a_pod_that_is_stopped(pod: tuple[Stage, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM ends the pod between two events and leaves the tasks running; the next pod of the Job goes on."""
    stage, plan = pod
    stage.cluster.held = True
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(incluster.signal, "signal", handlers.__setitem__)
    threading.Timer(1.0, lambda: handlers[15](15, None)).start()
    assert incluster.main([str(plan)]) == incluster.TERMINATED
    assert [job["spec"]["parallelism"] for job in stage.cluster.items("jobs")[1:]] == [1]
    stage.cluster.held = False
    assert incluster.main([str(plan)]) == 0
    assert stage.ran == Counter({task.id: 1 for task in stage.expected})


def test_values_of_a_run_in_its_pod(pod: tuple[Stage, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """FLOWC_VALUES reaches the first step as JSON texts by name; what is no object of values is said."""
    stage, plan = pod
    monkeypatch.setenv("FLOWC_VALUES", "alpha=1")
    assert incluster.main([str(plan)]) == 1
    assert "FLOWC_VALUES is no JSON object" in capsys.readouterr().out
    monkeypatch.setenv("FLOWC_VALUES", '{"alpha": "it\'s", "count": 3}')
    assert incluster.main([str(plan)]) == 0
    first = next(job for job in stage.cluster.items("jobs") if "-start-" in job["metadata"]["name"])
    env = {entry["name"]: entry.get("value") for entry in first["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert json.loads(base64.b64decode(env["FLOWC_PARAMETERS"])) == {"alpha": '"it\'s"', "count": "3"}


def test_exit_codes_of_a_pod(pod: tuple[Stage, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What another pod could not mend is final (1, 2, 3), what it could is not (75)."""
    stage, plan = pod
    assert incluster.main([]) == incluster.USAGE
    stage.cluster.fault = lambda *_: Fault(403)
    assert incluster.main([str(plan)]) == 1
    monkeypatch.setattr("flowc.run.kubernetes_api.PATIENCE", 0.2)
    stage.cluster.fault = lambda *_: Fault(503)
    assert incluster.main([str(plan)]) == incluster.AGAIN
    assert "the API server did not answer" in capsys.readouterr().out
    plan.write_text("{")
    assert incluster.main([str(plan)]) == incluster.BUG


def test_the_client_is_installed_or_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the client, and with nothing to install it from, the message says what to do."""
    monkeypatch.setattr(incluster.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FinalError, match="coordinator_image"):
        incluster.install([])
    commands: list[list[str]] = []
    failing = type("Done", (), {"returncode": 1})
    monkeypatch.setattr(incluster.subprocess, "run", lambda command, **_: commands.append(command) or failing)
    with pytest.raises(ClusterError, match="PIP_INDEX_URL"):
        incluster.install(["kubernetes==37.0.1"])
    assert commands[0][-1] == "kubernetes==37.0.1"


def test_exit_hooks(stages: Any) -> None:
    """The hooks of the run's end are run once, awaited, and do not change it."""
    stage = stages("small")
    hook = {"spec": {"template": {"spec": {"containers": [{"name": "main", "args": ["told", "--hook"]}]}}}}
    stage.plan = {**stage.plan, "hooks": [{"on": "success", "function": "told", "job": hook}, {"on": "error", "function": "other", "job": hook}]}
    work = stage.cluster.work
    hooks: list[str] = []

    def either(pod: Any) -> Ended:
        arguments = pod["spec"]["containers"][0]["args"]
        return (hooks.append(arguments[0]) or Ended(1)) if "--hook" in arguments else work(pod)

    stage.cluster.work = either
    executor, _ = stage.coordinator()
    run = lead(stage.plan, executor)
    said: list[str] = []
    executor.say = said.append
    for _ in range(2):
        executor.hooks("success")
    executor.close()
    stage.judge(run)
    assert (hooks, said) == (["told"], ["exit hook told: failed"] * 2)


def test_what_a_pod_says_of_itself() -> None:
    """A pod's own words: why it failed, that the cluster took it, that its node is lost, what it waits for, what it told."""
    about = {"name": "p", "labels": {"batch.kubernetes.io/job-name": "j", "batch.kubernetes.io/job-completion-index": "3"}, "annotations": {}}

    def pod(status: dict[str, Any], **more: Any) -> kubernetes_facts.Pod:
        return kubernetes_facts.pod({"metadata": {**about, **more}, "spec": {"containers": [{"name": "main"}]}, "status": status})

    def ended(code: int, **state: Any) -> dict[str, Any]:
        phase = "Failed" if code else "Succeeded"
        return {"phase": phase, "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": code, **state}}}]}

    taken = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}]}
    killed = pod(ended(137, reason="OOMKilled"))
    assert (killed.index, killed.code, killed.why, killed.disrupted) == (3, 137, "container main: exit code 137 (OOMKilled)", False)
    evicted = pod({**ended(143), **taken})
    assert (evicted.disrupted, evicted.why) == (True, "EvictionByEvictionAPI: Eviction API: evicting")
    late = pod({"phase": "Failed", "reason": "DeadlineExceeded", "message": "Pod was active too long"})
    assert (late.code, late.why) == (1, "DeadlineExceeded: Pod was active too long")
    lost = pod({"phase": "Running", **taken}, deletionTimestamp="2026-01-01T00:00:00Z")
    assert (lost.code, lost.disrupted, lost.stopped, lost.why) == (None, True, False, "EvictionByEvictionAPI: Eviction API: evicting")
    room = pod({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"}]})
    assert (room.stuck, room.why) == (False, "Unschedulable: no cpu")
    assert kubernetes_facts.outcome(pod(ended(0, message='{"splits": 2, "case": null}')).message) == {"splits": 2, "case": None}
    assert kubernetes_facts.outcome("the end of a log") is None


def test_no_cluster_is_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`flowc run --on kubernetes` without a cluster, or of what Jobs cannot carry, says so; neither is a bug."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    settings = Settings()
    (flow,) = frontend.read(SourceFile("flow.py", SMALL), lambda _: None, settings).flows
    job = Job(flow, graph.build(flow), settings, {}, "flow.py", "k8s-x")
    with pytest.raises(UsageError, match="there is no cluster to run on"):
        kubernetes_laptop.executor(job)
    with pytest.raises(UsageError, match="Team_A"):
        kubernetes_laptop.executor(replace(job, settings=Settings(namespace="Team_A")))


def test_names_leave_room_for_what_is_added_to_them() -> None:
    """The longest name, with what JobSet adds for the pods of a gang of ten thousand, is no longer than a host's name may be."""
    longest = name(Run({}, "k8s-a-run-with-a-name-that-is-long-and-longer-0a1b2", "default"), {"step": "a_step_with_a_long_name", "base": "10-20-30", "round": "7"})
    assert len(f"{longest}-worker-9999-0-x7x7x") <= 63
