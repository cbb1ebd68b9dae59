"""In: a decorator applied to a method or class. Out: the Subject with what Metaflow would hold on it, or Refused with its words."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowc.diagnostics import Code, Diagnostic
from flowc.frontend.decorators import Mutator, Wrapper
from flowc.frontend.decorators_codes import DUPLICATE, NOT_A_FLOW, NOT_A_STEP, POSITIONAL, STEP_ARGUMENTS, UNKNOWN_ATTRIBUTE
from flowc.frontend.decorators_specs import suggestion
from flowc.frontend.decorators_table import FLOW_DECORATORS, STEP_DECORATORS, Known
from flowc.frontend.modules import External, dotted_name
from flowc.frontend.values import Scope, Unknown, given, not_static
from flowc.frontend.values_attributes import attribute
from flowc.frontend.values_calls import call
from flowc.frontend.values_classes import instantiate, lineage
from flowc.frontend.values_expressions import Evaluator
from flowc.frontend.values_functions import run
from flowc.frontend.values_objects import ClassRef, Frame, Function, Instance, Partial, Stuck, Thing
from flowc.ir import Decorator, Value
from flowc.source import Span

Attribute = Value | Unknown
USER_BASES = {"metaflow.UserStepDecorator", "metaflow.UserStepDecoratorBase", "metaflow.StepMutator", "metaflow.FlowMutator"}


class Refused(Exception):
    def __init__(self, code: Code, message: str, span: Span, help: str) -> None:  # noqa: A002 - the field's name everywhere
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, help=help)


@dataclass(eq=False, slots=True)
class Subject:
    """The method or class that decorators are applied to, and what Metaflow holds on it so far."""

    name: str
    kind: str
    owner: str
    inherited: frozenset[str] = frozenset()
    is_step: bool = False
    marked_start: bool = False
    marked_end: bool = False
    decorators: list[Decorator] = field(default_factory=list)
    wrappers: list[Wrapper] = field(default_factory=list)
    mutators: list[Mutator] = field(default_factory=list)

    def add(self, made: Decorator, known: Known, span: Span) -> None:
        """Hold a decorator, unless Metaflow refuses it as a duplicate."""
        if not known.many and (made.name in self.inherited or any(d.name == made.name for d in self.decorators)):
            where = "a base class of the flow" if made.name in self.inherited else self.owner
            raise Refused(DUPLICATE, f"{where} already has @{made.name}, which may stand only once", span, f"Keep one @{made.name}.")
        self.decorators.append(made)


@dataclass(frozen=True, slots=True)
class Attached:
    """A decorator of Metaflow with its attributes, not applied yet."""

    known: Known
    for_steps: bool
    attributes: Mapping[str, Attribute]
    span: Span


@dataclass(frozen=True, slots=True)
class Marking:
    """`step(start=True)`, not applied yet."""

    start: bool
    end: bool


@dataclass(eq=False, slots=True)
class UserDecorator:
    """A user step decorator or mutator with its arguments, not applied yet."""

    definition: ClassRef | Function
    kinds: frozenset[str]
    args: list[Any]
    kwargs: dict[str, Any]
    span: Span


@dataclass(eq=False, slots=True)
class Presented:
    """What a user decorator that stands bare makes of a step: an object of Metaflow's, which passes for the step where Metaflow looks."""

    subject: Subject


def subject_of(current: Any) -> Any:
    """What Metaflow's decorators see of an object: through `functools.wraps` to the subject itself."""
    if isinstance(current, Presented):
        return current.subject
    while isinstance(current, (Function, Instance)):
        current = current.inner if isinstance(current, Function) else current.fields.get("__wrapped__")
    return current


