"""In: the body of a flow class as text. Out: the Example of a Code: a whole file, with the line that `# error` marks."""

from __future__ import annotations

from flowc.diagnostics import Example

MARK = "# error"


def example(body: str, name: str = "Hello", imports: str = "", above: str = "") -> Example:
    """A file with one flow. `imports` are names of metaflow besides FlowSpec and step, `above` the decorators of the class.

    The line of the diagnostic is the one that ends in `# error`; without such a line it is 0.
    """
    names = ", ".join(sorted({"FlowSpec", "step", *imports.replace(",", " ").split()}))
    lines = body.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    head = f"from metaflow import {names}\n\n\n{above}class {name}(FlowSpec):\n"
    text = head + "".join(f"    {line[margin:]}\n" if line.strip() else "\n" for line in lines).rstrip("\n") + "\n"
    line = next((n for n, line in enumerate(text.splitlines(), 1) if line.rstrip().endswith(MARK)), 0)
    return Example({"flow.py": text}, line=line)


END = """
@step
def end(self):
    pass
"""

START_END = """
@step
def start(self):
    self.next(self.end)
"""
