"""In: an object, a patch, the schema of the object. Out: both as one, by the rules of Kubernetes' strategic merge patch.

The same as `k8s.io/apimachinery/pkg/util/strategicpatch`, of which no library for Python is kept (docs/decisions/0024). How a list
merges, and by which key, stands in the schemas, as upstream's API says it. A value of None deletes; `$patch: delete` and `replace`,
`$retainKeys` and `$deleteFromPrimitiveList/FIELD` mean what they mean there. `$setElementOrder/FIELD`, which programs write, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DIRECTIVE, RETAIN, DELETE_FROM, ORDER = "$patch", "$retainKeys", "$deleteFromPrimitiveList/", "$setElementOrder/"
MERGE_KEY, STRATEGY = "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy"
Object = dict[str, Any]


class PatchError(ValueError):
    """A patch that says something which no strategic merge takes; the message ends a sentence, and names the place."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a schema says of one place: of a field, with its strategies, or of an object."""

    definitions: Mapping[str, Any]
    schema: Mapping[str, Any]

    @property
    def _resolved(self) -> Mapping[str, Any]:
        """The definition that the schema refers to."""
        found = self.schema
        while "$ref" in found:
            found = self.definitions[found["$ref"].rpartition("/")[2]]
        return found

    def field(self, name: str) -> Shape:
        """The shape of a field; nothing is known of one that there is not."""
        whole = self._resolved
        inner = whole.get("properties", {}).get(name, whole.get("additionalProperties"))
        return Shape(self.definitions, inner if isinstance(inner, Mapping) else {})

    @property
    def fields(self) -> list[str]:
        return list(self._resolved.get("properties", ()))

    @property
    def items(self) -> Shape:
        return Shape(self.definitions, self._resolved.get("items", {}))

    @property
    def merge_key(self) -> str:
        return str(self.schema.get(MERGE_KEY, ""))

    @property
    def merges(self) -> bool:
        """Whether a list merges with a patch, instead of being replaced by it."""
        return "merge" in str(self.schema.get(STRATEGY, "")).split(",")


def merged(original: Mapping[str, Any], patch: Mapping[str, Any], shape: Shape, path: str = "") -> Object:
    """The object with the patch laid over it; neither is changed. PatchError where the patch is none."""
    if DIRECTIVE in patch:
        if patch[DIRECTIVE] == "replace":
            return dict(_bare({key: value for key, value in patch.items() if key != DIRECTIVE}))
        if patch[DIRECTIVE] == "delete":
            return {}
        raise PatchError(f"{_at(path, DIRECTIVE)} is {patch[DIRECTIVE]!r}; there are 'delete' and 'replace'")
    found = _retained(original, patch, path)
    for key, value in patch.items():
        if key.startswith(ORDER):
            raise PatchError(f"{_at(path, key)} is not taken: write the list itself, or replace it whole")
        if key.startswith(DELETE_FROM):
            _delete_from(found, key.removeprefix(DELETE_FROM), value, path)
        elif key != RETAIN:
            made = laid(found.get(key), value, shape.field(key), _at(path, key))
            found.pop(key, None) if made is None else found.__setitem__(key, made)
    return found


def laid(old: Any, value: Any, shape: Shape, path: str = "") -> Any:
    """The value of a field with that of a patch over it; None where the patch takes it away."""
    if isinstance(old, Mapping) and isinstance(value, Mapping):
        return merged(old, value, shape, path)
    if isinstance(old, (list, tuple)) and isinstance(value, (list, tuple)):
        return _lists(list(old), list(value), shape, path) if shape.merges else list(value)
    return None if _is_directive(value) else _bare(value)


def _lists(original: list[Any], patch: list[Any], shape: Shape, path: str) -> list[Any]:
    """Two lists as one: what the patch names first, in its order, unless the original's order puts something else before it."""
    kinds = {type(item) if not isinstance(item, Mapping) else dict for item in (*original, *patch)}
    if not kinds:
        return []
    if len(kinds) > 1 or list in kinds:
        raise PatchError(f"{path} has items of several kinds")
    if kinds != {dict}:
        return _ordered(list(dict.fromkeys([*original, *patch])), patch, original, lambda item: item)
    key = shape.merge_key
    if not key:
        raise PatchError(f"{path} has no key by which its items could be told apart")
    original, patch = _special(original, patch, key, path)
    both = list(original)
    for item in patch:
        place = next((i for i, each in enumerate(both) if each.get(key) == item[key]), None)
        if place is None:
            both.append(_bare(item))
        else:
            both[place] = merged(both[place], item, shape.items, f"{path}[{item[key]}]")
    return _ordered(both, patch, original, lambda item: item.get(key))


def _special(original: list[Any], patch: list[Any], key: str, path: str) -> tuple[list[Any], list[Any]]:
    """The lists without the items that are directives, which are done."""
    plain = []
    for item in patch:
        directive = item.get(DIRECTIVE)
        if directive not in (None, "delete", "replace"):
            raise PatchError(f"{_at(path, DIRECTIVE)} is {directive!r}; there are 'delete' and 'replace'")
        if key not in item and directive != "replace":
            raise PatchError(f"an item of {path} has no `{key}`, by which the list merges")
        if directive == "delete":
            original = [each for each in original if each.get(key) != item[key]]
        elif directive is None:
            plain.append(item)
    return (plain, []) if any(item.get(DIRECTIVE) == "replace" for item in patch) else (original, plain)


