"""What a running job looks like from outside: one row per order, counters, times.

Fed by the engine, read by the views. Knows neither terminals nor handlers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from src.common.status import ACTIVE, TERMINAL, OrderStatus
from src.common.text import word


@dataclass(slots=True)
class Row:
    """One order; times are epoch milliseconds."""

    num: str
    name: str
    status: OrderStatus = OrderStatus.QUEUED
    started_at: int | None = None
    finished_at: int | None = None
    last_line: str = ""
    news: str | None = None  # a line that was printed since

    @property
    def active(self) -> bool:
        """Whether it was handed to a worker and has not ended."""
        return self.status in ACTIVE

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in TERMINAL

    def elapsed(self, now: int) -> int | None:
        """Return for how many milliseconds it has run, None when it never started."""
        if self.started_at is None:
            return None
        return (self.finished_at or now) - self.started_at


class Board:
    """All rows of one run, kept up to date."""

    def __init__(self) -> None:
        self.run_id = ""
        self.rows: dict[str, Row] = {}
        self.counts: Counter[OrderStatus] = Counter()
        self.active: dict[str, Row] = {}  # in the order in which they started
        self.ended: dict[str, Row] = {}  # in the order in which they ended

    def accept(self, run_id: str, orders: Mapping[str, str]) -> None:
        """Take over the orders (number -> name) of an accepted run."""
        self.run_id = run_id
        self.rows = {num: Row(num, name) for num, name in orders.items()}
        self.counts[OrderStatus.QUEUED] = len(self.rows)

    def change(self, num: str, status: OrderStatus, at_ms: int) -> Row | None:
        """Move an order; return its row, or None when its status stays what it was."""
        row = self.rows[num]
        if row.status is status or row.ended:
            return None
        self.counts[row.status] -= 1
        self.counts[status] += 1
        row.status = status
        if status in ACTIVE:
            row.started_at = row.started_at or at_ms
            self.active[num] = row
        elif status in TERMINAL:
            row.finished_at = at_ms
            self.active.pop(num, None)
            self.ended[num] = row
        return row

    def told(self) -> str:
        """Return the counters in words: `3 succeeded, 1 running`."""
        known = ((self.counts[status], word(status)) for status in OrderStatus)
        return ", ".join(f"{number:,} {status}" for number, status in known if number)
