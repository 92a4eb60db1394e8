"""Dependency graphs as plain maps: node -> the nodes it waits for.

Knows names, not jobs. No function recurses, so a chain of a thousand nodes is as good as a flat
list. Nodes that appear only as dependencies must be keys too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Final

MAX_CYCLES: Final = 50  # spelled out; a dense graph holds more cycles than anyone can read

Graph = Mapping[str, Collection[str]]


def dependents(graph: Graph) -> dict[str, list[str]]:
    """Return node -> the nodes that wait for it, in the order of the graph."""
    found: dict[str, list[str]] = {node: [] for node in graph}
    for node, needs in graph.items():
        for need in needs:
            found[need].append(node)
    return found


def layers(graph: Graph) -> list[list[str]]:
    """Return the nodes in layers, each waiting for earlier layers alone; without cyclic ones."""
    waiting = {node: len(set(needs)) for node, needs in graph.items()}
    followers = dependents({node: dict.fromkeys(needs) for node, needs in graph.items()})
    layer = [node for node, count in waiting.items() if not count]
    found = []
    while layer:
        found.append(layer)
        following = []
        for node in layer:
            for follower in followers[node]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    following.append(follower)
        layer = following
    return found


def longest_path(graph: Graph, weight: Mapping[str, int]) -> int:
    """Return the greatest sum of weights along one path (0 for an empty graph)."""
    total: dict[str, int] = {}
    for layer in layers(graph):
        for node in layer:
            total[node] = weight[node] + max((total[need] for need in graph[node]), default=0)
    return max(total.values(), default=0)


def cycles(graph: Graph) -> list[list[str]]:
    """Return cycles as `[a, b, a]`, so many that every edge that lies on a cycle is in one.

    Each cycle is listed once, from its earliest node on. Stops after MAX_CYCLES.
    """
    rank = {node: position for position, node in enumerate(graph)}
    covered: set[tuple[str, str]] = set()
    found: list[list[str]] = []
    for node, need in _cyclic_edges(graph):
        if (node, need) in covered:
            continue
        back = _shortest_path(graph, need, node)
        if back is None:
            continue
        loop = [node, *back]  # node -> need -> ... -> node
        covered.update(pairwise(loop))
        start = min(range(len(loop) - 1), key=lambda at: rank[loop[at]])
        found.append(loop[start:-1] + loop[: start + 1])
        if len(found) == MAX_CYCLES:
            break
    return found


def _cyclic_edges(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield the edges that may lie on a cycle: those between nodes that no layer holds."""
    acyclic = {node for layer in layers(graph) for node in layer}
    stuck = {node: needs for node, needs in graph.items() if node not in acyclic}
    # What merely waits for a cycle is no part of one: peel from the other end as well.
    followers = {
        node: [other for other in others if other in stuck]
        for node, others in dependents(
            {node: set(needs) & stuck.keys() for node, needs in stuck.items()}
        ).items()
    }
    outside = {node for layer in layers(followers) for node in layer}
    for node, needs in stuck.items():
        if node not in outside:
            yield from ((node, need) for need in needs if need in stuck and need not in outside)


def _shortest_path(graph: Graph, start: str, goal: str) -> list[str] | None:
    came: dict[str, str | None] = {start: None}
    todo = deque([start])
    while todo and goal not in came:
        node = todo.popleft()
        for need in graph[node]:
            if need not in came:
                came[need] = node
                todo.append(need)
    if goal not in came:
        return None
    path: list[str] = []
    at: str | None = goal
    while at is not None:
        path.append(at)
        at = came[at]
    return path[::-1]
