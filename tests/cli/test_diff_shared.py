"""Facts about `flowc diff` and what flows share: overlays are told by field, templates by name, and what is alike for several flows once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.running import HELLO, flowc
from cli.test_pre_commit import git

from flowc.meaning import Change
from flowc.report.changes import FEW, quoted, render, sentence

BEFORE = """\
flows = ["*.py"]

[overlays.pools]
kind = "Pod"
steps = ["start"]
patch.spec.nodeSelector = { pool = "small" }
patch.spec.activeDeadlineSeconds = 60
patch.spec.tolerations = [{ key = "gpu", operator = "Exists" }, { key = "old", operator = "Exists" }]
patch.spec.containers = [{ name = "main", env = [{ name = "A", value = "1" }], volumeMounts = [{ name = "x", mountPath = "/x" }] }]

[overlays.one]
kind = "Pod"
flows = ["Alpha"]
patch.metadata.labels = { team = "a" }
"""
AFTER = """\
flows = ["*.py"]

[overlays.pools]
kind = "Pod"
steps = ["start"]
patch.metadata.labels = { team = "ml" }
patch.metadata.annotations = { "example.com/a.b" = "" }
patch.spec.nodeSelector = { pool = "gpu" }
patch.spec.activeDeadlineSeconds = { "$patch" = "delete" }
patch.spec.tolerations = [{ key = "spot", operator = "Exists", effect = "NoSchedule" }, { key = "old", operator = "Equal", value = "1" }]

[[overlays.pools.patch.spec.containers]]
name = "main"
args = ["a", "b"]
env = [{ name = "A", value = "2" }]
volumeMounts = [{ name = "x", mountPath = "/x", readOnly = true }, { name = "x", mountPath = "/y" }]

[overlays.one]
kind = "Pod"
flows = ["Alpha"]
steps = ["end"]
patch.metadata.labels = { team = "a" }
"""
FIELDS = [
    "  + overlay pools, Pod of step start: metadata.labels.team added ml",
    '  + overlay pools, Pod of step start: metadata.annotations."example.com/a.b" added ""',
    "  ~ overlay pools, Pod of step start: spec.nodeSelector.pool small → gpu",
    "  ~ overlay pools, Pod of step start: spec.activeDeadlineSeconds 60 → $patch: delete",
    "  + overlay pools, Pod of step start: spec.tolerations[key=spot] added operator: Exists, effect: NoSchedule",
    "  ~ overlay pools, Pod of step start: spec.tolerations[key=old].operator Exists → Equal",
    "  + overlay pools, Pod of step start: spec.tolerations[key=old].value added 1",
    "  - overlay pools, Pod of step start: spec.tolerations[key=gpu] removed",
    "  + overlay pools, Pod of step start: spec.containers[name=main].args added a, b",
    "  ~ overlay pools, Pod of step start: spec.containers[name=main].env[name=A].value 1 → 2",
    "  + overlay pools, Pod of step start: spec.containers[name=main].volumeMounts[mountPath=/x].readOnly added true",
    "  + overlay pools, Pod of step start: spec.containers[name=main].volumeMounts[mountPath=/y] added name: x",
]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit with two flows and overlays."""
    monkeypatch.chdir(tmp_path)
    for name in ("Alpha", "Beta"):
        (tmp_path / f"{name.lower()}.py").write_text(HELLO.replace("HelloFlow", name))
    (tmp_path / "flowc.toml").write_text(BEFORE)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_overlays_by_field(repository: Path) -> None:
    """Each field with its path, items of lists by their keys, once for all flows; an overlay for one flow is told there alone."""
    (repository / "flowc.toml").write_text(AFTER)
    alpha = "  ~ overlay one is for: Pod → Pod of step end"
    assert flowc("diff", code=1).stdout.splitlines() == ["all 2 flows", *FIELDS, "", "alpha.py:Alpha", alpha]


def test_overlays_in_other_formats(repository: Path) -> None:
    """Markdown and JSON tell the same fields; for programs each flow has all of its own."""
    (repository / "flowc.toml").write_text(AFTER)
    markdown = flowc("diff", "--format", "markdown", code=1).stdout
    assert markdown.startswith("### all 2 flows\n\n- overlay `pools`, `Pod of step start`: `metadata.labels.team` added `ml`\n")
    told = json.loads(flowc("diff", "--format", "json", code=1).stdout)
    pool = ["overlays", "pools", "Pod of step start", "spec.nodeSelector.pool"]
    gone = ["overlays", "pools", "Pod of step start", "spec.tolerations[key=gpu]"]
    for flow in ("alpha.py:Alpha", "beta.py:Beta"):
        assert {"path": pool, "before": "small", "after": "gpu"} in told[flow]
        assert {"path": gone, "before": {"operator": "Exists"}, "after": None} in told[flow]
    assert [len(each) for each in told.values()] == [len(FIELDS) + 1, len(FIELDS)]


def test_which_flows_an_overlay_is_for(repository: Path) -> None:
    """A flow that an overlay reaches no more loses its fields; what else there is stays untold."""
    (repository / "flowc.toml").write_text(BEFORE.replace('"Alpha"', '"Beta"'))
    assert flowc("diff", code=1).stdout.split("\n\n") == [
        "alpha.py:Alpha\n  - overlay one, Pod: metadata.labels.team removed",
        "beta.py:Beta\n  + overlay one, Pod: metadata.labels.team added a\n",
    ]


