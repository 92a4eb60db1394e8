"""Where the nodes of a layered drawing stand (after Sugiyama): layers, order within, positions.

Works on two abstract axes: `main` runs with the edges, `cross` along a layer. Edges over several
layers are led through by points, one per source and layer. What is drawn is the transitive
reduction: an edge that a longer path implies would only hide the others.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from src.common import graph

SWEEPS: Final = 8

Needs = Mapping[str, Collection[str]]


@dataclass(slots=True, eq=False)
class Node:
    """An order, or (`name` empty) a point of a long edge."""

    name: str
    layer: int
    above: list[Node] = field(default_factory=list)  # in the layer before
    below: list[Node] = field(default_factory=list)
    low: int = 0  # cells that it takes on the cross axis before `at`
    high: int = 0  # and after
    at: int = 0


def reduced(needs: Needs) -> dict[str, list[str]]:
    """Return the graph without the edges that longer paths imply."""
    reach: dict[str, set[str]] = {}
    kept: dict[str, list[str]] = {}
    for layer in graph.layers(needs):
        for node in layer:
            own = dict.fromkeys(needs[node])
            behind: set[str] = set().union(*(reach[need] for need in own))
            reach[node] = behind | own.keys()
            kept[node] = [need for need in own if need not in behind]
    return {node: kept[node] for node in needs}


def layered(needs: Needs) -> list[list[Node]]:
    """Return the layers, joined by edges that span one layer each, ordered for few crossings."""
    layers = [
        [Node(name, depth) for name in names] for depth, names in enumerate(graph.layers(needs))
    ]
    nodes = {node.name: node for layer in layers for node in layer}
    points: dict[tuple[str, int], Node] = {}
    for name, node in nodes.items():
        for need in needs[name]:
            at = nodes[need]
            for depth in range(at.layer + 1, node.layer):
                if (need, depth) not in points:
                    points[need, depth] = Node("", depth)
                    layers[depth].append(points[need, depth])
                    _join(at, points[need, depth])
                at = points[need, depth]
            _join(at, node)
    return _ordered(layers)


def place(layers: Sequence[Sequence[Node]], *, gap: int, grid: int) -> None:
    """Set `at` of every node: near its neighbours, in order, `gap` free cells between two.

    All positions are multiples of `grid`.
    """
    for layer in layers:
        _settle(layer, [0.0] * len(layer), gap, grid)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 1
        for layer in layers if down else reversed(layers):
            wanted = []
            for node in layer:
                near = node.above if down else node.below
                wanted.append(sum(other.at for other in near) / len(near) if near else node.at)
            _settle(layer, wanted, gap, grid)
    first = min(node.at - node.low for layer in layers for node in layer) // grid * grid
    for layer in layers:
        for node in layer:
            node.at -= first


def _join(source: Node, target: Node) -> None:
    source.below.append(target)
    target.above.append(source)


def _ordered(layers: list[list[Node]]) -> list[list[Node]]:
    best, fewest = [list(layer) for layer in layers], crossings(layers)
    for sweep in range(2 * SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for depth in range(1, len(layers)) if down else reversed(range(len(layers) - 1)):
            layer, beside = layers[depth], layers[depth - 1 if down else depth + 1]
            ranks = {id(node): rank for rank, node in enumerate(beside)}
            own = {id(node): rank for rank, node in enumerate(layer)}
            layer.sort(key=lambda node: _barycenter(node, ranks, own[id(node)], down=down))
        if (found := crossings(layers)) < fewest:
            best, fewest = [list(layer) for layer in layers], found
    return best


def _barycenter(node: Node, ranks: Mapping[int, int], own: int, *, down: bool) -> float:
    near = node.above if down else node.below
    return sum(ranks[id(other)] for other in near) / len(near) if near else float(own)


def crossings(layers: Sequence[Sequence[Node]]) -> int:
    """Return how many pairs of edges cross."""
    total = 0
    for layer, following in pairwise(layers):
        rank = {id(node): position for position, node in enumerate(following)}
        seen: list[int] = []  # where the edges so far end, sorted
        for node in layer:
            for end in sorted(rank[id(other)] for other in node.below):
                total += len(seen) - bisect_right(seen, end)
                insort(seen, end)
    return total


def _settle(layer: Sequence[Node], wanted: Sequence[float], gap: int, grid: int) -> None:
    """Place a layer as near to `wanted` as order and gaps allow (least squares by pooling)."""
    offset, offsets = 0, []
    for position, node in enumerate(layer):
        if position:
            apart = layer[position - 1].high + 1 + gap + node.low
            offset += -(-apart // grid) * grid
        offsets.append(offset)
    pools: list[tuple[float, int]] = []  # mean, members
    for want, shift in zip(wanted, offsets, strict=True):
        mean, members = want - shift, 1
        while pools and pools[-1][0] >= mean:
            before, count = pools.pop()
            mean = (mean * members + before * count) / (members + count)
            members += count
        pools.append((mean, members))
    starts = [grid * round(mean / grid) for mean, members in pools for _ in range(members)]
    for node, start, shift in zip(layer, starts, offsets, strict=True):
        node.at = start + shift
