"""Facts about the names, tokens, labels and annotations of a deployment: they are Metaflow's, and Metaflow's own tools accept them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cli.running import flowc
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from reading import imported, reading

from flowc import graph
from flowc.deployment import names, parameters
from flowc.deployment.samples import sample
from flowc.settings import Settings
from flowc.targets.argo import metadata

if TYPE_CHECKING:
    from flowc.ir import Flow

IN_PROJECT = sample("project", "@project(name='ads')")
PARAMETERS = """from metaflow import FlowSpec, IncludeFile, JSONType, Parameter, step


class Given(FlowSpec):
    a = Parameter('a', default=3, help='how {{many}}')
    b = Parameter('b', default=0.5)
    c = Parameter('c', default='x {{y}} "z"')
    d = Parameter('d', default=True)
    e = Parameter('e', type=JSONType, default={'k': ['{{v}}']})
    f = Parameter('f', type=JSONType, default='[1]')
    g = Parameter('g-h', type=int, required=True)
    i = Parameter('i', default=lambda context: 'late', type=str)

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def flow_of(text: str, **settings: Any) -> Flow:
    found = reading(text, **settings)
    assert found.diagnostics == ()
    return found.flows[0]


def of_metaflow(monkeypatch: pytest.MonkeyPatch, project: str | None, branch: str, flow: str, name: str | None = None) -> tuple[str, str]:
    """The workflow's name and the prefix of its token, as Metaflow resolves them."""
    from metaflow.plugins.argo import argo_workflows_cli as cli

    facts = {"project_name": project, "branch_name": branch, "flow_name": flow, "project_flow_name": f"{project}.{branch}.{flow}"}
    current = SimpleNamespace(get=facts.get, **facts)
    monkeypatch.setattr(cli, "current", current)
    found = cli.resolve_workflow_name_v2(None, name)
    return found[0], found[1]


@hypothesis_settings(deadline=None)
@given(
    project=st.from_regex(r"[a-z0-9_]{1,60}", fullmatch=True),
    branch=st.one_of(st.none(), st.from_regex(r"[a-z0-9_]{1,60}", fullmatch=True)),
    production=st.booleans(),
    owner=st.from_regex(r"[a-zA-Z][a-zA-Z0-9.@+_-]{0,40}", fullmatch=True),
    flow=st.from_regex(r"[A-Z][A-Za-z0-9_]{0,60}", fullmatch=True),
)
def test_project_names(project: str, branch: str | None, production: bool, owner: str, flow: str) -> None:
    """Whatever project, branch, owner and flow are called, the workflow and its token are called as Metaflow calls them."""
    from metaflow.plugins.project_decorator import format_name

    settings = Settings(branch=branch, production=production, owner=owner)
    found = flow_of(IN_PROJECT.replace("ads", project).replace("Hello", flow))
    _, full_branch = format_name(flow, project, production, branch, owner)
    with pytest.MonkeyPatch.context() as monkeypatch:
        expected = of_metaflow(monkeypatch, project, full_branch, flow)
    assert (names.workflow_name(found, settings), names.token_prefix(found, settings)) == expected
    # Metaflow counts two dots too few; what counts is what Argo appends to the name of a CronWorkflow.
    assert len(names.workflow_name(found, settings)) <= 47


@pytest.mark.parametrize("flow", ["Hello", "My_Flow", "_Hidden", "HTTPFlow2"])
@pytest.mark.parametrize("name", [None, "other.name", "x"])
def test_plain_names(monkeypatch: pytest.MonkeyPatch, flow: str, name: str | None) -> None:
    """Without @project the name is the flow's or the given one, sanitized as Metaflow does."""
    found = flow_of(sample().replace("Hello", flow))
    settings = Settings(name=name)
    assert (names.workflow_name(found, settings), names.token_prefix(found, settings)) == of_metaflow(monkeypatch, None, "", flow, name)


