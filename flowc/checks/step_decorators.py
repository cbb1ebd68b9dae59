"""In: a Step and its Node. Out: what @retry, @timeout, @catch, @secrets and the like refuse (FC313 to FC316, FC326, FC337, FC338)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowc.checks.attributes import as_int, not_a_dict, not_a_number, not_whole, problem, shown
from flowc.checks.example import END, START_END, example
from flowc.diagnostics import Code, Diagnostic, Label
from flowc.graph import Node
from flowc.ir import Decorator, Step

MAX_RETRIES = 4
"""Metaflow counts six attempts at most: the first, the retries, and one for @catch."""
SHORTEST_TIMEOUT = 60
"""Seconds. Both AWS Batch and Metaflow's @kubernetes refuse less."""

RETRIES = Code(
    "FC337",
    "too many retries",
    "Metaflow keeps six attempts of a task at most: the first, up to four retries, and one for @catch.",
    bad=example("@retry(times=5)  # error" + START_END + END, imports="retry"),
    good=example("@retry(times=4)" + START_END + END, imports="retry"),
)
NO_TIME = Code(
    "FC338",
    "timeout of no time",
    "`@timeout` adds up its hours, minutes and seconds; without any of them it would stop the step before it starts.",
    bad=example("@timeout  # error" + START_END + END, imports="timeout"),
    good=example("@timeout(minutes=5)" + START_END + END, imports="timeout"),
)
CATCH_SPLITS = Code(
    "FC313",
    "@catch on a step that fans out or switches",
    "`@catch` lets the flow go on after a step has failed. A foreach or switch step must say how many tasks or which case comes next, "
    "and a failed one has not said it.",
    bad=example(
        """
        @catch  # error
        @step
        def start(self):
            self.items = [1, 2]
            self.next(self.work, foreach="items")

        @step
        def work(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

        @step
        def end(self):
            pass
        """,
        imports="catch",
    ),
    good=example('@catch(var="failure")' + START_END + END, imports="catch"),
)
SHORT_TIME = Code(
    "FC314",
    "timeout below a minute",
    "A pod or job needs a while to start, so Metaflow's `@kubernetes` and `@batch` refuse a `@timeout` below 60 seconds.",
    bad=example("@timeout(seconds=30)  # error" + START_END + END, imports="timeout"),
    good=example("@timeout(seconds=60)" + START_END + END, imports="timeout"),
)
TWO_COMPUTES = Code(
    "FC315",
    "step for both AWS Batch and Kubernetes",
    "A step runs in one place. With both decorators Metaflow refuses the flow.",
    bad=example("@batch(cpu=2)\n@kubernetes(cpu=2)  # error" + START_END + END, imports="batch, kubernetes"),
    good=example("@kubernetes(cpu=2)" + START_END + END, imports="kubernetes"),
)
CATCH_GANG = Code(
    "FC316",
    "@catch on a @parallel step",
    "The tasks of a gang fail and go on together; Metaflow has no attempt of the whole gang in which `@catch` could step in.",
    bad=example(
        """
        @step
        def start(self):
            self.next(self.train, num_parallel=4)

        @catch  # error
        @parallel
        @step
        def train(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

        @step
        def end(self):
            pass
        """,
        imports="catch, parallel",
    ),
    good=example(
        """
        @step
        def start(self):
            self.next(self.train, num_parallel=4)

        @retry
        @parallel
        @step
        def train(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

        @step
        def end(self):
            pass
        """,
        imports="retry, parallel",
    ),
)
SECRET_SOURCE = Code(
    "FC326",
    "source of @secrets in no known form",
    "A source is the name of a secret, or a dict with its `id` and, where needed, `type`, `options` and `role`. "
    "The task fails at its start where it is neither.",
    bad=example('@secrets(sources=[{"name": "db"}])  # error' + START_END + END, imports="secrets"),
    good=example('@secrets(sources=["db", {"type": "aws-secrets-manager", "id": "api"}])' + START_END + END, imports="secrets"),
)


def check(step: Step, node: Node) -> list[Diagnostic]:
    """Every decorator of a step by its own rules, then the pairs that do not go together."""
    found: list[Diagnostic] = []
    for decorator in step.decorators:
        match decorator.name:
            case "retry":
                found += _retry(decorator)
            case "timeout":
                found += _timeout(decorator)
            case "catch":
                found += _catch(decorator, step, node)
            case "resources":
                found += not_a_number(decorator, ("cpu", "memory") if step.decorator("batch") else ("cpu", "memory", "disk"), empty=True)
            case "environment":
                found += not_a_dict(decorator, ("vars",), none=False)
            case "secrets":
                found += _secrets(decorator)
            case "conda" | "pypi":
                found += not_a_dict(decorator, ("packages", "libraries"), none=False)
            case _:
                pass
    return found + _pairs(step)


