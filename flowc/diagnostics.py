"""In: facts that a phase found. Out: Code and Diagnostic, the values that every message of flowc is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from flowc.source import Span


class Severity(str, Enum):
    """`error` fails a compile, `warning` and `note` do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Example:
    """A flow that shows a code at work. `files`: path -> text (or bytes, for what is no text); `flow` names the one to compile.

    `settings` are fields of `flowc.settings.Settings` by name; `target` is compiled when set, else the flow is only checked; `on`
    names the executor of `flowc run` that judges it as well.
    `line` is the line on which the code must be reported (of the bad example; 0: it has no line).
    """

    files: Mapping[str, str | bytes]
    line: int = 0
    flow: str = "flow.py"
    target: str | None = None
    on: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


REGISTRY: dict[str, Code] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """A kind of diagnostic. Constructing one registers it; the same id twice is a bug.

    Ranges: FC1 reading, FC2 graph, FC3 decorators and values, FC4 a target cannot carry it, FC5 output, FC6 a run, FC9 a bug of flowc.
    `title` is a short name for the page; `why` explains the rule; `bad` must report this code, `good` must report nothing.
    """

    id: str
    title: str
    why: str
    bad: Example
    good: Example
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        if self.id in REGISTRY:
            raise ValueError(f"diagnostic code {self.id} is declared twice")
        REGISTRY[self.id] = self

    def __reduce__(self) -> tuple[Callable[[str, str, str, Severity], Code], tuple[str, str, str, Severity]]:
        """Codes are compared by identity, also those that come back from another process, where the module that declares them is loaded."""
        return told, (self.id, self.title, self.why, self.severity)


def told(code_id: str, title: str, why: str, severity: Severity) -> Code:
    """The code as another process or an earlier run told of it: the one declared here, or one that is good for reports alone."""
    if code_id in REGISTRY:
        return REGISTRY[code_id]
    code = object.__new__(Code)
    nothing = Example({})
    for name, value in {"id": code_id, "title": title, "why": why, "severity": severity, "bad": nothing, "good": nothing}.items():
        object.__setattr__(code, name, value)
    return code


@dataclass(frozen=True, slots=True)
class Label:
    """Another place that explains the diagnostic, with its own few words."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem. `message` is a line that stands alone; `note` goes under the caret; `help` is the next action, imperative."""

    code: Code
    message: str
    span: Span | None = None
    note: str = ""
    labels: tuple[Label, ...] = ()
    help: str = ""

    @property
    def severity(self) -> Severity:
        return self.code.severity

    @property
    def sort_key(self) -> tuple[object, ...]:
        return (self.span.key if self.span else ("", 0, 0, 0, 0), self.code.id, self.message)


def in_order(found: list[Diagnostic]) -> list[Diagnostic]:
    """Sorted by place, each once."""
    return sorted(dict.fromkeys(found), key=lambda d: d.sort_key)


def has_errors(found: list[Diagnostic]) -> bool:
    return any(d.severity is Severity.ERROR for d in found)


class OutputBug(Exception):
    """An output that its engine would refuse by flowc's own mistake: a target, template or schema broke its contract."""
