"""In: nothing. Out: the codes of splits and joins that do not match, each with a flow that shows it."""

from __future__ import annotations

from flowc.checks.example import example
from flowc.diagnostics import Code, Severity

_TAIL = """
        @step
        def end(self):
            pass
"""
_START = """
        @step
        def start(self):
            self.next(self.a, self.b)
"""
_BRANCHES = """
        @step
        def a(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)
"""
_JOIN = """
        @step
        def join(self, inputs):
            self.next(self.end)
"""
_GOOD = example(_START + _BRANCHES + _JOIN + _TAIL)

NOT_JOINED = Code(
    "FC219",
    "split that is not joined",
    "Every split, static or foreach, ends in a join: a step that takes `inputs`. The end step runs once, so no branch may reach it alone.",
    bad=example(
        """
        @step
        def start(self):
            self.next(self.a, self.b)  # error

        @step
        def a(self):
            self.next(self.end)

        @step
        def b(self):
            self.next(self.end)
"""
        + _TAIL
    ),
    good=_GOOD,
)
NO_SPLIT = Code(
    "FC220",
    "join without a split",
    "A step with a second argument is a join: it waits for the branches of a split. Without a split before it there is nothing to join.",
    bad=example(
        """
        @step
        def start(self):
            self.next(self.join)

        @step
        def join(self, inputs):  # error
            self.next(self.end)
"""
        + _TAIL
    ),
    good=_GOOD,
)
BRANCHES_MISSING = Code(
    "FC221",
    "join of other branches than its split has",
    "A join closes the innermost open split, and takes exactly one input from each of its branches (of a foreach: from each item).",
    bad=example(
        """
        @step
        def start(self):
            self.next(self.a, self.b, self.c)

        @step
        def a(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)

        @step
        def c(self):
            self.next(self.late)

        @step
        def late(self, inputs):  # error
            self.next(self.end)

        @step
        def join(self, inputs):
            self.next(self.end)
"""
        + _TAIL
    ),
    good=_GOOD,
)
UNRELATED = Code(
    "FC222",
    "join of different splits",
    "The steps that lead to a join must stand in the same splits. A join closes one split, the innermost; an outer one needs its own join.",
    bad=example(
        _START
        + """
        @step
        def a(self):
            self.items = [1, 2]
            self.next(self.work, foreach="items")

        @step
        def work(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)

        @step
        def join(self, inputs):  # error
            self.next(self.end)
"""
        + _TAIL
    ),
    good=_GOOD,
)
EMPTY_FOREACH = Code(
    "FC224",
    "foreach straight into a join",
    "A foreach runs the step that it names once for each item. A join cannot be that step: it would have nothing to join.",
    bad=example(
        """
        @step
        def start(self):
            self.items = [1, 2]
            self.next(self.join, foreach="items")  # error
"""
        + _JOIN
        + _TAIL
    ),
    good=example(
        """
        @step
        def start(self):
            self.items = [1, 2]
            self.next(self.work, foreach="items")

        @step
        def work(self):
            self.next(self.join)
"""
        + _JOIN
        + _TAIL
    ),
)
SWITCH_TO_JOIN = Code(
    "FC228",
    "switch straight to a join",
    "A join takes one input from each branch, from a step that is sure to lead to it. Which case a switch takes is known in the run only, "
    "so a case may not name a join.",
    bad=example(
        """
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.next({"more": self.extra, "done": self.join}, condition="state")  # error

        @step
        def extra(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)
"""
        + _JOIN
        + _TAIL
    ),
    good=example(
        """
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.state = "done"
            self.next({"more": self.extra, "done": self.skip}, condition="state")

        @step
        def extra(self):
            self.next(self.join)

        @step
        def skip(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)
"""
        + _JOIN
        + _TAIL
    ),
)
EMPTY_BRANCH = Code(
    "FC229",
    "split straight into a join",
    "Each branch of a split needs a step that runs in it: the join takes that step's artifacts as the branch's input.",
    bad=example(
        """
        @step
        def start(self):
            self.next(self.a, self.join)  # error

        @step
        def a(self):
            self.next(self.join)
"""
        + _JOIN
        + _TAIL
    ),
    good=_GOOD,
)
SHARED = Code(
    "FC230",
    "step in several branches",
    "Metaflow's linter lets switches of different branches lead to one step, or the cases of a switch fan out over one step. "
    "Where two branches of a run choose that step, it is started once for both, and their join then waits for ever.",
    bad=example(
        """
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.size = "big"
            self.next({"big": self.both, "small": self.c}, condition="size")

        @step
        def b(self):
            self.size = "big"
            self.next({"big": self.both, "small": self.d}, condition="size")

        @step
        def both(self):  # error
            self.next(self.join)

        @step
        def c(self):
            self.next(self.join)

        @step
        def d(self):
            self.next(self.join)
"""
        + _JOIN
        + _TAIL
    ),
    good=_GOOD,
    severity=Severity.WARNING,
)
