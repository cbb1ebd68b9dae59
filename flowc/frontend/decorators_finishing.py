"""In: the decorators of a flow and of its steps, with mutators to run. Out: what Metaflow deploys: mutators applied, `--with` attached."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowc.diagnostics import Diagnostic
from flowc.frontend.decorators import Finished, Found, Mutator
from flowc.frontend.decorators_codes import MUTATOR
from flowc.frontend.decorators_specs import decorator
from flowc.frontend.decorators_subject import Applying, Attached, Refused, Subject, UserDecorator
from flowc.frontend.decorators_table import FLOW_DECORATORS, STEP_DECORATORS
from flowc.frontend.modules import Local
from flowc.frontend.values import Scope
from flowc.frontend.values_classes import find, lineage
from flowc.frontend.values_functions import run
from flowc.frontend.values_objects import ClassRef, Frame, Function, Instance, Method, Partial, Stuck, Thing, config_data
from flowc.ir import Decorator
from flowc.source import Span

_DUPLICATES = {"IGNORE": 1, "ERROR": 2, "OVERRIDE": 3}


@dataclass(eq=False, slots=True)
class MutableStep:
    """What `mutate` is handed for a step."""

    subject: Subject


@dataclass(eq=False, slots=True)
class MutableFlow:
    """What `mutate` is handed for a flow."""

    subject: Subject
    steps: Sequence[Subject]


def finish_flow(flow: Found, steps: Mapping[str, Found], scope: Scope, owner: str) -> Finished:
    """Metaflow's order: pre_mutate of the flow and of the steps, `--with`, then mutate of the flow and of the steps."""
    problems: list[Diagnostic] = []
    subjects = {name: _subject(name, "step", f"{owner}.{name}", found) for name, found in steps.items()}
    whole = _subject(owner, "flow", owner, flow)
    ordered = list(subjects.values())
    broken: set[int] = set()
    for method in ("pre_mutate", "mutate"):
        for mutator in flow.mutators:
            _mutate(mutator, method, whole, MutableFlow(whole, ordered), scope, broken, problems)
        if method == "mutate":
            break
        for subject in ordered:
            for mutator in subject.mutators:
                _mutate(mutator, method, subject, MutableStep(subject), scope, broken, problems)
        _attach(ordered, scope, problems)
    for subject in ordered:
        before = list(subject.decorators)
        for mutator in subject.mutators:
            _mutate(mutator, "mutate", subject, MutableStep(subject), scope, broken, problems)
        _late(subject, before, scope, broken, problems)
    return Finished({name: tuple(s.decorators) for name, s in subjects.items()}, tuple(whole.decorators), tuple(problems))


def _late(subject: Subject, before: list[Decorator], scope: Scope, broken: set[int], problems: list[Diagnostic]) -> None:
    """Metaflow gives every step @kubernetes when it deploys, and then runs the step's mutators again.

    What they make of that must be what they made without, since which target the flow is for is not known here.
    """
    names = {d.name for d in (*before, *subject.decorators)}
    if (
        not any(isinstance(m.made, UserDecorator) and "metaflow.StepMutator" in m.made.kinds for m in subject.mutators)
        or "kubernetes" in names
    ):
        return
    added = Decorator("kubernetes", {}, subject.mutators[0].span, "deployment")
    twin = Subject(subject.name, "step", subject.owner, is_step=True, decorators=[*before, added], mutators=list(subject.mutators))
    for mutator in twin.mutators:
        _mutate(mutator, "mutate", twin, MutableStep(twin), scope, broken, [])
    with_it = [(d.name, d.attributes) for d in twin.decorators if d is not added]
    if with_it != [(d.name, d.attributes) for d in subject.decorators]:
        mutator = subject.mutators[0]
        message = f"what @{mutator.name} changes depends on whether {subject.owner} has @kubernetes, which Metaflow adds late"
        problems.append(
            Diagnostic(MUTATOR, message, mutator.span, help=f"Put @kubernetes on {subject.name}, or compile with --with kubernetes.")
        )


def _subject(name: str, kind: str, owner: str, found: Found) -> Subject:
    return Subject(name, kind, owner, is_step=found.is_step, decorators=list(found.decorators), mutators=list(found.mutators))


def _attach(subjects: Sequence[Subject], scope: Scope, problems: list[Diagnostic]) -> None:
    """`--with`: each decorator on each step that does not have it yet."""
    place = scope.module.span(scope.body) if scope.body is not None else Span(scope.module.source.path, 1, 1, 1, 1)
    for spec in scope.settings.with_decorators:
        made = decorator(spec, place, "--with", STEP_DECORATORS, None)
        if isinstance(made, Diagnostic):
            problems.append(made)
            continue
        for subject in subjects:
            if STEP_DECORATORS[made.name].many or all(d.name != made.name for d in subject.decorators):
                subject.decorators.append(made)


