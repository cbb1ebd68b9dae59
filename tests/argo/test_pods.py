"""Facts about the pods of steps: what decorators say is merged as Metaflow merges it, and every word of it reaches the manifest."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from reading import reading

from flowc import merging
from flowc.deployment import pods, pods_check
from flowc.deployment.samples import sample
from flowc.ir import Decorator, NoNext, Step, Value
from flowc.settings import Settings
from flowc.source import Span
from flowc.targets.argo import retries, step_pod

HERE = Span("flow.py", 1, 1, 1, 1)


def step_with(*decorators: tuple[str, dict[str, Any]]) -> Step:
    made = tuple(Decorator(name, {k: Value(v, HERE) for k, v in attributes.items()}, HERE) for name, attributes in decorators)
    return Step("train", NoNext(), 1, made, HERE)


def merged_by_metaflow(attributes: dict[str, Any], resources: dict[str, Any] | None) -> dict[str, Any]:
    """The attributes of @kubernetes after Metaflow's own hooks have run."""
    from metaflow.plugins.kubernetes.kubernetes_decorator import KubernetesDecorator
    from metaflow.plugins.resources_decorator import ResourcesDecorator

    kubernetes = KubernetesDecorator(attributes=dict(attributes))
    kubernetes.init()
    others = [] if resources is None else [ResourcesDecorator(attributes=dict(resources))]
    kubernetes.step_init(None, {}, "train", [kubernetes, *others], None, SimpleNamespace(TYPE="s3"), None)
    found: dict[str, Any] = kubernetes.attributes
    return found


amounts = st.one_of(st.integers(1, 100_000), st.integers(1, 100_000).map(str), st.floats(0.25, 64).map(lambda n: round(n, 2)))
requests = st.fixed_dictionaries(
    {}, optional={"cpu": amounts, "memory": st.integers(4, 100_000), "disk": amounts, "gpu": st.integers(0, 8)}
)


@hypothesis_settings(deadline=None)
@given(
    requests,
    st.none() | st.builds(lambda a, b: {**a, **b}, requests, st.fixed_dictionaries({}, optional={"shared_memory": st.integers(1, 9000)})),
    st.fixed_dictionaries(
        {}, optional={"use_tmpfs": st.booleans(), "tmpfs_size": st.integers(1, 999), "shared_memory": st.integers(1, 999)}
    ),
)
def test_merging(asked: dict[str, Any], resources: dict[str, Any] | None, memory: dict[str, Any]) -> None:
    """cpu, memory, disk, gpu, tmpfs and shared memory of @kubernetes and @resources come together as in Metaflow."""
    theirs = merged_by_metaflow({**asked, **memory}, resources)
    step = step_with(("kubernetes", {**asked, **memory}), *([("resources", resources)] if resources is not None else []))
    ours = merging.kubernetes(step)
    for name in ("cpu", "memory", "disk"):
        assert float(ours[name]) == float(theirs[name])
    for name in ("gpu", "shared_memory", "tmpfs_size"):
        assert ours[name] == theirs[name]


@hypothesis_settings(deadline=None)
@given(st.none() | st.integers(0, 4), st.booleans(), st.none() | st.integers(0, 9))
def test_retries(times: int | None, caught: bool, minutes: int | None) -> None:
    """@retry and @catch add up as Metaflow's two counters do."""
    from metaflow.plugins.catch_decorator import CatchDecorator
    from metaflow.plugins.retry_decorator import RetryDecorator

    given_ = {**({} if times is None else {"times": times}), **({} if minutes is None else {"minutes_between_retries": minutes})}
    theirs = [d.step_task_retry_count() for d in [RetryDecorator(attributes=given_), *([CatchDecorator()] if caught else [])]]
    step = step_with(("retry", given_), *([("catch", {})] if caught else []))
    user, error = max(c[0] for c in theirs), max(c[1] for c in theirs)
    assert merging.retries(step) == merging.Retries(user, user + error, 2 if minutes is None else minutes)
    strategy = retries.retry_strategy(step)
    assert (strategy or {}).get("limit", 0) == user + error
    assert retries.attempt(step) == ("{{retries}}" if strategy else "0")


