"""In: overlays and a flow. Out: what the compiler makes of them: objects by kind, and diagnostics by code and message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from flowc.compiler import Compiled, check, compile_flow
from flowc.settings import Overlay, Settings
from flowc.source import SourceFile

FLOW = """\
from metaflow import FlowSpec, environment, exit_hook, kubernetes, parallel, retry, schedule, step


def told(run):
    pass


@schedule(daily=True)
@exit_hook(on_error=[told])
class Wide(FlowSpec):
    @kubernetes(labels={"own": "1"}, tolerations=[{"key": "mine", "operator": "Exists"}], node_selector={"disk": "ssd"}, tmpfs_size=10)
    @environment(vars={"COLOUR": "red"})
    @step
    def start(self):
        self.next(self.train, num_parallel=2)

    @kubernetes(image="gang:1")
    @parallel
    @step
    def train(self):
        self.next(self.join)

    @retry(times=2)
    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def compiled(overlays: Mapping[str, Overlay], target: str = "argo", flow: str = FLOW, **chosen: Any) -> Compiled:
    settings = Settings(overlays=overlays, **chosen)
    ((found, graph),) = check(SourceFile("flow.py", flow), lambda _: None, settings).flows
    return compile_flow(found, graph, target, settings)


def objects(overlays: Mapping[str, Overlay], target: str = "argo", flow: str = FLOW, **chosen: Any) -> dict[str, Any]:
    """By kind; an object without one by its file."""
    made = compiled(overlays, target, flow, **chosen)
    assert [each.message for each in made.diagnostics if each.severity.value == "error"] == []
    return {value.get("kind", each.file): value for each in made.artifacts for value in [yaml.safe_load(each.text)]}


def refused(overlays: Mapping[str, Overlay], target: str = "argo", flow: str = FLOW, **chosen: Any) -> list[str]:
    """`FC511 overlay ...` of each diagnostic."""
    return [f"{each.code.id} {each.message}" for each in compiled(overlays, target, flow, **chosen).diagnostics]


def pod(**spec: Any) -> Overlay:
    return Overlay("Pod", {"spec": spec})


def main(**fields: Any) -> Overlay:
    """A patch of the container that runs the task."""
    return pod(containers=[{"name": "main", **fields}])
