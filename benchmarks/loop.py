"""In: a repository of 1,000 flows. Out: what the commands of every day cost there, beside `ruff check` and Metaflow on the same files."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import repositories
import workloads
from measuring import CREATE, TOP, Sample, environment, machine, measure, median, with_bytecode
from ruff import find_ruff_bin

FLOWS = 1_000
ASKED = 12
"""Flows that Metaflow is asked about: it takes one at a time, so all of them cost as many times more."""
GOALS = {"check, cold": 10.0, "check, nothing changed": 0.5, "check of one changed file": 0.25, "compile, nothing changed": 0.5}
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """A task: the command of each tool, what is done before each of flowc's, and of how many flows Metaflow's is one."""

    name: str
    flowc: Sequence[str]
    before: Callable[[], None]
    ruff: Sequence[str] | None
    metaflow: Sequence[str]
    times: int = 1


def rows(folder: Path, paths: Sequence[Path]) -> Iterator[Row]:
    """The tasks, in an order in which each finds what it needs. Ruff's rules are its own defaults, but for the order of imports."""
    ruff = [find_ruff_bin(), "check", "--isolated", "--ignore", "I001", "--quiet"]
    create = ["argo-workflows", *CREATE]
    changed = paths[len(paths) // 2]
    one = str(changed.relative_to(folder))

    def change() -> None:
        with changed.open("a", encoding="utf-8") as file:
            file.write("\n")

    def nothing() -> None:
        """Leave the repository as it is."""

    yield Row("check, cold", ["check", "--no-cache"], nothing, [*ruff, "--no-cache", "flows"], ["check"], len(paths))
    yield Row("check, nothing changed", ["check"], nothing, [*ruff, "flows"], ["check"], len(paths))
    yield Row("check of one changed file", ["check", "--allow-no-flow", one], change, [*ruff, one], ["check"])
    yield Row("compile, cold", ["compile", "--all"], nothing, None, create, len(paths))
    yield Row("compile, nothing changed", ["compile"], nothing, None, create, len(paths))
    yield Row("compile, one file changed", ["compile", "--exit-non-zero-on-change"], change, None, create)


def show(folder: Path, env: Mapping[str, str], rounds: int) -> None:
    """A line a task: flowc's seconds by the clock and of processors, and how many times more ruff and Metaflow take."""
    folder.mkdir()
    measure([sys.executable, "-m", "flowc", "--version"], env, folder)  # exit code 1, as of a module that is not there, is right below
    paths = repositories.make(folder, FLOWS)
    env = {**env, "RUFF_CACHE_DIR": str(folder / ".ruff_cache")}
    asked = paths[1 :: len(paths) // ASKED]
    metaflow = {
        verb: [measure([sys.executable, path.name, *TOP, *command], env, path.parent) for path in asked]
        for verb, command in {"check": ["check"], "argo-workflows": ["argo-workflows", *CREATE]}.items()
    }
    heads = f"{'wall s':>8}{'CPU s':>8}{'goal s':>8}{'ruff wall x':>13}{'CPU x':>7}{'Metaflow wall x':>17}{'CPU x':>8}"
    print(f"\n{f'{FLOWS:,} flows':<28}{heads}")
    for row in rows(folder, paths):
        ours: list[Sample] = []
        ruffs: list[Sample] = []
        # the first turn of each fills caches, and does not count
        for _ in range(rounds + 1):
            row.before()
            ours.append(measure([sys.executable, "-m", "flowc", *row.flowc], env, folder, (0, 1)))
            if row.ruff:
                ruffs.append(measure(row.ruff, env, folder))
        print(line(row, ours[1:], ruffs[1:], metaflow[row.metaflow[0]]))


def line(row: Row, ours: Sequence[Sample], ruffs: Sequence[Sample], metaflow: Sequence[Sample]) -> str:
    wall, cpu = median(ours, "wall"), median(ours, "cpu")
    goal = f"{GOALS[row.name]:>8.2f}" if row.name in GOALS else " " * 8
    text = f"{row.name:<28}{wall:>8.3f}{cpu:>8.3f}{goal}"
    text += f"{median(ruffs, 'wall') / wall:>13.2f}{median(ruffs, 'cpu') / cpu:>7.2f}" if ruffs else " " * 20
    return text + f"{median(metaflow, 'wall') * row.times / wall:>17,.0f}{median(metaflow, 'cpu') * row.times / cpu:>8,.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each command is measured (5)")
    rounds = parser.parse_args().rounds
    with_bytecode("flowc", "metaflow", "click", "jinja2", "yaml")
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    with tempfile.TemporaryDirectory() as name, workloads.store() as address:
        show(Path(name) / "repository", environment(address, Path(name) / "home"), rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
