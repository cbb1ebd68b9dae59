"""In: a finished state machine or stack. Out: diagnostics where it nears or passes what Step Functions, Batch and CloudFormation take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity
from flowc.targets.step_functions import rules_machine, stack_size

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.source import Span

DEFINITION_LIMIT = 1_048_576
OVERRIDES_LIMIT = 8_192
HISTORY_LIMIT = 25_000
TEMPLATE_LIMIT = 1_000_000
RESOURCES_LIMIT = 500
INLINE_WIDTH = 40
"""Items of an inline Map that run at a time."""
DYNAMIC = 64
"""Characters that a value which the execution fills in (run id, index path) is taken to have."""
_WARN = 0.5
_SHOWN = 3
_EVENTS: Mapping[str, int] = {"Task": 6, "Parallel": 4, "Map": 4, "Wait": 2, "Pass": 2, "Choice": 2, "Succeed": 2, "Fail": 1}
"""Events in an execution's history of one visit to a state, with those of one call that is waited for."""


def _queue(length: int, line: int = 0) -> Example:
    batch = f"@batch(queue='q' * {length:_})"
    text = sample("batch", on_start=batch).replace("    @step\n    def end", f"    {batch}\n    @step\n    def end")
    return Example({"flow.py": text}, line=line, target="step-functions", settings={"format": "asl"})


def _parameter(length: int, line: int = 0) -> Example:
    body = f"n = Parameter('n' * {length:_}, default='1')"
    return Example({"flow.py": sample("Parameter", body=body)}, line=line, target="step-functions")


_NESTED = """\
from metaflow import FlowSpec, step


class Hello(FlowSpec):
    @step
    def start(self):
        self.years = [2024, 2025]
        self.next(self.year, foreach="years")

    @step
    def year(self):
        self.months = range(12)
        self.next(self.month, foreach="months")

    @step
    def month(self):
        self.days = range(30)
        self.next(self.day, foreach="days")

    @step
    def day(self):
        self.next(self.join_days)

    @step
    def join_days(self, inputs):
        self.next(self.join_months)

    @step
    def join_months(self, inputs):
        self.next(self.join_years)

    @step
    def join_years(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


LARGE = Code(
    "FC540",
    "the state machine is more than half of what Step Functions takes",
    "Step Functions takes a definition of 1 MiB at most. This flow still fits; twice as many steps would not.",
    bad=_queue(300_000, line=4),
    good=_queue(50),
    severity=Severity.WARNING,
)
TOO_LARGE = Code(
    "FC541",
    "the output is larger than AWS takes",
    "Step Functions refuses a definition of more than 1 MiB. CloudFormation takes a template of 1 MB from a bucket (51,200 bytes without "
    "one), with 500 resources at most.",
    bad=_queue(600_000, line=4),
    good=_queue(50),
)
LONG_OVERRIDES = Code(
    "FC542",
    "a job with more overrides than AWS Batch takes",
    "What a state tells its Batch job beyond the job definition (command and environment) has 8,192 characters at most. The names of all "
    "parameters are part of it.",
    bad=_parameter(9_000, line=8),
    good=_parameter(9),
)
LONG_HISTORY = Code(
    "FC543",
    "an execution may have more events than Step Functions keeps",
    "An execution fails once its history has 25,000 events. A state that runs a job takes six of them. The items of an inline Map are part "
    "of it, here counted as 40 each; those of a distributed Map have histories of their own.",
    bad=Example({"flow.py": _NESTED}, line=4, target="step-functions", settings={"use_distributed_map": False}),
    good=Example({"flow.py": _NESTED}, target="step-functions"),
    severity=Severity.WARNING,
)


def sizes(flow: Flow, machine: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Judge a state machine as compact JSON, which is how Step Functions gets it."""
    parts = {name: _bytes(state) for name, state in machine["States"].items()}
    total = _bytes(machine)
    if total > DEFINITION_LIMIT * _WARN:
        largest = ", ".join(f"{name} {size:,}" for name, size in sorted(parts.items(), key=lambda item: -item[1])[:_SHOWN])
        share = f"{total * 100 // DEFINITION_LIMIT} % of the {DEFINITION_LIMIT:,} that Step Functions takes"
        help = f"the largest states: {largest}; split the flow in two, the second started by @trigger_on_finish"  # noqa: A001 - the field's name
        code = TOO_LARGE if total > DEFINITION_LIMIT else LARGE
        yield Diagnostic(code, f"the state machine has {total:,} bytes, {share}", flow.span, help=help)
    for where, state in rules_machine.states(machine):
        yield from _overrides(flow, where.rpartition("States.")[2], state)
    events = max(history(one) for one in _executions(machine))
    if events > HISTORY_LIMIT:
        text = f"an execution has about {events:,} events if each inline Map has {INLINE_WIDTH} items; {HISTORY_LIMIT:,} is the limit"
        yield Diagnostic(LONG_HISTORY, text, flow.span, help="let a foreach be a distributed Map: `use-distributed-map = true`")


def _executions(machine: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The machine, and what each item of a distributed Map runs as an execution of its own."""
    yield machine
    yield from (state["ItemProcessor"] for _, state in rules_machine.states(machine) if distributed(state))


def distributed(state: Mapping[str, Any]) -> bool:
    return bool(state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED")


def stack(flow: Flow, template: Mapping[str, Any]) -> Iterator[Diagnostic]:
    total, count = stack_size.size(template), len(template["Resources"])
    if total > TEMPLATE_LIMIT or count > RESOURCES_LIMIT:
        text = f"the stack has about {total:,} bytes and {count} resources; {TEMPLATE_LIMIT:,} and {RESOURCES_LIMIT} are the limits"
        help = "deploy the state machine by itself: `--format asl`"  # noqa: A001 - the field's name
        yield Diagnostic(TOO_LARGE, text, flow.span, help=help)


def history(machine: Mapping[str, Any]) -> int:
    """About how many events one execution has that visits every state once and retries nothing; an inline Map has 40 items."""
    total = 0
    for state in machine["States"].values():
        total += _EVENTS[state["Type"]]
        total += sum(history(branch) for branch in state.get("Branches", ()))
        if "ItemProcessor" in state and not distributed(state):
            total += INLINE_WIDTH * (2 + history(state["ItemProcessor"]))
    return total


def _overrides(flow: Flow, name: str, state: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """The overrides of a job, each value that only the execution knows counted as one of usual length."""
    parameters = state.get("Parameters") or state.get("Arguments") or {}
    for field in ("ContainerOverrides", "NodeOverrides"):
        if field not in parameters:
            continue
        filled = len(re.sub(r'\.\$": "[^"]*"', f'": "{"x" * DYNAMIC}"', json.dumps(parameters[field], ensure_ascii=False)))
        if filled > OVERRIDES_LIMIT:
            text = f"the job of {name} has {filled:,} characters of overrides, more than the {OVERRIDES_LIMIT:,} that AWS Batch takes"
            remedy = "have fewer parameters, or shorter names: one JSON parameter (`type=JSONType`) may hold many values"
            yield Diagnostic(LONG_OVERRIDES, text, _place(flow, name), help=remedy)


def _place(flow: Flow, name: str) -> Span:
    step = flow.steps.get(name)
    return step.span if step else flow.span


def _bytes(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