@pytest.mark.parametrize("text", [sample(), IN_PROJECT])
def test_first_token(text: str) -> None:
    """Without a token in the settings, the token is the one that Metaflow itself makes first; it is the same every time."""
    from metaflow.plugins.aws.step_functions.production_token import new_token

    flow = flow_of(text)
    settings = Settings(owner="ann")
    assert names.production_token(flow, settings) == new_token(names.token_prefix(flow, settings))
    assert names.production_token(flow, Settings(production_token="production:mine-0-abcd")) == "mine-0-abcd"


@pytest.mark.parametrize("text", [sample().replace("Hello", names.LONG + "X"), sample().replace("Hello", "Ünï")])
def test_help_of_a_bad_name(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of FC410 and FC411 works: another class or folder with settings in a repository, `--name` for a file alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "flowc.toml").write_text('flows = ["**/*.py"]\nnamespace = "above"\n')
    (tmp_path / "hello.py").write_text(sample())
    path = tmp_path / "own" / "flow.py"
    path.write_text(text)
    told = flowc("check", code=1).stderr + flowc("check", code=1).stdout
    for remedy in ("rename the class", "`--name` where its file is compiled alone", "`name` in a flowc.toml", "instead of the one above"):
        assert remedy in told

    assert "name: shorter" in flowc("compile", "own/flow.py", "--target", "argo", "--name", "shorter").stdout
    assert "two flows would be written" in flowc("compile", "--name", "shorter", code=2).stderr, "so it is no help in a repository"
    (tmp_path / "own" / "flowc.toml").write_text('name = "shorter"\n')
    flowc("compile")
    written = (tmp_path / "manifests/argo/shorter.workflowtemplate.yaml").read_text()
    assert "namespace: above" in (tmp_path / "manifests/argo/hello.workflowtemplate.yaml").read_text()
    assert "namespace: above" not in written, "the file above counts there no more"
    (tmp_path / "own" / "flowc.toml").unlink()
    path.write_text(sample().replace("Hello", "Other"))
    flowc("compile")
    assert (tmp_path / "manifests/argo/other.workflowtemplate.yaml").exists()


def test_help_of_a_bad_name_that_is_not_of_the_class() -> None:
    """The help names what made the name: settings, or the parts of a project's, which `--name` cannot help."""
    for name in ("My_Flow", "x" * 50):
        (refused,) = names.check(flow_of(sample()), Settings(name=name))
        assert "`name` in the settings" in refused.help
        assert "class" not in refused.help
    (refused,) = names.check(flow_of(IN_PROJECT.replace("Hello", "Ünï")), Settings())
    assert refused.code is names.INVALID
    assert "rename the class" in refused.help
    assert "--name" not in refused.help


def test_good_example_of_the_token_rule() -> None:
    """The help of FC413 names the token that makes the production deployment compile."""
    flow = flow_of(IN_PROJECT)
    (refused,) = names.check(flow, Settings(production=True))
    assert refused.code is names.NO_TOKEN
    assert names.first_token(flow, Settings(production=True)) in refused.help


def records_of_metaflow(files: dict[str, str], folder: Path) -> dict[str, Any]:
    """Metaflow's own record of a flow's parameters."""
    from metaflow.parameters import flow_context, set_parameter_context
    from metaflow.plugins.argo import argo_workflows

    cls = imported(files, folder).Given
    maker = argo_workflows.ArgoWorkflows.__new__(argo_workflows.ArgoWorkflows)
    with flow_context(cls):
        maker.flow = cls(use_cli=False)
        for _, parameter in cls._get_parameters():
            parameter.init()
        set_parameter_context("Given", print, SimpleNamespace(TYPE="s3"), {})
        found: dict[str, Any] = json.loads(json.dumps(maker._process_parameters()))
    return found


