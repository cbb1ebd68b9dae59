"""In: flows. Out: proof that their plans hold what a coordinator needs, as JSON and nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from run.world import planned
from strategies import flows

TEXT = """from metaflow import FlowSpec, catch, environment, parallel, retry, step, timeout


class Made(FlowSpec):
    @step
    def start(self):
        self.next(self.pick, self.launch)

    @retry(times=2, minutes_between_retries=7)
    @catch(var="oops")
    @timeout(minutes=3)
    @environment(vars={"A": 1})
    @step
    def pick(self):
        self.next({"again": self.pick, "on": self.join}, condition="case")

    @step
    def launch(self):
        self.next(self.train, num_parallel=4)

    @parallel
    @step
    def train(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def test_what_a_plan_says() -> None:
    """Arrivals by branch, the foreach that a join closes, loops, gangs, retries, limits, and what is needed of a result."""
    plan = planned(TEXT, max_workers=9)
    steps = plan["steps"]

    assert (plan["flow"], plan["start"], plan["end"], plan["max_workers"]) == ("Made", "start", "end", 9)
    assert next(iter(steps)) == "start"
    pick = steps["pick"]
    assert (pick["loops"], pick["told"], pick["next"]) == (True, "case", ["pick", "join"])
    assert (pick["user_retries"], pick["retries"], pick["backoff_minutes"], pick["timeout_seconds"]) == (2, 5, 7, 180)
    assert pick["environment"] == {"A": "1"}
    assert pick["arguments"] == ["pick", "--from=start", "--user-retries=2"]
    assert steps["launch"]["told"] == "splits"
    assert (steps["train"]["gang"], steps["train"]["scope"], steps["train"]["over"]) == (True, ["launch"], None)
    assert (steps["gather"]["over"], steps["gather"]["scope"], steps["gather"]["gang"]) == ("launch", [], False)
    assert steps["join"]["arrivals"] == [["pick"], ["gather"]]
    assert steps["start"]["arrivals"] == []


@settings(deadline=None)
@given(flows())
def test_plans_are_json_and_complete(made: Any) -> None:
    """A plan survives JSON as it is, has the steps after those that lead to them, and names no step that it lacks."""
    plan = planned(made.text)
    assert json.loads(json.dumps(plan)) == plan
    seen: set[str] = set()
    for name, step in plan["steps"].items():
        before = [n for group in step["arrivals"] for n in group]
        assert seen.issuperset([*before, *step["scope"], *([step["over"]] if step["over"] else [])])
        assert set(step["next"]) <= set(plan["steps"])
        seen.add(name)
