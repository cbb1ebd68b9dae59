"""Facts about `flowc fix` on made flows: what it gives is, letter by letter, the flow that was right before, with Metaflow's own graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.metaflow_flows import executed, graph_of, refusal
from strategies import FlowText, flows, renamed

from flowc.checks.signatures import RESERVED
from flowc.commands.files import Wanted
from flowc.commands.fix import _fixed, difference
from flowc.commands.options import Source
from flowc.fix import CODES

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = {**{name: f"{name}_step" for name in sorted(RESERVED)}, "trainModel": "train_model", "Load": "load", "_hidden": "hidden"}
GUARD = 'if __name__ == "__main__":\n    Made()\n'
LATER = ("self.z = 2", "print('done')  # at last", "if self.x:\n            self.z = [self.x]")


def fixed(path: Path, text: str) -> tuple[str, int, list[str]]:
    """The text after `flowc fix`, how many problems it mended, and the codes that are left."""
    path.write_text(text)
    before, after, count, verdict, _ = _fixed(Wanted(str(path)), Source({}, isolated=True), None)
    assert before == text.encode()
    return after.decode(), count, [each.code.id for each in verdict.found]


@st.composite
def spoilt(draw: Any) -> tuple[FlowText, str, int]:
    """A right flow, its text with things in it that can be mended, and how many."""
    made: FlowText = draw(flows(14))
    taken = {each.name for each in made.steps}
    inner = [each.name for each in made.steps if "self.next(" in each.tail and each.name not in ("start", "end") and not each.marks]
    right, wrong, count = made, list(made.steps), 0
    if inner and draw(st.booleans()):
        old, bad = draw(st.sampled_from(inner)), draw(st.sampled_from(sorted(NAMES)))
        if NAMES[bad] not in taken:
            right = replace(right, steps=tuple(renamed(list(right.steps), {old: NAMES[bad]})))
            wrong, count = renamed(wrong, {old: bad}), count + 1
    for at, step in enumerate(right.steps):
        if step.tail.startswith("self.next(self.") and "=" not in step.tail and draw(st.integers(0, 3)) == 0:
            later = draw(st.sampled_from(LATER))
            right = replace(right, steps=(*right.steps[:at], replace(step, tail=f"{later}\n        {step.tail}"), *right.steps[at + 1 :]))
            wrong[at] = replace(wrong[at], tail=f"{wrong[at].tail}\n        {later}")
            count += 1
    return _launched(draw, right, replace(made, steps=tuple(wrong)).text, count)


def _launched(draw: Callable[..., Any], right: FlowText, text: str, count: int) -> tuple[FlowText, str, int]:
    """As it should be, unguarded, or not at all; the last only where no base is a flow of its own, as the call would be a guess there."""
    whole = right.steps[0].home > 0 and len({each.home for each in right.steps}) == 1
    launch = draw(st.sampled_from([GUARD, "Made()\n"] if whole else [GUARD, "Made()\n", ""]))
    return right, text.replace(GUARD, launch) if launch else text.removesuffix("\n\n\n" + GUARD) + "\n", count + (launch != GUARD)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fix")
    (folder / ".git").mkdir()
    return folder / "flow.py"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(case=spoilt())
def test_what_is_mended_is_the_right_flow(case: tuple[FlowText, str, int], path: Path) -> None:
    """Every problem goes, nothing else changes, a second run finds nothing, and Metaflow's graph is that of the right flow."""
    right, text, expected = case
    after, count, left = fixed(path, text)
    assert after == right.text
    assert count == expected
    assert not [code for code in left if code in CODES]
    assert fixed(path, after) == (after, 0, left)
    with executed(right.text, "Made") as flow_class:
        wanted = graph_of(flow_class)
    with executed(after, "Made") as flow_class:
        assert (graph_of(flow_class), refusal(flow_class)) == (wanted, "")
    assert (difference("flow.py", text.encode(), after.encode()) == "") is (count == 0)
