"""Facts about `flowc apply` and `flowc delete`: all or nothing, no field of others, and away goes only what was theirs."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.running import HELLO
from kubernetes_server import Server, kubeconfig, served

from flowc.cli import run
from flowc.run import taking
from flowc.run.apply import deployment, ordered

KEEP = {"argocd.argoproj.io/sync-options": "Prune=false"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A cluster, the kubeconfig for it, and hello.py in the current folder."""
    made = Server()
    with served(made) as address:
        (tmp_path / "config").write_text(json.dumps(kubeconfig(address, "team")))
        (tmp_path / "hello.py").write_text(HELLO)
        in_kubeconfig(tmp_path / "config", monkeypatch)
        monkeypatch.chdir(tmp_path)
        yield made


def flowc(*arguments: str, code: int = 0) -> tuple[str, str]:
    """What the command says on stdout and on stderr; in this process, since a new one takes most of a second."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        done = run(arguments)
    out.seek(0)
    assert done == code, err.getvalue()
    return out.read(), err.getvalue()


def apply(*more: str, target: str = "kubernetes", code: int = 0) -> tuple[str, str]:
    return flowc("apply", "hello.py", "-t", target, "--isolated", *more, code=code)


def change() -> None:
    path = Path("hello.py")
    path.write_text(path.read_text().replace("pass", "print('changed')"))


def in_kubeconfig(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reads the variable when it is imported, so that a second test in one process must tell it again."""
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))


