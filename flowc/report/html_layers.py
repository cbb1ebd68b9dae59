"""In: boxes with sizes, and links between them. Out: where each stands and how each link runs, in layers, with few crossings."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from itertools import pairwise

Point = tuple[float, float]
SIDE = 22.0
"""Least distance of two boxes side by side; half of it beside a link that passes."""
BELOW, LABEL_BELOW, SLANTED = 30.0, 14.0, 90.0
"""Least distance of two layers, of one that holds only labels, and the largest: it grows with how far links run sideways."""
ORDERINGS, RELAXATIONS, STRAIGHTENINGS = 12, 40, 4


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a size. `enter` and `leave` are where links meet its upper and lower edge, from its left edge."""

    width: float
    height: float
    enter: float
    leave: float
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A way from one item to another; `label` is the size of what is written on it, if anything is."""

    start: str
    end: str
    label: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Arranged:
    """`places`: the upper left corner of each item; `routes`: of each link the points it runs through, two and two of them a straight
    line, a curve between; `labels`: the middle of each label, by the link's number.
    """

    width: float
    height: float
    places: dict[str, Point]
    routes: list[list[Point]]
    labels: dict[int, Point]


@dataclass(slots=True)
class _Layers:
    """The items in layers, links cut into pieces of one layer each."""

    items: dict[str, Item]
    rank: dict[str, int]
    chains: list[list[str]]
    rows: list[list[str]] = field(default_factory=list)
    above: dict[str, list[str]] = field(default_factory=dict)
    below: dict[str, list[str]] = field(default_factory=dict)


def arrange(items: dict[str, Item], links: list[Link], last: str | None = None) -> Arranged:
    """Layers from top to bottom. Links that would close a circle are turned for the layering. `last` stands below all others."""
    layers = _layered(items, links, last)
    _order(layers)
    lefts = _columns(layers)
    return _drawn(layers, lefts, [link.label is not None for link in links])


def _layered(items: dict[str, Item], links: list[Link], last: str | None) -> _Layers:
    """Every item as high up as its links let it be; a link's label is an item of its own, what passes a layer another."""
    all_items = dict(items)
    chains = []
    for number, link in enumerate(links):
        middle = []
        if link.label is not None:
            width, height = link.label
            all_items[f"\0label {number}"] = Item(width, height, width / 2, width / 2, True)
            middle = [f"\0label {number}"]
        chains.append([link.start, *middle, link.end])
    rank = _ranks(list(all_items), chains, last)
    layers = _Layers(all_items, rank, [])
    for number, chain in enumerate(chains):
        layers.chains.append(_cut(layers, chain, number))
    layers.rows = [[] for _ in range(max(layers.rank.values(), default=0) + 1)]
    layers.above = {name: [] for name in layers.items}
    layers.below = {name: [] for name in layers.items}
    for chain in layers.chains:
        for start, end in _pieces(layers, chain):
            layers.below[start].append(end)
            layers.above[end].append(start)
    return layers


def _pieces(layers: _Layers, chain: list[str]) -> list[tuple[str, str]]:
    """(upper, lower) of every piece of a chain."""
    return [(a, b) if layers.rank[a] < layers.rank[b] else (b, a) for a, b in pairwise(chain)]


def _cut(layers: _Layers, chain: list[str], number: int) -> list[str]:
    found = [chain[0]]
    for start, end in pairwise(chain):
        step = 1 if layers.rank[end] > layers.rank[start] else -1
        for rank in range(layers.rank[start] + step, layers.rank[end], step):
            name = f"\0pass {number} {rank}"
            layers.items[name] = Item(0, 0, 0, 0, True)
            layers.rank[name] = rank
            found.append(name)
        found.append(end)
    return found


def _ranks(names: list[str], chains: list[list[str]], last: str | None) -> dict[str, int]:
    """The longest way from an item that nothing leads to; ways that lead back are left out."""
    after: dict[str, list[str]] = {name: [] for name in names}
    for chain in chains:
        for start, end in pairwise(chain):
            after[start].append(end)
    order: list[str] = []
    state: dict[str, int] = {}
    for root in names:
        waiting = [(root, 0)]
        while waiting:
            name, position = waiting.pop()
            if position == 0 and name in state:
                continue
            state[name] = 1
            while position < len(after[name]) and after[name][position] in state:
                if state[after[name][position]] == 1:
                    after[name].pop(position)
                else:
                    position += 1
            if position < len(after[name]):
                waiting += [(name, position + 1), (after[name][position], 0)]
            else:
                state[name] = 2
                order.append(name)
    rank = dict.fromkeys(names, 0)
    for name in reversed(order):
        for following in after[name]:
            rank[following] = max(rank[following], rank[name] + 1)
    if last is not None:
        rank[last] = max(rank[last], max((rank[name] for name in names if name != last), default=-1) + 1)
    return rank


