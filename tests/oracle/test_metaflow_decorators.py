"""What flowc's checks say of a decorator's values against what Metaflow's own decorators say when a flow is deployed to Kubernetes or AWS Batch."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytest.importorskip("metaflow")
pytest.importorskip("kubernetes")

from metaflow.flowspec import FlowStateItems
from metaflow.plugins.kubernetes.kubernetes_decorator import KubernetesDecorator
from oracle.metaflow_flows import executed

from flowc import compiler
from flowc.settings import Settings
from flowc.source import SourceFile

EXAMPLES = int(os.environ.get("FLOWC_EXAMPLES", "300"))
SOME = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

AMOUNTS = st.sampled_from([None, 0, 1, 2, -1, 1.0, 0.5, 2.5, "0", "1", "2", "0.5", "1.5", "-1", "", "4G", "x"])
WHOLE = st.sampled_from([0, 1, 4, 5, 9, -1, 59, 60, 2.5, "0", "3", "4", "5", "60", "x", "1.5", ""])
TEXT = st.sampled_from(
    [None, "", "a", "A", "nvidia", "AMD", "intel", "Guaranteed", "burstable", "BestEffort", "a=b", "a=b,c=d", "a=b,a=c", "a=b=c", "/x", "x"]
)
LABELS = st.sampled_from(
    [None, {}, {"a": "b"}, {"a": ""}, {"a": None}, {"a": "b c"}, {"a": "-b"}, {"a": "b" * 63}, {"a": "b" * 64}, {"a": 1}, {"a": 0}, "a=b"]
)
TOLERATIONS = st.sampled_from(
    [
        None,
        [],
        [{"key": "a"}],
        [{"key": "a", "operator": "Exists"}],
        [{"tolerationSeconds": 3}],
        [{"toleration_seconds": 3}],
        ["a"],
        [{}],
        "a",
        [{"x": 1}, {"y": 2}],
    ]
)
STEP = {
    "retry": {"times": WHOLE, "minutes_between_retries": st.sampled_from([0, 2, "3"])},
    "timeout": {"seconds": WHOLE, "minutes": WHOLE, "hours": st.sampled_from([0, 1, "2"])},
    "catch": {"var": TEXT},
    "resources": {"cpu": AMOUNTS, "memory": AMOUNTS, "disk": AMOUNTS, "gpu": AMOUNTS, "shared_memory": AMOUNTS},
    "kubernetes": {
        "cpu": AMOUNTS,
        "memory": AMOUNTS,
        "disk": AMOUNTS,
        "gpu": AMOUNTS,
        "shared_memory": AMOUNTS,
        "tmpfs_size": AMOUNTS,
        "use_tmpfs": st.booleans(),
        "gpu_vendor": TEXT,
        "qos": TEXT,
        "labels": LABELS,
        "annotations": LABELS,
        "node_selector": st.one_of(TEXT, LABELS),
        "tolerations": TOLERATIONS,
        "compute_pool": st.sampled_from([None, "", "pool"]),
    },
    "batch": {
        "inferentia": st.sampled_from([None, 1]),
        "trainium": st.sampled_from([None, 1]),
        "tmpfs_path": TEXT,
        "aws_batch_tags": st.sampled_from(
            [None, {}, {"a": "b"}, {"aws:a": "b"}, {"a": "AWS:b"}, {"a" * 129: "b"}, {"a": "b" * 257}, {"#": "b"}, {"a": ""}, {"a": 1}]
        ),
    },
}
NAMES = st.sampled_from([None, "", "a", "a_1", "A", "a-b", "a" * 128, "a" * 129])
EVENTS = st.sampled_from(
    [
        None,
        "",
        "a",
        {},
        {"name": "a"},
        {"name": "b", "parameters": {"x": "y"}},
        {"name": "b", "parameters": {"x": 1}},
        {"name": "b", "parameters": ["x"]},
        {"name": "b", "parameters": [1]},
        {"name": "b", "parameters": [("x", "y")]},
        {"name": "b", "parameters": [("x", 1)]},
        {"event": "a"},
        5,
    ]
)
UPSTREAM = st.sampled_from(
    [
        None,
        "",
        "Foo",
        "a.b.Foo",
        "a.b.c.Foo",
        "a.Foo",
        "Foo-1",
        "a.b.Foo-1",
        {"name": "Foo"},
        {"name": "a.Foo"},
        {"name": 1},
        {"project": "a"},
        {"name": "Foo", "project": "a", "project_branch": "b"},
        {"name": "Foo", "project": 1},
        {"name": "Foo", "project_branch": None},
        5,
    ]
)
FLOW = {
    "project": {"name": NAMES, "branch": NAMES, "production": st.booleans()},
    "trigger": {"event": EVENTS, "events": st.one_of(st.lists(EVENTS, max_size=3), st.sampled_from([None, "a"]))},
    "trigger_on_finish": {"flow": UPSTREAM, "flows": st.one_of(st.lists(UPSTREAM, max_size=3), st.sampled_from([None, "Foo"]))},
    "schedule": {"cron": TEXT, "daily": st.booleans(), "weekly": st.booleans()},
}
Written = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]


def written(table: dict[str, dict[str, st.SearchStrategy[Any]]]) -> st.SearchStrategy[Written]:
    """Up to three different decorators with some of their attributes."""

    def one(name: str) -> st.SearchStrategy[tuple[str, tuple[tuple[str, Any], ...]]]:
        chosen = st.lists(st.sampled_from(sorted(table[name])), unique=True, max_size=3)
        return chosen.flatmap(lambda keys: st.tuples(*[table[name][k].map(lambda v, k=k: (k, v)) for k in keys])).map(lambda a: (name, a))

    names = st.lists(st.sampled_from(sorted(table)), unique=True, min_size=1, max_size=3)
    return names.flatmap(lambda chosen: st.tuples(*map(one, chosen)))


def spelled(decorators: Written, indent: str) -> str:
    return "".join(f"{indent}@{name}({', '.join(f'{k}={v!r}' for k, v in attributes)})\n" for name, attributes in decorators)


def flow_text(on_flow: Written, on_step: Written) -> str:
    names = sorted({"FlowSpec", "step"} | {name for name, _ in on_flow + on_step})
    return (
        f"from metaflow import {', '.join(names)}\n\n\n{spelled(on_flow, '')}class Made(FlowSpec):\n{spelled(on_step, '    ')}"
        "    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
    )


def metaflow_says(text: str) -> str:
    """What Metaflow's decorators say when they start up, with @kubernetes on steps that have no @batch, as on Argo Workflows."""
    store = SimpleNamespace(TYPE="s3")
    metadata = SimpleNamespace(add_sticky_tags=lambda **_tags: None)
    quiet = lambda *_words, **_style: None  # noqa: E731
    try:
        with executed(text, "Made") as flow_class:
            flow = SimpleNamespace(name="Made")
            state = flow_class._flow_state[FlowStateItems.FLOW_DECORATORS]
            for decorator in [d for many in state.values() for d in many]:
                decorator.external_init()
                options = {k: v["default"] for k, v in decorator.options.items()}
                decorator.flow_init(flow, flow_class._graph, None, store, metadata, quiet, quiet, options)
            for node in flow_class._graph:
                decorators = node.decorators
                if not any(d.name in ("batch", "kubernetes") for d in decorators):
                    decorators.append(KubernetesDecorator())
                for decorator in decorators:
                    decorator.external_init()
                for decorator in decorators:
                    decorator.step_init(flow, flow_class._graph, node.name, decorators, None, store, quiet)
                    finish(decorator)
    except Exception as error:  # noqa: BLE001 a crash refuses the flow as well as a message does
        return f"{type(error).__name__}: {error}"
    return ""


