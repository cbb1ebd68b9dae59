"""In: a namespace that enforces Pod Security `restricted`. Out: proof that flows compiled with that profile run there to their end."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from e2e import kubernetes_runs, runs
from e2e.cases import Case
from e2e.cluster import LABEL, LOGS, SESSION, Cluster, CommandFailed, run
from e2e.judging import fault
from e2e.kubernetes_runs import plain
from e2e.laptop import FLOWS
from e2e.runs import Outcome, flowc_command
from pod_security_cases import REFUSED, TAKEN

from flowc.deployment import jobs

pytestmark = pytest.mark.e2e
PROFILE = ("--profile", "restricted")
CASE = Case("restricted", "restricted", flags=(*PROFILE, "--rbac"), differ=("rights",))
RIGHTS = {
    "root": False,
    "seccomp": "2",
    "escalates": False,
    "capabilities": "none",
    "writes /": "EROFS",
    "writes home": True,
    "writes temporary": True,
    "writes work": True,
}
TIERS = {"jobs": "jobs", "jobsets": "gangs", "configmaps": "code"}
"""What a process may do in each pod, told by the kernel; 2 is a seccomp filter."""
OVERLAYS = """
[overlays.everywhere]
kind = "Pod"
patch.metadata.annotations = { "example.com/owner" = "e2e" }
patch.spec.hostAliases = [{ ip = "192.0.2.1", hostnames = ["nowhere"] }]

[overlays.some]
kind = "Pod"
steps = ["work", "train"]
patch.spec.volumes = [{ name = "scratch", emptyDir = { sizeLimit = "1Mi" } }]
patch.spec.containers = [{ name = "main", volumeMounts = [{ name = "scratch", mountPath = "/scratch" }] }]

[overlays.jobs]
kind = "Job"
patch.metadata.labels = { tier = "jobs" }

[overlays.gangs]
kind = "JobSet"
patch.metadata.labels = { tier = "gangs" }

[overlays.code]
kind = "ConfigMap"
patch.metadata.labels = { tier = "code" }
"""
ADMITTED = ("clock", "gang", "hooks", "nested", "pod", "restricted")


@pytest.fixture(scope="module")
def strict(cluster: Cluster) -> Iterator[Cluster]:
    """The same cluster, in a namespace that refuses and warns of all that is not restricted."""
    own = dataclasses.replace(cluster, namespace=f"flowc-restricted-{SESSION.partition('-')[0]}")
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    about = {"name": own.namespace, "labels": {**labels, "flowc/overcommit": "true", LABEL: SESSION}}
    run(["kubectl", "apply", "-f", "-"], env=own.env, text=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": about}))
    own.prepare()
    yield own
    run(["kubectl", "delete", "namespace", own.namespace, "--wait=false"], env=own.env)


def on_argo(cluster: Cluster) -> Outcome:
    return runs.perform(CASE, "flowc", cluster, LOGS / cluster.argo_version / "flowc-restricted")


def on_kubernetes(cluster: Cluster) -> Outcome:
    """With overlays, which `test_overlays` looks for."""
    folder = LOGS / "kubernetes" / "restricted"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flowc.toml").write_text(OVERLAYS)
    name = f"e2e-restricted-{SESSION.partition('-')[0]}"
    command = [*flowc_command(), "compile", "restricted.py", "--target", "kubernetes", "--name", name]
    text = run([*command, "--settings", str(folder / "flowc.toml"), "--label", f"{LABEL}={SESSION}", *PROFILE], env=plain(), cwd=FLOWS)
    cluster.kubectl("apply", "--server-side", "-f", "-", text=text)
    applied = cluster.get("job", [each for each in yaml.safe_load_all(text) if each][-1]["metadata"]["name"])
    phase, run_id, said = kubernetes_runs.led_inside(applied, cluster)
    (folder / "story.txt").write_text(said)
    return Outcome(phase, {}, kubernetes_runs.artifacts("restricted", run_id, cluster, folder), said)


def from_here(cluster: Cluster) -> Outcome:
    """`flowc run --on kubernetes`; the smallest flow, since the Jobs are those of `on_kubernetes`."""
    folder = LOGS / "kubernetes" / "restricted-run"
    folder.mkdir(parents=True, exist_ok=True)
    code, run_id, said = kubernetes_runs.led_from_here("one_step", cluster, folder, list(PROFILE))
    artifacts = kubernetes_runs.artifacts("one_step", run_id, cluster, folder)
    return Outcome("Failed" if code else "Succeeded", {}, artifacts, said)


@pytest.fixture(scope="module")
def started(strict: Cluster) -> Iterator[dict[str, Future[Outcome]]]:
    """All runs side by side: they wait more than they work."""
    with ThreadPoolExecutor() as pool:
        yield {made.__name__: pool.submit(made, strict) for made in (on_argo, on_kubernetes, from_here)}


@pytest.mark.parametrize("where", ["on_argo", "on_kubernetes"])
def test_ends_as_on_a_laptop(where: str, started: dict[str, Future[Outcome]]) -> None:
    """Branches, a foreach and a gang end with a laptop's artifacts, in pods that have no rights but to write their work directory."""
    outcome = started[where].result()
    assert (found := fault(CASE, outcome)) == "", found
    told = [task["rights"] for tasks in outcome.artifacts.values() for task in tasks]
    assert len(told) == 11
    assert [rights for rights in told if rights != RIGHTS] == []


