"""Drawings of graphs: whoever follows the lines finds exactly the edges."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.cli.dag.draw import drawing
from src.cli.dag.layout import Node, crossings, reduced
from src.cli.dag.mermaid import flowchart

pytestmark = pytest.mark.unit

Graph = dict[str, list[str]]

# Which ways lead on from each sign: right, down, up. (Lines never lead back.)
RIGHT, DOWN, UP, LEFT = (0, 1), (1, 0), (-1, 0), (0, -1)
WAYS = {
    "─": {LEFT, RIGHT},
    "│": {UP, DOWN},
    "┌": {RIGHT, DOWN},
    "┐": {LEFT, DOWN},
    "└": {RIGHT, UP},
    "┘": {LEFT, UP},
    "├": {UP, DOWN, RIGHT},
    "┤": {UP, DOWN, LEFT},
    "┬": {LEFT, RIGHT, DOWN},
    "┴": {LEFT, RIGHT, UP},
    "┼": {LEFT, RIGHT, UP, DOWN},
}


def edges_of(picture: str, *, forward: tuple[int, int]) -> set[tuple[str, str]]:
    """Follow every line of a picture from name to name, never against `forward`."""
    cells = {
        (row, column): sign
        for row, line in enumerate(picture.splitlines())
        for column, sign in enumerate(line)
        if sign != " "
    }
    named = dict(_names(picture))
    return {
        (source, target)
        for start, source in named.items()
        for target in _reached(cells, named, start, forward)
    }


def _names(picture: str) -> Iterator[tuple[tuple[int, int], str]]:
    for row, line in enumerate(picture.splitlines()):
        for word in line.replace("▶", " ").split():
            if word[0].isalpha() and word.isascii():
                for at in range(len(line)):
                    whole = line[at : at + len(word) + 1].strip() == word
                    if line.startswith(word, at) and whole and not line[at - 1 : at].strip("▶ "):
                        yield (row, at), word


def _reached(
    cells: dict[tuple[int, int], str],
    named: dict[tuple[int, int], str],
    start: tuple[int, int],
    forward: tuple[int, int],
) -> set[str]:
    name = named[start]
    owner = {
        (row, column + offset): word
        for (row, column), word in named.items()
        for offset in range(len(word))
    }
    if forward == RIGHT:
        heads = [(start[0], start[1] + len(name) + 1)]
    else:
        heads = [(start[0] + 1, start[1] + offset) for offset in range(len(name))]
    back = (-forward[0], -forward[1])
    todo = [
        (head, forward)
        for head in heads
        if cells.get(head) == "▶▼"[forward == DOWN] or back in WAYS.get(cells.get(head, ""), ())
    ]
    seen, found = set(todo), set()
    while todo:
        (row, column), way = todo.pop()
        sign = cells[row, column]
        if sign in "▶▼":
            step = 2 if forward == RIGHT else 1
            found.add(owner[row + step * forward[0], column + step * forward[1]])
            continue
        came_from = (-way[0], -way[1])
        # Entering a sign on a side where it is closed: the line passes under it.
        onward = WAYS[sign] - {came_from, back} if came_from in WAYS[sign] else {way}
        for go in onward:
            nxt = (row + go[0], column + go[1]), go
            if nxt not in seen:
                seen.add(nxt)
                todo.append(nxt)
    return found


def expected(needs: Graph) -> set[tuple[str, str]]:
    return {(need, node) for node, found in reduced(needs).items() for need in found}


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 14))
    needs: Graph = {}
    for position in range(size):
        earlier = list(needs)
        chosen = (
            draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        )
        needs["n" * draw(st.integers(1, 5)) + str(position)] = chosen
    return needs


def body(picture: str) -> str:
    return picture.partition("\n\n")[0]


@given(graphs())
def test_lines_from_left_to_right_lead_to_exactly_what_waits(needs: Graph) -> None:
    assert edges_of(body(drawing(needs, width=10_000)), forward=RIGHT) == expected(needs)


@given(graphs())
def test_lines_from_top_to_bottom_lead_to_exactly_what_waits(needs: Graph) -> None:
    from src.cli.dag.draw import _picture

    rows = _picture(reduced(needs), sideways=False, ascii_only=False)

    assert rows is not None
    assert edges_of("\n".join(rows), forward=DOWN) == expected(needs)


def test_chain_is_one_line() -> None:
    assert drawing({"fmt": [], "plan": ["fmt"], "apply": ["plan"]}, width=80) == (
        "fmt ──▶ plan ──▶ apply"
    )


def test_fan_out_and_in_share_their_lines() -> None:
    needs = {
        "s": [],
        **{f"job-{n}": ["s"] for n in range(3)},
        "end": [f"job-{n}" for n in range(3)],
    }

    assert drawing(needs, width=80).splitlines() == [
        "   ┌─▶ job-0 ─┐",
        "s ─┼─▶ job-1 ─┼─▶ end",
        "   └─▶ job-2 ─┘",
    ]


def test_what_is_too_wide_goes_from_top_to_bottom() -> None:
    needs = {"fmt": [], "lint": ["fmt"], "validate": ["fmt"], "plan": ["validate", "lint"]}

    assert drawing(needs, width=20).splitlines() == [
        "     fmt",
        "  ┌───┴───┐",
        "  ▼       ▼",
        "lint  validate",
        "  └───┬───┘",
        "      ▼",
        "    plan",
    ]


def test_edges_that_longer_paths_imply_are_named_instead_of_drawn() -> None:
    picture = drawing({"a": [], "b": ["a"], "c": ["a", "b"]}, width=80)

    assert picture.splitlines() == [
        "a ──▶ b ──▶ c",
        "",
        "1 not drawn, as longer paths imply them:",
        "  a -> c",
    ]


def test_plain_terminals_get_plain_signs() -> None:
    picture = drawing({"a": [], "b": ["a"], "c": ["a"]}, width=80, ascii_only=True)

    assert picture.splitlines() == ["a -+-> b", "   +-> c"]


def test_what_fits_no_picture_is_a_list_of_layers() -> None:
    needs = {"a-long-name": [], "another-long-name": ["a-long-name"]}

    assert drawing(needs, width=10).splitlines() == [
        "layer 1",
        "  a-long-name",
        "layer 2",
        "  another-long-name  <- a-long-name",
    ]


def test_a_thousand_orders_are_a_list() -> None:
    needs = {f"o{n}": [f"o{n - 1}"] if n % 100 else [] for n in range(1000)}

    assert drawing(needs, width=80).startswith("layer 1\n  o0\n  o100\n")


@pytest.mark.parametrize("seed", range(3))
def test_sixty_orders_still_make_a_picture(seed: int) -> None:
    chance, needs = random.Random(seed), {}
    for position in range(60):
        earlier = list(needs)[-12:]
        wanted = min(len(earlier), chance.choice([0, 1, 1, 1, 2, 2]))
        needs[f"o{position}"] = chance.sample(earlier, wanted)

    picture = body(drawing(needs, width=250))

    assert "layer 1" not in picture
    assert edges_of(picture, forward=RIGHT) == expected(needs)


def test_mermaid_numbers_nodes_as_names_may_be_its_own_words() -> None:
    assert flowchart({"end": [], "b.c": ["end"]}).splitlines() == [
        "flowchart LR",
        '  n1["end"]',
        '  n2["b.c"]',
        "  n1 --> n2",
    ]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), unique=True, max_size=25))
def test_crossings_are_the_pairs_of_edges_that_cross(edges: list[tuple[int, int]]) -> None:
    upper, lower = ([Node(f"{layer}{n}", layer) for n in range(7)] for layer in (0, 1))
    for source, target in edges:
        upper[source].below.append(lower[target])

    crossing = sum((a - c) * (b - d) < 0 for a, b in edges for c, d in edges) // 2
    assert crossings([upper, lower]) == crossing
