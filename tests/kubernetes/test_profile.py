"""Facts about `profile = restricted`: no pod of any target breaks it, a task can still write, and who asks against it is told where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes_objects import Object, objects, plan_of
from pod_security_cases import FINE, REFUSED, TAKEN

from flowc import compiler
from flowc.commands.files import Folder
from flowc.deployment import jobs
from flowc.deployment.pod_security import violations
from flowc.deployment.samples import sample
from flowc.diagnostics import Diagnostic, has_errors
from flowc.settings import Overlay, Settings
from flowc.source import SourceFile
from flowc.targets.argo.rules_security import pods as pods_of_argo

FIXTURES = Path(__file__).parents[1] / "fixtures"
CASES = sorted(path.parent for path in FIXTURES.glob("*/argo.yaml"))
SETTINGS: dict[str, Any] = {"events_event": "flow", "events_event_source": "webhook", "events_service_account": "argo-events"}
TARGETS = ("argo", "kubernetes")


def compiled(text: str, target: str, folder: str = ".", **settings: Any) -> tuple[list[Object], list[Diagnostic]]:
    """Objects, and what is said."""
    chosen = Settings(**{**SETTINGS, "profile": "restricted", **settings})
    checked = compiler.check(SourceFile("flow.py", text), Folder(folder, {}), chosen)
    if has_errors(list(checked.diagnostics)):
        return [], list(checked.diagnostics)
    made = compiler.compile_flow(*checked.flows[0], target, chosen)
    return [dict(artifact.object) for artifact in made.artifacts], list(made.diagnostics)


def pods(made: list[Object], target: str) -> Iterator[tuple[str, Object]]:
    """Whose, and the spec of the pod, as the engine will make them."""
    if target == "argo":
        yield from ((name, dict(pod)) for name, pod in pods_of_argo(made[0]["spec"]))
        return
    plan, leading = plan_of(made), made[-1]
    started = leading["spec"]["jobTemplate"] if leading["kind"] == "CronJob" else leading
    yield "coordinator", started["spec"]["template"]["spec"]
    for name, job in [*((step, jobs.manifest(plan, step)) for step in plan["jobs"]), *(("", jobs.whole(plan, h["job"])) for h in plan.get("hooks", ()))]:
        yield from ((name, pod["spec"]) for pod in jobs.pods(job))


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    """What the standard allows is not refused."""
    assert list(violations(TAKEN[name])) == []


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """What the standard refuses is told by its field."""
    pod, word = REFUSED[name]
    told = list(violations(pod))
    assert len(told) >= 1
    assert any(word in text for text in told)


def test_nonsense_is_the_schemas_to_tell() -> None:
    """A field of the wrong type is no crash."""
    assert list(violations({**FINE, "securityContext": "x", "containers": [{"name": "main", "securityContext": {"capabilities": "ALL"}}]}))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_no_pod_breaks_it(folder: Path, target: str) -> None:
    """Of every flow, each pod keeps to the standard, its root cannot be written, and it has a place that can; without the profile none does."""
    text = (folder / "flow.py").read_text()
    made, said = compiled(text, target, str(folder))
    if not made:
        assert target == "kubernetes"
        assert all(each.code.id != "FC522" for each in said)
        return
    found = list(pods(made, target))
    assert [(name, told) for name, pod in found if (told := list(violations(pod)))] == []
    for _, pod in found:
        assert all(each["securityContext"]["readOnlyRootFilesystem"] is True for each in pod["containers"])
        writable = {each["name"] for each in pod["volumes"] if "emptyDir" in each}
        mounts = {each["mountPath"]: each["name"] for c in [*pod["containers"], *pod.get("initContainers", ())] for each in c.get("volumeMounts", ())}
        assert mounts["/tmp"] in writable
    loose, _ = compiled(text, target, str(folder), profile=None)
    assert all(list(violations(pod)) for _, pod in pods(loose, target))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "asked",
    ["'privileged': True", "'allow_privilege_escalation': True", "'run_as_user': 0", "'run_as_non_root': False", "'capabilities': {'add': ['SYS_PTRACE']}"],
)
def test_asked_against(asked: str, target: str) -> None:
    """A step that asks for more is told at the decorator, whose attribute it is."""
    text = sample("kubernetes", on_start=f"@kubernetes(security_context={{{asked}}})")
    made, said = compiled(text, target)
    assert made == []
    assert {each.code.id for each in said} == {"FC522"}
    assert {(each.span.line, each.span.column) for each in said if each.span} == {(5, 34)}
    assert compiled(text, target, profile=None)[0]


@pytest.mark.parametrize("target", TARGETS)
def test_a_step_may_say_more(target: str) -> None:
    """Another user is fine, and replaces only that; a step's own HOME and own volume at /tmp count, and nothing is mounted twice."""
    decorators = "@kubernetes(security_context={'run_as_user': 1234}, use_tmpfs=True, tmpfs_path='/tmp')\n    @environment(vars={'HOME': '/home/me'})"
    made, _ = compiled(sample("environment, kubernetes", on_start=decorators), target)
    main = next(each for each in dict(pods(made, target))["start"]["containers"] if each["name"] == "main")
    assert main["securityContext"]["runAsUser"] == 1234
    assert main["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert [each["value"] for each in main["env"] if each["name"] == "HOME"] == ["/home/me"]
    assert [each["name"] for each in main["volumeMounts"] if each["mountPath"] == "/tmp"] == ["tmpfs-ephemeral-volume"]


@pytest.mark.parametrize("target", TARGETS)
def test_an_overlay_may_loosen_it(target: str) -> None:
    """A cluster that chooses users itself (OpenShift) takes none; a step may write its root where it must."""
    gone = {"$patch": "delete"}
    overlays = {
        "openshift": Overlay("Pod", {"spec": {"securityContext": {"runAsUser": gone, "runAsGroup": gone, "fsGroup": gone}}}),
        "writes": Overlay("Pod", {"spec": {"containers": [{"name": "main", "securityContext": {"readOnlyRootFilesystem": False}}]}}, steps=("start",)),
    }
    made, said = compiled(sample(), target, overlays=overlays)
    assert said == []
    found = dict(pods(made, target))
    assert all(not {"runAsUser", "runAsGroup", "fsGroup"} & pod["securityContext"].keys() for pod in found.values())
    roots = {name: next(c for c in pod["containers"] if c["name"] in ("main", "coordinator"))["securityContext"]["readOnlyRootFilesystem"] for name, pod in found.items()}
    assert roots == {"start": False, "end": True, **({"coordinator": True} if target == "kubernetes" else {})}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("patch", "word"),
    [
        ({"spec": {"volumes": [{"name": "disk", "hostPath": {"path": "/"}}]}}, "volumes[disk]"),
        ({"spec": {"containers": [{"name": "proxy", "image": "proxy:1"}]}}, "containers[proxy]"),
        ({"spec": {"securityContext": {"runAsUser": 0}}}, "runAsUser is 0"),
    ],
)
def test_an_overlay_that_breaks_it(patch: Any, word: str, target: str) -> None:
    """What the API server would refuse only when a run comes to it is told before, with the name of the overlay, once for all pods."""
    made, said = compiled(sample(), target, overlays={"mine": Overlay("Pod", patch)})
    assert made == []
    assert all("`mine`" in each.message and "FC522" in each.message for each in said)
    assert any(word in each.message for each in said)
    assert len(said) <= 2


