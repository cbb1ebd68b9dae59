"""In: a Flow and its Graph. Out: FC442 and FC443, for shapes that no fixed set of DAGs or nested states can carry."""

from __future__ import annotations

from flowc.diagnostics import Code, Diagnostic, Example, Label
from flowc.graph import Graph
from flowc.ir import Flow

_HEAD = """from metaflow import FlowSpec, step


class Hello(FlowSpec):
    @step
    def start(self):
        self.items, self.case = [1, 2], "a"
        self.next({"a": self.a, "b": self.b}, condition="case")

"""
_TAIL = """    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def _step(name: str, next_: str, arguments: str = "self", body: str = "") -> str:
    return f"    @step\n    def {name}({arguments}):\n{body}        self.next({next_})\n\n"


_WORK, _WORK_B = _step("work", "self.join"), _step("work_b", "self.join_b")
_BOTH = _step("a", "self.work, foreach='items'") + _step("b", "self.work, foreach='items'")
_APART = _step("a", "self.work, foreach='items'") + _step("b", "self.work_b, foreach='items'")
SHARED = Code(
    "FC443",
    "a step that several splits share",
    "A step belongs to one place: the top level, the body of one foreach, or one branch of a split. Reached from two such places, its "
    "tasks would have two kinds of identity, and nothing could say which of them a join waits for. FC230 warns of it on every target.",
    bad=Example({"flow.py": _HEAD + _BOTH + _WORK.replace("(self):", "(self):  # flowc: ignore[FC230]") + _TAIL}, line=19, target="argo"),
    good=Example(
        {"flow.py": _HEAD + _APART + _WORK + _WORK_B + _step("join_b", "self.end", "self, inputs") + _TAIL},
        target="argo",
    ),
)

_SPLIT = _HEAD.replace('{"a": self.a, "b": self.b}, condition="case"', "self.pick, foreach='items'")
_PICK = _step("pick", '{"a": self.a, "b": self.b}, condition="case"', body='        self.case = "a"\n')
TWO_JOINS = Code(
    "FC442",
    "a split that different joins may close",
    "All tasks of a split must meet in one join. Where a switch inside the split leads to one join or another, a run in which the tasks "
    "choose differently would reach neither.",
    bad=Example(
        {
            "flow.py": _SPLIT
            + _PICK
            + _step("a", "self.join")
            + _step("b", "self.join_b")
            + _step("join_b", "self.end", "self, inputs")
            + _TAIL
        },
        line=6,
        target="argo",
    ),
    good=Example(
        {"flow.py": _SPLIT + _PICK + _step("a", "self.meet") + _step("b", "self.meet") + _step("meet", "self.join") + _TAIL},
        target="argo",
    ),
)


def check(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """Both codes, at the step and at the split."""
    found = []
    for name in graph.shared:
        step = flow.steps[name]
        labels = tuple(Label(flow.steps[p].span, "one way here") for p in graph.nodes[name].in_funcs if p != name)
        text = f"the step `{name}` is reached from several splits or branches"
        help_ = "give each split a step of its own, and let both call one method"
        found.append(Diagnostic(SHARED, text, step.span, labels=labels, help=help_))
    for name, joins in graph.closers.items():
        if len(set(joins)) > 1 and not set(joins) & set(graph.shared):
            labels = tuple(Label(flow.steps[j].span, "this join may close it") for j in joins)
            text = f"the split in `{name}` may end in {' or '.join(f'`{j}`' for j in joins)}"
            help_ = "let the branches of the switch meet in one step before a single join"
            found.append(Diagnostic(TWO_JOINS, text, flow.steps[name].span, labels=labels, help=help_))
    return found
