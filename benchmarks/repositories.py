"""In: a folder and a number of flows. Out: a repository of so many flows there, as teams write them, with its settings file."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

TEAM = 50
"""Flows in a folder, which share its package `common`."""
SETTINGS = """\
[tool.flowc]
flows = ["flows/*/*.py"]
targets = ["argo"]
out = "manifests"
image = "registry.example.com/ml:2026-11"
namespace = "ml"
service-account = "runner"
labels = {{ "example.com/cost-centre" = "ml" }}

[tool.flowc.per-file-ignores]
"flows/team00/*.py" = ["FC190"]
{more}"""
DEFAULTS = '''\
"""What the flows of this team have in common."""

TEAM = "{team}"
IMAGE = f"registry.example.com/{{TEAM}}:1.4"
SMALL = {{"cpu": 1, "memory": 2048}}
LARGE = {{"cpu": 8, "memory": 32 * 1024}}
RETRIES = 3


def environment(**more):
    return {{"TEAM": TEAM, "LOG_LEVEL": "info", **more}}
'''
FEATURES = '''\
"""Features and models, which run in the pods only."""

from __future__ import annotations

import math
import random


def batch(seed: int, size: int = 100) -> list[float]:
    """Numbers that look like a batch of data."""
    source = random.Random(seed)
    return [source.gauss(0, 1) for _ in range(size)]


def loss(values: list[float], rate: float) -> float:
    """How far a model of that rate is from the values."""
    return math.sqrt(sum((value - rate) ** 2 for value in values) / len(values))
'''
HEAD = '''\
"""{title}, every {period}."""

{imports}

ROWS = {rows}
LABEL = f"{{IMAGE}}-{{ROWS}}"


@project(name="team_{team}")
@schedule(cron="{minute} {hour} * * *", timezone="Europe/Berlin")
class {name}(FlowSpec):
    """{title}."""

    rate = Parameter("rate", default=0.{rows}, help="learning rate")
    rows = Parameter("rows", default=ROWS, type=int, help="rows of a batch")
    label = Parameter("label", default=LABEL)

'''
IMPORTS = {
    "metaflow": "FlowSpec, Parameter, current, environment, kubernetes, project, resources, retry, schedule, step, timeout",
    "common.defaults": "IMAGE, LARGE, RETRIES, SMALL, environment as variables",
    "common.features": "batch, loss",
}
DECORATORS = (
    "@retry(times=RETRIES)",
    "@resources({size})",
    "@kubernetes(image=IMAGE, cpu=2, memory=4096)",
    "@timeout(minutes=30)",
    '@environment(vars=variables(STAGE="work"))',
)
WORK = (
    "values = batch(seed={n}, size=self.rows)\n        self.seen = len(values)",
    "self.loss_{n} = loss(values, float(self.rate))",
    'print(f"{{current.step_name}}: {{len(values)}} rows, rate {{self.rate}}")',
    "self.best_{n} = min(values) if values else math.inf",
    'self.report_{n} = json.dumps({{"rows": self.rows, "label": self.label}}, sort_keys=True)',
    "total = sum(value for value in values if value > {n} / 10)\n        self.total_{n} = total",
    "for number, value in enumerate(values):\n            if value > 3:\n                print(number, value)",
)


def make(folder: Path, flows: int, seed: int = 1, more: str = "") -> list[Path]:
    """Write the repository, `more` at the end of its settings; the paths of its flows, in order. The same seed makes the same files."""
    source = random.Random(seed)  # noqa: S311 - the same files each time
    (folder / "pyproject.toml").write_text(SETTINGS.format(more=more), encoding="utf-8")
    paths = []
    for number in range(flows):
        team = f"team{number // TEAM:02}"
        home = folder / "flows" / team
        if number % TEAM == 0:
            _common(home, team)
        path = home / f"flow_{number:04}.py"
        path.write_text(flow(source, number, team), encoding="utf-8")
        paths.append(path)
    return paths


def _common(home: Path, team: str) -> None:
    (home / "common").mkdir(parents=True)
    (home / "common" / "__init__.py").touch()
    (home / "common" / "defaults.py").write_text(DEFAULTS.format(team=team), encoding="utf-8")
    (home / "common" / "features.py").write_text(FEATURES, encoding="utf-8")


def flow(source: random.Random, number: int, team: str) -> str:
    """A flow of 15 to 200 lines: a line of steps, a foreach, branches or a switch; one in thirty has a warning."""
    facts = {"minute": source.randrange(60), "hour": source.randrange(24), "rows": source.randrange(1, 1000), "team": team}
    title = f"{source.choice(['Trains', 'Scores', 'Exports', 'Cleans'])} {source.choice(['demand', 'churn', 'prices'])} of {team}"
    head = HEAD.format(imports="{imports}", name=f"Flow{number:04}", title=title, period=source.choice(["night", "hour"]), **facts)
    if number % 3 == 0:
        # the small ones of every repository
        head = f"from metaflow import FlowSpec, step\n\n\nclass Flow{number:04}(FlowSpec):\n"
        body = _chain(source, ["start", "end"], plain=True)
    else:
        inner = [f"work_{each}" for each in range(source.choice([1, 2, 4, 8, 12]))]
        body = source.choice([_chain, _foreach, _branches, _switch])(source, ["start", *inner, "end"])
    if number % 30 == 7:
        body = body.replace("self.next(self.end)\n", "self.next(self.end)  # flowc: ignore[FC305]\n", 1)
    head = head.replace("{imports}", _imports(head + body))
    return f"{head}{body}\n\nif __name__ == \"__main__\":\n    Flow{number:04}()\n"


def _imports(text: str) -> str:
    """The imports that a flow of that text needs."""
    found = [f"import {module}\n" for module in ("json", "math") if f"{module}." in text]
    for module, names in IMPORTS.items():
        used = [name for name in names.split(", ") if re.search(rf"\b{name.split()[-1]}\b", text)]
        found += [f"\nfrom {module} import {', '.join(used)}"] if used else []
    return "".join(found).strip()


def _step(source: random.Random, name: str, last: str, *, argument: str = "", plain: bool = False) -> str:
    size = source.choice(["**SMALL", "**LARGE"])
    decorators = [] if plain else [line.format(size=size) for line in source.sample(DECORATORS, source.randrange(3))]
    lines = [] if plain else [line.format(n=source.randrange(100)) for line in source.sample(WORK[1:], source.randrange(1, 6))]
    text = "".join(f"    {line}\n" for line in [*decorators, "@step", f"def {name}(self{argument}):"])
    lines = lines if not lines else [WORK[0].format(n=source.randrange(100)), *lines]
    return text + "".join(f"        {line}\n" for line in [*lines, last])


def _chain(source: random.Random, names: list[str], *, plain: bool = False) -> str:
    steps = [_step(source, name, f"self.next(self.{after})", plain=plain) for name, after in pairwise(names)]
    return "\n".join([*steps, _step(source, "end", 'print("done")', plain=plain)])


def _foreach(source: random.Random, names: list[str]) -> str:
    first = "self.items = list(range(self.rows))\n        self.next(self.each, foreach=\"items\")"
    join = "self.merge_artifacts(inputs, exclude=[\"items\"])\n        "
    return "\n".join([
        _step(source, "start", first),
        _step(source, "each", "self.next(self.gather)"),
        _step(source, "gather", f"{join}self.next(self.{names[1]})", argument=", inputs"),
        _chain(source, names[1:]),
    ])


def _branches(source: random.Random, names: list[str]) -> str:
    return "\n".join([
        _step(source, "start", "self.next(self.left, self.right)"),
        _step(source, "left", "self.next(self.gather)"),
        _step(source, "right", "self.next(self.gather)"),
        _step(source, "gather", f"self.next(self.{names[1]})", argument=", inputs"),
        _chain(source, names[1:]),
    ])


def _switch(source: random.Random, names: list[str]) -> str:
    cases = f'{{"many": self.{names[1]}, "few": self.end}}'
    choice = f'self.size = "many" if self.rows > 10 else "few"\n        self.next({cases}, condition="size")'
    return "\n".join([_step(source, "start", choice), _chain(source, names[1:])])
