"""In: a rendered template. Out: the object that PyYAML reads in it, as Go would: JSON's numbers are numbers, and no key stands twice."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc.diagnostics import OutputBug

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml import MappingNode, SafeLoader

# YAML 1.1 takes an exponent without a point for text; JSON writes 1e+22.
_JSON_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?[eE][-+]?[0-9]+$")


def parse(text: str, name: str) -> Any:
    """The object in a rendered template; OutputBug names the template `name` and the line that is no YAML."""
    from yaml import MarkedYAMLError, YAMLError

    try:
        value = _loader()(text).get_single_data()
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = "" if mark is None else f"rendered line {mark.line + 1}: "
        raise OutputBug(f"{name}: {line}{error.problem}") from None
    except YAMLError as error:
        raise OutputBug(f"{name}: {error}") from None
    if not isinstance(value, dict):
        raise OutputBug(f"{name}: the rendered template is no object")
    return value


@cache
def _loader() -> Callable[[str], SafeLoader]:
    """PyYAML's safe loader, the one in C where the installation has it."""
    import yaml
    from yaml.constructor import ConstructorError

    base: type[SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc, valid-type]
        """Refuses a key that stands twice, of which PyYAML would keep the last."""

        def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = {key.value for key, _ in node.value}
            if len(keys) < len(node.value):
                raise ConstructorError(None, None, f"a key stands twice in a mapping of {', '.join(map(str, keys))}", node.start_mark)
            found: dict[Any, Any] = super().construct_mapping(node, deep)
            return found

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _JSON_FLOAT, list("-0123456789"))
    return Loader
