"""In: names, and the program they stand in. Out: what they stand for: constants evaluated once, things out of sight, settings' values."""

from __future__ import annotations

import ast
import builtins
from abc import ABC, abstractmethod
from typing import Any

from flowc.frontend.modules import External, Local, LocalModule, Module, NotFound, Resolved
from flowc.frontend.modules_bindings import Binding, type_checking_only
from flowc.frontend.values import Scope
from flowc.frontend.values_objects import (
    MAX_DEPTH,
    MAX_STEPS,
    UNBOUND,
    ClassRef,
    EnumMember,
    Frame,
    Function,
    Instance,
    Late,
    ModuleRef,
    Stuck,
    Thing,
    config_data,
    give,
    kind_of,
    lasting,
    weight,
)
from flowc.frontend.values_operations import PLAIN

RAISED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
MUTABLE = (list, dict, set, Instance)
_LATE = 'Write the whole computation in config_expr("...").'


class Names(ABC):
    """What names stand for in one evaluation, and its bounds.

    `origins` collects where values came from; `depth` counts the functions and constants on the way.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.program = scope.program
        self.settings = scope.settings
        self.frame = Frame(scope.module, body=scope.body, before=scope.before)
        self.origins: list[str] = []
        self.steps = 0
        self.depth = 0
        self.shared: dict[int, Any] = {}
        self._busy: set[int] = set()
        self._undecided: Stuck | None = None

    @abstractmethod
    def eval(self, node: ast.expr, frame: Frame) -> Any:
        """What an expression comes to."""

    @abstractmethod
    def iterate(self, value: Any) -> list[Any]:
        """The items of a value."""

    def plain(self, value: Any) -> Any:
        """The data that Metaflow would see, as JSON could hold it: tuples are lists."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        self.tick(len(value) if isinstance(value, (list, tuple, dict)) else 1)
        if isinstance(value, Late):
            return self.plain(value.data)
        if isinstance(value, (list, tuple)):
            return [self.plain(v) for v in value]
        if isinstance(value, dict):
            return {self._key(k): self.plain(v) for k, v in value.items()}
        if isinstance(value, Instance) and value.as_tuple:
            return [self.plain(v) for v in value.fields.values()]
        if isinstance(value, EnumMember):
            if value.plain:
                return self.plain(value.value)
            raise Stuck(f"{value.cls.node.name}.{value.name} is an Enum member", help=f"Write {value.cls.node.name}.{value.name}.value.")
        if isinstance(value, Thing):
            if value.path in self.settings.values:
                return self.plain(self.given(value.path))
            raise self.unseen(value)
        raise Stuck(f"it is {kind_of(value)}, not plain data")

    def _key(self, key: Any) -> Any:
        if isinstance(key, (Late, EnumMember)):
            key = self.plain(key)
        if isinstance(key, str):
            return key
        raise Stuck(f"a key of the mapping is {kind_of(key)}, not text")

    def given(self, key: str) -> Any:
        """What the settings give under a key; a table stands for an object too, so its keys are attributes as well."""
        self.origins.append(f"{key} of [tool.flowc.values]")
        return config_data(self.settings.values[key])

    def unseen(self, thing: Thing) -> Stuck:
        """Why something that is not in sight has no value, and the remedy."""
        root = thing.path.partition(".")[0]
        if thing.path.startswith("os.environ"):
            return Stuck("the environment of the machine that compiles is not read", help=give("os.environ.NAME"))
        if root in ("builtins", "metaflow"):
            return Stuck(f"{thing.path.removeprefix('builtins.')} is no plain value")
        return Stuck(f"{thing.path} is not beside the flow, and flowc reads no installed packages", help=give(thing.path))

    def tick(self, count: int = 1) -> None:
        self.steps += count or 1
        if self.steps > MAX_STEPS:
            raise Stuck("it takes more steps than flowc computes")

    def name(self, node: ast.Name, frame: Frame) -> Any:
        here: Frame | None = frame
        while here is not None and here.names is not None:
            if node.id in here.names:
                found = here.names[node.id]
                if found is UNBOUND:
                    raise Stuck(f"{node.id} is not bound yet")
                return found
            here = here.outer
        here = here or Frame(frame.module)
        if here.body is not None and here.body is self.scope.body and node.id in self.scope.configs:
            return self.config(node.id, self.scope.configs[node.id])
        return self.lookup(node.id, here)

    def lookup(self, name: str, frame: Frame) -> Any:
        """A name of module or class level."""
        module = frame.module
        if frame.body is not None and name in module.body(frame.body) and (key := f"{frame.body.name}.{name}") in self.settings.values:
            return self.given(key)
        if (key := f"{module.label}.{name}") in self.settings.values:
            return self.given(key)
        self._undecided = None
        found = self.program.resolve(module, name, body=frame.body, before=frame.before, decide=self.decide)
        if isinstance(found, NotFound) and found.reason.startswith("is not bound"):
            if name == "__name__":
                return module.name or "__main__"
            if hasattr(builtins, name):
                return Thing(f"builtins.{name}")
        return self.resolved(found, name, module)

    def charge(self, value: Any) -> Any:
        """Count a value against the bound by its size: what is copied or walked again and again costs its size each time."""
        if isinstance(value, (str, bytes)):
            self.tick(1 + len(value) // 64)
        elif isinstance(value, range):
            self.tick(len(value))
        elif isinstance(value, (list, tuple, dict, set, frozenset, Instance)):
            self.tick(weight(value))
        return value

    def decide(self, module: Module, test: ast.expr) -> bool | None:
        """The outcome of an `if` at module level."""
        known = type_checking_only(test)
        if known is not None or id(test) in self._busy:
            return known
        self._busy.add(id(test))
        self.depth += 1
        try:
            outcome = self.eval(test, Frame(module, before=test.lineno))
            return None if isinstance(outcome, (Thing, Late)) else self.truth(outcome)
        except Stuck as stuck:
            self._undecided = stuck
            return None
        finally:
            self.depth -= 1
            self._busy.discard(id(test))

    def resolved(self, found: Resolved, name: str, user: Module) -> Any:
        """The object for what a name was resolved to."""
        match found:
            case External():
                return Thing(found.path)
            case LocalModule():
                return ModuleRef(found.module)
            case NotFound():
                raise self.not_found(found, name, user)
            case Local(node=ast.ClassDef() as definition):
                return self.shared_object(ClassRef(found.module, definition), found.binding)
            case Local(node=(ast.FunctionDef() | ast.AsyncFunctionDef()) as function):
                return Function(found.module, function, Frame(found.module))
            case Local():
                value = self.constant(found)
                if isinstance(value, MUTABLE):
                    self.unchanged(value, name, user)
                    self.unchanged(value, found.name, found.module)
                return value
        raise AssertionError(found)

    def not_found(self, found: NotFound, name: str, user: Module) -> Stuck:
        """Why a name has no value: not bound at all, or bound under a condition that is not known."""
        if found.reason.startswith("is not bound"):
            return Stuck(f"{name} {found.reason}", help="Bind or import the name: Python raises a NameError here.")
        undecided, remedy = self._undecided, give(f"{user.label}.{name}")
        if undecided is None:
            return Stuck(f"{name} {found.reason}", help=remedy)
        return Stuck(f"{name} {found.reason}: {undecided.reason}", help=undecided.help or remedy)

    def unchanged(self, value: Any, name: str, module: Module) -> None:
        """A constant that something may change after it was bound is no constant."""
        line = module.changed(name)
        if line is not None:
            raise Stuck(
                f"{name} may be changed on line {line} of {module.source.path} after it is bound", help=give(f"{module.label}.{name}")
            )
        self.share(value)

    def share(self, value: Any) -> None:
        """Remember the containers of a constant: a function that would change one is not computed."""
        waiting = [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, MUTABLE) and id(item) not in self.shared:
                self.shared[id(item)] = item
                waiting.extend(item.values() if isinstance(item, dict) else item.fields.values() if isinstance(item, Instance) else item)
            elif isinstance(item, tuple):
                waiting.extend(item)

    def shared_object(self, made: ClassRef, binding: Binding) -> Any:
        """The one ClassRef of a definition, so that `is` and `==` on classes and Enum members hold."""
        return self.program.constants.setdefault(id(binding), (binding, made))[1]

    def constant(self, found: Local) -> Any:
        """What a binding holds, evaluated once a program unless it depends on a flow's configs."""
        binding, where = found.binding, f"{found.module.source.path}:{found.binding.line}"
        known = self.program.constants.get(id(binding))
        origin = f"constant {found.name} of {found.module.source.path}"
        outermost = self.depth == 0
        if known is None:
            if id(binding) in self._busy or len(self._busy) > MAX_DEPTH:
                raise Stuck(f"{found.name} is bound by way of itself ({where})")
            value = self._compute(found, where)
            if lasting(value):
                self.program.constants[id(binding)] = (binding, value)
        else:
            value = known[1]
        if outermost and not isinstance(value, (Thing, Late)):
            self.origins.append(origin)
        return value

    def _compute(self, found: Local, where: str) -> Any:
        binding = found.binding
        assert isinstance(found.node, ast.expr)
        self._busy.add(id(binding))
        self.depth += 1
        try:
            value = self.eval(found.node, Frame(found.module, body=found.body, before=binding.line))
            for index in binding.unpack:
                value = self.iterate(value)[index]
        except Stuck as stuck:
            reason = stuck.reason if stuck.reason.endswith(")") else f"{stuck.reason} ({where})"
            owner = found.body.name if found.body else found.module.label
            raise Stuck(reason, stuck.span, stuck.help or give(f"{owner}.{found.name}")) from stuck
        except RAISED as error:
            raise Stuck(f"{found.name} cannot be unpacked ({where})") from error
        finally:
            self.depth -= 1
            self._busy.discard(id(binding))
        return value

    def config(self, name: str, data: Any) -> Late:
        self.origins.append(f"Config {name}")
        return Late(config_data(data), name)

    def truth(self, value: Any) -> bool:
        if isinstance(value, EnumMember):
            return bool(value.value) if value.plain else True
        if isinstance(value, (Thing, Late)):
            self.usable(value)
        return bool(value) if isinstance(value, PLAIN) else True

    def usable(self, value: Any) -> Any:
        """A value that an operator may take: no Config read early, nothing out of sight; a str or int Enum member is its value."""
        if isinstance(value, Late):
            raise Stuck(f"Metaflow reads {value.name} only after the decorators, so Python cannot compute with it", help=_LATE)
        if isinstance(value, Thing):
            return self.plain(value)
        if isinstance(value, EnumMember) and value.plain:
            return value.value
        return value

    def printed(self, value: Any) -> Any:
        """A value that is to become text. How an Enum member prints differs between the versions of Python."""
        if isinstance(value, EnumMember):
            member = f"{value.cls.node.name}.{value.name}"
            raise Stuck(f"how {member} prints depends on the version of Python", help=f"Write {member}.value.")
        return self.usable(value)