def test_parameters(tmp_path: Path) -> None:
    """The record of parameters holds what Metaflow's holds; a default that only the pod knows is no value. No text has `{{`."""
    theirs = records_of_metaflow({"flow.py": PARAMETERS}, tmp_path)
    flow = flow_of(PARAMETERS)
    ours = parameters.records(flow)
    assert json.loads(theirs.pop("i")["value"]) == "late"
    assert ours.pop("i")["value"] == "null"
    assert list(ours) == list(theirs)
    for name, record in ours.items():
        assert {**record, "value": json.loads(record["value"])} == {**theirs[name], "value": json.loads(theirs[name]["value"])}
    assert json.loads(json.loads(ours["e"]["value"])) == {"k": ["{{v}}"]}
    assert "{{" not in json.dumps(parameters.arguments(flow))


@pytest.mark.parametrize("production", [False, True])
def test_deployer_accepts(monkeypatch: pytest.MonkeyPatch, production: bool) -> None:
    """Metaflow's Deployer finds a deployed flow by the annotations that flowc wrote: flow, owner, parameters, project and branch."""
    from metaflow.plugins.argo import argo_workflows
    from metaflow.plugins.argo import argo_workflows_deployer_objects as objects

    flow = flow_of(
        PARAMETERS.replace("class Given", "@project(name='ads')\nclass Given").replace("Parameter, step", "Parameter, project, step")
    )
    settings = Settings(owner="ann", production=production, production_token="t-0-abcd" if production else None)
    template = {"metadata": metadata.template_metadata(flow, graph.build(flow), settings)}
    made: dict[str, Any] = {}

    class Client:
        def __init__(self, namespace: str | None = None) -> None:
            pass

        def get_workflow_template(self, name: str) -> dict[str, Any] | None:
            return template if name == template["metadata"]["name"] else None

        def get_workflow_templates(self, **_: Any) -> list[dict[str, Any]]:
            return [template]

        def trigger_workflow_template(self, name: str, *_: Any) -> dict[str, Any]:
            return {"metadata": {"name": f"{name}-xyz"}}

    class Deployer:
        def __init__(self, file: str, **options: Any) -> None:
            made.update(options, text=Path(file).read_text(encoding="utf-8"))

        def argo_workflows(self, **options: Any) -> SimpleNamespace:
            made.update(options)
            return SimpleNamespace()

    for module in (objects, argo_workflows):
        monkeypatch.setattr(module, "ArgoClient", Client)
    monkeypatch.setenv("USERNAME", "ann")
    monkeypatch.setattr(objects, "Deployer", Deployer)
    monkeypatch.setattr(objects.DeployedFlow, "__init__", lambda self, deployer: setattr(self, "deployer", deployer))
    name = template["metadata"]["name"]
    found = objects.ArgoWorkflowsDeployedFlow.from_deployment(name, metadata="local@/tmp")
    assert (found.deployer.flow_name, found.deployer.name) == ("Given", name)
    assert made["env"] == {"METAFLOW_USER": "ann"}
    assert made.get("production", False) is production
    assert "@project(name='ads')\nclass Given(FlowSpec)" in made["text"]
    assert "g = Parameter('g-h', type=int" in made["text"]
    assert found.production_token == names.production_token(flow, settings)
    assert list(argo_workflows.ArgoWorkflows.list_templates("Given")) == [name]
    assert argo_workflows.ArgoWorkflows.trigger(name)["metadata"]["name"] == f"{name}-xyz"


def test_runs_are_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metaflow's suspend and terminate find in a run's annotations the flow, project, branch and token that they ask for."""
    from metaflow.plugins.argo import argo_workflows

    flow, settings = flow_of(IN_PROJECT), Settings(owner="ann")
    run = {"metadata": metadata.workflow_metadata(flow, settings)}
    monkeypatch.setattr(argo_workflows, "ArgoClient", lambda **_: SimpleNamespace(get_workflow=lambda _: run))
    found = argo_workflows.ArgoWorkflows.get_execution("any")
    assert found == ("ann", names.production_token(flow, settings), "Hello", "user.ann", "ads")


def test_labels() -> None:
    """Templates, runs and pods carry Metaflow's labels, pods those of the settings too."""
    flow, settings = flow_of(sample()), Settings(labels={"team": "ads", "app.kubernetes.io/name": "mine"})
    part_of = {"app.kubernetes.io/part-of": "metaflow"}
    template = metadata.template_metadata(flow, graph.build(flow), settings)
    assert template["labels"] == {"app.kubernetes.io/name": "metaflow-flow", **part_of}
    assert metadata.workflow_metadata(flow, settings)["labels"] == {"app.kubernetes.io/name": "metaflow-run", **part_of}
    assert metadata.pod_metadata(flow, settings)["labels"] == {"team": "ads", "app.kubernetes.io/name": "metaflow-task", **part_of}