def _mutate(
    mutator: Mutator, method: str, subject: Subject, handed: Any, scope: Scope, broken: set[int], problems: list[Diagnostic]
) -> None:
    """Run one method of a mutator over the stand-ins; what cannot be followed is one diagnostic a mutator."""
    made = mutator.made
    if id(made) in broken or not isinstance(made, UserDecorator) or not isinstance(made.definition, ClassRef):
        return
    if not made.kinds & {"metaflow.StepMutator", "metaflow.FlowMutator"}:
        return
    cls = made.definition
    mutating = Mutating(scope, subject, mutator.span, f"mutator {mutator.name}")
    mutating.depth = 1
    try:
        found = find_known(mutating, cls, method)
        if found is None:
            return
        instance = Instance(cls)
        _start(mutating, cls, instance, made)
        run(mutating, found, [instance, handed], {})
    except Refused as refused:
        broken.add(id(made))
        problems.append(refused.diagnostic)
    except (Stuck, RecursionError) as error:
        broken.add(id(made))
        reason = error.reason if isinstance(error, Stuck) else "it nests too deep"
        key = f"{cls.module.label}.{cls.node.name}"
        remedy = f'Say its effect in [tool.flowc.decorators]: "{key}" = "ignore", or what it adds, e.g. ["kubernetes:cpu=8"].'
        problems.append(
            Diagnostic(MUTATOR, f"what the mutator @{mutator.name} changes cannot be read: {reason}", mutator.span, help=remedy)
        )
    problems += mutating.problems


def _start(mutating: Mutating, cls: ClassRef, instance: Instance, made: UserDecorator) -> None:
    if find_known(mutating, cls, "__init__") is not None:
        raise Stuck(f"the class {cls.node.name} has its own __init__")
    init = find_known(mutating, cls, "init")
    if init is not None:
        run(mutating, init, [instance, *made.args], made.kwargs)
    elif made.args or made.kwargs:
        raise Stuck(f"the class {cls.node.name} is given arguments and has no init")


def find_known(mutating: Mutating, cls: ClassRef, name: str) -> Function | None:
    """A method of a mutator or of its bases in sight; Metaflow's own base classes do nothing in theirs."""
    try:
        found = find(mutating, cls, name)
    except Stuck:
        paths = [b for b in _unseen_bases(mutating, cls) if not b.startswith("metaflow.")]
        if paths:
            raise
        return None
    if found is None or not isinstance(found[1].node, ast.FunctionDef):
        return None
    return Function(found[0].module, found[1].node, Frame(found[0].module))


def _unseen_bases(mutating: Mutating, cls: ClassRef) -> list[str]:
    return [b for b in lineage(mutating, cls) if isinstance(b, str)]


def specs(subject: Subject) -> list[tuple[Any, ...]]:
    """MutableStep.decorator_specs: name, class, arguments and all attributes of each decorator, then of the user decorators."""
    table = STEP_DECORATORS if subject.kind == "step" else FLOW_DECORATORS
    made: list[tuple[Any, ...]] = []
    for held in subject.decorators:
        attributes = {**table[held.name].defaults, **{k: v.data for k, v in held.attributes.items()}}
        made.append((held.name, Thing(f"metaflow.{held.name}"), [], attributes))
    for mutator in subject.mutators:
        user = mutator.made
        if isinstance(user, UserDecorator):
            made.append((mutator.name, Thing(f"metaflow.{mutator.name}"), list(user.args), dict(user.kwargs)))
    return made


