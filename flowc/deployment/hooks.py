"""In: @exit_hook of a Flow. Out: the functions that run when a run has ended, for any target, or what is wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowc.deployment.attributes import bad_value, no_effect
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.ir import Decorator, Flow

_HELPER = "def tell():\n    print('done')"
MALFORMED = Code(
    "FC434",
    "an exit hook that is no list of functions",
    "@exit_hook takes lists of functions, or of their names. Of a text, Metaflow would take each letter for a function.",
    bad=Example({"flow.py": sample("exit_hook", "@exit_hook(on_success='tell')", helpers=_HELPER)}, line=8, target="argo"),
    good=Example({"flow.py": sample("exit_hook", "@exit_hook(on_success=['tell'])", helpers=_HELPER)}, target="argo"),
)


@dataclass(frozen=True, slots=True)
class Hook:
    """A function of the flow's file; `succeeded`: it runs when a run succeeded, else when one failed. `image`: None is the first step's."""

    function: str
    succeeded: bool
    decorator: Decorator

    @property
    def kind(self) -> str:
        return "success" if self.succeeded else "error"

    @property
    def image(self) -> str | None:
        found: Any = (self.decorator.get("options") or {}).get("image")
        return found or None


def hooks(flow: Flow) -> Iterator[Hook]:
    """The hooks of a flow that passed `check`, in the order written, each function once for each outcome."""
    seen = set()
    for decorator in flow.all_decorators("exit_hook"):
        for succeeded, attribute in ((True, "on_success"), (False, "on_error")):
            for function in decorator.get(attribute) or []:
                if (succeeded, function) not in seen:
                    seen.add((succeeded, function))
                    yield Hook(function, succeeded, decorator)


def check(flow: Flow) -> list[Diagnostic]:
    """Exit hooks that could not run."""
    return [problem for decorator in flow.all_decorators("exit_hook") for problem in _check(decorator)]


def _check(decorator: Decorator) -> list[Diagnostic]:
    found = []
    for attribute in ("on_success", "on_error"):
        functions = decorator.get(attribute) or []
        if not isinstance(functions, list) or not all(isinstance(name, str) and re.fullmatch(r"[\w.]+", name) for name in functions):
            text = f"{attribute} of @exit_hook is no list of functions"
            found.append(Diagnostic(MALFORMED, text, decorator.span_of(attribute), help=f"write `{attribute}=[tell]`"))
    options = decorator.get("options") or {}
    if not isinstance(options, dict):
        text = f"options of @exit_hook are `{options}`, which is no map"
        return [*found, bad_value(text, decorator.span_of("options"), "write {'image': ...}")]
    return found + [no_effect(f"options[{name!r}] of @exit_hook", decorator.span_of("options")) for name in options if name != "image"]
