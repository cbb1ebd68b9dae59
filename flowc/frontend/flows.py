"""In: a flow class with its lineage, a Program and Settings. Out: the Flow, or why it cannot be read."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowc.diagnostics import Code, Diagnostic, Example, Label, Severity
from flowc.frontend.classes import Lineage, Lineages, LocalClass, name_span
from flowc.frontend.configs import read_config
from flowc.frontend.declarations import Declaration, find, inner
from flowc.frontend.decorators import Found, finish, resolve_decorators
from flowc.frontend.decorators_table import FLOW_DECORATORS
from flowc.frontend.members import Member, conditional, members, not_a_method, run_time_changes
from flowc.frontend.modules import Local, Program
from flowc.frontend.modules_bindings import type_checking_only
from flowc.frontend.parameters import read_parameter, twice, unseen
from flowc.frontend.steps import argument_count, docstring, fanout_problems, never_runs, spoken_of, transition
from flowc.frontend.values import Scope, decide
from flowc.ir import Config, DataFile, Decorator, Flow, Parameter, Step
from flowc.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowc.settings import Settings

_BASES = 'from metaflow import FlowSpec, project, step\n\n\n@project(name="one")\nclass One(FlowSpec):\n    pass\n\n\n'
_STEPS = "    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
INHERITED_TWICE = Code(
    "FC110",
    "flow decorator that two base classes bring",
    why="Flow decorators are inherited, and of most kinds a flow may have one. Metaflow refuses a flow that two base classes bring one to.",
    bad=Example(
        {"flow.py": _BASES + '@project(name="two")\nclass Two(FlowSpec):\n    pass\n\n\nclass Hello(One, Two):\n' + _STEPS}, line=14
    ),
    good=Example({"flow.py": _BASES + "class Hello(One):\n" + _STEPS}),
)
UNREADABLE = ("FC104", "FC105", "FC106", "FC107", "FC108")
"""With these, steps or parameters may be missing: what else is found in such a flow may be wrong."""


@dataclass(slots=True)
class Reading:
    """A flow on its way. `problems` grows; `files` are data files by path."""

    lineages: Lineages
    settings: Settings
    line: Lineage
    problems: list[Diagnostic] = field(default_factory=list)
    files: dict[str, DataFile] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)
    config_names: dict[str, Any] = field(default_factory=dict)

    @property
    def program(self) -> Program:
        return self.lineages.program

    @property
    def name(self) -> str:
        return self.line.head.name

    def scope(self, cls: LocalClass, body: bool = True) -> Scope:
        """Where the expressions of a class body stand; without `body`, where its decorators do."""
        inner = cls.node if body else None
        before = None if body else cls.node.lineno
        return Scope(self.program, cls.module, self.settings, cls.name, inner, self.configs, self.config_names, before)

    def at(self, member: Member) -> Scope:
        """Where the decorators of a method stand."""
        node = member.binding.node
        lines = [d.lineno for d in getattr(node, "decorator_list", [])]
        return replace(self.scope(member.cls), before=min([member.binding.line, *lines]))

    def decider(self, cls: LocalClass) -> Callable[[ast.expr], bool | None]:
        scope = self.scope(cls)

        def outcome(test: ast.expr) -> bool | None:
            known = type_checking_only(test)
            return decide(test, scope) if known is None else known

        return outcome


def read_flow(lineages: Lineages, line: Lineage, settings: Settings) -> tuple[Flow | None, list[Diagnostic]]:
    """The flow that a class is. No Flow where its class cannot be read as a whole; one with problems else."""
    reading = Reading(lineages, settings, line, list(line.problems))
    attributes, unsure = members(line.order, reading.decider)
    declared = _declarations(reading, attributes)
    configs = _configs(reading, declared)
    parameters = _parameters(reading, declared)
    found = {name: f for name, member in attributes.items() if (f := _methods(reading, member)) is not None and f.is_step}
    _undecided(reading, unsure, found, declared)
    reading.problems += run_time_changes(reading.scope(line.head), line, frozenset([*found, *declared]))
    finished = finish(_flow_decorators(reading), found, reading.scope(line.head), owner=line.head.name)
    reading.problems += finished.diagnostics
    steps = {name: _step(reading, attributes[name], f, finished.steps[name]) for name, f in found.items()}
    head = line.head
    source = SourceFile(head.module.source.path, head.module.source.text)
    flow = Flow(
        name=head.name,
        source=source,
        span=head.span,
        steps=steps,
        decorators=finished.flow,
        parameters=tuple(parameters),
        configs=tuple(configs),
        doc=docstring(head.node),
        modules=lineages.program.delivered(),
        files=tuple(reading.files[path] for path in sorted(reading.files)),
    )
    broken = any(d.code.id in UNREADABLE and d.severity is Severity.ERROR for d in reading.problems)
    return (None if broken else flow), reading.problems


# --- parameters and configs -----------------------------------------------------------------------------------------------


def _declarations(reading: Reading, attributes: Mapping[str, Member]) -> dict[str, Declaration]:
    found: dict[str, Declaration] = {}
    for name, member in attributes.items():
        declared = find(member, reading.name, reading.scope(member.cls))
        if isinstance(declared, Diagnostic):
            reading.problems.append(declared)
        elif declared is not None:
            passed_over = unseen(declared)
            if passed_over is not None:
                reading.problems.append(passed_over)
            else:
                found[name] = declared
    for cls in reading.line.local:
        reading.problems += inner(reading.name, cls.node.body, reading.scope(cls), reading.decider(cls))
    return found


def _configs(reading: Reading, declared: Mapping[str, Declaration]) -> list[Config]:
    """The configs; their values are known to every other expression from here on."""
    configs = []
    for declaration in declared.values():
        if declaration.kind != "Config":
            continue
        config = read_config(declaration, reading.problems, reading.files)
        if config is not None:
            configs.append(config)
            if config.value is not None:
                reading.configs[config.attribute] = config.value.data
                reading.config_names[config.name] = config.value.data
    reading.problems += twice(configs)
    return configs


def _parameters(reading: Reading, declared: Mapping[str, Declaration]) -> list[Parameter]:
    parameters = []
    for declaration in declared.values():
        if declaration.kind != "Config":
            parameter = read_parameter(declaration, reading.problems, reading.files)
            if parameter is not None:
                parameters.append(parameter)
    reading.problems += twice(parameters)
    return parameters


# --- steps and decorators ---------------------------------------------------------------------------------------------------


def _methods(reading: Reading, member: Member) -> Found | None:
    """What the decorators of a method say; None for an attribute that is none. A step that is no method is a problem."""
    node = member.binding.node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if not node.decorator_list:
            return None
        found = resolve_decorators(node.decorator_list, reading.at(member), owner=f"{reading.name}.{member.name}", kind="step")
        reading.problems += found.diagnostics
        return found
    why = _step_elsewhere(reading, member)
    if why:
        reading.problems.append(not_a_method(member, why))
    return None


def _step_elsewhere(reading: Reading, member: Member) -> str:
    """Why an attribute that is no `def` is a step all the same; "" where it is none."""
    node, scope = member.binding.node, reading.scope(member.cls)
    program, module = reading.program, member.cls.module
    if member.binding.kind == "from":
        found = program.follow(module, member.binding, member.name)
    elif member.binding.kind == "value" and isinstance(node, (ast.Name, ast.Attribute)):
        found = program.resolve(module, node, body=member.cls.node, before=member.binding.line)
    elif member.binding.kind == "value" and isinstance(node, ast.Call):
        made = resolve_decorators([node.func], scope, owner=f"{reading.name}.{member.name}", kind="step")
        return f"it is made by calling {ast.unparse(node.func)}" if made.is_step else ""
    else:
        return ""
    if not isinstance(found, Local) or not isinstance(found.node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not found.node.decorator_list:
        return ""
    other = resolve_decorators(found.node.decorator_list, scope, owner=f"{reading.name}.{member.name}", kind="step")
    return f"it is another name of {found.node.name}" if other.is_step else ""


def _step(reading: Reading, member: Member, found: Found, decorators: tuple[Decorator, ...]) -> Step:
    node = member.binding.node
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    source = member.cls.module.source
    span = name_span(member.cls.module, node)
    reading.problems += fanout_problems(node, source)
    if not found.wrappers and not found.mutators:  # a decorator of the user's own may well await the step
        reading.problems += never_runs(node, span)
    return Step(
        name=member.name,
        transition=transition(node, source),
        arguments=argument_count(node),
        decorators=decorators,
        span=span,
        marked_start=found.marked_start,
        marked_end=found.marked_end,
        doc=docstring(node),
        positional_only=len(node.args.posonlyargs),
    )


def _undecided(reading: Reading, unsure: tuple[Member, ...], steps: Mapping[str, Found], declared: Mapping[str, Declaration]) -> None:
    """Steps and parameters that may or may not be there: each attribute once, at the first place that may bind it."""
    reported: set[str] = set()
    for member in unsure:
        if member.name in reported:
            continue
        what = "step" if member.name in steps else "parameter" if member.name in declared else _possible(reading, member)
        if what:
            reported.add(member.name)
            reading.problems.append(conditional(member, what))


def _possible(reading: Reading, member: Member) -> str:
    """What a binding under an undecided condition would be: "step", "parameter" or nothing of interest."""
    node = member.binding.node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        found = resolve_decorators(node.decorator_list, reading.scope(member.cls), owner=f"{reading.name}.{member.name}", kind="step")
        return "step" if found.is_step else ""
    return "parameter" if find(member, reading.name, reading.scope(member.cls)) is not None else ""


def _flow_decorators(reading: Reading) -> Found:
    """Metaflow's merge: what bases that are flows bring, in the order of the bases, then the class's own, replacing those of its name."""
    head, *bases = reading.line.local
    brought = [_decorators_of(reading, base, ()) for base in bases if reading.lineages.of(base).is_flow]
    inherited: dict[str, list[Decorator]] = {}
    for found in brought:
        for name in dict.fromkeys(d.name for d in found.decorators):
            mine = [d for d in found.decorators if d.name == name]
            if name in inherited and not FLOW_DECORATORS[name].many:
                message = f"flow {reading.name} inherits @{name} from two base classes"
                labels = (Label(inherited[name][0].span, f"one @{name}"), Label(mine[0].span, f"the other @{name}"))
                reading.problems.append(Diagnostic(INHERITED_TWICE, message, head.span, labels=labels, help="Keep one of them."))
            inherited.setdefault(name, []).extend(mine)
    own = _decorators_of(reading, head, tuple(inherited))
    replaced = {d.name for d in own.decorators}
    merged = (*(d for name, found in inherited.items() if name not in replaced for d in found), *own.decorators)
    return replace(own, decorators=merged, mutators=(*(m for found in brought for m in found.mutators), *own.mutators))


def _decorators_of(reading: Reading, cls: LocalClass, inherited: tuple[str, ...]) -> Found:
    scope = reading.scope(cls, body=False)
    found = resolve_decorators(cls.node.decorator_list, scope, owner=reading.name, kind="flow", inherited=inherited)
    reading.problems += found.diagnostics
    return found


def step_names(lineages: Lineages, line: Lineage, settings: Settings) -> dict[str, frozenset[str]]:
    """A class's steps, each with the names that its `self.next()` calls speak of, without reading the rest."""
    reading = Reading(lineages, settings, line)
    attributes, _ = members(line.order, reading.decider)
    return {
        name: spoken_of(member.binding.node)
        for name, member in attributes.items()
        if (found := _methods(reading, member)) is not None and found.is_step
    }


def is_stepless(lineages: Lineages, line: Lineage, settings: Settings) -> bool:
    """Whether a class surely has no step, its own or inherited: it is there for others to derive from, wherever they are."""
    reading = Reading(lineages, settings, line)
    _, unsure = members(line.order, reading.decider)
    return not line.problems and not unsure and not step_names(lineages, line, settings)
