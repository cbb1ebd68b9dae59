"""The real `argo lint --offline --strict` takes what flowc writes, and whatever it refuses, flowc has refused before."""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING, Any

import pytest
from argo_objects import BROKEN, TEMPLATE, Object, judged
from e2e.cluster import ROOT, Cluster, CommandFailed
from strategies import make

from flowc import compiler, output
from flowc.output.dump import dump
from flowc.settings import Settings
from flowc.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PUT: tuple[Any, ...] = (
    *(1, -1, 1.5, True, "", "x", "a b", "10s", "start", "end", "nowhere", [], {}, [1], {"x": 1}),
    *("{{inputs.parameters.x}}", "{{tasks.end.status}}", "{{item}}", "{{=tasks.start.status}}", "{{workflow.status}}"),
)
MUTANTS = 300
FLOWS = 500
GOLDENS = sorted((ROOT / "tests" / "fixtures").glob("*/argo.yaml"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside an object."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def mutant(seed: int) -> Object:
    """The good WorkflowTemplate with one place of its spec removed, replaced by some value, or by another part of itself."""
    chance = random.Random(seed)
    value = copy.deepcopy(TEMPLATE)
    inside = [path for path in places(value) if path[:1] == ("spec",) and len(path) > 1]
    path = chance.choice(inside)
    holder = at(value, path[:-1])
    way = chance.randrange(3)
    if way == 0:
        del holder[path[-1]]
    else:
        holder[path[-1]] = chance.choice(PUT) if way == 1 else copy.deepcopy(at(TEMPLATE, chance.choice(inside)))
    return value


def rejection(cluster: Cluster, text: str, file: Path) -> str | None:
    """What `argo lint` says against the YAML, None where it accepts it."""
    file.write_text(text, encoding="utf-8")
    return refusal(cluster, file)


def refusal(cluster: Cluster, *files: Path) -> str | None:
    """What it says against files, of which an unreadable one is the last that it looks at; None where it accepts all."""
    try:
        cluster.argo("lint", "--offline", "--strict", "--no-color", *map(str, files))
    except CommandFailed as failure:
        return str(failure)
    return None


def compiled(seed: int, version: str) -> str:
    """The output for a flow made at random."""
    chance = random.Random(seed)
    made = make(chance.randrange, chance.choice((4, 8, 14, 24, 40)))
    settings = Settings(argo_version=version, name=f"seed-{seed}")
    checked = compiler.check(SourceFile("flow.py", made.text), lambda _: None, settings)
    ((flow, shape),) = checked.flows
    result = compiler.compile_flow(flow, shape, "argo", settings)
    assert result.artifacts, (seed, checked.diagnostics, result.diagnostics)
    return output.stream(result.artifacts)


@pytest.mark.e2e
def test_argo_accepts_every_golden_and_every_generated_flow(cluster: Cluster, tmp_path: Path) -> None:
    """No rejection in all goldens that are for this version and 500 flows."""
    texts = {f"seed {seed}": compiled(seed, cluster.argo_minor) for seed in range(FLOWS)}
    if cluster.argo_minor == Settings().argo_version:
        texts |= {path.parent.name: path.read_text(encoding="utf-8") for path in GOLDENS}
    files = [tmp_path / f"{name}.yaml" for name in texts]
    for file, text in zip(files, texts.values(), strict=True):
        file.write_text(text, encoding="utf-8")
    # one call for all; one each only to tell which
    if refusal(cluster, *files) is not None:
        assert {file.name: said for file in files if (said := refusal(cluster, file))} == {}
        pytest.fail("argo lint refuses the files together, but none alone")


@pytest.mark.e2e
def test_argo_accepts_the_good_object(cluster: Cluster, tmp_path: Path) -> None:
    """What the others are broken from is right for the real linter too."""
    assert rejection(cluster, dump(TEMPLATE), tmp_path / "good.yaml") is None


@pytest.mark.e2e
def test_flowc_refuses_whatever_argo_lint_refuses(cluster: Cluster, tmp_path: Path) -> None:
    """Over the broken objects that people thought of and those made at random; flowc refuses more, never less."""
    values = {f"seed {seed}": mutant(seed) for seed in range(MUTANTS)}
    for name, (change, _) in BROKEN.items():
        values[name] = copy.deepcopy(TEMPLATE)
        change(values[name])
    version = cluster.argo_minor
    judgements = {name: rejection(cluster, dump(value), tmp_path / "broken.yaml") for name, value in values.items()}
    missed = [f"{name}: {said}" for name, said in judgements.items() if said and judged([values[name]], version) is None]
    assert missed == []
    assert sum(said is not None for said in judgements.values()) > MUTANTS // 2
