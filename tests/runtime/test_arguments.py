"""In: graphs, flows and settings. Out: proof of the arguments and variables that targets give a pod."""

from __future__ import annotations

import ast
import json

from runtime import reading, simulate

from flowc import runtime
from flowc.settings import METAFLOW_VERSION, Settings


def arguments(flow: str, step: str, **place: str) -> list[str]:
    _, graph = reading.read(simulate.FLOWS / f"{flow}.py", Settings())
    return runtime.arguments(graph, step, **place)


def test_the_first_step_makes_the_run() -> None:
    """The start step, whatever its name, reads the run's parameters."""
    assert arguments("hardship", "begin", attempt="{{retries}}") == ["begin", "--first", "--attempt={{retries}}"]
    assert arguments("values", "only") == ["only", "--first"]


def test_parents_are_named_and_chosen_only_where_a_switch_decides() -> None:
    """One parent, a join of all branches, a merge after a switch, a step that may be skipped to."""
    assert arguments("switches", "west") == ["west", "--from=start"]
    assert arguments("switches", "meet") == ["meet", "--from=far_west,merge_east,near_west,plain", "--choose"]
    assert arguments("switches", "end") == ["end", "--from=choose,more", "--choose"]


def test_foreach_bodies_and_joins_name_their_split() -> None:
    """A body's first step names the split, its join the split whose width counts; a join with two ends chooses."""
    assert arguments("nest", "inner", path="{{p}}") == ["inner", "--split=middle", "--path={{p}}"]
    assert arguments("nest", "join_marks", path="0-1") == ["join_marks", "--gather=inner", "--over=middle", "--path=0-1"]
    assert arguments("loops", "gather") == ["gather", "--gather=even,odd", "--over=fan", "--choose"]


def test_loops_and_gangs_are_marked() -> None:
    """A looping step takes its round, who follows it is told that it loops, and a gang's step is marked."""
    assert arguments("loops", "descend", path="1", round="2") == ["descend", "--split=fan", "--path=1", "--round=2"]
    assert arguments("loops", "fan") == ["fan", "--from=spin", "--loops=spin"]
    assert arguments("gang", "train", path="1") == ["train", "--split=launch", "--gang", "--path=1"]


def environment(settings: Settings, **more: object) -> dict[str, str]:
    flow, _ = reading.read(simulate.FLOWS / "values.py", settings)
    return runtime.environment(flow, settings, **more)


def test_without_settings_pods_take_the_datastore_from_their_namespace() -> None:
    """No variable names a datastore; what to install is told for each."""
    env = environment(Settings())
    assert not [name for name in env if "DATASTORE" in name or "METADATA" in name]
    wanted = json.loads(env["FLOWC_INSTALL"])
    assert wanted[""] == [f"metaflow=={METAFLOW_VERSION}", "requests"]
    assert wanted["s3"] == ["boto3"]
    assert env["FLOWC_CLASS"] == "ValuesFlow"
    assert env["FLOWC_FLOW"] == "values.py"


def test_settings_become_variables() -> None:
    """Datastore, metadata, tags, namespace, token, code path and further variables."""
    settings = Settings(
        datastore="s3",
        datastore_root="s3://b/m",
        metadata="service",
        tags=("a", "b c"),
        namespace="team",
        production_token="t-1",
        code="image",
        code_path="/app",
        environment={"X": "1"},
        with_decorators=("retry:times=2",),
    )
    env = environment(settings, top=["--with=argo_workflows_internal"])
    assert env["METAFLOW_DEFAULT_DATASTORE"] == "s3"
    assert env["METAFLOW_DATASTORE_SYSROOT_S3"] == "s3://b/m"
    assert env["METAFLOW_DEFAULT_METADATA"] == "service"
    assert json.loads(env["FLOWC_TAGS"]) == ["a", "b c"]
    assert json.loads(env["FLOWC_TOP"]) == ["--with=retry:times=2", "--with=argo_workflows_internal"]
    assert "team" not in env.values()
    assert env["METAFLOW_PRODUCTION_TOKEN"] == "t-1"
    assert env["FLOWC_CODE"] == "/app"
    assert env["X"] == "1"
    assert json.loads(env["FLOWC_INSTALL"]) == {"": [f"metaflow=={METAFLOW_VERSION}", "requests", "boto3"]}
    assert "FLOWC_INSTALL" not in environment(Settings(install=False))


def test_parameters_are_declared_with_how_to_read_them() -> None:
    """null means none given where the default is none or only the pod's; a parameter of many values is marked."""
    flow, _ = reading.read(simulate.FLOWS / "values.py", Settings())
    declared = json.loads(runtime.parameters_environment(flow)["FLOWC_DECLARED"])
    assert {name for name, flags in declared.items() if "n" in flags} == {"nothing", "untyped", "lazy", "lazy_int", "text", "raw"}
    assert {name for name, flags in declared.items() if "m" in flags} == {"many"}
    other, _ = reading.read(simulate.FLOWS / "nest.py", Settings())
    assert runtime.parameters_environment(other) == {}


def test_no_braces_meet_in_json() -> None:
    """Argo expands what stands between two braces, so none meet; the value stays the same."""
    value = {"{{": ["{{{x}}}", {"a": {"b": {}}}]}
    text = runtime.safe_json(value)
    assert "{{" not in text
    assert json.loads(text) == value


def test_the_bootstrap_runs_on_old_pythons() -> None:
    """Images may hold Python 3.8: its grammar, the standard library, and no braces that Argo would expand."""
    text = runtime.bootstrap_text()
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= {*__import__("sys").stdlib_module_names, "importlib.util"}
    assert "{{" not in text
    assert "}}" not in text
