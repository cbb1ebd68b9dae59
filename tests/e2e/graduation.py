"""In: names of cases and platforms. Out: the table of flows and platforms, each cell held against a laptop; exit code 1 where one differs.

All: `python tests/e2e/graduation.py`. What needs no cluster: `--platforms local batch step-functions`. `--flows loop` runs one. `--write`
puts the table into docs/platforms.md.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from e2e import cluster as clusters
from e2e.cases import CASES, GRADUATES, PLATFORMS, REFUSED, Case
from e2e.cluster import CommandFailed
from e2e.judging import fault
from e2e.laptop import FLOWS
from e2e.platforms import ON_CLUSTER, perform, place
from e2e.runs import Outcome

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "platforms.md"
OPEN, CLOSE = "<!-- graduation: written by tests/e2e/graduation.py --write -->", "<!-- end -->"
EQUAL = "equal"
ROWS: tuple[Case, ...] = tuple(next(case for case in CASES if case.name == name) for name in GRADUATES)


def expected(case: Case, platform: str) -> str:
    """What the cell says: the artifacts are equal, or the code with which flowc refuses the flow there."""
    return REFUSED.get((case.name, platform), EQUAL)


def cell(case: Case, platform: str, running: Future[Outcome]) -> tuple[str, str]:
    """What came of a run, in a word, and the story where that is not what was expected."""
    code = REFUSED.get((case.name, platform))
    try:
        outcome = running.result()
    except CommandFailed as refused:
        return (code, "") if code is not None and f"error[{code}]" in str(refused) else ("failed", str(refused))
    if code is not None:
        return "ran", f"flowc should refuse {case.name} on {platform} with {code}, but ran it"
    found = fault(case, outcome)
    return ("differs", found) if found else (EQUAL, "")


def table(cells: Mapping[tuple[str, str], str], rows: Sequence[Case], platforms: Sequence[str]) -> str:
    """Markdown: a row a flow, a column a platform."""
    lines = ["| flow | what it has | " + " | ".join(platforms) + " |", "|---" * (len(platforms) + 2) + "|"]
    for case in rows:
        told = (ast.get_docstring(ast.parse((FLOWS / f"{case.flow}.py").read_text())) or "").splitlines()[0].rstrip(".")
        shown = (_linked(cells[case.name, platform]) for platform in platforms)
        lines.append(f"| [{case.flow}](../tests/e2e/flows/{case.flow}.py) | {told} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _linked(word: str) -> str:
    return f"[{word}](diagnostics/{word}.md)" if word.startswith("FC") else word


def page_with(text: str, written: str) -> str:
    """The page's text with the table between its marks replaced."""
    head, _, rest = text.partition(OPEN)
    _, _, tail = rest.partition(CLOSE)
    return f"{head}{OPEN}\n\n{written}\n{CLOSE}{tail}"


def full() -> str:
    """The table when all is as expected, which `make e2e` proves cell by cell."""
    return table({(case.name, platform): expected(case, platform) for case in ROWS for platform in PLATFORMS}, ROWS, PLATFORMS)


def graduate(rows: Sequence[Case], platforms: Sequence[str], in_flight: int) -> bool:
    """Run all, print the table as soon as it is whole, stories of what differs on stderr; whether every cell is as expected."""
    cluster = clusters.ready() if set(platforms) & set(ON_CLUSTER) else None
    begun, used, good = time.monotonic(), _used(), True
    try:
        with place(platforms, cluster, volume=bool(cluster and cluster.shared)) as at, ThreadPoolExecutor(in_flight) as pool:
            running = [(case, platform, pool.submit(perform, case, platform, at)) for platform in platforms for case in rows]
            cells = {}
            for case, platform, future in running:
                cells[case.name, platform], story = cell(case, platform, future)
                if story:
                    good = False
                    print(f"##### {case.name} on {platform}: {cells[case.name, platform]}\n{story}\n", file=sys.stderr, flush=True)
    finally:
        if cluster is not None:
            cluster.sweep()
    print(table(cells, rows, platforms), end="")
    print(f"{len(cells)} runs in {time.monotonic() - begun:.0f} s; CPU without pods: {_used() - used:.0f} s", file=sys.stderr)
    return good


def _used() -> float:
    """CPU seconds of all processes that were started here and have ended: flowc, its tasks on this machine, AWS's server with its jobs."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="The table of flows and platforms.")
    parser.add_argument("--flows", nargs="+", choices=GRADUATES, default=GRADUATES, metavar="CASE", help="of " + ", ".join(GRADUATES))
    parser.add_argument("--platforms", nargs="+", choices=PLATFORMS, default=PLATFORMS, metavar="PLATFORM", help="of " + ", ".join(PLATFORMS))
    parser.add_argument("--in-flight", type=int, default=int(os.environ.get("FLOWC_E2E_IN_FLIGHT", "6")), help="runs at a time")
    parser.add_argument("--write", action="store_true", help="put the table into docs/platforms.md; takes all flows and platforms")
    o = parser.parse_args(arguments)
    rows = [case for case in ROWS if case.name in o.flows]
    if o.write and (tuple(o.flows), tuple(o.platforms)) != (GRADUATES, PLATFORMS):
        parser.error("--write takes no --flows and no --platforms: the page has the whole table")
    good = graduate(rows, o.platforms, o.in_flight)
    if good and o.write:
        PAGE.write_text(page_with(PAGE.read_text(), full()))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