def test_no_clock_and_no_braces() -> None:
    """Annotations hold no time of deployment, and none that Argo templates holds `{{` but for the run's id."""
    text = PARAMETERS.replace("class Given(FlowSpec):", 'class Given(FlowSpec):\n    """Says {{hello}}."""\n')
    flow, settings = flow_of(text), Settings(tags=("a{{b}}",))
    template = metadata.template_metadata(flow, graph.build(flow), settings)["annotations"]
    assert "metaflow/deployment_timestamp" not in template
    assert template["workflows.argoproj.io/description"] == "Says {{hello}}."
    for about in (metadata.workflow_metadata(flow, settings), metadata.pod_metadata(flow, settings)):
        run_id = about["annotations"].pop("metaflow/run_id")
        assert run_id == "argo-{{workflow.name}}"
        assert "{{" not in json.dumps(about["annotations"])
        assert json.loads(about["annotations"]["metaflow/tags"]) == ["a{{b}}"]


@pytest.mark.parametrize("case", ["branches", "nested_foreach", "switch_skips", "gang", "loop_in_foreach"])
def test_structure(case: str, tmp_path: Path) -> None:
    """The steps' structure in `metaflow/dag` is the one that Metaflow computes."""
    from metaflow.flowspec import FlowSpec

    text = (Path(__file__).parents[1] / "fixtures" / case / "flow.py").read_text(encoding="utf-8")
    module = imported({"flow.py": text}, tmp_path)
    cls = next(v for v in vars(module).values() if isinstance(v, type) and issubclass(v, FlowSpec) and v is not FlowSpec)
    theirs = cls(use_cli=False)._graph.output_steps()[1]
    assert metadata.structure_of(graph.build(flow_of(text))) == theirs


def test_structure_stays_small() -> None:
    """Behind twenty switches in a row Metaflow's structure has a million entries: it is left out."""
    steps = [f"    @step\n    def s{i}(self):\n        self.next({{'a': self.a{i}, 'b': self.b{i}}}, condition='x')\n" for i in range(20)]
    steps += [f"    @step\n    def {k}{i}(self):\n        self.next(self.s{i + 1})\n" for i in range(20) for k in "ab"]
    ends = "    @step(start=True)\n    def begin(self):\n        self.next(self.s0)\n"
    ends += "    @step\n    def s20(self):\n        self.next(self.end)\n"
    ends += "    @step\n    def end(self):\n        pass\n"
    text = "from metaflow import FlowSpec, step\n\n\nclass Deep(FlowSpec):\n" + "\n".join(steps) + ends
    flow = flow_of(text)
    assert metadata.structure_of(graph.build(flow)) is None
    assert metadata.template_metadata(flow, graph.build(flow), Settings())["annotations"]["metaflow/dag"] == "null"


