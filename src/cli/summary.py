"""The end of a run for people: a table with a timeline, logs of what went wrong, one verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.cli import style
from src.cli.console import is_ascii
from src.cli.text import clean, count, duration
from src.common.status import JobStatus, OrderStatus

if TYPE_CHECKING:
    from src.local.report import OrderView, RunReport
    from src.remote.state import OrderState, RunState


MAX_ROWS: Final = 100  # of the table; orders that succeeded are left out first
TAIL_LINES: Final = 15
MAX_TAILS: Final = 5
BAR_CELLS: Final = (12, 40)
WIDE: Final = 64  # columns from which the table has a timeline
NARROW: Final = 32  # columns below which a status is its sign alone
WENT_WRONG: Final = frozenset({OrderStatus.FAILED, OrderStatus.TIMED_OUT})


def show(report: RunReport, console: Console, *, tails: bool) -> None:
    """Print table and verdict; `tails` adds the end of failed orders' logs."""
    _show_table(report, console)
    if tails:
        _show_tails(report, console)
    console.print(_verdict(report, console), soft_wrap=True)


def show_state(state: RunState, console: Console, now: int) -> None:
    """Print table and verdict of a run that may still go on."""
    shown = state.at(now)
    if shown.orders:
        _show_table(shown, console)
    console.print(_verdict(shown, console), soft_wrap=True)


def _show_table(report: RunReport | RunState, console: Console) -> None:
    rows = _chosen(report.orders)
    console.print(_table(report, rows, console))
    if hidden := len(report.orders) - len(rows):
        console.print(Text(f"and {count(hidden, 'more order')}", "dim"))


def _chosen(orders: Sequence[OrderView | OrderState]) -> list[OrderView | OrderState]:
    if len(orders) <= MAX_ROWS:
        return list(orders)
    wrong = [order for order in orders if order.status is not OrderStatus.SUCCEEDED]
    fine = [order for order in orders if order.status is OrderStatus.SUCCEEDED]
    chosen = (wrong + fine)[:MAX_ROWS]
    return sorted(chosen, key=lambda order: order.num)


def _table(
    report: RunReport | RunState, rows: Sequence[OrderView | OrderState], console: Console
) -> Table:
    wide, narrow = console.width >= WIDE, console.width < NARROW
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("order", overflow="fold")
    table.add_column("" if narrow else "status", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    if wide:
        table.add_column("exit", justify="right", no_wrap=True)
        table.add_column("timeline", overflow="fold")
    bar = _bar_cells(rows, console.width)
    for order in rows:
        sign = style.sign(order.status, ascii_only=is_ascii(console))
        status = sign if narrow else f"{sign} {style.word(order.status)}"
        cells = [Text(order.name), Text(status, style.COLOUR[order.status]), Text(_time(order))]
        if wide:
            cells.append(Text("" if order.exit_code is None else str(order.exit_code)))
            cells.append(_timeline(order, report, bar, ascii_only=is_ascii(console)))
        table.add_row(*cells)
    return table


def _bar_cells(rows: Sequence[OrderView | OrderState], width: int) -> int:
    names = max((cell_len(order.name) for order in rows), default=0)
    low, high = BAR_CELLS
    return max(low, min(high, width - names - 38))


def _time(order: OrderView | OrderState) -> str:
    if order.started_at is None or order.finished_at is None:
        return ""
    return duration(order.finished_at - order.started_at)


def _timeline(
    order: OrderView | OrderState, report: RunReport | RunState, cells: int, *, ascii_only: bool
) -> Text:
    """Return where in the run the order ran, or why it did not."""
    if order.started_at is None or order.finished_at is None:
        return Text(clean(order.reason or ""), "dim")
    span = max(_span(report), 1)
    scale = cells / span
    first = min(max(int((order.started_at - report.started_at) * scale), 0), cells - 1)
    last = min(max(int((order.finished_at - report.started_at) * scale), first), cells - 1)
    track, run = (".", "=") if ascii_only else ("·", "━")
    return Text.assemble(
        (track * first, "dim"),
        (run * (last - first + 1), style.COLOUR[order.status]),
        (track * (cells - 1 - last), "dim"),
    )


def _span(report: RunReport | RunState) -> int:
    return (report.finished_at or report.started_at) - report.started_at


def _show_tails(report: RunReport, console: Console) -> None:
    wrong = [order for order in report.orders if order.status in WENT_WRONG]
    for order in wrong[:MAX_TAILS]:
        why = order.reason or f"exit {order.exit_code}"
        console.print()
        console.print(
            Text(f"{order.name}: {style.word(order.status)} ({clean(why)})", "bold red"),
            soft_wrap=True,
        )
        for line in _tail(order.log):
            console.print(Text("  " + line), soft_wrap=True)
    if len(wrong) > MAX_TAILS:
        hidden = count(len(wrong) - MAX_TAILS, "more order")
        console.print(Text(f"and {hidden} that went wrong", "dim"))
    if wrong:
        console.print()


def _tail(log: str) -> Iterator[str]:
    lines = log.splitlines()
    if len(lines) > TAIL_LINES:
        hidden = count(len(lines) - TAIL_LINES, "earlier line")
        yield f"({hidden}; --log-dir DIR keeps all)"
    yield from (clean(line) for line in lines[-TAIL_LINES:])


def _verdict(report: RunReport | RunState, console: Console) -> Text:
    counts = Counter(order.status for order in report.orders)
    told = ", ".join(f"{counts[status]:,} {style.word(status)}" for status in counts)
    within = "for" if report.status is JobStatus.RUNNING else "in"
    text = Text()
    text.append(
        f"{style.sign(report.status, ascii_only=is_ascii(console))} {style.word(report.status)}",
        f"bold {style.COLOUR[report.status]}",
    )
    text.append(f" {within} {duration(_span(report))}: {told or 'no order is packaged yet'}")
    if report.reason and report.reason != report.status:
        text.append(f"; {clean(report.reason)}")
    text.append(f" (run {report.run_id})", "dim")
    return text
