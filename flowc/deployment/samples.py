"""In: what is special about an example. Out: the text of a two-step flow with it, for the examples of this target's diagnostics."""

from __future__ import annotations


def sample(imports: str = "", above: str = "", on_start: str = "", body: str = "", helpers: str = "") -> str:
    """`above` decorates the class, `on_start` the first step; `helpers` stand before the class, `body` opens it. Each is one line or none.

    Lines: the import is 1, the class (with nothing above it) is 4; what is given moves the rest down by one.
    """
    names = ", ".join(filter(None, ["FlowSpec", imports, "step"]))
    lines = [f"from metaflow import {names}", "", ""]
    lines += [helpers, "", ""] if helpers else []
    lines += [above] if above else []
    lines += ["class Hello(FlowSpec):"]
    lines += [f"    {body}", ""] if body else []
    lines += [f"    {on_start}"] if on_start else []
    lines += ["    @step", "    def start(self):", "        self.next(self.end)", "", "    @step", "    def end(self):", "        pass", ""]
    return "\n".join(lines)