class Mutating(Applying):
    """An evaluation in which MutableStep and MutableFlow have their methods. What they do lands on the subjects."""

    def on_attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        owner = self.eval(node.value, frame)
        if isinstance(owner, MutableStep):
            if node.attr == "name":
                return owner.subject.name
            if node.attr in _DUPLICATES:
                return _DUPLICATES[node.attr]
            if node.attr == "flow":
                return MutableFlow(self.subject, ())
            if node.attr == "decorator_specs":
                return specs(owner.subject)
            if node.attr not in ("add_decorator", "remove_decorator", "has_decorator"):
                raise Stuck(f"it looks at {node.attr} of the step")
            return Method(owner, node.attr)
        if isinstance(owner, MutableFlow):
            return self.of_flow(owner, node.attr)
        if isinstance(owner, Thing) and owner.path == "metaflow.MutableStep" and node.attr in _DUPLICATES:
            return _DUPLICATES[node.attr]
        return super().on_attribute(node, frame)

    def of_flow(self, owner: MutableFlow, name: str) -> Any:
        """Attributes of a MutableFlow: its steps, its configs (values by now), its methods."""
        names = self.scope.config_names or self.scope.configs
        if name in _DUPLICATES:
            return _DUPLICATES[name]
        if name == "steps" and owner.steps:
            return [(s.name, MutableStep(s)) for s in owner.steps]
        if name == "configs":
            return [(k, config_data(v)) for k, v in names.items()]
        if name == "decorator_specs" and owner.subject.kind == "flow":
            return specs(owner.subject)
        if name in ("add_decorator", "remove_decorator", "has_decorator") and owner.subject.kind == "flow":
            return Method(owner, name)
        if name in self.scope.configs:
            return config_data(self.scope.configs[name])
        steps = [MutableStep(s) for s in owner.steps if s.name == name]
        if steps:
            return steps[0]
        raise Stuck(f"it uses {name} of the flow")

    def on_call(self, node: ast.Call, frame: Frame) -> Any:
        if isinstance(node.func, ast.Attribute):
            function = self.eval(node.func, frame)
            if isinstance(function, Method) and isinstance(function.owner, (MutableStep, MutableFlow)):
                args, kwargs = self.arguments(node, frame)
                return self.change(function, args, kwargs)
        return super().on_call(node, frame)

    def change(self, function: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """`add_decorator`, `remove_decorator`, `has_decorator`"""
        subject: Subject = function.owner.subject
        if function.name == "add_decorator":
            return self.added(subject, args, kwargs)
        if len(args) != 1 or kwargs or not isinstance(args[0], str):
            raise Stuck(f"{function.name} is called with more than a name")
        has = any(d.name == args[0] for d in subject.decorators)
        if function.name == "remove_decorator":
            subject.decorators[:] = [d for d in subject.decorators if d.name != args[0]]
        return has

    def added(self, subject: Subject, args: list[Any], kwargs: dict[str, Any]) -> None:
        """`add_decorator(what, deco_args, deco_kwargs, duplicates)` as MutableStep and MutableFlow do it."""
        given = dict(zip(("deco_type", "deco_args", "deco_kwargs", "duplicates"), args, strict=False)) | kwargs
        what, attributes = given.get("deco_type"), given.get("deco_kwargs") or {}
        if given.get("deco_args"):
            raise Stuck("add_decorator is given positional arguments")
        table = STEP_DECORATORS if subject.kind == "step" else FLOW_DECORATORS
        user = self.user_decorator(what)
        if user is not None:
            self.add_user(subject, user, attributes)
            return
        if isinstance(what, str):
            made = decorator(what, self.here, self.origin, table, self.here)
            if isinstance(made, Diagnostic):
                raise Stuck(made.message)
            if attributes and made.attributes:
                raise Stuck("add_decorator is given attributes twice")
            name, kept = made.name, dict(made.attributes)
        else:
            name, kept = self.named(what), {}
        if name not in table:
            raise Stuck(f"add_decorator is given {name or 'something'}, which is no decorator of Metaflow for a {subject.kind}")
        known = table[name]
        # by text, Metaflow takes a default that is handed back for no attribute that the user gave
        same = [k for k, v in self.usable(attributes).items() if isinstance(what, str) and k in known.defaults and v == known.defaults[k]]
        attributes = {k: v for k, v in attributes.items() if k not in same}
        values = {k: self.attribute_value(known, k, lambda v=v: v, self.here) for k, v in self.usable(attributes).items()}
        outer, self.subject = self.subject, subject
        made = self.decorator(Attached(known, subject.kind == "step", {**kept, **values}, self.here))
        self.subject = outer
        self.place_in(subject, made, known.many, given.get("duplicates", 1))

    def user_decorator(self, what: Any) -> ClassRef | Function | None:
        """A user decorator in sight, itself or by the name that Metaflow registers it under."""
        if isinstance(what, str) and what.partition(":")[0] not in {*STEP_DECORATORS, *FLOW_DECORATORS}:
            name = what.partition(":")[0].rpartition(".")[2]
            found = self.program.resolve(self.scope.module, name)
            what = self.resolved(found, name, self.scope.module) if isinstance(found, Local) and ":" not in what else None
        if isinstance(what, ClassRef):
            return what if self.is_user(what) else None
        return what if isinstance(what, Function) and self.is_user(what) else None

    def add_user(self, subject: Subject, user: ClassRef | Function, attributes: Any) -> None:
        """A user step decorator acts in the pod, which runs the mutator itself; a mutator that adds a mutator is not followed."""
        name = user.node.name if not isinstance(user.node, ast.Lambda) else "lambda"
        kinds = frozenset(b for b in lineage(self, user) if isinstance(b, str)) if isinstance(user, ClassRef) else frozenset[str]()
        if kinds & {"metaflow.StepMutator", "metaflow.FlowMutator"}:
            raise Stuck(f"it adds the mutator {name}")
        subject.mutators.append(Mutator(name, self.here, UserDecorator(user, kinds, [], dict(self.usable(attributes)), self.here)))

    def place_in(self, subject: Subject, made: Decorator, many: bool, duplicates: Any) -> None:
        present = any(d.name == made.name for d in subject.decorators)
        if many or not present:
            subject.decorators.append(made)
        elif duplicates == _DUPLICATES["OVERRIDE"]:
            subject.decorators[:] = [*(d for d in subject.decorators if d.name != made.name), made]
        elif duplicates == _DUPLICATES["ERROR"]:
            raise Stuck(f"it adds @{made.name} a second time")

    def named(self, what: Any) -> str:
        if isinstance(what, Partial):
            what = what.function
        return what.path.removeprefix("metaflow.") if isinstance(what, Thing) and what.path.startswith("metaflow.") else ""
