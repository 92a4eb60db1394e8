"""The views of a running job: what they show, and that nothing in a log can garble them."""

from __future__ import annotations

import io
import os

import pytest
from rich.cells import cell_len
from rich.console import Console

from src.cli.board import Board
from src.cli.console import SteadyConsole
from src.cli.live import LiveView
from src.cli.plain import PlainView
from src.common.status import OrderStatus

pytestmark = pytest.mark.unit

START = 1_700_000_000_000


class World:
    """A clock and a wish to cancel, both in the test's hand."""

    def __init__(self) -> None:
        self.now = START
        self.cancelling = False


@pytest.fixture
def world() -> World:
    return World()


def live(world: World, *, width: int = 80, height: int = 20, **options: object) -> LiveView:
    console = SteadyConsole(
        file=io.StringIO(), width=width, height=height, force_terminal=True, **options
    )
    return LiveView(console, cancelling=lambda: world.cancelling, now_ms=lambda: world.now)


def plain(world: World, stream: io.StringIO) -> PlainView:
    console = Console(file=stream, width=80)
    return PlainView(console, cancelling=lambda: world.cancelling, now_ms=lambda: world.now)


def shown(view: LiveView) -> list[str]:
    console = Console(file=io.StringIO(), width=view._console.width, no_color=True)
    console.print(view.view())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def names(*found: str) -> dict[str, str]:
    return {f"{position:04d}": name for position, name in enumerate(found, 1)}


def test_board_counts_and_times_orders() -> None:
    board = Board()
    board.accept("run-1", names("a", "b"))

    board.change("0001", OrderStatus.DISPATCHING, START)
    board.change("0001", OrderStatus.RUNNING, START + 5)
    board.change("0001", OrderStatus.SUCCEEDED, START + 400)

    row = board.rows["0001"]
    assert (row.started_at, row.finished_at, row.elapsed(START + 9_999)) == (
        START,
        START + 400,
        400,
    )
    assert board.told() == "1 queued, 1 succeeded"
    assert board.active == {}
    board.change("0002", OrderStatus.TIMED_OUT, START + 500)
    assert board.told() == "1 succeeded, 1 timed out"


def test_ended_orders_stay_ended() -> None:
    board = Board()
    board.accept("run-1", names("a"))
    board.change("0001", OrderStatus.FAILED, START)

    assert board.change("0001", OrderStatus.RUNNING, START + 1) is None
    assert board.rows["0001"].status is OrderStatus.FAILED


def test_live_view_has_one_line_per_order(world: World) -> None:
    view = live(world)
    view.accepted("run-1", names("plan", "apply"))
    view.order_changed("0001", OrderStatus.RUNNING, START)
    view.line("0001", "Refreshing state...\n")
    world.now += 1_500

    assert shown(view) == [
        "0 of 2 orders ended | 1.5 s | 1 queued, 1 running",
        "▸ plan  running     1.5 s       Refreshing state...",
        "· apply queued",
    ]


def test_live_view_of_a_thousand_orders_is_a_window_on_those_that_run(world: World) -> None:
    view = live(world, height=10)
    view.accepted("run-1", names(*(f"order-{n}" for n in range(1000))))
    for num in range(1, 4):
        view.order_changed(f"{num:04d}", OrderStatus.SUCCEEDED, START)
    for num in range(500, 502):
        view.order_changed(f"{num:04d}", OrderStatus.RUNNING, START)

    lines = shown(view)

    assert [line.split()[1] for line in lines[1:-1]] == [
        *("order-499", "order-500"),
        *("order-2", "order-1", "order-0"),
    ]
    assert lines[0].startswith("3 of 1,000 orders ended")
    assert lines[-1] == "  and 995 more orders"


@pytest.mark.parametrize("width", [1, 10, 40, 59, 60, 300])
def test_live_view_never_exceeds_the_terminal(world: World, width: int) -> None:
    view = live(world, width=width, height=4)
    view.accepted("run-1", names("x" * 80, "short"))
    view.order_changed("0001", OrderStatus.RUNNING, START)
    view.line("0001", "漢字" * 200)

    lines = shown(view)

    assert len(lines) <= 3
    assert all(cell_len(line) <= width for line in lines)


