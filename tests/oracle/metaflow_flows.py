"""In: the text of a flow file. Out: Metaflow's FlowGraph of its class, and what Metaflow's linter says, without a file on disk."""

from __future__ import annotations

import itertools
import linecache
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import metaflow
from metaflow.lint import linter

_COUNT = itertools.count()


@contextmanager
def executed(text: str, name: str) -> Iterator[Any]:
    """The flow class `name` of a text, executed as a module of its own, whose source `inspect` finds."""
    number = next(_COUNT)
    module = types.ModuleType(f"made_flow_{number}")
    module.__file__ = f"/made/flow_{number}.py"
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, module.__file__, "exec"), module.__dict__)
        yield getattr(module, name)
    finally:
        del sys.modules[module.__name__], linecache.cache[module.__file__]


def graph_of(flow_class: Any) -> dict[str, Any]:
    """Metaflow's graph in the shape of `flowc graph --format json`."""
    graph = flow_class._graph
    steps = {
        name: {
            "type": node.type,
            "next": node.out_funcs,
            "in_funcs": list(node.in_funcs),
            "matching_join": node.matching_join,
            "split_parents": node.split_parents,
            "split_branches": node.split_branches,
            "foreach_param": node.foreach_param,
            "condition": node.condition,
            "switch_cases": node.switch_cases,
            "parallel_foreach": node.parallel_foreach,
            "is_inside_foreach": node.is_inside_foreach,
        }
        for name, node in graph.nodes.items()
    }
    return {"flow": flow_class.__name__, "steps": steps}


def refusal(flow_class: Any) -> str:
    """What Metaflow's linter says against a flow, "" where it takes it. An exception that is no LintWarn refuses too."""
    try:
        linter.run_checks(flow_class._graph)
    except Exception as error:  # noqa: BLE001 a crash refuses too
        return f"{type(error).__name__}: {error}"
    return ""


def packaged_flows() -> list[Path]:
    """The flow files that the metaflow package ships."""
    root = Path(metaflow.__file__).parent
    return sorted(
        p for p in root.rglob("*.py") if "_vendor" not in p.parts and re.search(r"^class \w+\(FlowSpec\):", p.read_text(), re.MULTILINE)
    )
