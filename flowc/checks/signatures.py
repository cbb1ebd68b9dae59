"""In: a Flow and its Graph. Out: steps whose name or arguments Metaflow does not take (FC209 to FC213)."""

from __future__ import annotations

import re

from flowc.checks.example import example
from flowc.diagnostics import Code, Diagnostic, Label
from flowc.graph import Graph
from flowc.ir import Flow, Foreach, NumParallel, Split, Step, Switch

RESERVED = frozenset({"name", "next", "input", "index", "cmd"})

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
_GOOD_JOIN = example("""
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
""")

RESERVED_NAME = Code(
    "FC209",
    "reserved step name",
    "`name`, `next`, `input`, `index` and `cmd` are attributes that every flow has already; a step of that name would hide one.",
    bad=example("""
        @step
        def start(self):
            self.next(self.index)

        @step
        def index(self):  # error
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_GOOD,
)
INVALID_NAME = Code(
    "FC210",
    "invalid step name",
    "Step names become parts of paths and of names on the cluster: lowercase ASCII letters, digits and underscores, no underscore first.",
    bad=example("""
        @step
        def start(self):
            self.next(self.trainModel)

        @step
        def trainModel(self):  # error
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_GOOD,
)
TOO_MANY_ARGUMENTS = Code(
    "FC211",
    "step with too many arguments",
    "Metaflow calls a step with `self`, and a join with `self` and `inputs`. There is nothing to fill a third argument.",
    bad=example("""
        @step
        def start(self):
            self.next(self.train)

        @step
        def train(self, inputs, rate):  # error
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_GOOD_JOIN,
)
JOIN_SPLITS = Code(
    "FC212",
    "join that also splits",
    "A join closes a split. It cannot open another one, or switch, in the same step: put a step of its own after it.",
    bad=example("""
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
            self.next(self.c, self.d)  # error

        @step
        def c(self):
            self.next(self.join2)

        @step
        def d(self):
            self.next(self.join2)

        @step
        def join2(self, inputs):
            self.next(self.end)

        @step
        def end(self):
            pass
    """),
    good=_GOOD_JOIN,
)
NO_SELF = Code(
    "FC213",
    "step without self",
    "A step is a method: Metaflow calls it with the flow object, where the step finds and leaves its artifacts.",
    bad=example("""
        @step
        def start(self):
            self.next(self.end)

        @step
        def end():  # error
            pass
    """),
    good=_GOOD,
)


def check(flow: Flow, graph: Graph) -> list[Diagnostic]:
    """The names and arguments of all steps."""
    found = []
    for step in flow.steps.values():
        found += _name(step) + _arguments(step, graph)
    return found


def _name(step: Step) -> list[Diagnostic]:
    if step.name in RESERVED:
        return [Diagnostic(RESERVED_NAME, f"step name {step.name} is reserved", step.span, help="Choose another name for the step.")]
    if re.search("[^a-z0-9_]", step.name) or step.name[0] == "_":
        message = f"step name {step.name} is invalid"
        help_ = f"Use only lowercase ASCII letters, digits and underscores, no underscore first: {_suggestion(step.name)}"
        return [Diagnostic(INVALID_NAME, message, step.span, help=help_)]
    return []


def _suggestion(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return re.sub("[^a-z0-9_]", "_", snake).strip("_") or "work"


def _arguments(step: Step, graph: Graph) -> list[Diagnostic]:
    if step.arguments > 2 and step.name != graph.end:
        help_ = "Take `self` only, or `self` and `inputs` in a join; hand values on as artifacts."
        return [Diagnostic(TOO_MANY_ARGUMENTS, f"step {step.name} takes {step.arguments} arguments", step.span, help=help_)]
    if step.arguments == 0:
        meant = f"Write `def {step.name}({'self, inputs' if step.positional_only > 1 else 'self'}):`"
        help_ = f"{meant}; Metaflow does not count what stands before a `/`." if step.positional_only else f"{meant}."
        return [Diagnostic(NO_SELF, f"step {step.name} has no self argument", step.span, help=help_)]
    transition = step.transition
    if step.arguments == 2 and step.name != graph.end and isinstance(transition, (Split, Foreach, NumParallel, Switch)):
        deed = "switches" if isinstance(transition, Switch) else "splits"
        return [
            Diagnostic(
                JOIN_SPLITS,
                f"step {step.name} both joins and {deed}",
                transition.span,
                labels=(Label(step.span, "a join, as it takes a second argument"),),
                help=f"Let {step.name} go on to a new step, and do the rest there.",
            )
        ]
    return []