def test_log_lines_are_neither_markup_nor_escapes(world: World) -> None:
    view = live(world)
    view.accepted("run-1", names("a"))
    view.line("0001", "\x1b[2J[red]alarm[/red] :boom:\n")

    assert shown(view)[1].endswith("[red]alarm[/red] :boom:")


def test_empty_lines_do_not_hide_the_last_that_says_something(world: World) -> None:
    view = live(world)
    view.accepted("run-1", names("a"))
    view.line("0001", "useful")
    view.line("0001", "  \n")

    assert shown(view)[1].endswith("useful")


def test_live_view_says_that_it_is_cancelling(world: World) -> None:
    view = live(world)
    view.accepted("run-1", names("a"))
    world.cancelling = True

    assert "cancelling (once more: stop at once)" in shown(view)[0]


def test_live_view_leaves_nothing_behind_when_it_ends(world: World) -> None:
    view = live(world)

    with view:
        view.accepted("run-1", names("a"))

    written = view._console.file.getvalue()
    assert "0 of 1 order ended" in written
    assert written.endswith("\x1b[2K")


def test_plain_view_tells_lines_and_changes_as_they_come(world: World) -> None:
    stream = io.StringIO()
    with plain(world, stream) as view:
        view.accepted("run-1", names("fmt", "plan"))
        view.order_changed("0001", OrderStatus.DISPATCHING, START)
        view.order_changed("0001", OrderStatus.RUNNING, START + 100)
        world.now += 250
        view.line("0001", "\x1b[1mmain.tf\x1b[0m [ok]\n")
        view.order_changed("0001", OrderStatus.TIMED_OUT, START + 2_000)

    assert stream.getvalue().splitlines() == [
        "run run-1: 2 orders",
        "   0.1 fmt  running",
        "   0.2 fmt  | main.tf [ok]",
        "   2.0 fmt  timed out",
    ]


def test_plain_view_says_why_where_the_commands_do_not(world: World) -> None:
    stream = io.StringIO()
    with plain(world, stream) as view:
        view.accepted("run-1", names("fmt", "plan", "apply"))
        view.order_changed("0001", OrderStatus.FAILED, START, "unpacking: \x1b[1mdisk full\n")
        view.order_changed("0002", OrderStatus.SKIPPED, START, "dependency fmt failed")
        view.order_changed("0003", OrderStatus.CANCELLED, START, "cancelled")

    assert stream.getvalue().splitlines()[1:] == [
        "   0.0 fmt   failed: unpacking: disk full",
        "   0.0 plan  skipped: dependency fmt failed",
        "   0.0 apply cancelled",
    ]


def test_live_view_says_why_in_place_of_the_last_line(world: World) -> None:
    view = live(world)
    view.accepted("run-1", names("fmt"))
    view.line("0001", "fetching")
    view.order_changed("0001", OrderStatus.FAILED, START, "the worker died")

    assert shown(view)[1].endswith("the worker died")


def test_plain_view_says_once_that_it_is_cancelling(world: World) -> None:
    stream = io.StringIO()
    with plain(world, stream) as view:
        view.accepted("run-1", names("a"))
        world.cancelling = True
        view.tick()
        view.tick()

    assert stream.getvalue().count("cancelling") == 1


def test_console_goes_silent_when_its_reader_went_away() -> None:
    reader, writer = os.pipe()
    with open(writer, "w") as stream:  # noqa: PTH123 - a descriptor
        console = SteadyConsole(file=stream)
        os.close(reader)

        console.print("text")
        console.print("more")

        assert console.quiet


def test_views_survive_a_reader_that_went_away(world: World, tmp_path: object) -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

        def fileno(self) -> int:
            return spare.fileno()

    with open(f"{tmp_path}/spare", "w") as spare:  # noqa: PTH123 - stands for the broken pipe
        view = plain(world, Gone())
        with view:
            view.accepted("run-1", names("a"))
            view.tick()
            view.line("0001", "text")
            view.tick()

    assert view._console.quiet
