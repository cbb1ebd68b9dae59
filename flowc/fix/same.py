"""In: a file as it was checked before and after a step got another name. Out: whether its flows are the same but for that name."""

from __future__ import annotations

from flowc.compiler import Checked


def is_same_graph(before: Checked, after: Checked) -> bool:
    """Whether every step goes on to the same steps, one of them under another name, in one flow or in all that inherit it."""
    old, new = _shape(before), _shape(after)
    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    before_name, after_name = {step for _, step in gone}, {step for _, step in come}
    if len(before_name) != 1 or len(after_name) != 1:
        return False
    flows = {flow for flow, _ in gone}
    names = dict(zip(before_name, after_name, strict=True))
    renamed = {}
    for (flow, step), following in old.items():
        known = names if flow in flows else {}
        renamed[flow, known.get(step, step)] = tuple(known.get(each, each) for each in following)
    return renamed == new


def _shape(checked: Checked) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(flow.name, step): node.next for flow, graph in checked.flows for step, node in graph.nodes.items()}
