"""In: nothing. Out: the diagnostic codes of reading files and imports, FC140 to FC149, with the flows that show them."""

from __future__ import annotations

from flowc.diagnostics import Code, Example, Severity

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
_FROM_ABOVE = "from libs.features import NAME\n" + _FLOW
ABOVE = Code(
    "FC143",
    "module above the flow's folder",
    "Pods get the flow's file and the modules that it imports from its own folder and below it, and only that folder is on their path. A "
    "module that stands higher up in the repository is found where PYTHONPATH names the folder that has it. In a pod it is missing, unless "
    "the image brings it: then silence the line or, in `per-file-ignores`, the code. Metaflow's own deployments package the flow's folder "
    'too, and nothing above it. Nothing is said where all code is in the image (`code = "image"`), of imports for type checkers, and of '
    "those whose failure the text itself takes (`except ImportError`).",
    bad=Example({"flows/flow.py": _FROM_ABOVE, "libs/features.py": "NAME = 1\n"}, line=1, flow="flows/flow.py"),
    good=Example({"flows/flow.py": _FROM_ABOVE, "flows/libs/features.py": "NAME = 1\n"}, flow="flows/flow.py"),
    severity=Severity.WARNING,
)