def test_templates_of_a_teams_own_are_judged_too() -> None:
    """A template that drops the security context is told as FC522."""
    own = '{% extends "flowc/argo/workflowtemplate.yaml.j2" %}{% block spec %}\n  volumes: {{ spec.volumes | tojson }}\n{% endblock %}'
    made, said = compiled(sample(), "argo", templates={"argo/workflowtemplate.yaml.j2": own})
    assert made == []
    assert {each.code.id for each in said} == {"FC522"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"podSpecPatch": "priorityClassName: high\n"}, []),
        ({"podSpecPatch": "hostNetwork: true\n"}, ["hostNetwork is true"]),
        ({"podSpecPatch": "hostNetwork: {{workflow.parameters.x}}"}, ["before Argo fills in its tags"]),
        ({"templates": [{"name": "mine", "resource": {"action": "get"}}]}, ["allowPrivilegeEscalation", "capabilities.drop"]),
    ],
)
def test_what_an_overlay_writes_by_hand(spec: Any, words: list[str]) -> None:
    """A podSpecPatch in YAML is read as Argo reads it, and what cannot be judged before a run is told, not taken."""
    _, said = compiled(sample(), "argo", overlays={"mine": Overlay("WorkflowTemplate", {"spec": spec})})
    assert len(said) == len(words)
    assert all(word in each.message for word, each in zip(words, said, strict=True))


def test_the_sensor() -> None:
    """Argo Events' pod is made in the same namespace, so it keeps to the profile as well."""
    made, said = compiled(sample("trigger", "@trigger(event='data')"), "argo")
    template = next(each for each in made if each["kind"] == "Sensor")["spec"]["template"]
    assert not has_errors(said)
    assert list(violations({**template, "containers": [{"name": "main", **template["container"]}]})) == []


def test_the_manifest_of_a_gang_stays_text_for_argo() -> None:
    """The JobSet in the manifest has its rights too, beside the numbers that Argo fills in."""
    made, _ = compiled(GANG, "argo")
    manifest = next(each["resource"]["manifest"] for each in made[0]["spec"]["templates"] if "resource" in each)
    assert "{{=asInt" in manifest
    assert manifest.count(json.dumps("runAsNonRoot")) == 2


GANG = """from metaflow import FlowSpec, parallel, step


class Gang(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=3)

    @parallel
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def test_no_profile_no_difference() -> None:
    """Without the setting the manifests are those of before, byte for byte: the goldens say so; with it only security is added."""
    loose, strict = objects(sample()), objects(sample(), profile="restricted")
    assert "runAsNonRoot" not in json.dumps(loose)
    assert json.dumps(strict).count("runAsNonRoot") == 2
