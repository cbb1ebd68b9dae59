"""In: Metaflow's FlowGraph and a choice for each switch. Out: the tasks that Metaflow's scheduler would start, by its own rules for joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Path = tuple[int, ...]
Task = tuple[str, Path]


def simulate(graph: Any, choose: Callable[[str], str], width: Callable[[], int]) -> dict[Task, list[str]]:
    """Every task that runs, as (step, indices of its foreaches), with the steps that it goes on to.

    `choose` gives the case of a switch step; `width` the number of tasks of a foreach. A join starts as in `NativeRuntime._queue_task_join`: when
    as many of the steps that lead to it have finished as its split has branches or items. Repetitions of a looping step are one task here.
    """
    ran: dict[Task, list[str]] = {}
    widths: dict[Path, int] = {}
    queue: list[Task] = [(graph.start_step, ())]
    while queue:
        name, path = task = queue.pop()
        if task in ran:
            continue
        node = graph[name]
        if node.type == "split-switch":
            ran[task] = [choose(name)]
        else:
            ran[task] = list(node.out_funcs)
        if node.type == "foreach":
            count = width()
            widths[path] = count
            queue += [(node.out_funcs[0], (*path, index)) for index in range(count)]
        elif any(graph[t].type == "join" for t in ran[task]):
            queue += _join(graph, ran, widths, task)
        else:
            queue += [(t, path) for t in ran[task]]
    return ran


def _join(graph: Any, ran: dict[Task, list[str]], widths: dict[Path, int], task: Task) -> list[Task]:
    """The join that a finished task completes, if it does."""
    _, path = task
    join = ran[task][0]
    split = graph[graph[join].split_parents[-1]]
    if split.type == "foreach":
        outer = path[:-1]
        expected = widths[outer]
        finished = [t for t in ran for index in range(expected) if t[0] in graph[join].in_funcs and t[1] == (*outer, index)]
        return [(join, outer)] if len(finished) == expected else []
    finished = [t for t in ran if t[0] in graph[join].in_funcs and t[1] == path]
    return [(join, path)] if len(finished) == len(split.out_funcs) else []