def test_time_limit() -> None:
    """The parts of @timeout add up; without it a pod has Metaflow's five days."""
    from metaflow.metaflow_config import DEFAULT_RUNTIME_LIMIT

    assert retries.deadline(step_with(("timeout", {"hours": 1, "minutes": "2", "seconds": 3}))) == 3723
    assert retries.deadline(step_with()) == retries.DEFAULT_DEADLINE == DEFAULT_RUNTIME_LIMIT


def test_defaults() -> None:
    """flowc's table of @kubernetes and @resources is Metaflow's, and Metaflow's constants are flowc's."""
    from metaflow.plugins.catch_decorator import NUM_FALLBACK_RETRIES
    from metaflow.plugins.kubernetes.kubernetes_decorator import KubernetesDecorator
    from metaflow.plugins.resources_decorator import ResourcesDecorator

    assert KubernetesDecorator.defaults == {**merging.KUBERNETES_DEFAULTS, "gpu_vendor": None}
    assert ResourcesDecorator.defaults == merging.RESOURCES_DEFAULTS
    assert merging.FALLBACK_RETRIES == NUM_FALLBACK_RETRIES


# An attribute, a value for it, and what stands beside it so that it can matter.
ATTRIBUTES: dict[str, tuple[Any, dict[str, Any]]] = {
    "cpu": (4, {}),
    "memory": (8192, {}),
    "disk": (20480, {}),
    "image": ("registry.example.com/train:1", {}),
    "image_pull_policy": ("Always", {}),
    "image_pull_secrets": (["registry"], {}),
    "service_account": ("trainer", {}),
    "secrets": (["db"], {}),
    "node_selector": ({"zone": "a"}, {}),
    "namespace": ("other", {}),
    "gpu": (1, {}),
    "gpu_vendor": ("amd", {"gpu": 1}),
    "tolerations": ([{"key": "gpu", "toleration_seconds": 60}], {}),
    "labels": ({"team": "ads"}, {}),
    "annotations": ({"note": "x"}, {}),
    "use_tmpfs": (True, {}),
    "tmpfs_tempdir": (False, {"use_tmpfs": True}),
    "tmpfs_size": (512, {}),
    "tmpfs_path": ("/scratch", {"use_tmpfs": True}),
    "persistent_volume_claims": ({"data": "/mnt/data"}, {}),
    "shared_memory": (1024, {}),
    "port": (8080, {}),
    "compute_pool": ("gpus", {}),
    "executable": ("/opt/python", {}),
    "hostname_resolution_timeout": (60, {}),
    "qos": ("Guaranteed", {}),
    "extended_resources": ({"vendor.com/device": 2}, {}),
    "security_context": ({"run_as_user": 1000}, {}),
}


def test_all_attributes_are_tried() -> None:
    """The table below names every attribute that the installed @kubernetes has."""
    from metaflow.plugins.kubernetes.kubernetes_decorator import KubernetesDecorator

    assert set(ATTRIBUTES) == set(KubernetesDecorator.defaults)


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_attribute_counts(name: str) -> None:
    """Each attribute changes the pod, or a diagnostic says that it does not: none is dropped."""
    value, beside = ATTRIBUTES[name]
    without, with_it = step_with(("kubernetes", beside)), step_with(("kubernetes", {**beside, name: value}))
    changed = step_pod.pod(with_it, Settings()) != step_pod.pod(without, Settings())
    said = [d for d in pods_check.check_step(with_it, Settings()) if name in d.message]
    assert changed != bool(said)