def test_overlays(started: dict[str, Future[Outcome]], strict: Cluster) -> None:
    """What overlays ask for is on the real pods, Jobs, JobSets and ConfigMaps of the run: of all, of the steps named, and of no others."""
    assert started["on_kubernetes"].result().phase == "Succeeded"
    label = f"flowc/flow=e2e-restricted-{SESSION.partition('-')[0]}"
    pods = strict.get("pods", "-l", label)["items"]
    assert len(pods) == 13  # 11 tasks, the hook and the coordinator
    assert all(pod["metadata"]["annotations"]["example.com/owner"] == "e2e" for pod in pods)
    assert all(pod["spec"]["hostAliases"] == [{"ip": "192.0.2.1", "hostnames": ["nowhere"]}] for pod in pods)
    scratch = [pod for pod in pods if any(each["mountPath"] == "/scratch" for each in pod["spec"]["containers"][0]["volumeMounts"])]
    assert sorted(pod["metadata"]["labels"]["flowc/step"] for pod in scratch) == ["train", "train", "work", "work"]
    made = {kind: strict.get(kind, "-l", f"{label},tier={tier}")["items"] for kind, tier in TIERS.items()}
    # the JobSet's own two Jobs are its, and have no label of Jobs
    assert {kind: len(items) for kind, items in made.items()} == {"jobs": 10, "jobsets": 1, "configmaps": 2}


def test_the_hook_runs(started: dict[str, Future[Outcome]]) -> None:
    """The exit hook's pod is admitted and succeeds, on Argo and of Jobs."""
    assert started["on_argo"].result().nodes["success-told"] == "Succeeded"
    assert "exit hook told: complete" in started["on_kubernetes"].result().story.lower()


def test_a_run_from_here(started: dict[str, Future[Outcome]]) -> None:
    """`flowc run --on kubernetes --profile restricted` is admitted too."""
    outcome = started["from_here"].result()
    assert (found := fault(Case("restricted-run", "one_step"), outcome)) == "", found


def compiled(name: str, *flags: str) -> list[dict[str, Any]]:
    command = [*flowc_command(), "compile", f"{name}.py", "--isolated", "--target", "kubernetes", *flags]
    return [each for each in yaml.safe_load_all(run(command, env=plain(), cwd=FLOWS)) if each]


def pods(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every pod that comes of the objects: the coordinator's, and those of steps, gangs and hooks in its plan."""
    leading = objects[-1]["spec"]
    leading = leading.get("jobTemplate", {}).get("spec", leading)
    plan = json.loads(next(each["data"]["plan.json"] for each in objects if "plan.json" in each.get("data", {})))
    made = [jobs.manifest(plan, step) for step in plan["jobs"]]
    made += [jobs.merged(plan["shared"], hook["job"]) for hook in plan.get("hooks", ())]
    for template in [leading["template"], *(pod for job in made for pod in jobs.pods(job))]:
        # accounts are the namespace's, and not what is tried here
        spec = {key: value for key, value in template["spec"].items() if key != "serviceAccountName"}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "tried-"}, "spec": spec}


def tried(objects: list[dict[str, Any]], cluster: Cluster) -> int:
    """How many pods the API server would admit; CommandFailed says why it refuses one."""
    text = "---\n".join(json.dumps(each) + "\n" for each in pods(objects))
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", text=text).count("(server dry run)")


@pytest.mark.parametrize("name", ADMITTED)
def test_every_pod_is_admitted(name: str, strict: Cluster) -> None:
    """The real admission takes each pod of a flow: coordinator (a CronJob's too), steps, control and workers of gangs, hooks."""
    objects = compiled(name, *PROFILE)
    assert tried(objects, strict) == len(list(pods(objects)))


def test_the_server_agrees(strict: Cluster) -> None:
    """flowc's own verdict on pods, by which it refuses overlays, is that of the admission, pod by pod."""
    cases = {**{name: pod for name, (pod, _) in REFUSED.items()}, **TAKEN}
    named = {f"case-{number}": name for number, name in enumerate(cases)}
    objects = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": key}, "spec": cases[name]} for key, name in named.items()]
    text = "---\n".join(json.dumps(each) + "\n" for each in objects)
    command = ["kubectl", "-n", strict.namespace, "create", "--dry-run=server", "-f", "-"]
    done = subprocess.run(command, env=strict.env, input=text, capture_output=True, text=True, timeout=120, check=False)
    refused = {named[key] for key in re.findall(r'pods "(case-\d+)" is forbidden: violates PodSecurity', done.stderr)}
    taken = {named[key] for key in re.findall(r"pod/(case-\d+) created", done.stdout)}
    assert (refused, taken) == (set(REFUSED), set(TAKEN)), done.stderr


def test_admission_can_refuse(strict: Cluster) -> None:
    """Without the profile the same pods are refused, so that the tests above say something."""
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        tried(compiled("restricted"), strict)
