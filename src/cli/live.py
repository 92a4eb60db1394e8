"""The live view: a header and one line per order, redrawn in place by the engine's own ticks.

No thread draws. A job of a thousand orders gets a window: what runs, what ended last, and counters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from src.cli import style
from src.cli.board import Board, Row
from src.cli.console import is_ascii
from src.cli.text import clean, count, duration
from src.common.clock import SystemClock
from src.common.status import OrderStatus

FRAME_S: Final = 0.1
KEPT_LINE: Final = 500  # characters of an order's last line; no terminal shows more
STATUS_CELLS: Final = 11
ELAPSED_CELLS: Final = 11


class LiveView:
    """Watches a run and redraws its board."""

    every_line = False  # one line of each order is in sight

    def __init__(
        self,
        console: Console,
        *,
        cancelling: Callable[[], bool],
        now_ms: Callable[[], int] | None = None,
        began: int | None = None,
    ) -> None:
        self.board = Board()
        self._console = console
        self._cancelling = cancelling
        self._now_ms = now_ms or SystemClock().now_ms
        self._began = self._now_ms() if began is None else began
        self._next_frame = 0.0
        self._longest_name = 0
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def accepted(self, run_id: str, orders: Mapping[str, str]) -> None:
        """Show the run's orders."""
        self.board.accept(run_id, orders)
        self._longest_name = max(map(len, orders.values()), default=0)
        self.tick()

    def order_changed(
        self, num: str, status: OrderStatus, at_ms: int, reason: str | None = None
    ) -> None:
        """Move an order; the next tick shows it, and why in place of its last line."""
        row = self.board.change(num, status, at_ms)
        if row is not None and reason:
            row.news = reason

    def line(self, num: str, text: str) -> None:
        """Keep the last line that says something; the next tick shows it."""
        if text and not text.isspace():  # cleaned when it is drawn: most lines never are
            self.board.rows[num].news = text[-KEPT_LINE:]

    def tick(self) -> None:
        """Redraw if a frame is due."""
        now = time.monotonic()
        if now >= self._next_frame:
            self._next_frame = now + FRAME_S
            self._live.update(self.view(), refresh=True)

    def view(self) -> RenderableType:
        """Return the header and as many order lines as fit the terminal."""
        now, room = self._now_ms(), max(self._console.height - 3, 1)
        rows = list(self._window(room))
        lines = [self._header(now), *(self._line(row, now) for row in rows)]
        if hidden := len(self.board.rows) - len(rows):
            lines.append(Text(f"  and {count(hidden, 'more order')}", "dim", no_wrap=True))
        return Group(*lines)

    def _window(self, room: int) -> Iterator[Row]:
        """Yield all rows, or where they do not fit the running ones and then the latest to end."""
        board = self.board
        if len(board.rows) <= room:
            yield from board.rows.values()
            return
        yield from islice(board.active.values(), room)
        yield from islice(reversed(board.ended.values()), max(room - len(board.active), 0))

    def _header(self, now: int) -> Text:
        ended, total = len(self.board.ended), len(self.board.rows)
        parts = [f"{ended:,} of {count(total, 'order')} ended", duration(now - self._began)]
        if self._cancelling():
            parts.append("cancelling (once more: stop at once)")
        elif told := self.board.told():
            parts.append(told)
        return Text(" | ".join(parts), "bold", no_wrap=True, overflow="ellipsis")

    def _line(self, row: Row, now: int) -> Text:
        width = self._console.width
        name_cells = min(self._longest_name, max(8, width // 3))
        elapsed = row.elapsed(now)
        line = Text(no_wrap=True, overflow="crop")
        colour = style.COLOUR[row.status]
        line.append(f"{style.sign(row.status, ascii_only=is_ascii(self._console))} ", colour)
        line.append(self._fitted(row.name, name_cells) + " ")
        if width >= 60:
            line.append(self._fitted(style.word(row.status), STATUS_CELLS) + " ", colour)
        line.append(self._fitted("" if elapsed is None else duration(elapsed), ELAPSED_CELLS) + " ")
        if row.news is not None:
            row.last_line = clean(row.news).strip() or row.last_line
            row.news = None
        rest = width - line.cell_len
        if rest > 4 and row.last_line:
            line.append(self._fitted(row.last_line, rest - 1), "dim")
        return line

    def _fitted(self, text: str, cells: int) -> str:
        """Return `text` in exactly `cells` terminal cells, wide characters counted as such."""
        if cell_len(text) <= cells:
            return set_cell_size(text, cells)
        return set_cell_size(text, cells - 1) + ("~" if is_ascii(self._console) else "…")