def _ordered(both: list[Any], patch: Sequence[Any], original: Sequence[Any], key: Any) -> list[Any]:
    """The order of upstream's `normalizeElementOrder`: patched items keep the patch's order, the others the original's."""
    wanted, known = [key(item) for item in patch], [key(item) for item in original]
    patched = sorted((item for item in both if key(item) in wanted), key=lambda item: wanted.index(key(item)))
    others = [item for item in both if key(item) not in wanted]
    found: list[Any] = []
    while patched and others:
        left, right = key(others[0]), key(patched[0])
        first = left in known and right in known and known.index(left) < known.index(right)
        found.append((others if first else patched).pop(0))
    return found + patched + others


def _retained(original: Mapping[str, Any], patch: Mapping[str, Any], path: str) -> Object:
    """A copy of the object, with the fields that `$retainKeys` lists where there is one."""
    if RETAIN not in patch:
        return dict(original)
    kept = patch[RETAIN]
    if not isinstance(kept, (list, tuple)):
        raise PatchError(f"{_at(path, RETAIN)} is no list of fields")
    lost = [key for key, value in patch.items() if value is not None and not key.startswith("$") and key not in kept]
    if lost:
        raise PatchError(f"{_at(path, RETAIN)} leaves out {lost[0]}, which the patch sets")
    return {key: value for key, value in original.items() if key in kept}


def _delete_from(found: Object, key: str, values: Any, path: str) -> None:
    if not isinstance(values, (list, tuple)):
        raise PatchError(f"{_at(path, DELETE_FROM + key)} is no list")
    if isinstance(found.get(key), (list, tuple)):
        found[key] = [item for item in found[key] if item not in values]


def _bare(value: Any) -> Any:
    """What a patch adds where there was nothing: without directives and nulls."""
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if item is not None and not key.startswith("$")}
        return {key: _bare(item) for key, item in kept.items() if not _is_directive(item)}
    return [_bare(item) for item in value if not _is_directive(item)] if isinstance(value, (list, tuple)) else value


def grounded(original: Any, patch: Any, shape: Shape) -> Any:
    """The patch without `$patch: replace` where there is nothing to replace: upstream would pass over what such a map says."""
    if isinstance(patch, Mapping):
        there = isinstance(original, Mapping)
        known = original if there and patch.get(DIRECTIVE) != "replace" else {}
        kept = {key: value for key, value in patch.items() if there or (key, value) != (DIRECTIVE, "replace")}
        return {key: grounded(known.get(key), value, shape.field(key)) for key, value in kept.items()}
    if not isinstance(patch, (list, tuple)) or not shape.merges:
        return patch
    before = [item for item in original if isinstance(item, Mapping)] if isinstance(original, (list, tuple)) else []
    return [_item_grounded(before, item, shape) if isinstance(item, Mapping) else item for item in patch]


def _item_grounded(before: Sequence[Mapping[str, Any]], item: Mapping[str, Any], shape: Shape) -> Object:
    """An item's own directive is about the list, so it stays."""
    key = shape.merge_key
    old = next((each for each in before if key in item and each.get(key) == item[key]), None)
    own = {DIRECTIVE: item[DIRECTIVE]} if DIRECTIVE in item else {}
    return {**grounded(old, item, shape.items), **own}


def _is_directive(value: Any) -> bool:
    return isinstance(value, Mapping) and DIRECTIVE in value


def has_directives(value: Any) -> bool:
    """Whether a patch does more than add and overwrite."""
    if isinstance(value, Mapping):
        return any(item is None or key.startswith("$") or has_directives(item) for key, item in value.items())
    return any(has_directives(item) for item in value) if isinstance(value, (list, tuple)) else False


def simple(original: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386), for what has no keys to merge lists by; `{"$patch": "replace", ...}` stands for the whole object."""
    if not isinstance(patch, Mapping):
        told = next(_directives(patch), None)
        if told is not None:
            raise PatchError(f"{told} is not taken in a list, which is replaced whole")
        return _bare(patch)
    if patch.get(DIRECTIVE) == "replace":
        return _bare({key: value for key, value in patch.items() if key != DIRECTIVE})
    found = dict(original) if isinstance(original, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif key.startswith("$"):
            raise PatchError(f"{key} is not taken here; there is '$patch' = 'delete' or 'replace'")
        else:
            found[key] = simple(found.get(key), value)
    return found


def _directives(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (key for key in value if key.startswith("$"))
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    for item in inner:
        yield from _directives(item)


def with_nulls(patch: Any) -> Any:
    """The patch of a settings file: TOML has no null, so `{"$patch" = "delete"}` in the place of a field's value stands for it."""
    if isinstance(patch, Mapping):
        return {key: None if item == {DIRECTIVE: "delete"} else with_nulls(item) for key, item in patch.items()}
    return [with_nulls(item) for item in patch] if isinstance(patch, (list, tuple)) else patch


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