class Applying(Evaluator):
    """An evaluation in which Metaflow's decorators are known. `here` is the place of the decorator in the list."""

    def __init__(self, scope: Scope, subject: Subject, here: Span, origin: str = "source") -> None:
        super().__init__(scope)
        self.subject, self.here, self.origin = subject, here, origin
        self.problems: list[Diagnostic] = []

    # --- calls ---------------------------------------------------------------------------------------------------------

    def on_call(self, node: ast.Call, frame: Frame) -> Any:
        function = self.eval(node.func, frame)
        found = _known(function)
        if found is None:
            args, kwargs = self.arguments(node, frame)
            return call(self, function, args, kwargs, node, frame)
        known, for_steps = found
        attributes = self.attributes(known, node, frame)
        span = self.place(node, frame) or self.here
        attached = Attached(known, for_steps, attributes, span)
        args = self.on_elements(node.args, frame)
        return self.attach(attached, args[0]) if args else attached

    def external(self, function: Thing, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:
        found = _known(function)
        if found is not None:
            known, for_steps = found
            attributes = {k: self.attribute_value(known, k, lambda v=v: v, self.here) for k, v in kwargs.items()}
            attached = Attached(known, for_steps, attributes, self.place(node, frame) or self.here)
            return self.attach(attached, args[0]) if args else attached
        if function.path == "metaflow.step":
            return self.mark(args, kwargs)
        if function.path == "metaflow.user_step_decorator" and len(args) == 1 and isinstance(args[0], Function):
            return args[0]
        if function.path == "functools.wraps" and args:
            return Partial(Thing("functools.update_wrapper"), [], {"wrapped": args[0]})
        if function.path == "functools.update_wrapper":
            return _update_wrapper([*args, *kwargs.values()])
        if function.path == "builtins.callable" and len(args) == 1:
            return isinstance(args[0], (Subject, Function, ClassRef, Partial, Attached, UserDecorator, Thing))
        if function.path == "builtins.staticmethod" and len(args) == 1:
            return args[0]
        return super().external(function, args, kwargs, node, frame)

    def apply(self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:
        if isinstance(function, Attached) and len(args) == 1 and not kwargs:
            return self.attach(function, args[0])
        if isinstance(function, Marking) and len(args) == 1 and not kwargs:
            return self.mark(args, {"start": function.start, "end": function.end})
        if isinstance(function, UserDecorator) and len(args) == 1:
            return self.use(function, args[0])
        return super().apply(function, args, kwargs, node, frame)

    def invoke(self, function: Function, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:
        if self.is_user(function):
            return self.user(function, frozenset({"metaflow.UserStepDecorator"}), args, kwargs, node, frame)
        return run(self, function, args, kwargs)

    def construct(self, cls: ClassRef, args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame) -> Any:
        kinds = frozenset(b for b in lineage(self, cls) if isinstance(b, str)) & USER_BASES
        if kinds:
            return self.user(cls, kinds, args, kwargs, node, frame)
        return instantiate(self, cls, args, kwargs, node, frame)

    def user(
        self, definition: ClassRef | Function, kinds: frozenset[str], args: list[Any], kwargs: dict[str, Any], node: ast.expr, frame: Frame
    ) -> Any:
        """A user decorator is made, or applied at once where it stands bare."""
        made = UserDecorator(definition, kinds, args, kwargs, self.place(node, frame) or self.here)
        target = subject_of(args[0]) if args else None
        if isinstance(target, Subject):
            made.args = args[1:]
            self.use(made, args[0])
            return Presented(target)
        return made

    def decorate(self, decorator: ast.expr, made: Any, frame: Frame) -> Any:
        function = self.eval(decorator, frame)
        if isinstance(function, (ClassRef, Function)) and not isinstance(subject_of(made), Subject) and self.is_user(function):
            raise Refused(NOT_A_STEP, f"@{ast.unparse(decorator)} is applied to no @step", self.here, "Put it above @step.")
        return call(self, function, [made], {}, decorator, frame)

    def is_user(self, function: ClassRef | Function) -> bool:
        """Whether it is a user step decorator or mutator."""
        if isinstance(function, ClassRef):
            return bool({b for b in lineage(self, function) if isinstance(b, str)} & USER_BASES)
        if isinstance(function.node, ast.Lambda):
            return False
        roots = [d.func if isinstance(d, ast.Call) else d for d in function.node.decorator_list]
        return External("metaflow.user_step_decorator") in [self.program.resolve(function.module, r) for r in roots if dotted_name(r)]

    # --- application ---------------------------------------------------------------------------------------------------

    def attach(self, attached: Attached, target: Any) -> Any:
        """A decorator of Metaflow is applied."""
        name, subject = attached.known.name, subject_of(target)
        if not isinstance(subject, Subject):
            if isinstance(target, (Function, Instance, ClassRef)):
                raise self.misplaced(attached, "a plain function")
            raise Refused(POSITIONAL, f"@{name} takes no positional argument", attached.span, "Give the attribute by its name.")
        if not attached.for_steps and subject.kind != "flow":
            raise Refused(
                NOT_A_FLOW, f"@{name} is for a flow, and stands on {subject.owner}", attached.span, f"Put @{name} above the class."
            )
        if attached.for_steps and (subject.kind != "step" or not subject.is_step):
            raise self.misplaced(attached, subject.owner)
        subject.add(self.decorator(attached), attached.known, attached.span)
        return subject if isinstance(target, Presented) else target

    def misplaced(self, attached: Attached, what: str) -> Refused:
        name = attached.known.name
        if not attached.for_steps:
            return Refused(NOT_A_FLOW, f"@{name} is for a flow, and stands on {what}", attached.span, f"Put @{name} above the class.")
        message = f"@{name} is applied to {what}, which is no @step there"
        return Refused(NOT_A_STEP, message, attached.span, f"Put @{name} above @step, with @step right above the def.")

    def decorator(self, attached: Attached) -> Decorator:
        """The record of an applied decorator; attributes that are unknown to Metaflow, or not static, become problems."""
        owner, name = self.subject.owner, attached.known.name
        kept: dict[str, Value] = {}
        for attribute_name, value in attached.attributes.items():
            if attribute_name != "**" and attribute_name not in attached.known.defaults:
                close = suggestion(attribute_name, list(attached.known.defaults))
                message = f"@{name} has no attribute {attribute_name!r}{close}"
                known = ", ".join(attached.known.defaults) or "none"
                self.problems.append(Diagnostic(UNKNOWN_ATTRIBUTE, message, value.span, help=f"Its attributes are: {known}."))
            elif isinstance(value, Unknown):
                key = f"{owner}.{name}" if attribute_name == "**" else f"{owner}.{name}.{attribute_name}"
                what = f"what ** gives to @{name}" if attribute_name == "**" else f"{attribute_name} of @{name}"
                self.problems.append(not_static(value, what, key))
            else:
                kept[attribute_name] = value
        return Decorator(name, kept, attached.span, self.origin, unread=len(kept) < len(attached.attributes))

    def mark(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """`@step`, `@step(start=True)`, `@step()`"""
        wrong = sorted(kwargs.keys() - {"start", "end", "node_info"})
        if wrong:
            raise Refused(STEP_ARGUMENTS, f"@step takes no argument {wrong[0]!r}", self.here, "Use start=True or end=True, or plain @step.")
        start, end = (self.truth(kwargs.get(k, False)) for k in ("start", "end"))
        if not args:
            return Marking(start, end)
        subject = subject_of(args[0])
        if isinstance(args[0], Presented):
            raise Refused(NOT_A_STEP, "@step stands above a user decorator", self.here, "Put @step right above the def.")
        if isinstance(subject, Subject) and subject.kind == "flow":
            raise Refused(NOT_A_STEP, "@step stands on a class", self.here, "Put @step on a method.")
        if not isinstance(subject, Subject):
            if isinstance(args[0], Instance):
                raise Refused(NOT_A_STEP, "@step stands above an object, which is no function", self.here, "Put @step right above the def.")
            if not isinstance(args[0], Function):
                raise Refused(
                    STEP_ARGUMENTS, "@step takes no positional argument", self.here, "Use start=True or end=True, or plain @step."
                )
            # a wrapper below @step: @step marks the wrapper, which is then what Metaflow sees
            args[0].inner = subject = self.subject
        subject.is_step, subject.marked_start, subject.marked_end = True, start, end
        subject.decorators.clear()
        subject.mutators.clear()
        return args[0]

    def use(self, made: UserDecorator, target: Any) -> Any:
        """A user step decorator or mutator is applied."""
        subject = subject_of(target)
        name = made.definition.node.name if not isinstance(made.definition.node, ast.Lambda) else "lambda"
        on_flow = "metaflow.FlowMutator" in made.kinds
        if not isinstance(subject, Subject) or (on_flow and subject.kind != "flow"):
            raise Refused(NOT_A_FLOW if on_flow else NOT_A_STEP, f"@{name} cannot stand here", made.span, "Put it on a step, above @step.")
        if not on_flow and (subject.kind != "step" or not subject.is_step):
            raise Refused(
                NOT_A_STEP, f"@{name} is applied to {subject.owner}, which is no @step there", made.span, f"Put @{name} above @step."
            )
        subject.mutators.append(Mutator(name, made.span, made))
        return subject if isinstance(target, Presented) else target

    # --- attributes ----------------------------------------------------------------------------------------------------

    def attributes(self, known: Known, node: ast.Call, frame: Frame) -> dict[str, Attribute]:
        """The attributes of a decorator's call, each evaluated by itself, so that one unknown does not hide another."""
        found: dict[str, Attribute] = {}
        for keyword in node.keywords:
            span = self.place(keyword.value, frame) or self.here
            if keyword.arg is not None:
                value = self.attribute_value(known, keyword.arg, lambda k=keyword: self.eval(k.value, frame), span)
                found[keyword.arg] = value
                continue
            found.update(self.spread(known, keyword.value, frame, span))
        return found

    def attribute_value(self, known: Known, name: str, compute: Any, span: Span) -> Attribute:
        setting = given(self.settings, f"{self.subject.owner}.{known.name}.{name}", span)
        if setting is not None:
            return setting
        outer, self.origins = self.origins, []
        try:
            data = self.attribute_data(known, name, compute())
            origin = ", ".join(dict.fromkeys(self.origins)) or ("literal" if self.depth == 0 else "expression")
            return Value(data, span, origin)
        except Stuck as stuck:
            return Unknown(stuck.reason, stuck.span or span, stuck.help)
        except RecursionError:
            return Unknown("it nests too deep", span)
        finally:
            self.origins = outer

    def attribute_data(self, known: Known, name: str, value: Any) -> Any:
        """Plain data; the functions of an exit hook by their names, as Metaflow holds them."""
        if known.name == "exit_hook" and name in ("on_success", "on_error") and isinstance(value, (list, tuple)):
            return [f.node.name if isinstance(f, Function) and not isinstance(f.node, ast.Lambda) else self.plain(f) for f in value]
        return self.plain(value)

    def spread(self, known: Known, node: ast.expr, frame: Frame, span: Span) -> dict[str, Attribute]:
        """The attributes that `**mapping` gives; a table under "Flow.step.decorator" in the settings stands for one that is not static."""
        try:
            value = self.mapping(node, frame)
        except Stuck as stuck:
            table = self.settings.values.get(f"{self.subject.owner}.{known.name}")
            if isinstance(table, Mapping):
                return {k: Value(v, span, "[tool.flowc.values]") for k, v in table.items()}
            return {"**": Unknown(stuck.reason, stuck.span or span, stuck.help)}
        origin = ", ".join(dict.fromkeys(self.origins))
        made = {str(k): self.attribute_value(known, str(k), lambda v=v: v, span) for k, v in value.items()}
        return {k: Value(v.data, v.span, origin or v.origin) if isinstance(v, Value) else v for k, v in made.items()}

    # --- the subject in an expression ------------------------------------------------------------------------------------

    def on_attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        owner = self.eval(node.value, frame)
        subject = subject_of(owner)
        if isinstance(subject, Subject) and not (isinstance(owner, Function) and node.attr in owner.attributes):
            if isinstance(owner, Presented):
                raise Stuck(f"it looks at {node.attr} of a user decorator")
            if node.attr in ("__name__", "__qualname__", "name"):
                return subject.name
            if node.attr == "is_step" and subject.is_step:
                return True
            raise Stuck(f"it looks at {node.attr} of the step")
        return attribute(self, owner, node.attr, frame)

    def has_attribute(self, owner: Any, name: str) -> bool | None:
        subject = subject_of(owner)
        if isinstance(subject, Subject) and name == "is_step":
            return subject.is_step and not isinstance(owner, Presented)
        return None


def _known(function: Any) -> tuple[Known, bool] | None:
    if not isinstance(function, Thing) or not function.path.startswith("metaflow."):
        return None
    name = function.path.removeprefix("metaflow.")
    if name in STEP_DECORATORS:
        return STEP_DECORATORS[name], True
    return (FLOW_DECORATORS[name], False) if name in FLOW_DECORATORS else None


def _update_wrapper(objects: list[Any]) -> Any:
    wrapper, wrapped = objects[0], objects[1] if len(objects) > 1 else None
    if isinstance(wrapper, Function):
        wrapper.inner = wrapped
    elif isinstance(wrapper, Instance):
        wrapper.fields["__wrapped__"] = wrapped
    return wrapper