def test_the_order_of_overlays(repository: Path) -> None:
    """The later of two overlays wins, so another order is a change, where both reach a flow."""
    head, pools, one = BEFORE.partition("\n[overlays.pools]")[0], *BEFORE.partition("\n[overlays.pools]")[2].split("\n[overlays.one]")
    (repository / "flowc.toml").write_text(f"{head}\n[overlays.one]{one}\n[overlays.pools]{pools}")
    assert flowc("diff", code=1).stdout == "alpha.py:Alpha\n  ~ order of overlays: pools, one → one, pools\n"


def test_overlays_of_environments_and_targets(repository: Path) -> None:
    """They are told by the key of their table, also when they replace one below."""
    (repository / "flowc.toml").write_text(BEFORE + '[env.prod.overlays.one]\nkind = "Pod"\npatch = {}\n[argo.overlays.one]\nkind = "Pod"\npatch = {}\n')
    assert flowc("diff", code=1).stdout.splitlines() == [
        "all 2 flows",
        "  + overlay argo.overlays.one, Pod: patch added",
        "  + overlay env.prod.overlays.one, Pod: patch added",
    ]
    told = flowc("diff", "--env", "prod", code=1).stdout.splitlines()
    assert "  - overlay one, Pod: metadata.labels.team removed" in told


def test_a_template(repository: Path) -> None:
    """Of a template that is overridden the name is told, not its text."""
    place = repository / "templates" / "argo"
    place.mkdir(parents=True)
    (place / "workflow_template.yaml.j2").write_text("{% extends 'flowc/argo/workflow_template.yaml.j2' %}\n")
    (repository / "flowc.toml").write_text('templates = "templates"\n' + BEFORE)
    assert flowc("diff", code=1).stdout == "all 2 flows\n  + template argo/workflow_template.yaml.j2 added\n"


def test_some_of_the_flows(repository: Path) -> None:
    """A module that some flows share is told once, with their names; what is each flow's own stands below."""
    for name in ("alpha", "beta"):
        path = repository / f"{name}.py"
        path.write_text("import common\n" + path.read_text())
    (repository / "gamma.py").write_text(HELLO.replace("HelloFlow", "Gamma"))
    (repository / "common.py").write_text("A = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    (repository / "common.py").write_text("A = 2\n")
    assert flowc("diff", code=1).stdout == "2 of 3 flows\n  alpha.py:Alpha, beta.py:Beta\n  ~ code of common.py changed\n"
    markdown = flowc("diff", "--format", "markdown", code=1).stdout
    assert markdown == "### 2 of 3 flows\n\n`alpha.py:Alpha`, `beta.py:Beta`\n\n- code of `common.py` changed\n"


def test_many_flows() -> None:
    """A list of names ends in a count."""
    change = Change(("settings", "image"), "a", "b")
    names = [f"flow{number}.py:Flow" for number in range(FEW + 5)]
    text = render({name: [change] for name in names}, "text", FEW + 6)
    assert text == f"{FEW + 5} of {FEW + 6} flows\n  {', '.join(names[:FEW])} and 5 more\n  ~ setting image: a → b\n"


@pytest.mark.parametrize("value", ["`", "a`b", "``", "` <img src=x> `", "x``y```z`"])
def test_markdown_takes_no_value_for_markup(value: str) -> None:
    """A value with backticks stands between more of them, so that it stays code."""
    told = quoted(value, "`")
    fence = told[: len(told) - len(told.lstrip("`"))]
    assert told == f"{fence} {value} {fence}"
    assert fence not in value.replace("`" * (len(fence) + 1), "")
    assert told in sentence(Change(("settings", "image"), "a", value), "`")
    assert quoted(value, "") == value


def test_a_text_that_has_no_bytes(repository: Path) -> None:
    """Half of a surrogate pair, and what would steer a terminal, is told escaped in every format."""
    path = repository / "alpha.py"
    path.write_text(path.read_text().replace("import FlowSpec", "import Parameter, FlowSpec").replace("    @step", '    p = Parameter("p", default="\\ud800\\x1b[1m")\n\n    @step', 1))
    git(repository, "commit", "-q", "-a", "-m", "two")
    path.write_text(path.read_text().replace("[1m", "[2m"))
    assert "parameter p: default \\ud800\\x1b[1m → \\ud800\\x1b[2m" in flowc("diff", code=1).stdout
    assert "`default` `\\ud800\\x1b[1m` → " in flowc("diff", "--format", "markdown", code=1).stdout
    told = json.loads(flowc("diff", "--format", "json", code=1).stdout)
    assert told["alpha.py:Alpha"][0]["before"] == "\ud800\x1b[1m"


def test_data_in_a_line() -> None:
    """Lists and maps read as words, deep ones by dotted names, and the empty text is seen."""
    change = Change(("steps", "a", "tolerations"), ["a", 1, True], {"b": {"c": ["d", "e"], "f": {}}, "g": "", "h": [{"i": 1}]})
    assert sentence(change, "") == 'step a: tolerations a, 1, true → b.c: d, e, b.f: {}, g: "", h: [{"i": 1}]'
    assert sentence(Change(("settings", "title"), "", None), "") == 'setting title: "" → none'
