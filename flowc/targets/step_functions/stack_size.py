"""In: the stack of a flow. Out: a note where its text is longer than CloudFormation takes without a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example, Severity

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.target import Document

DIRECT_LIMIT = 51_200
"""Bytes of a template that are sent as they are; a longer one goes through a bucket, up to 1 MB."""

_OWN = "    @environment(vars={{'N': '{0}'}})\n    @step\n    def s{0}(self):\n        self.next(self.s{1})\n"
_MANY = sample("environment").replace("self.end", "self.s1").replace("    @step\n    def end", "    @step\n    def s12")
_MANY += "\n" + "\n".join(_OWN.format(n, n + 1) for n in range(1, 12))
_LAST = "def s12(self):\n        "
_MANY = _MANY.replace(f"{_LAST}pass", f"{_LAST}self.next(self.end)\n\n    @step\n    def end(self):\n        pass")
LONG = Code(
    "FC480",
    "a stack that needs a bucket to be deployed",
    "CloudFormation takes a template of 51,200 bytes as it is. A longer one must lie in a bucket: `aws cloudformation deploy --s3-bucket` "
    "puts it there.",
    bad=Example({"flow.py": _MANY}, line=4, target="step-functions"),
    good=Example({"flow.py": sample()}, target="step-functions"),
    severity=Severity.NOTE,
)


def notes(flow: Flow, settings: Settings, documents: Sequence[Document]) -> Iterator[Diagnostic]:
    """FC480 for a stack whose text is longer, by the size of what its template is filled with."""
    if settings.format != "cloudformation":
        return
    total = sum(size(document.values, 2) for document in documents)
    if total > DIRECT_LIMIT:
        text = f"the stack has about {total:,} bytes; CloudFormation takes {DIRECT_LIMIT:,} without a bucket"
        help_ = "deploy it by `aws cloudformation deploy --s3-bucket BUCKET ...`; an image with the code (--code image) makes it smaller"
        yield Diagnostic(LONG, text, flow.span, help=help_)


def size(value: Any, indent: int = 0) -> int:
    """About how many bytes the value has as YAML, one key or item a line."""
    if isinstance(value, Mapping):
        return sum(indent + len(key) + 2 + size(item, indent + 2) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return sum(indent + 2 + size(item, indent + 2) for item in value)
    return len(str(value).encode(errors="surrogatepass")) + 1
