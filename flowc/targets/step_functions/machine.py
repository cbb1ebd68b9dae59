"""In: a proven Flow, its Graph and Settings. Out: its ASL state machine as a dict, with ${...} for what the stack or Terraform knows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from flowc.deployment.hooks import hooks as hooks_of
from flowc.targets.step_functions import hooks, jobs, names, states, triggers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowc.graph import Graph
    from flowc.ir import Flow
    from flowc.settings import Settings

State = dict[str, Any]
# Names of steps have no capital letters, so these are no step's.
ANNOUNCE, UNHEARD = "Announce", "Announce unheard"


def machine(flow: Flow, graph: Graph, settings: Settings) -> State:
    """The state machine of a flow that passed `check`: `Comment`, `StartAt`, `States`, maybe `TimeoutSeconds`; JSON without nulls.

    `${...}` stands only where `substitutions` says so.
    """
    body = hooks.wrapped(flow, graph, settings, Lowering(flow, graph, settings).body(graph.start or "", None))
    timeout = {"TimeoutSeconds": settings.workflow_timeout} if settings.workflow_timeout else {}
    return {"Comment": f"Metaflow flow {flow.name}", **timeout, **_called(body, settings.aws_partition)}


def _called(body: State, partition: str) -> State:
    """The same machine, its calls to services named as in that partition of AWS."""
    if partition == "aws":
        return body
    found = {}
    for name, state in body["States"].items():
        new = dict(state)
        if "Resource" in state:
            new["Resource"] = state["Resource"].replace("arn:aws:", f"arn:{partition}:", 1)
        if "Branches" in state:
            new["Branches"] = [_called(branch, partition) for branch in state["Branches"]]
        if "ItemProcessor" in state:
            new["ItemProcessor"] = _called(state["ItemProcessor"], partition)
        found[name] = new
    return {**body, "States": found}


def substitutions(flow: Flow, graph: Graph, settings: Settings) -> dict[str, str]:
    """Every name that stands as `${name}` in the machine, with what it is, in a fixed order.

    JobQueue: ARN or name of the queue of steps whose @batch names none. JobDefinition...: ARN of a job definition of
    `jobs.definitions`. Bucket: the bucket of the datastore, where no `datastore_root` says it.
    """
    bucket = states.results(flow, settings)[0]
    texts = [(jobs.queue(flow, name), "job queue") for name in graph.order]
    texts += [(text, "job definition") for text in jobs.by_step(flow, graph, settings).values()]
    images = jobs.by_hook_image(flow, graph, settings)
    texts += [(images[hook.image], "job definition") for hook in hooks_of(flow)]
    texts += [(bucket, "bucket of the datastore") for name in graph.order if states.asks(graph, name)]
    return {text[2:-1]: what for text, what in texts if text.startswith("${")}


class Lowering:
    """Makes the states of one flow. A body is the steps from one step up to the join that closes the split around them."""

    def __init__(self, flow: Flow, graph: Graph, settings: Settings) -> None:
        self.flow, self.graph, self.settings = flow, graph, settings
        self.definitions = jobs.by_step(flow, graph, settings)
        self.announcement = triggers.announcement(flow, graph, settings)
        self.place = {name: number for number, name in enumerate(graph.order)}

    def body(self, entry: str, stop: str | None) -> State:
        """`StartAt` and `States` of the steps from `entry` on that run before `stop` (None: the whole flow)."""
        if entry == stop:
            name = names.state(entry, "at once")
            return {"StartAt": name, "States": {name: states.branch_end()}}
        found: State = {}
        for name in self.members(entry, stop):
            found.update(self.step(name, stop))
        return {"StartAt": self.enter(entry), "States": found}

    def members(self, entry: str, stop: str | None) -> list[str]:
        """The steps of a body in the order of the flow, without those that stand deeper."""
        found, waiting = {entry}, [entry]
        while waiting:
            name = waiting.pop()
            new = {n for n in self.after(name) if n not in found and n != stop}
            found |= new
            waiting += new
        return sorted(found, key=self.place.__getitem__)

    def after(self, name: str) -> list[str]:
        """The steps of the same depth that may come next: past a split, its join."""
        node = self.graph.nodes[name]
        if node.type == "split" or (node.type == "foreach" and not node.parallel_foreach):
            return [self.graph.closers[name][0]]
        return states.exits(node)

    def enter(self, name: str) -> str:
        """The state with which a step begins."""
        return names.state(name, "first round" if self.graph.nodes[name].loops else "")

    def step(self, name: str, stop: str | None) -> Iterator[tuple[str, State]]:
        """All states of a step, each leading on to the next."""
        graph, node = self.graph, self.graph.nodes[name]
        chain: list[tuple[str, State]] = []
        if node.loops:
            chain.append((self.enter(name), states.round_zero()))
        chain.append((names.state(name), states.job(self.flow, graph, self.settings, name, self.definitions[name])))
        if states.asks(graph, name):
            chain.append((names.state(name, "outcome"), states.outcome(self.flow, graph, self.settings, name)))
        if node.type == "split":
            join = self.after(name)[0]
            chain.append((names.state(name, "split"), states.parallel([self.body(n, join) for n in node.next])))
        elif node.type == "foreach" and not node.parallel_foreach:
            body = self.body(node.next[0], self.after(name)[0])
            chain.append((names.state(name, "foreach"), states.fan_out(graph, self.settings, node, body)))
        for (here, state), (then, _) in pairwise(chain):
            yield here, {**state, "Next": then}
        here, state = chain[-1]
        if node.type == "split-switch" and states.asks(graph, name):
            yield here, {**state, "Next": names.state(name, "choice")}
            yield from self.choice(name, stop)
        else:
            yield here, {**state, **self.onward(name, stop)}
            if self.announcement and not self.after(name):
                # a run that nobody hears of has succeeded all the same
                unheard = {"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.nothing", "Next": UNHEARD}]}
                yield ANNOUNCE, {**self.announcement, **unheard, "End": True}
                yield UNHEARD, {"Type": "Succeed"}

    def onward(self, name: str, stop: str | None) -> State:
        """What the last state of a step says of what follows."""
        after = self.after(name)
        if not after:
            return {"Next": ANNOUNCE} if self.announcement else {"End": True}
        return {"OutputPath": "$.nothing", "End": True} if after[0] == stop else {"Next": self.enter(after[0])}

    def choice(self, name: str, stop: str | None) -> Iterator[tuple[str, State]]:
        """The Choice behind a switch, and the states that only it leads to."""
        node = self.graph.nodes[name]
        again, end = names.state(name, "next round"), names.state(name, "end")
        after = {n: end if n == stop else again if n == name else self.enter(n) for n in dict.fromkeys(node.next)}
        yield names.state(name, "choice"), states.choice(node, after)
        if node.loops:
            yield again, {**states.next_round(), "Next": names.state(name)}
        if stop in after:
            yield end, states.branch_end()
        yield names.state(name, "no case"), states.no_case(node)
