"""In: nothing. Out: the diagnostic codes of reading files and imports, FC140 to FC149, with the flows that show them."""

from __future__ import annotations

from flowc.diagnostics import Code, Example

_FLOW = """from metaflow import FlowSpec, step

class Hello(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
_IMPORTING = "from common import NAME\n" + _FLOW

SYNTAX = Code(
    "FC140",
    "not valid Python",
    "flowc reads the flow and the modules beside it with Python's own grammar. A file that Python cannot parse fails in the pod as well.",
    bad=Example({"flow.py": _IMPORTING, "common.py": 'NAME = "a\n'}, line=1),
    good=Example({"flow.py": _IMPORTING, "common.py": 'NAME = "a"\n'}),
)
ENCODING = Code(
    "FC141",
    "not UTF-8",
    "Source files are delivered to the pod as UTF-8 text. A module in another encoding would reach it changed.",
    bad=Example({"flow.py": _IMPORTING, "common.py": b'# coding: latin-1\nNAME = "\xe9"\n'}),
    good=Example({"flow.py": _IMPORTING, "common.py": 'NAME = "é"\n'}),
)
RELATIVE = Code(
    "FC142",
    "relative import in a flow file",
    "A flow file runs as a script (`python flow.py`), which belongs to no package, so Python refuses a relative import there.",
    bad=Example({"flow.py": "from .common import NAME\n" + _FLOW, "common.py": "NAME = 1\n"}, line=1),
    good=Example({"flow.py": _IMPORTING, "common.py": "NAME = 1\n"}),
)
