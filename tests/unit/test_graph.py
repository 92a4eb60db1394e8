"""The graph functions against plain definitions of what they compute."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common import graph

pytestmark = pytest.mark.unit

Graph = dict[str, list[str]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = [f"n{at}" for at in range(draw(st.integers(1, 7)))]
    return {node: draw(st.lists(st.sampled_from(nodes), unique=True)) for node in nodes}


def reachable(edges: Graph, start: str) -> set[str]:
    found: set[str] = set()
    todo = list(edges[start])
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo.extend(edges[node])
    return found


@given(graphs())
def test_cycles_are_real_and_cover_every_cyclic_edge(edges: Graph) -> None:
    found = graph.cycles(edges)

    for cycle in found:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(need in edges[node] for node, need in pairwise(cycle))
    covered = {edge for cycle in found for edge in pairwise(cycle)}
    on_cycle = {(a, b) for a in edges for b in edges[a] if a == b or a in reachable(edges, b)}
    assert covered == on_cycle
    assert len({tuple(cycle) for cycle in found}) == len(found)


@given(graphs())
def test_layers_hold_what_waits_for_no_cycle_after_what_it_waits_for(edges: Graph) -> None:
    layers = graph.layers(edges)

    placed = {node: at for at, layer in enumerate(layers) for node in layer}
    cyclic = {node for node in edges if node in reachable(edges, node)}
    assert placed.keys() == {
        n for n in edges if n not in cyclic and not reachable(edges, n) & cyclic
    }
    assert all(placed[need] < placed[node] for node in placed for need in edges[node])


def test_longest_path_adds_weights_along_one_path() -> None:
    edges = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": []}

    assert graph.longest_path(edges, {"a": 1, "b": 10, "c": 3, "d": 5, "e": 12}) == 16
    assert graph.longest_path({}, {}) == 0


def test_dense_cyclic_graph_gives_a_bounded_answer() -> None:
    nodes = [str(at) for at in range(200)]

    assert len(graph.cycles(dict.fromkeys(nodes, nodes))) == graph.MAX_CYCLES
