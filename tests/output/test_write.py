"""Rendered, parsed, judged and dumped: what leaves the compiler is one object all along."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from strategies import FlowText, flows

from flowc import compiler, output
from flowc.diagnostics import OutputBug
from flowc.ir import Flow
from flowc.settings import ARGO_VERSIONS, Settings
from flowc.source import SourceFile
from flowc.target import Document, load

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = """\
from metaflow import FlowSpec, Parameter, environment, step


class Hello(FlowSpec):
    n = Parameter("n", default="y: {{x}}\\n - 'q' \\"w\\" \\u2028 \\x85")

    @environment(vars={"on": "1e3"})
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def lowered(text: str, version: str = "3.7") -> Iterator[tuple[Flow, tuple[Document, ...]]]:
    """The documents of each flow in a right file."""
    checked = compiler.check(SourceFile("flow.py", text), lambda _: None, Settings())
    assert checked.diagnostics == ()
    for flow, shape in checked.flows:
        yield flow, load("argo").lower(flow, shape, Settings(argo_version=version)).documents


@settings(max_examples=40, deadline=None)
@given(flows())
def test_a_generated_flow_is_one_object_for_every_reader(made: FlowText) -> None:
    """The text is the object that was judged, and no rule of Argo's is broken."""
    for flow, documents in lowered(made.text):
        written = output.write(documents, flow)
        assert written.diagnostics == ()
        assert list(yaml.safe_load_all(output.stream(written.artifacts))) == [artifact.object for artifact in written.artifacts]
        assert load("argo").rules(flow, [artifact.object for artifact in written.artifacts], Settings()) == []


@pytest.mark.parametrize("version", ARGO_VERSIONS)
def test_every_version_has_a_schema_that_takes_the_output(version: str) -> None:
    """The object that is written for a version is valid for it."""
    for flow, documents in lowered(HELLO, version):
        assert output.write(documents, flow).artifacts


def test_text_of_users_arrives_as_it_is() -> None:
    """Quotes, line breaks of other worlds and names that YAML takes for booleans, all in one flow."""
    ((flow, documents),) = lowered(HELLO)
    (artifact,) = output.write(documents, flow).artifacts
    start = next(t for t in yaml.safe_load(artifact.text)["spec"]["templates"] if t["name"] == "start")
    assert {"name": "on", "value": "1e3"} in start["container"]["env"]


def test_a_file_is_the_same_every_time() -> None:
    """Rendering twice, from documents made twice, gives the same bytes."""
    first, second = ([output.stream(output.write(documents, flow).artifacts) for flow, documents in lowered(HELLO)] for _ in range(2))
    assert first == second


def test_an_object_that_its_schema_refuses_is_a_bug() -> None:
    """No such object is written, whatever made it."""
    ((flow, documents),) = lowered(HELLO)
    values: dict[str, Any] = copy.deepcopy(dict(documents[0].values))
    values["spec"] = {**values["spec"], "paralelism": 3}
    with pytest.raises(
        OutputBug, match=r"hello.workflowtemplate.yaml: refused by schemas/argo/3.7.json: spec: Additional properties .*'paralelism'"
    ):
        output.write([Document(documents[0].template, values, documents[0].schema, documents[0].file)], flow)


def test_half_of_a_surrogate_pair_is_reported_at_the_flow() -> None:
    """No encoding has it, so it is told before a file is opened."""
    ((flow, documents),) = lowered(HELLO)
    values = {**documents[0].values, "name": "caf\udce9"}
    written = output.write([Document(documents[0].template, values, documents[0].schema, documents[0].file)], flow)
    assert [(d.code.id, d.span) for d in written.diagnostics] == [("FC500", flow.span)]
    assert written.artifacts == ()


def test_json_files_are_json() -> None:
    """A file called .json holds JSON, fields in the template's order; several such files are a stream of JSON texts."""
    one = output.Artifact("a.json", {"b": 1, "a": "ü"}, output.as_json({"b": 1, "a": "ü"}))

    assert one.text == '{\n  "b": 1,\n  "a": "ü"\n}\n'
    assert output.stream([one, one]) == one.text * 2
    assert output.stream([one, output.Artifact("b.yaml", {}, "c: 1\n")]) == one.text + "---\nc: 1\n"
