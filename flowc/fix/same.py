"""In: a file as it was checked before and after a step got another name. Out: whether its flows are the same but for that name."""

from __future__ import annotations

from flowc.compiler import Checked


def is_same_graph(before: Checked, after: Checked) -> bool:
    """Whether every step goes on to the same steps, one of them under another name."""
    old, new = _shape(before), _shape(after)
    gone = {step for _, step in old.keys() - new.keys()}
    come = {step for _, step in new.keys() - old.keys()}
    if len(gone) != 1 or len(come) != 1:
        return False
    names = dict(zip(gone, come, strict=True))
    renamed = {(flow, names.get(step, step)): tuple(names.get(each, each) for each in following) for (flow, step), following in old.items()}
    return renamed == new


def _shape(checked: Checked) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(flow.name, step): node.next for flow, graph in checked.flows for step, node in graph.nodes.items()}