# --- the order in each layer ---------------------------------------------------------------------------------------------


def _order(layers: _Layers) -> None:
    """Few crossings: every layer is sorted by the middle of its neighbours, down and up in turn, and the best order found is kept."""
    seen: set[str] = set()
    roots = [name for name in layers.items if not layers.above[name]]
    for root in roots:
        waiting = [root]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                layers.rows[layers.rank[name]].append(name)
                waiting += reversed(layers.below[name])
    best, fewest = [list(row) for row in layers.rows], _crossings(layers)
    for turn in range(ORDERINGS):
        if not fewest:
            break
        down = turn % 2 == 0
        for row in layers.rows[1:] if down else layers.rows[-2::-1]:
            _sort(layers, row, layers.above if down else layers.below)
        _swap(layers)
        found = _crossings(layers)
        if found < fewest:
            best, fewest = [list(row) for row in layers.rows], found
    layers.rows = best


def _places(rows: list[list[str]]) -> dict[str, int]:
    return {name: place for row in rows for place, name in enumerate(row)}


def _sort(layers: _Layers, row: list[str], neighbours: dict[str, list[str]]) -> None:
    place = _places(layers.rows)
    middle = {name: sum(place[n] for n in neighbours[name]) / len(neighbours[name]) if neighbours[name] else place[name] for name in row}
    row.sort(key=lambda name: (middle[name], place[name]))


def _crossings(layers: _Layers) -> int:
    place = _places(layers.rows)
    found = 0
    for row in layers.rows:
        ends: list[int] = []
        for name in row:
            mine = sorted(place[n] for n in layers.below[name])
            for end in mine:
                found += len(ends) - bisect_left(ends, end + 1)
            for end in mine:
                insort(ends, end)
    return found


def _swap(layers: _Layers) -> None:
    """Exchange neighbours in a layer wherever that takes a crossing away."""
    place = _places(layers.rows)
    for row in layers.rows:
        for at in range(len(row) - 1):
            left, right = row[at], row[at + 1]
            gain = 0
            for side in (layers.above, layers.below):
                if len(side[left]) * len(side[right]) <= 64:
                    pairs = [(place[a], place[b]) for a in side[left] for b in side[right]]
                    gain += sum((a > b) - (a < b) for a, b in pairs)
            if gain > 0:
                row[at], row[at + 1] = right, left
                place[left], place[right] = at + 1, at


# --- from order to coordinates -------------------------------------------------------------------------------------------


def _columns(layers: _Layers) -> dict[str, float]:
    """The left edge of every item: near its neighbours, long links straight, nothing over anything."""
    lefts: dict[str, float] = {}
    for row in layers.rows:
        x = 0.0
        for at, name in enumerate(row):
            x += _gap(layers, row[at - 1], name) if at else 0.0
            lefts[name] = x
        middle = (x + (layers.items[row[-1]].width if row else 0)) / 2
        for name in row:
            lefts[name] -= middle
    for turn in range(RELAXATIONS):
        sides = (True, False) if turn < RELAXATIONS // 2 else (True, True)
        for rows, use in ((layers.rows, sides), (layers.rows[::-1], sides[::-1])):
            for row in rows:
                _relax(layers, row, lefts, *use)
    runs = _runs(layers)
    for _ in range(STRAIGHTENINGS):
        for run in runs:
            _straighten(layers, run, lefts)
    return lefts


def _gap(layers: _Layers, left: str, right: str) -> float:
    """From the left edge of one item to that of the next."""
    narrow = layers.items[left].passing or layers.items[right].passing
    return layers.items[left].width + (SIDE * 0.6 if narrow else SIDE)


