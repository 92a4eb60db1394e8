"""What the page is made of: excerpts of logs, the line of time, the graph."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.cli.page import diagram as drawing
from src.cli.page.diagram import diagram
from src.cli.page.excerpts import bound, excerpts
from src.cli.page.gather import from_object
from src.cli.page.model import RunRecord
from src.cli.page.timeline import timeline
from src.cli.page.wires import Box
from tests.support.run_records import START, a_run, an_order, never_started, of_size

pytestmark = pytest.mark.unit


def run(**orders: dict[str, Any]) -> RunRecord:
    return from_object(a_run(orders), [])


def test_logs_within_the_budget_stay_whole() -> None:
    orders = run(a=an_order(1, log="x" * 50), b=an_order(2, log="y" * 50)).orders

    assert excerpts(orders, budget=100) == ["x" * 50, "y" * 50]


def test_the_longest_logs_give_way_and_keep_more_of_their_end() -> None:
    long = "".join(f"{n:03d}\n" for n in range(100))
    orders = run(a=an_order(1, log=long), b=an_order(2, log="short")).orders

    cut, whole = excerpts(orders, budget=85)

    assert whole == "short"
    assert cut.startswith(long[:20] + "\x1b[0m\n[... 320 characters are not on this page ...]\n")
    assert cut.endswith(long[-60:])


def test_what_went_wrong_is_served_first() -> None:
    fine = an_order(1, log="f" * 100)
    wrong = an_order(2, log="w" * 100, status="failed", exit_code=1)
    orders = run(fine=fine, wrong=wrong).orders

    cut, whole = excerpts(orders, budget=100)

    assert whole == "w" * 100
    assert "f" not in cut.replace("of", "")


@given(st.lists(st.integers(0, 500), max_size=30), st.integers(0, 3000))
def test_bound_is_the_greatest_that_fits(sizes: list[int], budget: int) -> None:
    found = bound(sizes, budget)

    def together(most: int) -> int:
        return sum(min(size, most) for size in sizes)

    assert together(found) <= budget
    assert found >= max(sizes, default=0) or together(found + 1) > budget


def test_timeline_has_waiting_run_start_window_and_deadline() -> None:
    chart = timeline(run(a=an_order(1)))

    assert chart is not None
    (row,) = chart.rows
    assert [(bar.kind, bar.start, bar.end) for bar in row.bars] == [
        ("window", 1_000, 601_000),
        ("wait", 1_000, 1_500),
        ("run", 1_500, 3_000),
        ("room", 3_000, 31_500),
    ]
    assert row.deadline == 31_500
    assert (chart.run.length, chart.whole.length) == (4_000, 601_000)
    assert chart.run.ticks == (0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000)


def test_timeline_lists_orders_as_they_started_and_those_that_never_did_last() -> None:
    chart = timeline(run(late=an_order(5), never=never_started(2), early=an_order(1)))

    assert chart is not None
    assert [row.position for row in chart.rows] == [2, 0, 1]
    assert chart.rows[-1].bars == ()


def test_order_that_still_runs_goes_up_to_the_moment_of_looking() -> None:
    going = an_order(1, status="running", exit_code=None, finished_at=None)
    given = {"status": "running", "finished_at": None, "as_of": START + 9_000}

    chart = timeline(from_object(a_run({"a": going}, **given), []))

    assert chart is not None
    assert [(bar.start, bar.end) for bar in chart.rows[0].bars if bar.kind == "run"] == [
        (1_500, 9_000)
    ]


def test_end_of_an_order_comes_before_its_timeout_where_the_deadline_does() -> None:
    order = an_order(1, end_by=START + 20_000)

    assert run(a=order).orders[0].deadline == START + 20_000


def needs_of(number: int) -> dict[str, tuple[str, ...]]:
    return {order.name: order.dependencies for order in from_object(of_size(number), []).orders}


@pytest.mark.parametrize(
    ("needs", "named"),
    [
        (needs_of(3), True),
        (needs_of(100), True),
        (needs_of(1000), False),
        ({"first": (), **{f"n{n}": ("first",) for n in range(98)}}, False),
        ({"n0": (), **{f"n{n}": (f"n{n - 1}",) for n in range(1, 1000)}}, False),
    ],
    ids=["3", "100", "1000", "fan", "chain"],
)
def test_graph_shows_every_order_and_edge_without_overlap(
    needs: dict[str, tuple[str, ...]], named: bool
) -> None:
    found = diagram(needs)

    assert found.named is named
    assert {box.name for box in found.boxes} == set(needs)
    edges = {(need, name) for name in needs for need in needs[name]}
    drawn = [
        (source, target)
        for wire in found.wires
        for source in wire.sources
        for target in wire.targets
    ]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == edges
    columns: dict[float, list[Box]] = {}
    for box in sorted(found.boxes, key=lambda box: box.y):
        columns.setdefault(box.x, []).append(box)
    for upper, lower in chain.from_iterable(map(pairwise, columns.values())):
        assert upper.y + upper.height < lower.y
    for (left, some), (right, _) in pairwise(sorted(columns.items())):
        assert left + max(box.width for box in some) < right
    assert min(box.y for box in found.boxes) == 12 == min(box.x for box in found.boxes)
    for box in found.boxes:
        assert 0 <= box.x <= box.x + box.width <= found.width
        assert 0 <= box.y <= box.y + box.height <= found.height


def sides(box: Box) -> tuple[str, str]:
    """Return where curves begin and where they end at a box."""
    y = box.y + box.height / 2
    return f"M{box.x + box.width:.1f} {y:.1f}C", f" {box.x:.1f} {y:.1f}"


def test_every_edge_runs_from_left_to_right() -> None:
    found = diagram(needs_of(100))

    at = {box.name: box for box in found.boxes}
    assert found.wires
    for wire in found.wires:
        (source,), (target,), (curve,) = wire.sources, wire.targets, wire.curves
        assert at[source].x + at[source].width < at[target].x
        assert curve.path.startswith(sides(at[source])[0])
        assert curve.path.endswith(sides(at[target])[1])


@pytest.mark.parametrize("width", [10, 100])
def test_groups_that_wait_for_each_other_whole_meet_in_one_point(width: int) -> None:
    first, second = ([f"{part}{n}" for n in range(width)] for part in "ab")
    needs = dict.fromkeys(first, ()) | dict.fromkeys(second, tuple(first))

    found = diagram(needs)

    at = {box.name: box for box in found.boxes}
    assert found.hidden == 0
    (wire,) = found.wires
    assert (wire.sources, wire.targets) == (tuple(first), tuple(second))
    assert [curve.end for curve in wire.curves] == first + second
    curves = {curve.end: curve.path for curve in wire.curves}
    (meet,) = {curves[name].split(" ", 4)[-1].split(" ", 1)[1] for name in first}
    for name in first:
        assert curves[name].startswith(sides(at[name])[0])
    for name in second:
        assert curves[name].startswith(f"M{meet}C")
        assert curves[name].endswith(sides(at[name])[1])


def test_long_edges_are_led_around_what_lies_between() -> None:
    needs = {"a": (), "b": ("a",), "c": ("b",), "x": ("a",), "d": ("c", "x")}

    found = diagram(needs)

    (way,) = (wire.curves[0].path for wire in found.wires if wire.sources == ("x",))
    assert "H" in way


def test_edges_that_longer_paths_imply_are_counted() -> None:
    assert diagram({"a": (), "b": ("a",), "c": ("a", "b", "a")}).hidden == 1


def test_a_graph_of_too_many_edges_keeps_its_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MAX_NAMED", 1)
    monkeypatch.setattr(drawing, "MAX_CURVES", 3)
    needs = {"a": (), "b": (), "c": ("a", "b"), "d": ("a", "b")}

    found = diagram(needs)

    assert (len(found.boxes), found.wires, found.hidden) == (4, (), 4)
