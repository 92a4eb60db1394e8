"""Where the orders of a run stand on a line of time: a Gantt chart as plain numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from src.cli.page.model import OrderRecord, RunRecord

_STEPS_S: Final = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600 * hours for hours in (1, 2, 4, 6, 12, 24, 48, 120, 240)),
)
MAX_TICKS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of time, in milliseconds from the start of the chart."""

    kind: str  # `window`: a worker may claim; `wait`: none has yet; `run`; `room`: to the deadline
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One order; `position` is its place in the run."""

    position: int
    bars: tuple[Bar, ...]
    deadline: int | None  # milliseconds from the start of the chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How long a chart is, and where its marks stand; milliseconds."""

    length: int
    ticks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The rows in the order in which the orders started; `whole` shows all deadlines too."""

    rows: tuple[Row, ...]
    run: Scale
    whole: Scale


def timeline(run: RunRecord) -> Timeline | None:
    """Return the chart of a run, None where no time is known."""
    if run.span is None:
        return None
    first, last = run.span
    rows = [
        Row(
            position=position,
            bars=tuple(_bars(order, first, last)),
            deadline=None if order.dispatched_at is None else _since(first, order.deadline),
        )
        for position, order in sorted(enumerate(run.orders), key=lambda entry: _key(*entry))
    ]
    ends = [bar.end for row in rows for bar in row.bars]
    return Timeline(
        rows=tuple(rows),
        run=_scale(last - first),
        whole=_scale(max(last - first, *ends, 0)),
    )


def _key(position: int, order: OrderRecord) -> tuple[bool, int, int]:
    """What never started comes last."""
    return order.dispatched_at is None, order.dispatched_at or 0, position


def _bars(order: OrderRecord, first: int, last: int) -> Iterator[Bar]:
    dispatched = order.dispatched_at
    if dispatched is None:
        return

    def bar(kind: str, start: int, end: int | None) -> Iterator[Bar]:
        if end is not None and end > start:
            yield Bar(kind=kind, start=start - first, end=end - first)

    yield from bar("window", dispatched, order.start_by)
    ended = order.finished_at or last
    if order.started_at is None:
        yield from bar("wait", dispatched, ended)
        return
    yield from bar("wait", dispatched, order.started_at)
    yield Bar(  # also where it took no time that a clock could see
        kind="run",
        start=order.started_at - first,
        end=max(ended, order.started_at + 1) - first,
    )
    yield from bar("room", max(ended, order.started_at), order.deadline)


def _since(first: int, at: int | None) -> int | None:
    return None if at is None else at - first


def _scale(length: int) -> Scale:
    length = max(length, 1)
    step = next(
        (int(step * 1000) for step in _STEPS_S if length / (step * 1000) <= MAX_TICKS), length
    )
    ticks = takewhile(lambda tick: tick <= length, range(0, length + step, step))
    return Scale(length=length, ticks=tuple(ticks))