def finish(decorator: Any) -> None:
    """What Metaflow computes with the values later, when it makes the manifest or registers the job."""
    if decorator.name == "retry":
        int(decorator.attributes["minutes_between_retries"])
    elif decorator.name == "batch":
        for name in ("cpu", "memory"):
            float(decorator.attributes[name])


def flowc_says(text: str) -> list[str]:
    return [d.message for d in compiler.check(SourceFile("flow.py", text), lambda _path: None, Settings()).diagnostics]


@SOME
@given(written(STEP))
@example((("timeout", (("seconds", 59),)),))
@example((("kubernetes", (("cpu", 0),)), ("resources", (("cpu", 1),))))
@example((("kubernetes", ()), ("batch", ())))
@example((("kubernetes", (("disk", 0),)), ("resources", ())))
def test_steps_are_refused_as_metaflows_decorators_refuse_them(decorators: Written) -> None:
    """Whatever values a step's decorators have, flowc has something against them exactly where Metaflow has."""
    text = flow_text((), decorators)
    said, found = metaflow_says(text), flowc_says(text)
    assert bool(found) == bool(said), (text, said, found)


@SOME
@given(written(FLOW))
def test_flows_are_refused_as_metaflows_decorators_refuse_them(decorators: Written) -> None:
    """As above, for the decorators of the class."""
    text = flow_text(decorators, ())
    said, found = metaflow_says(text), flowc_says(text)
    assert bool(found) == bool(said), (text, said, found)