def _relax(layers: _Layers, row: list[str], lefts: dict[str, float], up: bool, down: bool) -> None:
    """Move the items of a layer to where they want to be, as near as their order and sizes let them (least squares)."""
    items = layers.items
    wanted: list[tuple[float, float]] = []
    for name in row:
        total = weight = 0.0
        for other in layers.above[name] if up else ():
            pull = _pull(items[name], items[other])
            total += pull * (lefts[other] + items[other].leave - items[name].enter)
            weight += pull
        for other in layers.below[name] if down else ():
            pull = _pull(items[name], items[other])
            total += pull * (lefts[other] + items[other].enter - items[name].leave)
            weight += pull
        wanted.append((total / weight, weight) if weight else (lefts[name], 0.01))
    offset = 0.0
    pools: list[list[float]] = []
    offsets = []
    for at, (target, weight) in enumerate(wanted):
        offset += _gap(layers, row[at - 1], row[at]) if at else 0.0
        offsets.append(offset)
        pools.append([target - offset, weight, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            mean, heavy, count = pools.pop()
            before = pools[-1]
            before[0] = (before[0] * before[1] + mean * heavy) / (before[1] + heavy)
            before[1] += heavy
            before[2] += count
    found = [mean for mean, _, count in pools for _ in range(int(count))]
    for name, base, offset in zip(row, found, offsets, strict=True):
        lefts[name] = base + offset


def _runs(layers: _Layers) -> list[list[str]]:
    """Items that follow one another and nothing else, two and more, longest first: they want to stand in one line."""
    above, below = layers.above, layers.below

    def next_of(name: str) -> str | None:
        after = below[name]
        alone = len(after) == 1 and len(above[after[0]]) == 1
        return after[0] if alone and layers.items[name].enter == layers.items[name].leave else None

    followed = {after for name in layers.items if (after := next_of(name)) is not None}
    found = []
    for name in layers.items:
        if name not in followed:
            run = [name]
            while (after := next_of(run[-1])) is not None:
                run.append(after)
            found.append(run)
    return sorted((run for run in found if len(run) > 1), key=len, reverse=True)


def _straighten(layers: _Layers, run: list[str], lefts: dict[str, float]) -> None:
    """Put as many of a run as there is room for in one line, from above on, and the next as many in another."""
    items = layers.items
    rows = [layers.rows[layers.rank[name]] for name in run]
    room = []
    for name, row in zip(run, rows, strict=True):
        at = row.index(name)
        low = lefts[row[at - 1]] + _gap(layers, row[at - 1], name) if at else -1e9
        high = lefts[row[at + 1]] - _gap(layers, name, row[at + 1]) if at + 1 < len(row) else 1e9
        room.append((low + items[name].enter, high + items[name].enter))
    start = 0
    while start < len(run):
        end, (low, high) = start + 1, room[start]
        while end < len(run) and max(low, room[end][0]) <= min(high, room[end][1]):
            low, high = max(low, room[end][0]), min(high, room[end][1])
            end += 1
        mean = sum(lefts[name] + items[name].enter for name in run[start:end]) / (end - start)
        line = min(max(mean, low), high)
        for name in run[start:end]:
            lefts[name] = line - items[name].enter
        start = end


def _pull(one: Item, other: Item) -> float:
    """How strongly two ends of a piece want to stand in line: bends show most within a long link."""
    return 8.0 if one.passing and other.passing else 2.0 if one.passing or other.passing else 1.0


def _drawn(layers: _Layers, lefts: dict[str, float], labelled: list[bool]) -> Arranged:
    left = min((lefts[name] for name in layers.items), default=0.0)
    lefts = {name: round(x - left, 1) for name, x in lefts.items()}
    tops, bottoms = _bands(layers, lefts)
    items, rank = layers.items, layers.rank
    # a label stays where its arrow begins, all else stands in the middle of its layer
    share = {name: 0.0 if item.passing else 0.5 for name, item in items.items()}
    places = {
        name: (lefts[name], round(tops[rank[name]] + share[name] * (bottoms[rank[name]] - tops[rank[name]] - item.height), 1))
        for name, item in items.items()
    }
    routes, labels = [], {}
    for number, chain in enumerate(layers.chains):
        down = rank[chain[0]] <= rank[chain[-1]]
        points: list[Point] = []
        for at, name in enumerate(chain):
            item, (x, y), row = items[name], places[name], rank[name]
            entry, exit_ = (x + item.enter, tops[row]), (x + item.leave, bottoms[row])
            if at == 0:
                points += [(exit_[0], y + item.height), exit_] if down else [(entry[0], y), entry]
            elif at == len(chain) - 1:
                points += [entry, (entry[0], y)] if down else [exit_, (exit_[0], y + item.height)]
            else:
                points += [entry, exit_] if down else [exit_, entry]
        routes.append(points)
        if labelled[number]:
            name = f"\0label {number}"
            labels[number] = (places[name][0] + items[name].width / 2, places[name][1] + items[name].height / 2)
    width = max((lefts[name] + item.width for name, item in items.items()), default=0.0)
    return Arranged(width, bottoms[-1] if bottoms else 0.0, places, routes, labels)


def _bands(layers: _Layers, lefts: dict[str, float]) -> tuple[list[float], list[float]]:
    """The upper and lower edge of every layer."""
    tops: list[float] = []
    bottoms: list[float] = []
    items = layers.items
    for number, row in enumerate(layers.rows):
        height = max((items[name].height for name in row), default=0.0)
        if number == 0:
            tops.append(0.0)
        else:
            before = layers.rows[number - 1]
            slants = [abs(lefts[a] + items[a].leave - lefts[b] - items[b].enter) for b in row for a in layers.above[b]]
            small = all(items[name].passing for name in row) or all(items[name].passing for name in before)
            gap = max(LABEL_BELOW if small else BELOW, min(0.1 * max(slants, default=0.0), SLANTED))
            tops.append(round(bottoms[-1] + gap, 1))
        bottoms.append(round(tops[-1] + height, 1))
    return tops, bottoms