def _retry(decorator: Decorator) -> list[Diagnostic]:
    found = not_whole(decorator, ("times", "minutes_between_retries"))
    times = as_int(decorator.get("times", 3))
    if times is not None and times > MAX_RETRIES:
        message = f"@retry times is {times}, the maximum is {MAX_RETRIES}"
        found.append(problem(RETRIES, decorator, "times", message, f"Write `@retry(times={MAX_RETRIES})` or less."))
    return found


def _timeout(decorator: Decorator) -> list[Diagnostic]:
    found = not_whole(decorator, ("hours", "minutes", "seconds"))
    if found or decorator.unread:
        return found
    seconds = sum(int(decorator.get(name, 0)) * unit for name, unit in (("hours", 3600), ("minutes", 60), ("seconds", 1)))
    if not seconds:
        return [Diagnostic(NO_TIME, "@timeout gives no time", decorator.span, help="Write a duration, such as `@timeout(minutes=30)`.")]
    if seconds < SHORTEST_TIMEOUT:
        message = f"@timeout gives {seconds} seconds, at least {SHORTEST_TIMEOUT} are needed"
        return [Diagnostic(SHORT_TIME, message, decorator.span, help=f"Write `@timeout(seconds={SHORTEST_TIMEOUT})` or more.")]
    return []


def _catch(decorator: Decorator, step: Step, node: Node) -> list[Diagnostic]:
    if node.type not in ("foreach", "split-switch"):
        return []
    deed = "fans out" if node.type == "foreach" else "switches"
    help_ = (
        f"Do the risky work in a step of its own with @catch, and let a step after it {'fan out' if node.type == 'foreach' else 'switch'}."
    )
    return [Diagnostic(CATCH_SPLITS, f"step {step.name} {deed}, so it cannot have @catch", decorator.span, help=help_)]


def _secrets(decorator: Decorator) -> list[Diagnostic]:
    sources = decorator.get("sources", [])
    if not isinstance(sources, list):
        help_ = 'Write a list, such as sources=["db-credentials"].'
        return [problem(SECRET_SOURCE, decorator, "sources", f"@secrets sources is {shown(sources)}, not a list", help_)]
    found = []
    for source in sources:
        reason = "" if isinstance(source, str) else _source_problem(source)
        if reason:
            help_ = 'Write the name of the secret, or a dict such as {"type": "aws-secrets-manager", "id": "db-credentials"}.'
            found.append(problem(SECRET_SOURCE, decorator, "sources", f"@secrets source {shown(source)} {reason}", help_))
    return found


def _source_problem(source: Any) -> str:
    """What Metaflow's SecretSpec says against a source that is no name; "" where it takes it."""
    if not isinstance(source, Mapping):
        return "is neither a name nor a dict"
    if "type" in source and not isinstance(source["type"], str):
        return "has a type that is no string"
    if not isinstance(source.get("id"), str):
        return "has no id that is a string"
    if not isinstance(source.get("options", {}), Mapping):
        return "has options that are no dict"
    if not isinstance(source.get("role"), (str, type(None))):
        return "has a role that is no string"
    return ""


def _pairs(step: Step) -> list[Diagnostic]:
    found = []
    kubernetes, batch = step.decorator("kubernetes"), step.decorator("batch")
    if kubernetes and batch:
        message = f"step {step.name} has both @batch and @kubernetes"
        label = (Label(batch.span, "the other place to run"),)
        found.append(
            Diagnostic(
                TWO_COMPUTES,
                message,
                kubernetes.span,
                labels=label,
                help="Remove one of them; @resources says what the step needs in either place.",
            )
        )
    catch, gang = step.decorator("catch"), step.decorator("parallel")
    if catch and gang and (kubernetes or not batch):
        message = f"step {step.name} has both @parallel and @catch"
        found.append(
            Diagnostic(
                CATCH_GANG,
                message,
                catch.span,
                labels=(Label(gang.span, "runs as a gang"),),
                help="Remove @catch, or handle the failure inside the step.",
            )
        )
    return found
