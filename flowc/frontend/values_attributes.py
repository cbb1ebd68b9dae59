"""In: an object of an evaluation and the name or index looked up in it. Out: what stands there, or Stuck."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

from flowc.frontend.modules import NotFound, normalise
from flowc.frontend.values_classes import class_attribute, instance_attribute
from flowc.frontend.values_objects import (
    ClassRef,
    ConfigData,
    EnumMember,
    Frame,
    Function,
    Instance,
    Late,
    Method,
    ModuleRef,
    Stuck,
    Thing,
    give,
    kind_of,
)
from flowc.frontend.values_operations import PLAIN

if TYPE_CHECKING:
    from flowc.frontend.values_expressions import Evaluator

_CONFIG_METHODS = frozenset(dir(dict)) | {"to_dict", "fromkeys"}


def attribute(evaluator: Evaluator, owner: Any, name: str, frame: Frame) -> Any:
    """`owner.name`"""
    match owner:
        case Thing():
            return _of_thing(evaluator, owner, name, frame)
        case ModuleRef():
            return _of_module(evaluator, owner, name, frame)
        case Late():
            return Late(_into_config(owner, name), f"{owner.name}.{name}")
        case ClassRef():
            return class_attribute(evaluator, owner, name)
        case Instance():
            return instance_attribute(evaluator, owner, name)
        case EnumMember() if name in ("name", "value"):
            return owner.name if name == "name" else owner.value
        case EnumMember():
            return instance_attribute(evaluator, Instance(owner.cls, {"name": owner.name, "value": owner.value}), name)
        case Function():
            if name in owner.attributes:
                return owner.attributes[name]
            if name in ("__name__", "__qualname__", "__doc__") and not isinstance(owner.node, ast.Lambda):
                return ast.get_docstring(owner.node) if name == "__doc__" else owner.node.name
            raise Stuck(f"{kind_of(owner)} has no attribute {name} in sight")
        case ConfigData() if name in owner and name not in _CONFIG_METHODS:
            return owner[name]
        case _ if isinstance(owner, PLAIN):
            return getattr(owner, name) if name in ("days", "seconds", "real") else Method(owner, name)
    raise Stuck(f"{name} is looked up in {kind_of(owner)}")


def _of_thing(evaluator: Evaluator, owner: Thing, name: str, frame: Frame) -> Any:
    if owner.path in evaluator.settings.values:
        return attribute(evaluator, evaluator.given(owner.path), name, frame)
    if owner.path.partition(".")[0] not in sys.stdlib_module_names:
        inner = evaluator.program.module(f"{owner.path}.{name}")
        if inner is not None:
            return ModuleRef(inner)
    return Thing(normalise(f"{owner.path}.{name}"))


def _of_module(evaluator: Evaluator, owner: ModuleRef, name: str, frame: Frame) -> Any:
    module = owner.module
    if (key := f"{module.label}.{name}") in evaluator.settings.values:
        return evaluator.given(key)
    found = evaluator.program.resolve(module, name, decide=evaluator.decide)
    if isinstance(found, NotFound):
        inner = evaluator.program.module(f"{module.name}.{name}") if module.name else None
        if inner is not None:
            return ModuleRef(inner)
        raise Stuck(f"{module.label}.{name} {found.reason}", help=give(key))
    value = evaluator.resolved(found, name, module)
    if isinstance(value, (list, dict, set, Instance)):
        alias = next(
            (n for n, bound in frame.module.bindings.items() if bound[-1].kind == "module" and bound[-1].target == module.name), ""
        )
        evaluator.unchanged(value, alias, frame.module)
    return value


def _into_config(owner: Late, key: Any) -> Any:
    """Metaflow turns every access into `.name` of an expression, so a key must be a name, and no method of a mapping."""
    if not isinstance(key, str):
        raise Stuck(f"Metaflow cannot look up {key!r} in {owner.name} there", help=f'Write config_expr("{owner.name}[{key!r}]").')
    if not key.isidentifier() or key in _CONFIG_METHODS:
        raise Stuck(
            f"Metaflow reads {key!r} of {owner.name} as an attribute, which it cannot be",
            help=f"Write config_expr('{owner.name}[\"{key}\"]').",
        )
    if not isinstance(owner.data, dict):
        raise Stuck(f"{owner.name} is {kind_of(owner.data)}, which has no {key}")
    if key not in owner.data:
        raise Stuck(f"{owner.name} has no key {key!r}", help=f"Add {key!r} to the config's file or default.")
    return owner.data[key]


def subscript(evaluator: Evaluator, owner: Any, index: Any) -> Any:
    """`owner[index]`"""
    if isinstance(owner, Thing):
        return _of_environment(evaluator, owner, index)
    if isinstance(owner, Late):
        key = index.data if isinstance(index, Late) else index
        return Late(_into_config(owner, key), f"{owner.name}.{key}")
    if isinstance(owner, Instance) and owner.as_tuple:
        return list(owner.fields.values())[evaluator.usable(index)]
    if isinstance(owner, ClassRef) and isinstance(index, str):
        found = class_attribute(evaluator, owner, index)
        if isinstance(found, EnumMember):
            return found
    if not isinstance(owner, (str, bytes, list, tuple, dict, range)):
        raise Stuck(f"an item is looked up in {kind_of(owner)}")
    if isinstance(owner, dict) and isinstance(index, EnumMember):
        return owner[index]
    return owner[evaluator.usable(index)]


def _of_environment(evaluator: Evaluator, owner: Thing, index: Any) -> Any:
    if owner.path == "os.environ" and isinstance(index, str):
        from flowc.frontend.values_calls import environment

        return environment(evaluator, index, None, required=True)
    if owner.path in evaluator.settings.values:
        return evaluator.given(owner.path)[evaluator.usable(index)]
    raise evaluator.unseen(owner)
