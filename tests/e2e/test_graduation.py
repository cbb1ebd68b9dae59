"""In: the cases that graduate, and the platforms. Out: proof that each flow, unchanged, leaves on each what it leaves on a laptop."""

from __future__ import annotations

from typing import Any

import pytest
from e2e.cases import CORE_ON, GRADUATES, PLATFORMS, REFUSED, Case
from e2e.graduation import PAGE, ROWS, cell, expected, full, page_with


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "platform" in metafunc.fixturenames:
        full = metafunc.config.getoption("--e2e-full", default=False)
        every = [(case, platform) for platform in PLATFORMS for case in ROWS]
        chosen = [(case, p) for case, p in every if full or case.name in CORE_ON.get(p, GRADUATES)]
        metafunc.parametrize(("case", "platform"), chosen, ids=[f"{platform}-{case.name}" for case, platform in chosen])


@pytest.mark.e2e
def test_leaves_what_it_leaves_on_a_laptop(case: Case, platform: str, started: dict[Any, Any]) -> None:
    """The run's end and the artifacts of all its tasks are those of `python flow.py run`, or flowc refuses the flow with the code of the table."""
    word, story = cell(case, platform, started[case.name, platform])
    assert word == expected(case, platform), story


def test_at_least_fifteen_flows() -> None:
    """Every row is a flow of its own, one that `make e2e` runs, on whatever cluster."""
    assert len({case.flow for case in ROWS}) == len(ROWS) >= 15
    assert all(case.core and not case.image and case.store != "shared" and not case.flags for case in ROWS)


def test_refusals_are_of_the_table() -> None:
    """A refusal is said of a flow and a platform that the table has, and so is what `make e2e` runs of a column."""
    assert all({*names} < {*GRADUATES} for names in CORE_ON.values())
    assert {name for name, _ in REFUSED} <= {case.name for case in ROWS}
    assert {platform for _, platform in REFUSED} <= set(PLATFORMS)


def test_the_page_has_the_table() -> None:
    """docs/platforms.md has the table that `make e2e` proves; `python tests/e2e/graduation.py --write` puts it there."""
    text = PAGE.read_text()
    assert page_with(text, full()) == text
