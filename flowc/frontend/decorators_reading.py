"""In: one list of decorators. Out: what applying them, nearest first, makes of the method or class, as Metaflow would see it."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from flowc.diagnostics import Diagnostic
from flowc.frontend.decorators import Found, Wrapper
from flowc.frontend.decorators_codes import CARRIED, DROPS_STEP, NOT_IN_CORE, UNREADABLE
from flowc.frontend.decorators_hiding import keeps_mark, mentions
from flowc.frontend.decorators_specs import decorator
from flowc.frontend.decorators_subject import Applying, Refused, Subject, subject_of
from flowc.frontend.decorators_table import CORE_NAMES, FLOW_DECORATORS, STEP_DECORATORS
from flowc.frontend.modules import External, Local, NotFound, dotted_name
from flowc.frontend.values import Scope
from flowc.frontend.values_objects import Instance, Stuck
from flowc.ir import Decorator
from flowc.source import Span


def read_list(decorator_list: Sequence[ast.expr], scope: Scope, owner: str, kind: str, inherited: Collection[str]) -> Found:
    """Apply a list of decorators to a fresh subject."""
    subject = Subject(owner.rpartition(".")[2], kind, owner, inherited=frozenset(inherited))
    reading = _Reading(scope, subject)
    current: Any = subject
    for node in reversed(decorator_list):
        current = reading.one(node, current)
    # an object is no function, and only functions are steps, whatever attributes it carries
    is_step = subject.is_step and subject_of(current) is subject and not isinstance(current, Instance)
    if subject.is_step and not is_step and reading.dropped is not None:
        span, name = reading.dropped
        reading.problems.append(
            Diagnostic(
                DROPS_STEP,
                f"@{name} returns something new, so Metaflow does not see {owner} as a step",
                span,
                help="Let it return a function with @functools.wraps(f).",
            )
        )
    if is_step or kind == "flow":
        reading.problems += reading.notes
    return Found(
        tuple(subject.decorators),
        is_step,
        subject.marked_start,
        subject.marked_end,
        tuple(subject.wrappers),
        tuple(reading.problems),
        tuple(subject.mutators),
    )


class _Reading:
    def __init__(self, scope: Scope, subject: Subject) -> None:
        self.scope, self.subject = scope, subject
        self.problems: list[Diagnostic] = []
        self.notes: list[Diagnostic] = []
        self.dropped: tuple[Span, str] | None = None

    def one(self, node: ast.expr, current: Any) -> Any:
        """What one decorator makes of what stands below it."""
        span = self.scope.module.span(node)
        root = node
        while isinstance(root, ast.Call):
            root = root.func
        name = dotted_name(root) or ast.unparse(root)
        resolved = self.scope.program.resolve(self.scope.module, root, body=self.scope.body, before=self.scope.before)
        keys = self.keys(resolved, name)
        for key in keys:
            if key in self.scope.settings.decorators:
                self.by_setting(self.scope.settings.decorators[key], key, name, span)
                return current
        if isinstance(resolved, NotFound) and hasattr(builtins, name):
            return current if name in ("staticmethod", "classmethod") else self.judge(Instance(None), current, resolved, name, span)
        if isinstance(resolved, External) and not self.is_core(resolved.path):
            self.unseen(resolved.path, name, node, span)
            return current
        applying = Applying(self.scope, self.subject, span)
        try:
            result = applying.decorate(node, current, applying.frame)
        except Refused as refused:
            self.problems.append(refused.diagnostic)
            return current
        except Stuck as stuck:
            result = self.stuck(stuck, resolved, name, node, current)
        except RecursionError:
            result = self.stuck(Stuck("it nests too deep"), resolved, name, node, current)
        self.problems += applying.problems
        return self.judge(result, current, resolved, name, span)

    def judge(self, result: Any, current: Any, resolved: Any, name: str, span: Span) -> Any:
        """Note a wrapper, and whether the step survives it."""
        metaflow = isinstance(resolved, External) and resolved.path.startswith("metaflow.")
        if not metaflow and subject_of(current) is self.subject:
            if not any(w.span == span for w in self.subject.wrappers):
                self.subject.wrappers.append(Wrapper(name, span))
            if (subject_of(result) is not self.subject or isinstance(result, Instance)) and self.subject.is_step and self.dropped is None:
                self.dropped = (span, name)
        return result

    def keys(self, resolved: Any, name: str) -> list[str]:
        """The keys under which `[tool.flowc.decorators]` may know a decorator: by its module, or as it is written."""
        if isinstance(resolved, External):
            return [resolved.path, name]
        if isinstance(resolved, Local):
            return [f"{resolved.module.label}.{resolved.name}", name]
        return [name]

    def is_core(self, path: str) -> bool:
        root, _, rest = path.partition(".")
        return (root == "metaflow" and rest in CORE_NAMES) or path in ("functools.wraps", "functools.partial")

    def by_setting(self, said: Any, key: str, name: str, span: Span) -> None:
        """What `[tool.flowc.decorators]` says that a decorator does."""
        self.subject.wrappers.append(Wrapper(name, span))
        if said == "ignore":
            return
        table = STEP_DECORATORS if self.subject.kind == "step" else FLOW_DECORATORS
        origin = f"[tool.flowc.decorators] {key}"
        for spec in said if isinstance(said, (list, tuple)) else [said]:
            made = decorator(spec, span, origin, table, span)
            if isinstance(made, Decorator):
                try:
                    self.subject.add(made, table[made.name], span)
                except Refused as refused:
                    self.problems.append(refused.diagnostic)
            else:
                self.problems.append(made)

    def unseen(self, path: str, name: str, node: ast.expr, span: Span) -> None:
        """A decorator from an installed package."""
        self.subject.wrappers.append(Wrapper(name, span))
        remedy = f'Say what it does in [tool.flowc.decorators]: "{path}" = "ignore" where it acts in the pod only, or ["kubernetes:cpu=8"].'
        if path.startswith(("metaflow.", "metaflow_extensions.")):
            self.problems.append(Diagnostic(NOT_IN_CORE, f"@{name} is not one of Metaflow's own decorators", span, help=remedy))
            return
        hidden = self.hidden_in_arguments(node)
        if hidden:
            message = f"@{name} is handed {hidden}, and what it does with it is not in sight"
            self.problems.append(Diagnostic(UNREADABLE, message, span, help=remedy))
        elif path.partition(".")[0] not in sys.stdlib_module_names:
            self.notes.append(Diagnostic(CARRIED, f"@{name} is carried as it is: its code is not in sight", span, help=remedy))

    def hidden_in_arguments(self, node: ast.expr) -> str | None:
        while isinstance(node, ast.Call):
            for argument in (*node.args, *(k.value for k in node.keywords)):
                found = mentions(self.scope.program, self.scope.module, argument)
                if found:
                    return found
            node = node.func
        return None

    def stuck(self, stuck: Stuck, resolved: Any, name: str, node: ast.expr, current: Any) -> Any:
        """A decorator that cannot be followed: carried where its text names nothing of Metaflow's, else a diagnostic."""
        program, span = self.scope.program, self.scope.module.span(node)
        key = self.keys(resolved, name)[0]
        remedy = f'Say what it does in [tool.flowc.decorators]: "{key}" = "ignore", or e.g. ["kubernetes:cpu=8"].'
        if isinstance(resolved, NotFound) and resolved.reason.startswith("is not bound"):
            self.problems.append(Diagnostic(UNREADABLE, f"@{name} cannot be read: {name} {resolved.reason}", span, help=remedy))
            return current
        if isinstance(resolved, External):
            self.problems.append(
                Diagnostic(UNREADABLE, f"@{name} cannot be read: {stuck.reason}", stuck.span or span, help=stuck.help or remedy)
            )
            return current
        text = resolved.node if isinstance(resolved, Local) else node
        module = resolved.module if isinstance(resolved, Local) else self.scope.module
        hidden = mentions(program, module, text) or self.hidden_in_arguments(node)
        if hidden:
            message = f"@{name} names {hidden} and cannot be followed: {stuck.reason}"
            both = f"{stuck.help} Or s{remedy[1:]}" if stuck.help and not isinstance(resolved, NotFound) else remedy
            self.problems.append(Diagnostic(UNREADABLE, message, stuck.span or span, help=both))
            return current
        if isinstance(resolved, Local) and not isinstance(node, ast.Call) and not keeps_mark(resolved.node):
            return Instance(None)
        return current


def placed(made: Decorator, span: Span, origin: str) -> Decorator:
    """The same decorator at another place."""
    return replace(made, span=span, origin=origin)