def end_runs(server: Server) -> None:
    for item in server.objects.values():
        if item["kind"] == "Job":
            item["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}


def test_apply_makes_what_compile_writes(server: Server) -> None:
    """Every object of the stream is there, in the context's namespace, with one label more; what starts the run came last."""
    _, said = apply()
    text = flowc("compile", "hello.py", "-t", "kubernetes", "--isolated")[0]
    assert len(server.objects) == text.count("\n---\n") + 1 == said.count(" created")
    assert all("/namespaces/team/" in path for path in server.objects)
    assert {o["metadata"]["labels"]["flowc/deployment"] for o in server.objects.values()} == {"kubernetes.helloflow"}
    assert "flowc/deployment:" not in text
    assert "/jobs/" in server.writes()[-1]


def test_apply_again_changes_nothing(server: Server) -> None:
    """The same flow applied twice leaves the objects, and says so; no second Job, so no second run."""
    apply()
    before = json.dumps(server.objects)
    _, said = apply()
    assert said.count(" unchanged") == len(server.objects)
    assert json.dumps(server.objects) == before


def test_a_changed_flow_runs_anew(server: Server) -> None:
    """A change makes another Job beside the first, whose code and plan stay too."""
    apply()
    change()
    apply()
    assert len([name for name in server.names() if name.startswith("jobs/")]) == 2
    assert len([name for name in server.names() if name.startswith("configmaps/")]) == 4


def test_dry_run_stores_nothing(server: Server) -> None:
    """With --dry-run the server tries everything and keeps nothing."""
    _, said = apply("--dry-run", "--prune")
    assert server.objects == {}
    assert server.writes() == []
    assert len(server.requests) == said.count("(dry run)") == 6


def test_diff(server: Server) -> None:
    """--diff shows a changed field as a line of YAML, and nothing that the server itself keeps."""
    assert flowc("apply", "hello.py", "-t", "argo", "--isolated")[0] == ""
    out, _ = apply("--diff", "--dry-run", "--max-workers", "7", target="argo")
    assert "-  parallelism: 100\n+  parallelism: 7\n" in out
    assert not [word for word in ("uid", "managedFields", "creationTimestamp") if word in out]
    assert apply("--diff", "--dry-run", target="argo")[0] == ""
    assert server.writes() == ["PATCH /apis/argoproj.io/v1alpha1/namespaces/team/workflowtemplates/helloflow"]


def test_all_or_nothing(server: Server) -> None:
    """Where the server refuses one object, nothing is applied, and the exit code and the words say why."""
    server.refuse = ("/jobs/", 422, "spec.template: field is immutable")
    _, said = apply(code=1)
    assert server.objects == {}
    assert "field is immutable; delete the object first" in said
    assert "nothing was applied" in said


def test_conflicts(server: Server) -> None:
    """A field that another manager set is refused with that manager's name, and taken over only by --force-conflicts."""
    apply(target="argo")
    path = "/apis/argoproj.io/v1alpha1/namespaces/team/workflowtemplates/helloflow"
    server.objects[path]["spec"]["parallelism"] = 3
    server.owners[path]["spec.parallelism"] = "argocd-controller"
    _, said = apply(target="argo", code=1)
    assert 'conflict with "argocd-controller": .spec.parallelism' in said
    assert "--force-conflicts" in said
    assert server.objects[path]["spec"]["parallelism"] == 3
    apply("--force-conflicts", target="argo")
    assert server.objects[path]["spec"]["parallelism"] == 100


TEMPLATE = "/apis/argoproj.io/v1alpha1/namespaces/team/workflowtemplates/helloflow"


def metaflows(server: Server, spec: dict[str, Any]) -> None:
    """A template of the flow's name that Metaflow's client has made."""
    about = {"name": "helloflow", "namespace": "team", "uid": "u-1", "resourceVersion": "1"}
    server.objects[TEMPLATE] = {"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplate", "metadata": about, "spec": spec}
    server.owners[TEMPLATE] = dict.fromkeys((f"spec.{key}" for key in spec), "OpenAPI-Generator")


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--force-conflicts",), ("--force-conflicts", "--diff")])
def test_metaflows_template_is_not_applied_over(more: tuple[str, ...], server: Server) -> None:
    """What an apply would leave of it is named, beside the ways out; nothing is tried, and the exit code is that of wrong usage."""
    pods = {"labels": {"app.kubernetes.io/part-of": "metaflow", "theirs": "x"}}
    metaflows(server, {"podMetadata": pods, "entrypoint": "Hello", "onExit": "gone", "parallelism": 3, "volumes": []})
    before = json.dumps(server.objects)
    out, said = apply(*more, target="argo", code=2)
    assert "would leave what it has and the flow does not set: spec.onExit, spec.podMetadata.labels.theirs; take it over" in said
    assert "--replace, or delete it: kubectl -n team delete workflowtemplate helloflow\n" in said
    assert said.endswith("flowc: nothing was applied\n")
    assert (out, server.requests, json.dumps(server.objects)) == ("", [], before)


def test_what_others_made_alike_is_no_mixture(server: Server) -> None:
    """A template with no other fields than the flow's is applied over as ever: a conflict where a value differs, and else nothing."""
    text = flowc("compile", "hello.py", "-t", "argo", "--isolated")[0]
    metaflows(server, dict(yaml.safe_load(text)["spec"]))
    apply(target="argo")
    metaflows(server, {**yaml.safe_load(text)["spec"], "parallelism": 3})
    assert 'conflict with "OpenAPI-Generator"' in apply(target="argo", code=1)[1]


def test_replace(server: Server) -> None:
    """--replace makes the template as compiled, without deleting it; from then on it is flowc's, and needs no flag."""
    metaflows(server, {"entrypoint": "Hello", "onExit": "gone", "parallelism": 3})
    out, said = apply("--replace", "--dry-run", "--diff", target="argo")
    assert "-  onExit: gone\n" in out
    assert "WorkflowTemplate helloflow configured (dry run)" in said
    assert server.writes() == []
    apply("--replace", target="argo")
    compiled = yaml.safe_load(flowc("compile", "hello.py", "-t", "argo", "--isolated")[0])
    assert server.objects[TEMPLATE]["spec"] == compiled["spec"]
    assert server.objects[TEMPLATE]["metadata"]["uid"] == "u-1"
    assert not [request for request in server.requests if request.startswith("DELETE")]
    for more in ((), ("--replace",)):
        assert "WorkflowTemplate helloflow unchanged" in apply(*more, target="argo")[1]


def test_replace_of_what_changes_meanwhile(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that somebody writes between the look and the taking over is left as it is, and that is told."""
    metaflows(server, {"entrypoint": "Hello", "onExit": "gone"})
    look = taking.foreign

    def looked(*arguments: Any) -> list[taking.Foreign]:
        found = look(*arguments)
        server.objects[TEMPLATE]["metadata"]["resourceVersion"] = "2"
        return found

    monkeypatch.setattr(taking, "foreign", looked)
    assert "WorkflowTemplate helloflow refused: the object has been modified" in apply("--replace", target="argo", code=1)[1]
    assert server.objects[TEMPLATE]["spec"]["onExit"] == "gone"


def test_replace_of_nothing(server: Server) -> None:
    """Where nothing stands there, or what flowc applied, --replace changes nothing; fields of others in objects of other kinds stay."""
    apply("--replace", target="argo")
    path = "/api/v1/namespaces/team/serviceaccounts/helloflow-coordinator"
    apply()
    server.objects[path]["imagePullSecrets"] = [{"name": "theirs"}]
    apply("--replace")
    assert server.objects[path]["imagePullSecrets"] == [{"name": "theirs"}]


def test_prune(server: Server) -> None:
    """--prune deletes what an earlier apply of this flow made and it no longer has; other flows and other targets keep theirs."""
    apply("--prune")
    apply(target="argo")
    old = {name for name in server.names() if "helloflow-" in name and not name.endswith("-coordinator")}
    end_runs(server)
    change()
    _, said = apply("--prune")
    assert said.count(" deleted") == len(old) == 3
    assert not old & server.names()
    assert "workflowtemplates/helloflow" in server.names()
    Path("hello.py").write_text(HELLO.replace("HelloFlow", "OtherFlow"))
    before = server.names()
    apply("--prune")
    assert before < server.names()


def test_prune_spares_a_run(server: Server) -> None:
    """While a run is under way its Job, plan and code are kept; nothing else of the old deployment is."""
    apply()
    old = {name for name in server.names() if name.startswith(("jobs/", "configmaps/"))}
    stale = "/api/v1/namespaces/team/serviceaccounts/stale"
    labels = {"flowc/deployment": "kubernetes.helloflow"}
    server.objects[stale] = {"kind": "ServiceAccount", "metadata": {"name": "stale", "namespace": "team", "uid": "1", "labels": labels}}
    change()
    _, said = apply("--prune")
    assert said.count("kept: a run that is under way may need it") == 3
    assert old < server.names()
    assert "serviceaccounts/stale" not in server.names()


def test_prune_on_argo_spares_code(server: Server) -> None:
    """An old ConfigMap of code stays while a Workflow of the template runs, and goes when it has ended."""
    path = "/api/v1/namespaces/team/configmaps/old"
    about = {"name": "old", "namespace": "team", "uid": "1", "labels": {"flowc/deployment": "argo.helloflow"}, "annotations": KEEP}
    server.objects[path] = {"kind": "ConfigMap", "metadata": about}
    run = "/apis/argoproj.io/v1alpha1/namespaces/team/workflows/w"
    labels = {"workflows.argoproj.io/workflow-template": "helloflow"}
    server.objects[run] = {"kind": "Workflow", "metadata": {"name": "w", "labels": labels}}
    apply("--prune", target="argo")
    assert path in server.objects
    server.objects[run]["metadata"]["labels"]["workflows.argoproj.io/completed"] = "true"
    apply("--prune", target="argo")
    assert path not in server.objects


def test_delete(server: Server) -> None:
    """`flowc delete` removes all that apply made, of earlier contents too, and names what it leaves because others made it."""
    apply()
    change()
    apply()
    path = next(path for path in server.objects if "/roles/" in path)
    del server.objects[path]["metadata"]["labels"]["flowc/deployment"]
    said = flowc("delete", "hello.py", "-t", "kubernetes", "--isolated", "--dry-run")[1]
    assert said.count("deleted (dry run)") == 8
    assert len(server.objects) == 9
    said = flowc("delete", "hello.py", "-t", "kubernetes", "--isolated")[1]
    assert list(server.objects) == [path]
    assert "Role helloflow-coordinator was not made by `flowc apply`" in said
    said = flowc("delete", "hello.py", "-t", "argo", "--isolated")[1]
    assert "made nothing of this flow in team" in said


def test_the_server_is_busy(server: Server) -> None:
    """429 and 503 are waited out, and what was answered late is not done twice."""
    server.faults = [429, 503, 503, 429]
    apply()
    assert len(server.objects) == 6


def test_a_cluster_without_argo(server: Server) -> None:
    """A kind that the cluster does not know is named, with what is missing, and nothing is applied."""
    del server.versions["argoproj.io/v1alpha1"]
    _, said = apply(target="argo", code=1)
    assert "the cluster knows no WorkflowTemplate of argoproj.io/v1alpha1; is Argo installed?" in said


def test_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a kubeconfig the command says so, in a sentence."""
    (tmp_path / "hello.py").write_text(HELLO)
    monkeypatch.chdir(tmp_path)
    in_kubeconfig(tmp_path / "none", monkeypatch)
    assert "there is no cluster" in apply(code=1)[1]


@pytest.mark.parametrize("arguments", [("-t", "step-functions"), ()])
def test_usage(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not for a Kubernetes cluster, or names no target, is wrong usage."""
    (tmp_path / "hello.py").write_text(HELLO)
    monkeypatch.chdir(tmp_path)
    flowc("apply", "hello.py", "--isolated", *arguments, code=2)


def test_errors_of_the_flow_come_first(server: Server) -> None:
    """A flow with an error is not applied."""
    Path("hello.py").write_text(HELLO.replace("self.next(self.end)", "self.next(self.missing)"))
    _, said = apply(code=1)
    assert "FC" in said
    assert server.requests == []


def test_order() -> None:
    """Rights and code come before what uses them, and what starts something comes last, whatever the stream's order."""
    kinds = ["Job", "WorkflowTemplate", "ConfigMap", "Other", "RoleBinding", "ServiceAccount", "CronWorkflow"]
    found = [value["kind"] for value in ordered([{"kind": kind} for kind in kinds])]
    assert found == ["ServiceAccount", "RoleBinding", "ConfigMap", "WorkflowTemplate", "Other", "CronWorkflow", "Job"]


def test_label() -> None:
    """The label tells deployments apart, and is a valid one whatever the name."""
    assert deployment("argo", "ads.prod.train") == "argo.ads.prod.train"
    names = ["x" * 80, "x" * 81, "é"]
    labels = {deployment("argo", name) for name in names}
    assert len(labels) == 3
    assert all(len(label) <= 63 and label.isascii() for label in labels)