def test_container() -> None:
    """The whole of a step's demands, as Kubernetes spells them."""
    step = step_with(
        (
            "kubernetes",
            {**{name: value for name, (value, _) in ATTRIBUTES.items()}, "namespace": None, "executable": None, "tmpfs_tempdir": True},
        ),
        ("timeout", {"hours": 2}),
        ("retry", {"times": 2}),
    )
    found = step_pod.pod(step, Settings(secrets=("all",), datastore="s3"))
    assert found.container == {
        "image": "registry.example.com/train:1",
        "imagePullPolicy": "Always",
        "env": [{"name": "METAFLOW_TEMPDIR", "value": "/scratch"}],
        "envFrom": [{"secretRef": {"name": "all"}}, {"secretRef": {"name": "db"}}],
        "ports": [{"containerPort": 8080}],
        "resources": {
            "requests": {"cpu": "4", "memory": "8192M", "ephemeral-storage": "20480M", "vendor.com/device": "2"},
            "limits": {"cpu": "4", "memory": "8192M", "ephemeral-storage": "20480M", "vendor.com/device": "2", "amd.com/gpu": "1"},
        },
        "securityContext": {"runAsUser": 1000},
        "volumeMounts": [
            {"name": "tmpfs-ephemeral-volume", "mountPath": "/scratch"},
            {"name": "dhsm", "mountPath": "/dev/shm"},
            {"name": "data", "mountPath": "/mnt/data"},
        ],
    }
    assert found.template == {
        "metadata": {
            "annotations": {"metaflow/step_name": "train", "metaflow/attempt": "{{retries}}", "note": "x"},
            "labels": {"team": "ads"},
        },
        "activeDeadlineSeconds": 7200,
        "retryStrategy": {"retryPolicy": "Always", "limit": 2, "backoff": {"duration": "2m"}},
        "nodeSelector": {"zone": "a", "outerbounds.co/compute-pool": "gpus"},
        "tolerations": [{"key": "gpu", "tolerationSeconds": 60}],
        "serviceAccountName": "trainer",
        "volumes": [
            {"name": "tmpfs-ephemeral-volume", "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}},
            {"name": "dhsm", "emptyDir": {"medium": "Memory", "sizeLimit": "1024Mi"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        ],
        "podSpecPatch": '{"imagePullSecrets":[{"name":"registry"}]}',
    }


def test_plain_step_is_small() -> None:
    """A step that asks for nothing adds its name, no more: the rest is hoisted."""
    assert step_pod.pod(step_with(), Settings()) == step_pod.Pod({}, {"metadata": {"annotations": {"metaflow/step_name": "train"}}})
    assert pods.default_resources() == {"requests": {"cpu": "1", "memory": "4096M", "ephemeral-storage": "10240M"}}


def test_only_differences() -> None:
    """What equals the settings is left to the shared part."""
    settings = Settings(image="train:1", image_pull_policy="Always", service_account="runner")
    step = step_with(("kubernetes", {"image": "train:1", "image_pull_policy": "Always", "service_account": "runner", "cpu": 2}))
    found = step_pod.pod(step, settings)
    assert found.container == {"resources": {"requests": {"cpu": "2"}}}
    assert list(found.template) == ["metadata"]


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs"]))))
def test_environment(variables: dict[str, str]) -> None:
    """Whatever the values of @environment hold, Argo sees no template, Kubernetes no variable, and the pod gets them to the letter."""
    variables = {name: text for name, text in variables.items() if not pods.is_reserved(name)}
    found = pods.environment(step_with(("environment", {"vars": variables})))
    plain = {e["name"]: e["value"] for e in found}
    assert "{{" not in json.dumps(found)
    carried = json.loads(base64.b64decode(plain.pop(pods.CARRIER, "")) or "{}")
    assert {**{name: expanded(text, {}) for name, text in plain.items()}, **carried} == variables


def expanded(text: str, variables: dict[str, str]) -> str:
    """Kubernetes' own expansion of `$(NAME)` and `$$` (third_party/forked/golang/expansion)."""
    found, i = "", 0
    while i < len(text):
        if text[i] != "$" or i + 1 == len(text):
            found, i = found + text[i], i + 1
        elif text[i + 1] == "$":
            found, i = found + "$", i + 2
        elif text[i + 1] == "(" and ")" in text[i:]:
            end = text.index(")", i)
            name = text[i + 2 : end]
            found, i = found + variables.get(name, f"$({name})"), end + 1
        else:
            found, i = found + text[i : i + 2], i + 2
    return found


def test_environment_types() -> None:
    """As in Metaflow, None is not set and other values are their `str`; what the platform sets stays the platform's."""
    step = step_with(("environment", {"vars": {"A": None, "B": True, "C": 1.5, "METAFLOW_USER": "me", "D": "$(B) $$"}}))
    assert pods.environment(step) == [{"name": "B", "value": "True"}, {"name": "C", "value": "1.5"}, {"name": "D", "value": "$$(B) $$$$"}]
    assert [d.code.id for d in pods_check.check_step(step, Settings())] == ["FC407"]


def test_reserved_variables() -> None:
    """flowc calls reserved what Metaflow's Argo compiler sets itself."""
    import re
    from pathlib import Path

    from metaflow.plugins.argo import argo_workflows

    text = Path(argo_workflows.__file__).read_text(encoding="utf-8")
    body = text[text.index("def _container_templates") : text.index("# map config values")]
    theirs = {name for name in re.findall(r'"((?:METAFLOW|ARGO)_[A-Z0-9_]+)"', body) if not name.endswith("_")}
    # Set in the pod's script, and set only where a deployment asks for it.
    theirs -= {"METAFLOW_TASK_ID", "METAFLOW_S3_SERVER_SIDE_ENCRYPTION"}
    assert theirs <= pods.METAFLOWS_OWN


def test_claims_with_dots() -> None:
    """A claim whose name no volume can have, or that a volume of the platform has, gets another volume name."""
    claims = {"data.v1": "/a", "out": "/b", "plain": "/c"}
    step = step_with(("kubernetes", {"persistent_volume_claims": claims}))
    found = step_pod.pod(step, Settings())
    named = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in found.template["volumes"]}
    assert sorted(named.values()) == sorted(claims)
    assert not {"data.v1", "out"} & set(named)
    assert {named[m["name"]]: m["mountPath"] for m in found.container["volumeMounts"]} == claims


def test_node_selector_forms() -> None:
    """A node selector may be a text; @kubernetes of Metaflow reads it the same way."""
    from metaflow.plugins.kubernetes.kube_utils import parse_kube_keyvalue_list

    assert merging.key_values("a=b,c=d=e") == parse_kube_keyvalue_list(["a=b", "c=d=e"])
    assert merging.key_values("a") is None
    assert merging.key_values("a=b,a=c") is None


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"labels": {"no key!": "x"}}, "FC401"),
        ({"annotations": {"note": 1}}, "FC401"),
        ({"node_selector": {"zone": "a b"}}, "FC401"),
        ({"persistent_volume_claims": {"data": "relative"}}, "FC401"),
        ({"extended_resources": {"a b": 1}}, "FC401"),
        ({"image": "two words"}, "FC401"),
        ({"secrets": ["Not A Name"]}, "FC401"),
        ({"port": 70_000}, "FC401"),
        ({"cpu": "inf"}, "FC401"),
        ({"gpu": -1}, "FC401"),
        ({"tmpfs_path": "x", "tmpfs_size": 1}, "FC401"),
        ({"annotations": {"note": "{{workflow.name}}"}}, "FC402"),
        ({"image": "a:{{tag}}"}, "FC402"),
        ({"namespace": "elsewhere"}, "FC403"),
        ({"hostname_resolution_timeout": 1}, "FC406"),
        ({"gpu_vendor": "amd"}, "FC406"),
    ],
)
def test_refused(attributes: dict[str, Any], code: str) -> None:
    """What Kubernetes would refuse when the flow is running already, and what Argo would rewrite, is said at once."""
    assert [d.code.id for d in pods_check.check_step(step_with(("kubernetes", attributes)), Settings(namespace="here"))] == [code]


def test_packages() -> None:
    """Packages of @pypi and @conda need an image that holds them; a disabled decorator asks for none."""
    text = sample("pypi_base", "@pypi_base(packages={'a': '1'})")
    flow = reading(text).flows[0]
    assert [d.code.id for d in pods_check.check(flow, Settings())] == ["FC409"]
    assert pods_check.check(flow, Settings(code="image", code_path="/app/flow.py")) == []