def compiled_by_metaflow(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **facts: Any) -> dict[str, Any]:
    """Metaflow's WorkflowTemplate of the flow, without its steps."""
    from metaflow.parameters import flow_context
    from metaflow.plugins.argo import argo_workflows

    cls = imported({"flow.py": text}, folder).Hello
    monkeypatch.setattr(argo_workflows, "current", SimpleNamespace(get=facts.get, **facts))
    monkeypatch.setattr(argo_workflows, "KUBERNETES_NAMESPACE", "ml")
    monkeypatch.setattr(argo_workflows, "ARGO_EVENTS_SENSOR_NAMESPACE", "ml")
    maker = argo_workflows.ArgoWorkflows.__new__(argo_workflows.ArgoWorkflows)
    for name in ("_lifecycle_hooks", "_dag_templates", "_container_templates", "_exit_hook_templates", "_daemon_templates"):
        monkeypatch.setattr(argo_workflows.ArgoWorkflows, name, lambda _: [])
    maker.name, maker.production_token, maker.username, maker.tags = "hello", "t", "ann", ["a", "b"]
    maker.workflow_title, maker.workflow_description, maker.workflow_timeout, maker.workflow_priority = " My title ", None, None, None
    maker.notify_on_error, maker.notify_on_success, maker.max_workers, maker.enable_error_msg_capture = True, False, 100, False
    maker.notify_slack_webhook_url, maker.notify_pager_duty_integration_key, maker.notify_incident_io_api_key = "url", None, None
    with flow_context(cls):
        maker.flow = cls(use_cli=False)
        maker.graph = maker.flow._graph
        for _, parameter in cls._get_parameters():
            parameter.init()
        for decorator in [d for ds in maker.flow._flow_decorators.values() for d in ds if d.name != "project"]:
            decorator.flow_init("Hello", None, None, None, None, None, None, {"trigger": None})
        maker.parameters = maker._process_parameters()
        maker.triggers, maker.trigger_options = maker._process_triggers()
        maker._schedule, maker._timezone = maker._get_schedule()
        maker._base_labels, maker._base_annotations = maker._base_kubernetes_labels(), maker._base_kubernetes_annotations()
        found: dict[str, Any] = json.loads(json.dumps(maker._compile_workflow_template().to_json()))
    return found


def read_json(about: dict[str, Any]) -> dict[str, Any]:
    """Annotations with the JSON in them read, the clock left out; of parameters, values as JSON too."""
    found = dict(about["annotations"])
    found.pop("metaflow/deployment_timestamp", None)
    for key, text in found.items():
        if text[:1] in "{[":
            found[key] = json.loads(text)
    for parameter in found.get("metaflow/parameters", {}).values():
        parameter["value"] = json.loads(parameter["value"])
    return found


@pytest.mark.parametrize("above", ["@schedule(cron='0 6 * * 1', timezone='Asia/Tokyo')", "@trigger(event='x')", "@project(name='ads')"])
def test_metadata(above: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels and annotations of template, runs and pods are Metaflow's, JSON read; pods go without title and description."""
    text = sample("Parameter, project, schedule, trigger", above, body="n = Parameter('n', default='x')").replace(
        "n = ", '"""Says hello."""\n\n    n = '
    )
    in_project = {"project_name": "ads", "branch_name": "user.ann", "project_flow_name": "ads.user.ann.Hello"} if "project" in above else {}
    theirs = compiled_by_metaflow(text, tmp_path, monkeypatch, **in_project)
    flow = flow_of(text)
    settings = Settings(
        owner="ann",
        namespace="ml",
        production_token="t",
        tags=("a", "b"),
        title="My title",
        notify_on_error=True,
        notify_slack_webhook_url="secret:slack/url",
        events_event="e",
        events_event_source="e",
        events_service_account="e",
    )
    pods_of_theirs = read_json(theirs["spec"]["podMetadata"])
    for key in ("title", "description"):
        pods_of_theirs.pop(f"workflows.argoproj.io/{key}")
    for mine, other, expected in (
        (metadata.template_metadata(flow, graph.build(flow), settings), theirs["metadata"], read_json(theirs["metadata"])),
        (metadata.workflow_metadata(flow, settings), theirs["spec"]["workflowMetadata"], read_json(theirs["spec"]["workflowMetadata"])),
        (metadata.pod_metadata(flow, settings), theirs["spec"]["podMetadata"], pods_of_theirs),
    ):
        assert mine["labels"] == other["labels"]
        annotations = read_json(mine)
        if in_project:
            # The name of this deployment is the project's; Metaflow's was given by the test.
            annotations.pop("metaflow/sensor_name", None)
        assert annotations == expected
