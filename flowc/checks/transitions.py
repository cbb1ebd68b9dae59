"""In: a Flow and its Graph. Out: steps that lead nowhere, to nothing, in a circle, or that nothing leads to (FC214 to FC218, FC223)."""

from __future__ import annotations

from flowc.checks.example import example
from flowc.diagnostics import Code, Diagnostic, Label
from flowc.graph import Graph
from flowc.ir import Flow, InvalidNext, NoNext, Switch
from flowc.source import Span

_GOOD = example("""
    @step
    def start(self):
        self.next(self.train)

    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        pass
""")
_GOOD_SWITCH = example("""
    @step
    def start(self):
        self.state = "done"
        self.next({"again": self.train, "done": self.end}, condition="state")

    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        pass
""")

_FORMS = (
    'Write self.next(self.a), self.next(self.a, self.b), self.next(self.a, foreach="items") '
    'or self.next({"x": self.a, "y": self.b}, condition="key").'
)

MISSING_NEXT = Code(
    "FC214",
    "step without self.next()",
    "Every step but the end step says as its last statement which step comes next. Metaflow reads it from the text, so it must stand at "
    "the end of the function itself, not inside an `if` or a helper.",
    bad=example("""
        @step
        def start(self):
            self.next(self.train)

        @step
        def train(self):  # error
            self.model = "ready"

        @step
        def end(self):
            pass
    """),
    good=_GOOD,
)
INVALID_NEXT = Code(
    "FC215",
    "self.next() in no known form",
    "The steps of a flow are known before it runs, so `self.next()` takes only: `self.next(self.a)`, `self.next(self.a, self.b)`, "
    '`self.next(self.a, foreach="items")`, `self.next(self.a, num_parallel=4)` and '
    '`self.next({"x": self.a, "y": self.b}, condition="key")` with keys that '
    "are strings, numbers or `self.config.key`.",
    bad=example("""
        @step
        def start(self):
            self.next(self.train, retries=3)  # error

        @step
        def train(self):
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_GOOD,
)
UNKNOWN_STEP = Code(
    "FC216",
    "self.next() to an unknown step",
    "`self.next()` names a method of the flow that is marked with `@step`, in the class itself or in one that it inherits from.",
    bad=example("""
        @step
        def start(self):
            self.next(self.trian)  # error

        @step
        def train(self):
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_GOOD,
)
CYCLE = Code(
    "FC217",
    "steps in a circle",
    "A run must come to its end, so no path of transitions may lead back to a step on it. "
    "To repeat a step, let it switch: a case may name the step itself.",
    bad=example("""
        @step
        def start(self):
            self.next(self.train)

        @step
        def train(self):
            self.next(self.score)

        @step
        def score(self):
            self.next({"bad": self.train, "good": self.end}, condition="verdict")  # error

        @step
        def end(self):
            pass
    """),
    good=example("""
        @step
        def start(self):
            self.next(self.train)

        @step
        def train(self):
            self.verdict = "good"
            self.next({"bad": self.train, "good": self.end}, condition="verdict")

        @step
        def end(self):
            pass
    """),
)
UNREACHABLE = Code(
    "FC218",
    "step that nothing leads to",
    "No path from the start step leads to the step, so it can never run.",
    bad=example("""
        @step
        def start(self):
            self.next(self.end)

        @step
        def train(self):  # error
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_GOOD,
)
ONE_CASE = Code(
    "FC223",
    "switch with one case",
    "A switch chooses between at least two cases; with one there is nothing to choose.",
    bad=example("""
        @step
        def start(self):
            self.state = "done"
            self.next({"done": self.end}, condition="state")  # error

        @step
        def end(self):
            pass
    """),
    good=_GOOD_SWITCH,
)


def check(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """The transitions of all steps. What cannot be reached is only told where all transitions are understood."""
    found = _forms(flow, graph) + _unknown(flow, graph)
    broken = bool(found)
    found += _cycles(flow, graph) + _one_case(flow)
    return found if broken or graph.start is None else found + _unreachable(flow, graph)


def _unreachable(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """The first step of every chain that hangs in the air; one without a first step is a circle, and told as such."""
    reached = set(graph.order)
    led_to = {t for node in graph.nodes.values() for t in node.next if t != node.name}
    return [
        Diagnostic(
            UNREACHABLE,
            f"no step leads to {step.name}",
            step.span,
            help=f"Add `self.next(self.{step.name})` to another step, or remove {step.name}.",
        )
        for step in flow.steps.values()
        if step.name not in reached and step.name not in led_to
    ]


def _forms(flow: Flow, graph: Graph) -> list[Diagnostic]:
    found = []
    last = [s for s in flow.steps.values() if isinstance(s.transition, NoNext) and s.name != graph.end]
    for step in flow.steps.values():
        if step.name == graph.end or (graph.end is None and step.marked_end):
            # of several steps that are marked as the end, FC203 tells
            continue
        if isinstance(step.transition, InvalidNext):
            message = f"step {step.name} has a self.next() in no form that Metaflow knows"
            found.append(Diagnostic(INVALID_NEXT, message, step.transition.span, help=_FORMS))
        elif isinstance(step.transition, NoNext) and not (graph.end is None and len(last) == 1):
            # without an end step, the only step that does not go on was meant to be it: FC202 says so
            found.append(_missing(step.name, step.span, step.transition.early))
    return found


def _missing(name: str, span: Span, early: Span | None) -> Diagnostic:
    if early is None:
        help_ = f"Add a self.next() as the last statement of {name}, or mark it with `@step(end=True)` where the run ends."
        return Diagnostic(MISSING_NEXT, f"step {name} does not say which step comes next", span, help=help_)
    message = f"step {name} has a self.next() on line {early.line}, which is not its last statement"
    help_ = f"Let self.next() be the last statement of {name}: move what follows it above it, and out of any `if` or loop around it."
    return Diagnostic(MISSING_NEXT, message, span, labels=(Label(early, "not the last statement"),), help=help_)


def _unknown(flow: Flow, graph: Graph) -> list[Diagnostic]:
    found = []
    for step in flow.steps.values():
        if isinstance(step.transition, NoNext):
            continue
        for target in dict.fromkeys(graph.nodes[step.name].next):
            if target not in flow.steps:
                message = f"step {step.name} leads to {target}, which is no step"
                found.append(Diagnostic(UNKNOWN_STEP, message, step.transition.span, help=_nearest(target, flow)))
    return found


def _nearest(target: str, flow: Flow) -> str:
    import difflib

    near = difflib.get_close_matches(target, list(flow.steps), n=1)
    if near:
        return f"Did you mean self.{near[0]}? Else add a method `{target}` with @step."
    return f"Add a method `{target}` with @step, or name one of the steps that exist."


def _cycles(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """Each transition that closes a circle, found by one depth-first search over all steps."""
    found: list[Diagnostic] = []
    done: set[str] = set()
    roots = [graph.start] if graph.start is not None else []
    for root in [*roots, *graph.nodes]:
        if root in done:
            continue
        path = [root]
        at = {root: 0}
        ways = [iter(_onward(graph, root))]
        while path:
            target = next(ways[-1], None)
            if target is None:
                ways.pop()
                done.add(path[-1])
                del at[path.pop()]
            elif target in at:
                if target == graph.start or path[-1] == graph.end:
                    # what is wrong is told of the start step (FC206) or the end step (FC207)
                    continue
                found.append(_cycle(flow, path[at[target] :]))
            elif target not in done:
                at[target] = len(path)
                path.append(target)
                ways.append(iter(_onward(graph, target)))
    return found


def _onward(graph: Graph, name: str) -> list[str]:
    """Where a step leads, save back to itself by a switch, which is how a flow repeats a step."""
    node = graph.nodes[name]
    return [t for t in dict.fromkeys(node.next) if t in graph.nodes and not (t == name and node.type == "split-switch")]


def _cycle(flow: Flow, path: list[str]) -> Diagnostic:
    transition = flow.steps[path[-1]].transition
    way = " -> ".join([*path, path[0]] if len(path) < 9 else [*path[:4], "...", *path[-3:], path[0]])
    return Diagnostic(
        CYCLE,
        f"these steps lead back to where they began: {way}",
        None if isinstance(transition, NoNext) else transition.span,
        labels=() if len(path) == 1 else (Label(flow.steps[path[0]].span, "the circle begins here"),),
        help="Let the last of them go on to another step. To repeat a single step, let it switch with a case that names itself.",
    )


def _one_case(flow: Flow) -> list[Diagnostic]:
    return [
        Diagnostic(
            ONE_CASE,
            f"step {step.name} switches, but has one case only",
            step.transition.span,
            help="Add another case, or write a plain `self.next(self.step)`.",
        )
        for step in flow.steps.values()
        if isinstance(step.transition, Switch) and len(step.transition.cases) < 2
    ]
