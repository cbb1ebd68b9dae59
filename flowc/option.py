"""In: one value of a settings file. Out: the value as Settings takes it; and Option, what is known of a setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flowc.settings import STEP_KINDS, Overlay

Kind = Literal["text", "folder", "integer", "switch", "list", "map", "json", "pairs", "json pairs", "overlays"]
"""How a setting is written. folder: a path whose files, text by path in it, are the value; map: text by name; json: any value by name;
pairs, json pairs: the same, but the flag takes two words; overlays: patches by name, which have no flag.
"""


HIDDEN = "set; not shown here"
"""What stands for a value that may not be shown."""

LARGEST = 2**31 - 1
"""Of whole numbers: engines keep most in 32 bits, and Argo does not read a manifest with a larger one."""


class SettingsError(ValueError):
    """A settings file says something that flowc cannot take; the message stands alone."""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: a field of Settings, a key of `[tool.flowc]`, a flag. Key and flag follow from the field where they are not given.

    `dotted`: the names in its table have dots, so TOML must have them in quotes, lest it makes tables of them.
    `secret`: a key, or an address that is one. What may be seen of it is `secret:NAME/KEY`, which says where it is.
    """

    field: str
    kind: Kind
    help: str
    flag: str = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    dotted: bool = False
    secret: bool = False

    @property
    def key(self) -> str:
        return self.field.replace("_", "-")

    @property
    def flags(self) -> str:
        """The flag as click writes it; a switch has its negative. Nothing where there is none."""
        if self.kind == "overlays":
            return ""
        name = self.flag or self.key
        return f"--{name}/--no-{name}" if self.kind == "switch" else f"--{name}"


def hidden(option: Option, value: Any) -> bool:
    """Whether a value of that setting may not be shown."""
    return option.secret and value is not None and not str(value).startswith("secret:")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where something known is near, else nothing."""
    import difflib

    spelled = {name.lower().replace("_", "-"): name for name in known}
    near = difflib.get_close_matches(word.lower().replace("_", "-"), sorted(spelled), n=1)
    return f"; did you mean {spelled[near[0]]!r}?" if near else ""


def taken(option: Option, value: Any, place: str) -> Any:
    """A value of TOML as that setting; SettingsError says at which place it is wrong."""
    where = f"{place}: {option.key}"
    if option.kind == "switch":
        return typed(value, bool, where, "true or false")
    if option.kind == "integer":
        return check_integer(option, typed(value, int, where, "a whole number"), where)
    if option.kind == "list":
        items = typed(value, list, where, "a list of texts")
        return tuple(typed(item, str, where, "a list of texts") for item in items)
    if option.kind in ("map", "pairs"):
        table = typed(value, dict, where, "a table of texts")
        return {key: typed(item, str, f"{where}.{key}", "a text") for key, item in table.items()}
    if option.kind in ("json", "json pairs"):
        table = typed(value, dict, where, "a table")
        split = next((key for key, item in table.items() if option.dotted and isinstance(item, dict) and "." not in key), None)
        if split is not None:
            raise SettingsError(f'{where}: put the name that starts with {split} in quotes, as in "{split}.NAME" = ...')
        return {key: _plain(item, f"{where}.{key}") for key, item in table.items()}
    if option.kind == "overlays":
        overlays = typed(value, dict, where, "a table of overlays")
        return {name: _overlay(item, f"{where}.{name}") for name, item in overlays.items()}
    return check_choice(option, typed(value, str, where, "a text (in quotes)"), where)


def _overlay(value: Any, where: str) -> Overlay:
    table = typed(value, dict, where, "a table with `kind` and `patch`")
    unknown = next((key for key in table if key not in ("kind", "flows", "steps", "patch")), None)
    if unknown is not None:
        raise SettingsError(f"{where}: an overlay has no {unknown!r}{did_you_mean(unknown, ('kind', 'flows', 'steps', 'patch'))}")
    missing = next((key for key in ("kind", "patch") if key not in table), None)
    if missing is not None:
        raise SettingsError(f"{where}: the overlay has no `{missing}`")
    kind = typed(table["kind"], str, f"{where}.kind", "a text (in quotes)")
    globs = {key: taken(Option(key, "list", ""), table[key], where) for key in ("flows", "steps") if key in table}
    if () in globs.values():
        raise SettingsError(f"{where}: an empty list matches nothing; without the key all are meant")
    if "steps" in globs and kind not in STEP_KINDS:
        raise SettingsError(f"{where}: of a {kind} there is none for a step; `steps` goes with {', '.join(STEP_KINDS)}")
    patch = typed(table["patch"], dict, f"{where}.patch", "a table")
    return Overlay(kind, _plain(patch, f"{where}.patch"), **globs)


def typed(value: Any, kind: type, where: str, wanted: str) -> Any:
    """The value, which is of that kind; SettingsError says what was wanted at that place."""
    # bool is an int to Python, but `max-workers = true` is a mistake
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SettingsError(f"{where} must be {wanted}, not {value!r}")
    return value


def _plain(value: Any, where: str) -> Any:
    """JSON-like data only: TOML has dates, which no decorator takes."""
    if isinstance(value, Mapping):
        return {key: _plain(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, where) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise SettingsError(f"{where} must be a text, number, boolean, list or table, not a {type(value).__name__}")


def check_choice(option: Option, value: str, where: str) -> str:
    """The value, where it is one of the setting's choices; SettingsError where it is none."""
    if option.choices and value not in option.choices:
        raise SettingsError(f"{where} must be one of {', '.join(option.choices)}, not {value!r}{did_you_mean(value, option.choices)}")
    return value


def check_integer(option: Option, value: int, where: str) -> int:
    """The value, where it is not below the setting's minimum, nor above LARGEST; SettingsError where it is."""
    if option.minimum is not None and value < option.minimum:
        raise SettingsError(f"{where} must be at least {option.minimum}, not {value}")
    if abs(value) > LARGEST:
        bound = f"at most {LARGEST}" if value > 0 else f"at least -{LARGEST}"
        raise SettingsError(f"{where} must be {bound}, not {value}")
    return value
