"""In: a Flow and its Graph. Out: gangs whose three parts do not fit: num_parallel, @parallel and the join (FC225 to FC227)."""

from __future__ import annotations

from flowc.checks.example import example
from flowc.diagnostics import Code, Diagnostic, Example, Label
from flowc.graph import Graph
from flowc.ir import Flow, NoNext, Step


def _gang(call: str, decorator: str, train: str, after: str = "self, inputs", mark: str = "") -> Example:
    marks = {name: "  # error" if name == mark else "" for name in ("call", "train", "start")}
    return example(
        f"""
        @step
        def start(self):{marks["start"]}
            self.next({call}){marks["call"]}

        {decorator}
        @step
        def train(self):{marks["train"]}
            self.next(self.{train})

        @step
        def after({after}):
            self.next(self.end)

        @step
        def end(self):
            pass
        """.replace("\n        \n        @step", "\n        @step"),
        imports="parallel" if decorator else "",
    )


_GOOD = _gang("self.train, num_parallel=4", "@parallel", "after")

NO_PARALLEL = Code(
    "FC225",
    "num_parallel without @parallel",
    "`num_parallel` starts a gang of tasks that know one another; the step it leads to must say with `@parallel` that it is made for that.",
    bad=_gang("self.train, num_parallel=4", "", "after", mark="call"),
    good=_GOOD,
)
NO_JOIN = Code(
    "FC226",
    "@parallel step without a join after it",
    "A gang of tasks ends in a join, which collects what each of them left. The step after a `@parallel` step must take `inputs`.",
    bad=_gang("self.train, num_parallel=4", "@parallel", "after", "self", mark="train"),
    good=_GOOD,
)
NO_NUM_PARALLEL = Code(
    "FC227",
    "@parallel without num_parallel",
    "A `@parallel` step is a gang of tasks; the step before it must say how many, by `num_parallel`. "
    "A foreach starts tasks that know nothing of one another.",
    bad=_gang('self.train, foreach="items"', "@parallel", "after", mark="train"),
    good=_GOOD,
)


def check(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """Every gang: opened by num_parallel, marked by @parallel, closed by a join."""
    found: list[Diagnostic] = []
    before: dict[str, list[str]] = {}
    for node in graph.nodes.values():
        for target in dict.fromkeys(node.next):
            before.setdefault(target, []).append(node.name)
    for step in flow.steps.values():
        node = graph.nodes[step.name]
        if node.parallel_foreach:
            found += _without_decorator(flow, graph, step)
        if node.parallel_step:
            found += _without_join(flow, graph, step) + _without_width(flow, graph, step, before.get(step.name, []))
    return found


def _without_decorator(flow: Flow, graph: Graph, step: Step) -> list[Diagnostic]:
    assert not isinstance(step.transition, NoNext)
    return [
        Diagnostic(
            NO_PARALLEL,
            f"step {step.name} starts {target} with num_parallel, but {target} has no @parallel decorator",
            step.transition.span,
            labels=(Label(flow.steps[target].span, "runs as a gang, without @parallel"),),
            help=f'Add @parallel above the @step of {target}, or fan out with foreach="..." instead.',
        )
        for target in graph.nodes[step.name].next
        if target in graph.nodes and not graph.nodes[target].parallel_step
    ]


def _without_join(flow: Flow, graph: Graph, step: Step) -> list[Diagnostic]:
    after = graph.nodes[step.name].next
    if after and after[0] in graph.nodes and graph.nodes[after[0]].type == "join":
        return []
    labels = tuple(Label(flow.steps[t].span, "takes no inputs, so it is no join") for t in after[:1] if t in flow.steps)
    help_ = f"Let {step.name} go on to a join: a step with a second argument, `def {after[0] if after else 'join'}(self, inputs):`."
    return [Diagnostic(NO_JOIN, f"the @parallel step {step.name} is not followed by a join", step.span, labels=labels, help=help_)]


def _without_width(flow: Flow, graph: Graph, step: Step, before: list[str]) -> list[Diagnostic]:
    wrong = [n for n in before if not graph.nodes[n].parallel_foreach]
    if not wrong:
        return []
    lead = f"{wrong[0]} leads" if len(wrong) == 1 else f"{' and '.join(wrong)} lead"
    labels = tuple(Label(t.span, "without num_parallel") for n in wrong if not isinstance(t := flow.steps[n].transition, NoNext))
    return [
        Diagnostic(
            NO_NUM_PARALLEL,
            f"step {step.name} has a @parallel decorator, but {lead} to it without num_parallel",
            step.span,
            labels=labels,
            help=f"Write `self.next(self.{step.name}, num_parallel=...)` there, or remove @parallel.",
        )
    ]
