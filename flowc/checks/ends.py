"""In: a Flow and its Graph. Out: what is wrong with its start and end step (FC200 to FC208)."""

from __future__ import annotations

from flowc.checks.example import example
from flowc.diagnostics import Code, Diagnostic, Label
from flowc.graph import Graph
from flowc.ir import Flow, NoNext, Step

_HELLO = example("""
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
""")
_MARKED = example("""
    @step(start=True)
    def load(self):
        self.next(self.report)

    @step(end=True)
    def report(self):
        pass
""")

NO_START = Code(
    "FC200",
    "no start step",
    "A run begins at the step that is named `start` or marked with `@step(start=True)`; there must be exactly one.",
    bad=example("""
        @step
        def load(self):
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_MARKED,
)
MANY_STARTS = Code(
    "FC201",
    "several start steps",
    "A run begins at one step, so only one may be marked with `@step(start=True)`.",
    bad=example("""
        @step(start=True)
        def load(self):
            self.next(self.end)

        @step(start=True)
        def fetch(self):  # error
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_MARKED,
)
NO_END = Code(
    "FC202",
    "no end step",
    "A run ends with the step that is named `end` or marked with `@step(end=True)`; there must be exactly one.",
    bad=example("""
        @step
        def start(self):
            self.next(self.report)

        @step
        def report(self):
            pass
    """),
    good=_MARKED,
)
MANY_ENDS = Code(
    "FC203",
    "several end steps",
    "A run ends with one step, so only one may be marked with `@step(end=True)`.",
    bad=example("""
        @step
        def start(self):
            self.next({"tell": self.report, "hide": self.close}, condition="mode")

        @step(end=True)
        def report(self):
            pass

        @step(end=True)
        def close(self):  # error
            pass
    """),
    good=_MARKED,
)
TWO_STARTS = Code(
    "FC204",
    "marked start step beside a step named start",
    "`@step(start=True)` takes the place of the name `start`. With both, readers cannot tell where the run begins, so Metaflow refuses.",
    bad=example("""
        @step(start=True)
        def load(self):
            self.next(self.start)

        @step
        def start(self):  # error
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_MARKED,
)
TWO_ENDS = Code(
    "FC205",
    "marked end step beside a step named end",
    "`@step(end=True)` takes the place of the name `end`. With both, readers cannot tell where the run ends, so Metaflow refuses.",
    bad=example("""
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):  # error
            self.next(self.report)

        @step(end=True)
        def report(self):
            pass
    """),
    good=_MARKED,
)
INTO_START = Code(
    "FC206",
    "step that leads to the start step",
    "The start step has the run's parameters as its input, no other step's data, so no step may lead to it, not even itself.",
    bad=example("""
        @step
        def start(self):
            self.next(self.work)

        @step
        def work(self):
            self.next({"again": self.start, "done": self.end}, condition="state")  # error

        @step
        def end(self):
            pass
    """),
    good=_HELLO,
)
END_GOES_ON = Code(
    "FC207",
    "end step with self.next()",
    "Nothing runs after the end step, so it must not call `self.next()` as its last statement.",
    bad=example("""
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            self.next(self.start)  # error
    """),
    good=_HELLO,
)
END_JOINS = Code(
    "FC208",
    "end step that is a join",
    "The end step has one input. A join, which takes `inputs`, has to stand before it.",
    bad=example("""
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.next(self.end)

        @step
        def b(self):
            self.next(self.end)

        @step
        def end(self, inputs):  # error
            pass
    """),
    good=example("""
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
)


def check(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """Exactly one start and one end, nothing before the one and nothing after the other."""
    found = _existence(flow, graph)
    if graph.start is not None:
        found += _conflict(flow, graph.start, "start") + _into_start(flow, graph)
    if graph.end is not None:
        found += _conflict(flow, graph.end, "end") + _end(flow.steps[graph.end], graph)
    return found


def _existence(flow: Flow, graph: Graph) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    for kind, step, none, many in (("start", graph.start, NO_START, MANY_STARTS), ("end", graph.end, NO_END, MANY_ENDS)):
        if step is not None:
            continue
        marked = [s for s in flow.steps.values() if (s.marked_start if kind == "start" else s.marked_end)]
        if not marked:
            last = [s for s in flow.steps.values() if isinstance(s.transition, NoNext)] if kind == "end" else []
            labels = tuple(Label(s.span, "the run could end here") for s in last)
            help_ = f"Name a step `{kind}`, or mark one with `@step({kind}=True)`."
            found.append(Diagnostic(none, f"flow {flow.name} has no {kind} step", flow.span, labels=labels, help=help_))
            continue
        marked.sort(key=lambda s: s.span.key)
        found += [
            Diagnostic(
                many,
                f"step {extra.name} is marked as the {kind} step of {flow.name}, but so is {marked[0].name}",
                extra.span,
                labels=(Label(marked[0].span, f"the first step marked `{kind}=True`"),),
                help=f"Keep `{kind}=True` on one step only.",
            )
            for extra in marked[1:]
        ]
    return found


def _conflict(flow: Flow, step: str, kind: str) -> list[Diagnostic]:
    if step == kind or kind not in flow.steps:
        return []
    return [
        Diagnostic(
            TWO_STARTS if kind == "start" else TWO_ENDS,
            f"step {step} is marked as the {kind} step, but a step named {kind} exists too",
            flow.steps[kind].span,
            labels=(Label(flow.steps[step].span, f"marked with `@step({kind}=True)`"),),
            help=f"Rename the step `{kind}`, or remove `{kind}=True` from {step}.",
        )
    ]


def _into_start(flow: Flow, graph: Graph) -> list[Diagnostic]:
    assert graph.start is not None
    start = flow.steps[graph.start]
    found = []
    for name in graph.nodes[graph.start].in_funcs:
        transition = flow.steps[name].transition
        if name == graph.end or isinstance(transition, NoNext):
            continue
        itself = name == graph.start
        found.append(
            Diagnostic(
                INTO_START,
                f"the start step {start.name} leads back to itself" if itself else f"step {name} leads to the start step {start.name}",
                transition.span,
                labels=() if itself else (Label(start.span, "the run begins here"),),
                help="Put a new first step before it, which goes on to this one."
                if itself
                else "Go on to another step, or repeat a step by a switch case that names itself.",
            )
        )
    return found


def _end(end: Step, graph: Graph) -> list[Diagnostic]:
    found = []
    transition = end.transition
    targets = graph.nodes[end.name].next
    if not isinstance(transition, NoNext) and not (targets and all(t not in graph.nodes for t in targets)):
        found.append(
            Diagnostic(
                END_GOES_ON,
                f"the end step {end.name} has a self.next()",
                transition.span,
                labels=(Label(end.span, "the run ends here"),),
                help="Remove the self.next(), or mark a later step with `@step(end=True)`.",
            )
        )
    if end.arguments > 1:
        found.append(
            Diagnostic(
                END_JOINS,
                f"the end step {end.name} takes inputs, as a join does",
                end.span,
                help=f"Add a join step that goes on to {end.name}, and let {end.name} take only `self`.",
            )
        )
    return found
